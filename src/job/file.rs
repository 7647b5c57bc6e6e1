//! A file that was made.

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::ObjectUrl;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "most names say it all")]
pub enum FileKind {
    Video,
    Audio,
    Image,
    Animation,
    /// A playlist or manifest that players choose from.
    AdaptiveVideo,
    /// Text that belongs to a medium: a playlist of one track, captions, data.
    Text,
}

impl FileKind {
    /// The kind's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Image => "image",
            Self::Animation => "animation",
            Self::AdaptiveVideo => "adaptive_video",
            Self::Text => "text",
        }
    }
}

/// A file that was made, with its facts read from the file itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Where it is in storage: `{job}/{attempt}/{name}`, made by the server alone.
    pub key: String,
    /// What it is.
    pub kind: FileKind,
    /// Its container or image format, as in the options: `mp4`, `webp`, `aac`.
    pub format: String,
    /// Its media type, from what was made and never from what was sent.
    pub content_type: String,
    /// Size in bytes; 0 when a provider made it and did not say.
    pub filesize: u64,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Length in seconds.
    pub duration: Option<f64>,
    /// Pictures a second.
    pub fps: Option<f64>,
    /// Bits a second, of the whole file.
    pub bitrate: Option<u64>,
    /// What the streams are coded in.
    pub codecs: Option<Codecs>,
    /// How loud it is, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loudness: Option<Loudness>,
    /// SHA-256 of its bytes in lower-case hex; empty when a provider made it and did not say.
    pub sha256: String,
    /// The object in the user's own bucket that it went to; without it the file is in storage.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delivered_to: Option<ObjectUrl>,
    /// Where the provider that made it keeps it; without it the file is in storage.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remote_url: Option<Url>,
}

impl File {
    /// Where it is, unless it is in this server's storage.
    #[must_use]
    pub fn url_elsewhere(&self) -> Option<String> {
        let delivered = self.delivered_to.as_ref().map(ToString::to_string);
        delivered.or_else(|| self.remote_url.as_ref().map(ToString::to_string))
    }
}

impl File {
    /// What it takes of this server's storage.
    #[must_use]
    pub fn stored_bytes(&self) -> i64 {
        let is_here = self.delivered_to.is_none() && self.remote_url.is_none();
        if is_here { i64::try_from(self.filesize).unwrap_or(i64::MAX) } else { 0 }
    }
}

/// How loud a file is, by EBU R 128. Silence has a range and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Loudness {
    /// Of the whole, in LUFS.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub integrated_lufs: Option<f64>,
    /// The highest peak, between samples too, in dBTP.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub true_peak_dbtp: Option<f64>,
    /// How far soft and loud parts are apart, in LU.
    pub range_lu: f64,
}

/// What the streams of a file are coded in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Codecs {
    /// The picture's codec.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub video: Option<String>,
    /// The sound's codec.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub audio: Option<String>,
}
