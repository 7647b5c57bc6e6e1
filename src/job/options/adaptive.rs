//! `kind: "adaptive_video"`.

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::value::{Fit, Length, Quality, Seconds};
use super::{OptionError, value};
use crate::job::{InputError, InputUrl};

/// What may be asked of a package for adaptive playback.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveOptions {
    /// Which of the playlists is the output; HLS when nothing is said.
    pub format: AdaptiveFormat,
    /// What segments are wrapped in; fragmented MPEG-4 when nothing is said.
    pub segment_type: SegmentType,
    /// The codec; H.264 when nothing is said.
    pub codec: AdaptiveCodec,
    /// The perceptual target of every rendition.
    pub quality: Quality,
    /// Width of the largest rendition.
    pub width: Option<Length>,
    /// Height of the largest rendition.
    pub height: Option<Length>,
    /// How the picture meets `width` × `height`.
    pub fit: Fit,
    /// Where to begin.
    pub start: Option<Seconds>,
    /// Where to end; the source's end when nothing is said.
    pub end: Option<Seconds>,
    /// How the segments are encrypted; not at all when nothing is said.
    pub encryption: Option<Encryption>,
}

/// The playlist that is the job's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdaptiveFormat {
    /// HTTP Live Streaming, RFC 8216.
    #[default]
    Hls,
    /// MPEG-DASH.
    Dash,
}

/// What segments are wrapped in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SegmentType {
    /// Fragmented MPEG-4 (CMAF): for everything since 2016, and for DASH.
    #[default]
    Fmp4,
    /// MPEG transport streams: for old players of HLS.
    Ts,
}

/// A codec that adaptive players know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdaptiveCodec {
    /// AVC: plays everywhere.
    #[default]
    H264,
    /// HEVC.
    H265,
}

/// How segments are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// The method of HLS.
    pub method: EncryptionMethod,
    /// Where this server, once, and every player get the key: 16 bytes.
    pub key_url: KeyUrl,
}

/// A method by which segments are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum EncryptionMethod {
    /// Each segment as a whole.
    #[serde(rename = "aes-128")]
    Aes128,
}

/// An `http` or `https` URL of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyUrl(Url);

impl KeyUrl {
    /// The URL, with everything escaped in it that could end a quoted text.
    #[must_use]
    pub const fn get(&self) -> &Url {
        &self.0
    }
}

impl TryFrom<String> for KeyUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match InputUrl::parse(&text) {
            Ok(url) if url.object().is_none() => Ok(Self(url.url().clone())),
            Ok(_) | Err(InputError::Scheme | InputError::Object) => {
                Err("players fetch the key: it is an http or https URL".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl From<KeyUrl> for String {
    fn from(url: KeyUrl) -> Self {
        url.0.into()
    }
}

impl PartialSchema for KeyUrl {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Where this server, once, and every player get the key."))
            .format(Some(SchemaFormat::Custom("uri".to_owned())))
            .pattern(Some("^[hH][tT][tT][pP][sS]?://"))
            .examples(["https://keys.example.com/film-7"])
            .into()
    }
}

impl ToSchema for KeyUrl {}

impl AdaptiveOptions {
    pub(super) fn validate(&self) -> Result<(), OptionError> {
        value::check_span(self.start, self.end)?;
        let is_transport = self.segment_type == SegmentType::Ts;
        if is_transport && self.format == AdaptiveFormat::Dash {
            return Err(OptionError::new("segment_type", "DASH has segments of fmp4 only")
                .hint("leave `segment_type` out, or ask for `hls`"));
        }
        if is_transport && self.codec == AdaptiveCodec::H265 {
            return Err(OptionError::new("codec", "h265 is played from fmp4 segments only")
                .hint("leave `segment_type` out, or ask for h264"));
        }
        if self.encryption.is_some() && self.format == AdaptiveFormat::Dash {
            return Err(
                OptionError::new("encryption", "DASH does not know aes-128").hint("ask for `hls`")
            );
        }
        Ok(())
    }
}
