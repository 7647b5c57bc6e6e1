//! What the programs of a plan take of memory: never less than they do, and not three times as much.
//!
//! Two things are counted: pictures of the source that are decoded and on their way, and pictures
//! that an encoder keeps at hand, which are more the harder it tries and the more threads it has.
//! The numbers were found with ffmpeg 5.1 by the peak of its resident memory; the test has what was
//! measured.

use ffmpeg::{Preset, VideoEncoder, VideoStream};

use super::Given;
use super::color::{Coding, to_standard};

/// ffmpeg with its libraries, a muxer, and a sound on its way, in bytes.
const PROGRAM_BYTES: u64 = 64 << 20;

/// Decoded pictures that are kept whatever the number of threads: what others refer to, and what is
/// in the filters.
const PICTURES: u64 = 6;

/// The same for each thread of the decoder.
const PICTURES_A_THREAD: u64 = 3;

/// The same of an input that is one picture.
const OF_A_STILL: u64 = 3;

/// Bytes of a pixel of the filters that change light or lie on a ground: they work on numbers with
/// a point, or with every colour for itself, in several pictures at once.
const LIGHT_BYTES: u64 = 48;

/// How many pixels of a moving `WebP` take a byte, at the least.
const PIXELS_A_BYTE: f64 = 8.0;

/// How many threads there are where ffmpeg chooses: nobody waits for memory then.
const UNSAID_THREADS: u32 = 4;

/// What the largest process of a plan takes of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The program and what it decodes, which those who share a process share.
    source: u64,
    /// What is made of it.
    outputs: u64,
}

impl Memory {
    /// All of it.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.source.saturating_add(self.outputs)
    }

    /// What one process takes that does the work of all of these, of one input.
    #[must_use]
    pub fn together(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            source: sum.source.max(one.source),
            outputs: sum.outputs.saturating_add(one.outputs),
        })
    }

    /// A process that reads the input and decodes its pictures, if it has any.
    pub(super) fn reading(given: Given<'_>) -> Self {
        let kept = if given.facts.is_still() {
            OF_A_STILL
        } else {
            PICTURES + PICTURES_A_THREAD * u64::from(threads(given))
        };
        let decoded = given.facts.video().map_or(0, |video| decoded(video, kept));
        Self { source: PROGRAM_BYTES + decoded, outputs: 0 }
    }

    /// A process that reads the sound alone.
    pub(super) const fn hearing() -> Self {
        Self { source: PROGRAM_BYTES, outputs: 0 }
    }

    /// The same with an output of this size more.
    pub(super) fn and(
        mut self,
        encoder: VideoEncoder,
        (width, height): (u32, u32),
        given: Given<'_>,
    ) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        self.outputs += pixels * coded(encoder, u64::from(threads(given)));
        self
    }

    /// The same with all of an output, of so many pictures, which is written at its end.
    pub(super) fn and_whole(mut self, pictures: f64, (width, height): (u32, u32)) -> Self {
        let pixels = pictures * f64::from(width) * f64::from(height);
        self.outputs += (pixels / PIXELS_A_BYTE).max(0.0) as u64;
        self
    }

    /// The same with outputs that have twice as many bits of a colour as usual.
    pub(super) const fn deep(mut self, is_deep: bool) -> Self {
        if is_deep {
            self.outputs *= 2;
        }
        self
    }
}

fn threads(given: Given<'_>) -> u32 {
    given.settings.threads.unwrap_or(UNSAID_THREADS)
}

/// What so many decoded pictures and the filters after them take, in bytes.
fn decoded(video: &VideoStream, pictures: u64) -> u64 {
    let pixels = u64::from(video.width) * u64::from(video.height);
    // Of two pixels.
    let format = video.pixel_format.as_str();
    let halves: u64 = match format {
        _ if format.contains("420") && !video.alpha => 3,
        _ if format.contains("422") && !video.alpha => 4,
        _ => 8,
    };
    let deep = if video.bit_depth > 8 { 2 } else { 1 };
    let is_changed = video.alpha || to_standard(video, Coding::of(video, false)).is_some();
    let light = if is_changed { LIGHT_BYTES * pixels } else { 0 };
    (pixels * halves * deep / 2).saturating_mul(pictures).saturating_add(light)
}

/// What an encoder with so many threads keeps for each pixel of a picture, in bytes.
const fn coded(encoder: VideoEncoder, threads: u64) -> u64 {
    match encoder {
        // What it looks ahead, and what each thread works on.
        VideoEncoder::X264 { preset, .. } => 110 + 10 * threads + harder(preset),
        VideoEncoder::X265 { preset, .. } => 190 + 10 * threads + harder(preset),
        VideoEncoder::Vp9 { .. } => 150 + 4 * threads,
        VideoEncoder::SvtAv1 { .. } => 400 + 20 * threads,
        VideoEncoder::AomAv1 { .. } => 300 + 10 * threads,
        VideoEncoder::Hardware { .. } => 40,
        VideoEncoder::AomStill { .. } => 22,
        VideoEncoder::Webp { .. } => 10,
        VideoEncoder::WebpAnimation { .. } => 60,
        VideoEncoder::Gif => 24,
        VideoEncoder::Jpeg { .. } | VideoEncoder::Png => 8,
        VideoEncoder::Copy { .. } => 0,
    }
}

