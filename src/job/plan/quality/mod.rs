//! What each quality level means for each encoder: the one table of numbers.
//!
//! A level names what is seen or heard, so the numbers of two encoders in one row look alike.

use ffmpeg::filter::Dither;
use ffmpeg::{
    AudioEncoder, Hardware, HardwareCodec, HardwareEncoder, Preset, Rate, StillEncoder,
    VideoEncoder,
};

use super::Av1Encoder;
use crate::job::options::{AdaptiveCodec, Quality, VideoCodec};

/// The row of a table that belongs to a level.
const fn row<T: Copy>(quality: Quality, rows: [T; 5]) -> T {
    let [very_low, low, medium, high, very_high] = rows;
    match quality {
        Quality::VeryLow => very_low,
        Quality::Low => low,
        Quality::Medium => medium,
        Quality::High => high,
        Quality::VeryHigh => very_high,
    }
}

/// The encoder of a video, with the level's constant quality or with a bit rate.
pub(super) fn video(
    codec: VideoCodec,
    quality: Quality,
    bitrate: Option<u64>,
    av1: Av1Encoder,
) -> VideoEncoder {
    use Preset::{Faster, Veryfast};
    let rate = |crf| bitrate.map_or(Rate::Quality(crf), Rate::Bits);
    match (codec, av1) {
        (VideoCodec::H264, _) => {
            let (crf, preset) = row(
                quality,
                [(33, Veryfast), (28, Veryfast), (24, Veryfast), (20, Faster), (17, Faster)],
            );
            VideoEncoder::X264 { preset, rate: rate(crf) }
        }
        (VideoCodec::H265, _) => {
            let (crf, preset) = row(
                quality,
                [(36, Veryfast), (31, Veryfast), (26, Veryfast), (20, Faster), (17, Faster)],
            );
            VideoEncoder::X265 { preset, rate: rate(crf) }
        }
        (VideoCodec::Vp9, _) => {
            let (crf, cpu_used) = row(quality, [(54, 5), (44, 5), (36, 4), (25, 3), (19, 2)]);
            VideoEncoder::Vp9 { cpu_used, rate: rate(crf) }
        }
        (VideoCodec::Av1, Av1Encoder::Svt) => {
            let (crf, preset) = row(quality, [(63, 10), (56, 10), (46, 9), (33, 8), (24, 7)]);
            VideoEncoder::SvtAv1 { preset, rate: rate(crf) }
        }
        (VideoCodec::Av1, Av1Encoder::Aom) => {
            let (crf, cpu_used) = row(quality, [(63, 8), (57, 8), (48, 7), (34, 6), (25, 6)]);
            VideoEncoder::AomAv1 { cpu_used, rate: rate(crf) }
        }
    }
}

/// The same by an encoder in hardware. Its numbers are those that its maker calls alike to H.264's;
/// nobody has measured them here.
pub(super) fn in_hardware(
    encoder: HardwareEncoder,
    quality: Quality,
    bitrate: Option<u64>,
) -> VideoEncoder {
    let levels = match (encoder.hardware, encoder.codec) {
        (Hardware::Nvenc | Hardware::Vaapi, HardwareCodec::H264) => [35, 30, 26, 22, 19],
        (Hardware::Nvenc | Hardware::Vaapi, HardwareCodec::H265) => [37, 32, 28, 24, 21],
        (Hardware::Qsv, HardwareCodec::H264) => [34, 29, 25, 21, 18],
        (Hardware::Qsv, HardwareCodec::H265) => [36, 31, 27, 23, 20],
        // More is better here.
        (Hardware::VideoToolbox, _) => [30, 42, 55, 65, 75],
    };
    let rate = bitrate.map_or(Rate::Quality(row(quality, levels)), Rate::Bits);
    VideoEncoder::Hardware { encoder, rate }
}

/// The encoder of a rendition of `size`: the level's constant quality, under a lid that the
/// network to its viewers has to carry.
pub(super) fn rung(
    codec: AdaptiveCodec,
    quality: Quality,
    size: (u32, u32),
    fps: f64,
) -> VideoEncoder {
    let bits = enough(quality, size, fps);
    let codec = match codec {
        AdaptiveCodec::H264 => VideoCodec::H264,
        AdaptiveCodec::H265 => VideoCodec::H265,
    };
    let lid = |rate: Rate, share: f64| match rate {
        Rate::Quality(quality) => Rate::Capped { quality, bits: (bits * share) as u64 },
        other => other,
    };
    match video(codec, quality, None, Av1Encoder::default()) {
        VideoEncoder::X264 { preset, rate } => VideoEncoder::X264 { preset, rate: lid(rate, 1.0) },
        VideoEncoder::X265 { preset, rate } => VideoEncoder::X265 { preset, rate: lid(rate, 0.6) },
        other => other,
    }
}

