//! `kind: "audio"`.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::value::{Quality, Seconds};
use super::{OptionError, value};

/// What may be asked of an audio file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AudioOptions {
    /// Codec and container; mp3 when nothing is said.
    pub format: AudioFormat,
    /// The perceptual target, unless `bitrate` is given.
    pub quality: Quality,
    /// Bits a second, in place of `quality`; for lossy formats.
    pub bitrate: Option<AudioBitrate>,
    /// Where to begin.
    pub start: Option<Seconds>,
    /// Where to end; the source's end when nothing is said.
    pub end: Option<Seconds>,
}

/// An audio codec in its usual container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioFormat {
    /// MPEG layer III.
    #[default]
    Mp3,
    /// AAC in an MPEG-4 container (`.m4a`).
    #[serde(alias = "m4a")]
    Aac,
    /// Vorbis in Ogg.
    Ogg,
    /// Opus in Ogg.
    Opus,
    /// Uncompressed, 16 bit.
    Wav,
    /// Compressed without loss.
    Flac,
}

impl PartialSchema for AudioFormat {
    fn schema() -> RefOr<Schema> {
        value::names(
            "An audio codec in its usual container; `m4a` is `aac`.",
            &["mp3", "aac", "m4a", "ogg", "opus", "wav", "flac"],
        )
    }
}

impl ToSchema for AudioFormat {}

impl AudioFormat {
    /// Whether the samples come back as they went in.
    #[must_use]
    pub const fn is_lossless(self) -> bool {
        matches!(self, Self::Wav | Self::Flac)
    }

    /// The format's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::Ogg => "ogg",
            Self::Opus => "opus",
            Self::Wav => "wav",
            Self::Flac => "flac",
        }
    }
}

/// Bits a second of the sound: 32,000 to 320,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct AudioBitrate(u32);

impl AudioBitrate {
    /// Bits a second.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for AudioBitrate {
    type Error = &'static str;

    fn try_from(bits: u32) -> Result<Self, Self::Error> {
        if (32_000..=320_000).contains(&bits) {
            Ok(Self(bits))
        } else {
            Err("an audio file's bitrate is from 32000 to 320000 bits a second")
        }
    }
}

impl From<AudioBitrate> for u32 {
    fn from(bitrate: AudioBitrate) -> Self {
        bitrate.0
    }
}

impl PartialSchema for AudioBitrate {
    fn schema() -> RefOr<Schema> {
        value::range("Bits a second of the sound.", Type::Integer, 32_000.0, 320_000.0)
    }
}

impl ToSchema for AudioBitrate {}

impl AudioOptions {
    pub(super) fn validate(&self) -> Result<(), OptionError> {
        value::check_span(self.start, self.end)?;
        if self.bitrate.is_some() && self.format.is_lossless() {
            let format = self.format.name();
            return Err(OptionError::new("bitrate", format!("{format} has no bitrate to choose"))
                .hint("leave `bitrate` out, or ask for mp3, aac, ogg or opus"));
        }
        Ok(())
    }
}
