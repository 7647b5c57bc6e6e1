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
    /// By what the loudness is brought to `target_lufs`; it stays when nothing is said.
    pub normalize: Option<Normalize>,
    /// The loudness that `normalize` brings it to; -16 when nothing is said.
    pub target_lufs: Option<TargetLufs>,
    /// Whether the shape of the sound is made as well, for a player to draw.
    pub waveform: Option<Waveform>,
    /// How many points the shape has; 1000 when nothing is said.
    pub waveform_points: Option<WaveformPoints>,
}

/// How the shape of a sound is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Waveform {
    /// As audiowaveform writes it and peaks.js reads it.
    Json,
}

/// How many points the shape of a sound has: 10 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct WaveformPoints(u32);

impl From<WaveformPoints> for u32 {
    fn from(points: WaveformPoints) -> Self {
        points.0
    }
}

impl PartialSchema for WaveformPoints {
    fn schema() -> RefOr<Schema> {
        value::range("How many points a waveform has.", Type::Integer, 10.0, 10_000.0)
    }
}

impl ToSchema for WaveformPoints {}

impl WaveformPoints {
    /// The number of points.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for WaveformPoints {
    /// 1000: a point for every pixel of a wide player.
    fn default() -> Self {
        Self(1000)
    }
}

impl TryFrom<u32> for WaveformPoints {
    type Error = &'static str;

    fn try_from(points: u32) -> Result<Self, Self::Error> {
        if (10..=10_000).contains(&points) {
            Ok(Self(points))
        } else {
            Err("a waveform has from 10 to 10000 points")
        }
    }
}

/// By what the loudness is measured that is brought to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// The integrated loudness of EBU R 128.
    Lufs,
}

/// A loudness in LUFS: -70 to -5.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct TargetLufs(f64);

impl From<TargetLufs> for f64 {
    fn from(target: TargetLufs) -> Self {
        target.0
    }
}

impl PartialSchema for TargetLufs {
    fn schema() -> RefOr<Schema> {
        value::range("A loudness in LUFS.", Type::Number, -70.0, -5.0)
    }
}

impl ToSchema for TargetLufs {}

impl TargetLufs {
    /// The number of LUFS.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Default for TargetLufs {
    /// -16: what players of podcasts and videos expect.
    fn default() -> Self {
        Self(-16.0)
    }
}

impl TryFrom<f64> for TargetLufs {
    type Error = &'static str;

    fn try_from(lufs: f64) -> Result<Self, Self::Error> {
        if (-70.0..=-5.0).contains(&lufs) {
            Ok(Self(lufs))
        } else {
            Err("a loudness is from -70 to -5 LUFS")
        }
    }
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
    /// The loudness that is asked for.
    #[must_use]
    pub fn target_lufs(&self) -> Option<f64> {
        self.normalize.map(|Normalize::Lufs| self.target_lufs.unwrap_or_default().get())
    }

    pub(super) fn validate(&self) -> Result<(), OptionError> {
        value::check_span(self.start, self.end)?;
        if self.target_lufs.is_some() && self.normalize.is_none() {
            return Err(OptionError::new(
                "target_lufs",
                "`target_lufs` needs `normalize: \"lufs\"`",
            )
            .hint("add `normalize`, or leave `target_lufs` out"));
        }
        if self.waveform_points.is_some() && self.waveform.is_none() {
            let message = "`waveform_points` needs `waveform: \"json\"`";
            return Err(OptionError::new("waveform_points", message)
                .hint("add `waveform`, or leave `waveform_points` out"));
        }
        if self.bitrate.is_some() && self.format.is_lossless() {
            let format = self.format.name();
            return Err(OptionError::new("bitrate", format!("{format} has no bitrate to choose"))
                .hint("leave `bitrate` out, or ask for mp3, aac, ogg or opus"));
        }
        Ok(())
    }
}