/// How much more than the quickest.
const fn harder(preset: Preset) -> u64 {
    match preset {
        Preset::Veryfast => 0,
        Preset::Faster => 45,
        Preset::Fast => 75,
        Preset::Medium => 110,
    }
}

#[cfg(test)]
mod tests {
    use ffmpeg::{AudioStream, Color, Facts, Ratio, Stream};
    use serde_json::{Value, json};

    use super::super::{Known, Settings, Workspace, plan};
    use super::*;
    use crate::job::Options;
    use crate::task::Kind;

    /// Films with sound and pictures, as they were given to ffmpeg.
    fn input(name: &str) -> Facts {
        let (format, codec, size, pixels) = match name {
            "2160p" => ("mov,mp4", "h264", (3840, 2160), "yuv420p"),
            "1080p" => ("mov,mp4", "h264", (1920, 1080), "yuv420p"),
            "1080p hdr" => ("mov,mp4", "hevc", (1920, 1080), "yuv420p10le"),
            "1080p alpha" => ("mov,mp4", "prores", (1920, 1080), "yuva444p10le"),
            "720p" => ("mov,mp4", "h264", (1280, 720), "yuv420p"),
            "photo" => ("jpeg_pipe", "mjpeg", (4000, 3000), "yuvj420p"),
            "png" => ("png_pipe", "png", (4000, 3000), "rgb24"),
            other => panic!("{other}"),
        };
        let is_film = format == "mov,mp4";
        let is_hdr = name == "1080p hdr";
        let color = |name: &str| if is_hdr { name.to_owned() } else { String::new() };
        let video = VideoStream {
            codec: codec.into(),
            width: size.0,
            height: size.1,
            fps: Some(Ratio { num: 30, den: 1 }),
            frames: Some(if is_film { 100 } else { 1 }),
            pixel_format: pixels.into(),
            bit_depth: if pixels.ends_with("10le") { 10 } else { 8 },
            alpha: pixels.starts_with("yuva"),
            color: Color {
                transfer: color("smpte2084"),
                primaries: color("bt2020"),
                space: color("bt2020nc"),
                ..Color::default()
            },
            ..VideoStream::default()
        };
        let audio = AudioStream {
            index: 1,
            codec: "aac".into(),
            channels: 2,
            sample_rate: 48_000,
            ..AudioStream::default()
        };
        let sound = is_film.then_some(Stream::Audio(audio));
        Facts {
            format: format.into(),
            duration: is_film.then_some(8.0),
            size_bytes: 5_000_000,
            streams: std::iter::once(Stream::Video(video)).chain(sound).collect(),
            ..Facts::default()
        }
    }

    fn memory(kind: &str, name: &str, threads: u32, options: &Value) -> Memory {
        let kind = Kind::from_name(kind).expect("a kind");
        let options = options.as_object().expect("an object");
        let options = Options::decode(kind, options).expect("valid options");
        let files = Workspace { input: "/in".into(), output: "/out".into() };
        let settings = Settings { threads: Some(threads), ..Settings::default() };
        let known = Known::default();
        plan(&options, &input(name), &known, &files, &settings).expect("a plan").memory
    }