/// Bits a second of H.264 that are enough for a level: what nothing of the size needs more than.
fn enough(quality: Quality, (width, height): (u32, u32), fps: f64) -> f64 {
    let level = row(quality, [0.5, 0.7, 1.0, 1.4, 2.0]);
    let smooth = if fps > 32.0 { 1.4 } else { 1.0 };
    // Detail grows slower than area: 0.7 Mbit/s at 240p, 3.5 at 720p, 6.5 at 1080p, 18 at 2160p.
    let detail = (f64::from(width) * f64::from(height)).powf(0.75) * 119.0;
    (detail * level * smooth).max(64_000.0)
}

/// The most bits a second that a picture may have and still be one of this level.
pub(super) fn most_of_picture(
    codec: VideoCodec,
    quality: Quality,
    size: (u32, u32),
    fps: f64,
) -> u64 {
    let share = match codec {
        VideoCodec::H264 => 1.0,
        VideoCodec::H265 => 0.6,
        VideoCodec::Vp9 => 0.7,
        VideoCodec::Av1 => 0.5,
    };
    (enough(quality, size, fps) * share) as u64
}

/// The most bits a second that a sound may have and still be what this encoder would make: a
/// quarter more, for encoders that only keep their rate on average.
pub(super) const fn most_of_sound(encoder: AudioEncoder) -> Option<u64> {
    match encoder {
        AudioEncoder::Aac(bits) | AudioEncoder::Opus(bits) => Some(bits as u64 * 5 / 4),
        _ => None,
    }
}

/// Bits a second of AAC for one or two channels.
pub(super) fn aac(quality: Quality, channels: u32) -> AudioEncoder {
    AudioEncoder::Aac(shared(row(quality, [64_000, 96_000, 128_000, 192_000, 256_000]), channels))
}

/// Bits a second of Opus for one or two channels.
pub(super) fn opus(quality: Quality, channels: u32) -> AudioEncoder {
    AudioEncoder::Opus(shared(row(quality, [40_000, 64_000, 96_000, 128_000, 192_000]), channels))
}

/// One channel needs more than half of what two channels share.
const fn shared(stereo_bits: u32, channels: u32) -> u32 {
    if channels == 1 { stereo_bits * 5 / 8 } else { stereo_bits }
}

/// MP3 whose bit rate follows the sound.
pub(super) fn mp3(quality: Quality) -> AudioEncoder {
    AudioEncoder::Mp3Quality(row(quality, [8, 6, 4, 2, 0]))
}

/// Vorbis whose bit rate follows the sound.
pub(super) fn vorbis(quality: Quality) -> AudioEncoder {
    AudioEncoder::VorbisQuality(row(quality, [0, 2, 4, 6, 8]))
}

/// JPEG.
pub(super) fn jpeg(quality: Quality) -> VideoEncoder {
    VideoEncoder::Jpeg { quantizer: row(quality, [16, 9, 5, 3, 2]) }
}

/// A still `WebP`.
pub(super) fn webp(quality: Quality) -> VideoEncoder {
    VideoEncoder::Webp { quality: webp_level(quality) }
}

/// A moving `WebP`.
pub(super) fn webp_animation(quality: Quality) -> VideoEncoder {
    VideoEncoder::WebpAnimation { quality: webp_level(quality) }
}

const fn webp_level(quality: Quality) -> u8 {
    row(quality, [40, 60, 78, 88, 95])
}

/// An AVIF.
pub(super) fn avif(quality: Quality) -> VideoEncoder {
    VideoEncoder::AomStill { crf: row(quality, [46, 38, 30, 23, 16]) }
}

/// A still `WebP` by libvips, whose encoder is the same.
pub(super) const fn webp_still(quality: Quality) -> StillEncoder {
    StillEncoder::Webp { quality: webp_level(quality) }
}

/// An AVIF by libvips that looks like [`avif`]'s of the same level, made in less than half the
/// time and a tenth larger.
pub(super) const fn avif_still(quality: Quality) -> StillEncoder {
    StillEncoder::Avif { quality: row(quality, [27, 41, 54, 64, 74]) }
}

/// How many colours a GIF has, and how the others are shown.
pub(super) const fn gif(quality: Quality) -> (u16, Dither) {
    row(
        quality,
        [
            (48, Dither::Bayer(3)),
            (96, Dither::Bayer(3)),
            (192, Dither::Bayer(4)),
            (256, Dither::Sierra),
            (256, Dither::Sierra),
        ],
    )
}

#[cfg(test)]
mod tests;
