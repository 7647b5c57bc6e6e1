//! `kind: "video"`.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::value::{Color, Fit, FrameRate, Length, Position, Quality, Seconds};
use super::{OptionError, value};
use crate::job::InputUrl;

/// What may be asked of a video.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VideoOptions {
    /// The container; mp4 when nothing is said.
    pub format: VideoFormat,
    /// The codec; the container's usual one when nothing is said.
    pub codec: Option<VideoCodec>,
    /// The perceptual target, unless `bitrate` is given.
    pub quality: Quality,
    /// Width of the output.
    pub width: Option<Length>,
    /// Height of the output.
    pub height: Option<Length>,
    /// How the picture meets `width` × `height`.
    pub fit: Fit,
    /// What `cover` keeps.
    pub position: Position,
    /// Pads a `contain` to exactly `width` × `height`.
    pub background: Option<Color>,
    /// Pictures a second; the source's when nothing is said.
    pub fps: Option<FrameRate>,
    /// Bits a second of the picture, in place of `quality`.
    pub bitrate: Option<VideoBitrate>,
    /// Where to begin.
    pub start: Option<Seconds>,
    /// Where to end; the source's end when nothing is said.
    pub end: Option<Seconds>,
    /// Whether the sound is left out.
    pub mute: bool,
    /// Whether pictures and sound that are already as asked are copied.
    pub copy: Copying,
    /// Subtitles to be fetched, a SubRip or WebVTT file.
    pub subtitle_url: Option<SubtitleUrl>,
    /// What becomes of them; they are burnt in when nothing is said.
    pub subtitle_style: Option<SubtitleStyle>,
}

/// Where subtitles are: an `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SubtitleUrl(InputUrl);

impl Serialize for SubtitleUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl PartialSchema for SubtitleUrl {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Where subtitles are: an `http` or `https` URL."))
            .pattern(Some("^[hH][tT][tT][pP][sS]?://"))
            .max_length(Some(InputUrl::MAX_LEN))
            .into()
    }
}

impl ToSchema for SubtitleUrl {}

impl SubtitleUrl {
    /// The URL.
    #[must_use]
    pub const fn url(&self) -> &InputUrl {
        &self.0
    }
}

impl TryFrom<String> for SubtitleUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = InputUrl::parse(&text).map_err(|error| error.to_string())?;
        if url.object().is_some() {
            return Err("subtitles are fetched from http and https URLs".to_owned());
        }
        Ok(Self(url))
    }
}

/// What becomes of subtitles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubtitleStyle {
    /// They become part of the picture.
    BurnIn,
}

/// Whether what is already as it is asked for is copied, in place of being coded again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Copying {
    /// Where it fits: pictures and sound each for itself.
    #[default]
    Auto,
    /// Never: all of it is coded anew.
    Never,
}

/// A video container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VideoFormat {
    /// MPEG-4 part 14, index in front.
    #[default]
    Mp4,
    /// `WebM`.
    Webm,
    /// `QuickTime`, index in front.
    Mov,
}

/// A video codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// AVC: plays everywhere.
    H264,
    /// HEVC.
    H265,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
}

/// Bits a second of the picture: 300,000 to 60,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct VideoBitrate(u64);

impl VideoBitrate {
    /// Bits a second.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for VideoBitrate {
    type Error = &'static str;

    fn try_from(bits: u64) -> Result<Self, Self::Error> {
        if (300_000..=60_000_000).contains(&bits) {
            Ok(Self(bits))
        } else {
            Err("a video's bitrate is from 300000 to 60000000 bits a second")
        }
    }
}

impl From<VideoBitrate> for u64 {
    fn from(bitrate: VideoBitrate) -> Self {
        bitrate.0
    }
}

impl PartialSchema for VideoBitrate {
    fn schema() -> RefOr<Schema> {
        value::range("Bits a second of the picture.", Type::Integer, 300_000.0, 60_000_000.0)
    }
}

impl ToSchema for VideoBitrate {}

impl VideoFormat {
    /// The codecs that the container takes, the usual one first.
    #[must_use]
    pub const fn codecs(self) -> &'static [VideoCodec] {
        match self {
            Self::Mp4 => &[VideoCodec::H264, VideoCodec::H265, VideoCodec::Av1],
            Self::Mov => &[VideoCodec::H264, VideoCodec::H265],
            Self::Webm => &[VideoCodec::Vp9, VideoCodec::Av1],
        }
    }

    /// The container's name, which is also its file extension.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Webm => "webm",
            Self::Mov => "mov",
        }
    }
}

impl VideoCodec {
    /// The codec's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }
}

impl VideoOptions {
    /// The codec that will be used.
    #[must_use]
    pub fn codec(&self) -> VideoCodec {
        self.codec.unwrap_or(self.format.codecs()[0])
    }

    pub(super) fn validate(&self) -> Result<(), OptionError> {
        value::check_span(self.start, self.end)?;
        value::check_background(self.background, self.fit, self.width, self.height)?;
        if self.subtitle_style.is_some() && self.subtitle_url.is_none() {
            return Err(OptionError::new(
                "subtitle_style",
                "`subtitle_style` needs `subtitle_url`",
            )
            .hint("add the URL of the subtitles, or leave `subtitle_style` out"));
        }
        if self.format.codecs().contains(&self.codec()) {
            return Ok(());
        }
        let (codec, format) = (self.codec().name(), self.format.name());
        let allowed: Vec<&str> = self.format.codecs().iter().map(|codec| codec.name()).collect();
        Err(OptionError::new("codec", format!("{codec} does not go into {format}"))
            .hint(format!("{format} takes {}", allowed.join(", "))))
    }
}