    #[test]
    fn an_estimate_is_not_under_what_was_measured_and_not_far_over_it() {
        // The peak of ffmpeg 5.1's resident memory in MiB, with so many threads.
        let measured = [
            (80, "video", "1080p", 1, json!({"width": 480, "copy": "never"})),
            (93, "video", "1080p", 2, json!({"width": 480, "copy": "never"})),
            (150, "video", "1080p", 8, json!({"width": 480, "copy": "never"})),
            (141, "video", "1080p", 1, json!({"width": 1280, "copy": "never"})),
            (224, "video", "1080p", 1, json!({"width": 1920, "copy": "never"})),
            (285, "video", "1080p", 2, json!({"width": 1920, "copy": "never"})),
            (329, "video", "1080p", 4, json!({"width": 1920, "copy": "never"})),
            (429, "video", "1080p", 8, json!({"width": 1920, "copy": "never"})),
            (671, "video", "1080p", 16, json!({"width": 1920, "copy": "never"})),
            (291, "video", "1080p", 1, json!({"width": 1920, "quality": "high", "copy": "never"})),
            (396, "video", "1080p", 4, json!({"width": 1920, "quality": "high", "copy": "never"})),
            (655, "video", "2160p", 1, json!({"width": 3840, "copy": "never"})),
            (856, "video", "2160p", 2, json!({"width": 3840, "copy": "never"})),
            (214, "video", "2160p", 2, json!({"width": 1280, "copy": "never"})),
            (163, "video", "720p", 2, json!({"width": 1280, "copy": "never"})),
            (278, "video", "1080p hdr", 2, json!({"width": 1280})),
            (684, "video", "1080p hdr", 2, json!({"width": 1920, "codec": "h265"})),
            (240, "video", "1080p alpha", 2, json!({"width": 1280})),
            (395, "video", "1080p", 1, json!({"width": 1920, "codec": "h265"})),
            (439, "video", "1080p", 2, json!({"width": 1920, "codec": "h265"})),
            (644, "video", "1080p", 8, json!({"width": 1920, "codec": "h265"})),
            (265, "video", "1080p", 2, json!({"width": 1280, "codec": "h265"})),
            (207, "video", "1080p", 1, json!({"width": 1280, "format": "webm"})),
            (359, "video", "1080p", 2, json!({"width": 1920, "format": "webm"})),
            (443, "video", "1080p", 8, json!({"width": 1920, "format": "webm"})),
            (295, "video", "1080p", 1, json!({"width": 1280, "codec": "av1"})),
            (557, "video", "1080p", 2, json!({"width": 1920, "codec": "av1"})),
            (605, "video", "1080p", 8, json!({"width": 1920, "codec": "av1"})),
            (371, "adaptive_video", "1080p", 1, json!({})),
            (64, "image", "1080p", 1, json!({"format": "webp", "width": 640, "start": 1})),
            (74, "image", "1080p", 2, json!({"format": "webp", "width": 640, "start": 1})),
            (92, "image", "1080p", 4, json!({"format": "webp", "width": 640, "start": 1})),
            (75, "image", "1080p", 1, json!({"format": "avif", "width": 640, "start": 1})),
            (87, "image", "1080p", 2, json!({"format": "avif", "width": 640, "start": 1})),
            (126, "image", "photo", 1, json!({"format": "jpeg"})),
            (87, "animation", "1080p", 1, json!({"end": 2, "width": 480})),
            (96, "animation", "1080p", 2, json!({"end": 2, "width": 480})),
            (78, "animation", "1080p", 2, json!({"format": "webp", "end": 2, "width": 480})),
            (56, "audio", "1080p", 1, json!({})),
            (57, "audio", "1080p", 2, json!({"format": "aac"})),
            (477, "adaptive_video", "1080p", 2, json!({})),
            (542, "adaptive_video", "1080p", 4, json!({})),
            (128, "image", "2160p", 1, json!({"format": "webp", "start": 1})),
            (108, "image", "photo", 1, json!({"format": "webp"})),
            (80, "image", "photo", 1, json!({"format": "webp", "width": 640})),
            (169, "image", "photo", 1, json!({"format": "png"})),
            (290, "image", "photo", 1, json!({"format": "avif"})),
            (
                115,
                "animation",
                "1080p",
                2,
                json!({"format": "webp", "end": 8, "width": 1280, "fps": 30, "quality": "high"}),
            ),
            (113, "animation", "1080p", 2, json!({"end": 2, "width": 1280, "fps": 15})),
        ];
        let mut wrong = Vec::new();
        for (mib, kind, name, threads, options) in measured {
            let estimate =
                memory(kind, name, threads, &options).bytes() as f64 / f64::from(1 << 20);
            let ratio = estimate / f64::from(mib);
            if !(1.0..=2.5).contains(&ratio) {
                wrong.push(format!(
                    "{kind} of {name}, {threads} threads, {options}: {estimate:.0} for {mib}, {ratio:.2}"
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn one_process_for_two_outputs_is_estimated_as_well() {
        for (mib, threads) in [(302, 1), (359, 2), (428, 4)] {
            let high = json!({"width": 1920, "quality": "high"});
            let low = json!({"width": 480, "quality": "low"});
            let each = [high, low].map(|options| memory("video", "1080p", threads, &options));
            let bytes = Memory::together(each.into_iter()).bytes();
            assert!((mib << 20..(mib * 5 / 2) << 20).contains(&bytes), "{mib}: {}", bytes >> 20);
        }
    }

    #[test]
    fn those_who_share_a_process_share_what_it_reads() {
        let large = memory("video", "1080p", 2, &json!({"width": 1920, "quality": "high"}));
        let small = memory("video", "1080p", 2, &json!({"width": 480, "quality": "low"}));
        let both = Memory::together([large, small].into_iter());
        assert!(both.bytes() > large.bytes());
        assert_eq!(both.bytes(), large.bytes() + small.outputs);
        assert_eq!(Memory::together([large].into_iter()), large);
    }
}
