//! What a media file is, as typed facts.

use serde::{Deserialize, Serialize};

/// What a media file is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The demuxer's names, such as `mov,mp4,m4a,3gp,3g2,mj2` or `png_pipe`.
    pub format: String,
    /// Length in seconds: finite and over 0, when the file tells one.
    pub duration: Option<f64>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Bits a second of the whole file.
    pub bit_rate: Option<u64>,
    /// The streams in the file's order.
    pub streams: Vec<Stream>,
}

/// A stream of a media file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Stream {
    /// Pictures.
    Video(VideoStream),
    /// Sound.
    Audio(AudioStream),
    /// Anything else: subtitles, data.
    Other(OtherStream),
}

/// A stream of pictures.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VideoStream {
    /// Its number in the file, as in `-map 0:N`.
    pub index: u32,
    /// The codec's name, such as `h264`.
    pub codec: String,
    /// Width as coded in pixels, before rotation and aspect.
    pub width: u32,
    /// Height as coded in pixels, before rotation and aspect.
    pub height: u32,
    /// How the picture must be turned to stand upright. ffmpeg does it by itself when it
    /// decodes, mirroring included.
    pub rotation: Rotation,
    /// Whether the picture must be mirrored left to right before it is turned.
    pub mirrored: bool,
    /// Width to height of one pixel; 1:1 when the file says nothing or nonsense.
    pub sample_aspect: Ratio,
    /// Average pictures a second, when it is known and sane (over 0, at most 1000).
    pub fps: Option<Ratio>,
    /// Number of pictures, when the file tells it.
    pub frames: Option<u64>,
    /// Length in seconds, when the stream tells one.
    pub duration: Option<f64>,
    /// ffmpeg's name of the pixel format, such as `yuv420p10le`.
    pub pixel_format: String,
    /// Bits a sample: 8, 10, 12, 16.
    pub bit_depth: u8,
    /// Whether the pixel format has an alpha channel.
    pub alpha: bool,
    /// The colours' meaning.
    pub color: Color,
    /// Bits a second, when the stream tells them.
    #[serde(default)]
    pub bit_rate: Option<u64>,
    /// ffmpeg's name of the codec's profile, such as `High`; empty where the file is silent.
    #[serde(default)]
    pub profile: String,
    /// Whether all pictures are as far apart as the average says.
    #[serde(default)]
    pub is_steady: bool,
    /// Whether a picture is two halves of different moments.
    #[serde(default)]
    pub is_interlaced: bool,
    /// Whether captions lie among the pictures.
    #[serde(default)]
    pub has_captions: bool,
    /// Cover art: a still that comes with sound.
    pub attached_picture: bool,
}

/// What the numbers of a picture mean, in ffmpeg's names; empty where the file is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Color {
    /// `tv` or `pc`.
    pub range: String,
    /// The matrix, such as `bt709`.
    pub space: String,
    /// The transfer function, such as `smpte2084` (PQ) or `arib-std-b67` (HLG).
    pub transfer: String,
    /// The primaries, such as `bt2020`.
    pub primaries: String,
}

/// A stream of sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AudioStream {
    /// Its number in the file, as in `-map 0:N`.
    pub index: u32,
    /// The codec's name, such as `aac`.
    pub codec: String,
    /// Number of channels.
    pub channels: u32,
    /// Samples a second.
    pub sample_rate: u32,
    /// Length in seconds, when the stream tells one.
    pub duration: Option<f64>,
    /// Bits a second, when the stream tells them.
    pub bit_rate: Option<u64>,
    /// ffmpeg's name of the codec's profile, such as `LC`; empty where the file is silent.
    #[serde(default)]
    pub profile: String,
    /// Whether the file marks it as the one to play.
    pub default: bool,
}

/// A stream that is neither picture nor sound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherStream {
    /// Its number in the file.
    pub index: u32,
    /// ffmpeg's type of it, such as `subtitle` or `data`.
    pub kind: String,
    /// The codec's name, empty when there is none.
    pub codec: String,
    /// The language in three letters, such as `deu`, where the file says one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<String>,
}

/// A turn clockwise in quarter circles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each name says it all")]
pub enum Rotation {
    #[default]
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Rotation {
    /// Whether width and height change places.
    #[must_use]
    pub const fn swaps_sides(self) -> bool {
        matches!(self, Self::Quarter | Self::ThreeQuarters)
    }
}

/// A ratio of two numbers, the second never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    /// Numerator.
    pub num: u32,
    /// Denominator.
    pub den: u32,
}

impl Default for Ratio {
    fn default() -> Self {
        Self { num: 1, den: 1 }
    }
}

impl Ratio {
    /// The quotient of two numbers in lowest terms, when both are over 0 and it fits.
    #[must_use]
    pub(crate) fn reduced(num: u64, den: u64) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let common = common_divisor(num, den);
        let (num, den) = (u32::try_from(num / common).ok()?, u32::try_from(den / common).ok()?);
        Some(Self { num, den })
    }

    /// The quotient.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

const fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl VideoStream {
    /// Width and height as they are seen: upright, with square pixels, at least 1 × 1.
    #[must_use]
    pub fn display_size(&self) -> (u32, u32) {
        let wide = f64::from(self.width) * self.sample_aspect.value();
        let (width, height) = ((wide.round() as u32).max(1), self.height.max(1));
        if self.rotation.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// Whether the picture has more light than a standard screen: PQ or HLG.
    #[must_use]
    pub fn is_hdr(&self) -> bool {
        matches!(self.color.transfer.as_str(), "smpte2084" | "arib-std-b67")
    }
}

impl Facts {
    /// The moving or still picture of the file; cover art does not count.
    #[must_use]
    pub fn video(&self) -> Option<&VideoStream> {
        self.streams.iter().find_map(|stream| match stream {
            Stream::Video(video) if !video.attached_picture => Some(video),
            _ => None,
        })
    }

    /// The sound of the file: the stream marked as default, else the first.
    #[must_use]
    pub fn audio(&self) -> Option<&AudioStream> {
        let all = || {
            self.streams.iter().filter_map(|stream| match stream {
                Stream::Audio(audio) => Some(audio),
                _ => None,
            })
        };
        all().find(|audio| audio.default).or_else(|| all().next())
    }

    /// Whether the file is one picture that does not move.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.audio().is_none()
            && self.duration.is_none()
            && self.video().is_some_and(|video| video.frames == Some(1))
    }

    /// The cover art of the file.
    #[must_use]
    pub fn cover(&self) -> Option<&VideoStream> {
        self.streams.iter().find_map(|stream| match stream {
            Stream::Video(video) if video.attached_picture => Some(video),
            _ => None,
        })
    }
}
