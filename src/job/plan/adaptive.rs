//! `kind: "adaptive_video"`: one ffmpeg that decodes once and codes every rendition, then the
//! playlists.

use ffmpeg::filter::{Filter, Scale};
use ffmpeg::{
    Bounds, Facts, OtherStream, Rendition, Renditions, Source, Stream, TRANSPORT_OFFSET_SECS,
    Track, VideoEncoder, VideoStream, Wrapping,
};

use super::picture::Picture;
use super::size::{Grid, Wish};
use super::span::Span;
use super::video::sound;
use super::{FactsFrom, FileType, Given, Memory, Plan, Planned, Step, Work, gate, quality};
use crate::job::FileKind;
use crate::job::options::{
    AdaptiveFormat, AdaptiveOptions, Position, Seconds, SegmentType, VideoFormat,
};
use crate::package::{self, MANIFEST, MASTER, Package};
use crate::task::Failure;

const HLS: FileType =
    FileType::new(FileKind::AdaptiveVideo, "hls", "application/vnd.apple.mpegurl", MASTER);
const DASH: FileType =
    FileType::new(FileKind::AdaptiveVideo, "dash", "application/dash+xml", MANIFEST);
const PLAYLIST: FileType =
    FileType::new(FileKind::Text, "m3u8", "application/vnd.apple.mpegurl", "");
const SUBTITLES: FileType = FileType::new(FileKind::Text, "vtt", "text/vtt", "");
const VIDEO: FileType = FileType::new(FileKind::Video, "mp4", "video/mp4", "");
const AUDIO: FileType = FileType::new(FileKind::Audio, "mp4", "audio/mp4", "");
const VIDEO_STREAM: FileType = FileType::new(FileKind::Video, "ts", "video/mp2t", "");
const AUDIO_STREAM: FileType = FileType::new(FileKind::Audio, "ts", "video/mp2t", "");

/// The shorter sides of the renditions below the largest.
const LADDER: [u32; 6] = [1440, 1080, 720, 480, 360, 240];

/// How much shorter than the largest the side of the next rendition is at least.
const STEP_DOWN: f64 = 0.8;

/// The most renditions of the picture.
const MAX_RUNGS: usize = 6;

/// How long a segment is, in seconds; each begins with the only keyframe in it.
const SEGMENT_SECS: u32 = 4;

/// More pictures a second than these are for slow motion, and cost every rung twice.
const MAX_ADAPTIVE_FPS: f64 = 60.0;

/// The most subtitles that are taken along.
const MAX_SUBTITLES: usize = 16;

/// Codecs of subtitles that are text.
const TEXT: [&str; 7] = ["subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"];

/// The share of the work that is ffmpeg's; the rest is reading and encrypting its files.
const ENCODE_SHARE: f32 = 0.97;

/// Ticks a second of a transport stream's time stamps.
const TRANSPORT_CLOCK: u64 = 90_000;

/// What ffmpeg adds to all time stamps of a transport stream, in ticks: 1.4 s.
const TRANSPORT_DELAY: u64 = 126_000;

pub(super) fn plan(options: &AdaptiveOptions, given: Given<'_>) -> Result<Plan, Failure> {
    let video = gate::moving(given.facts, given.settings)?;
    let (start, end) = (options.start.unwrap_or_default(), options.end.map(Seconds::get));
    let span = Span::new(start.get(), end, given.facts.duration, given.settings)?;
    let max_fps = MAX_ADAPTIVE_FPS.min(given.settings.max_fps);
    let fps = video.fps.map(ffmpeg::Ratio::value).filter(|fps| *fps > max_fps + 0.1);
    let fps = fps.map(|_| max_fps);
    let picture = Picture {
        video,
        still: false,
        wish: wish(options),
        grid: Grid::Even,
        fps,
        at_most: None,
        every_secs: None,
        last_only: false,
    };
    let rungs = ladder(picture.geometry().size());
    let ladder = Ladder { options, given, video, rungs };
    let package = ladder.package()?;
    let renditions = Renditions {
        threads: given.settings.threads,
        inputs: vec![picture.input(given, span.seek, span.read_secs)],
        graph: picture.for_players().fan_out(ladder.chains()),
        files: ladder.files(&package)?,
        segment_secs: SEGMENT_SECS,
        bounds: Bounds {
            frames: match fps {
                Some(fps) => span.filled(fps, given.facts.size_bytes),
                None => span.frames(given.settings.max_fps),
            },
            secs: span.bound_secs,
            bytes: given.settings.max_output_bytes,
        },
        expected_secs: span.expected_secs,
    };
    Ok(Plan {
        outputs: outputs(options, &package),
        steps: vec![
            Step::run(renditions.command(), ENCODE_SHARE),
            Step { work: Work::Package(package), share: 1.0 - ENCODE_SHARE },
        ],
        fallback: None,
        folder: given.files.output.clone(),
        is_capped: span.is_capped,
        ways: None,
        shareable: None,
        cuttable: None,
        memory: ladder.memory(),
    })
}

fn wish(options: &AdaptiveOptions) -> Wish {
    Wish {
        width: options.width,
        height: options.height,
        fit: options.fit,
        position: Position::default(),
        background: None,
    }
}

/// The sizes of the renditions, largest first: never larger than the largest, and each clearly
/// smaller than the one before.
fn ladder(largest: (u32, u32)) -> Vec<(u32, u32)> {
    let short = f64::from(largest.0.min(largest.1));
    let below = LADDER.into_iter().map(f64::from).filter(|side| *side <= short * STEP_DOWN);
    let even =
        |side: u32, factor: f64| ((f64::from(side) * factor / 2.0).round() as u32 * 2).max(2);
    let smaller = below.map(|side| {
        let factor = side / short;
        (even(largest.0, factor), even(largest.1, factor))
    });
    std::iter::once(largest).chain(smaller).take(MAX_RUNGS).collect()
}

/// Renditions on their way.
struct Ladder<'a> {
    options: &'a AdaptiveOptions,
    given: Given<'a>,
    video: &'a VideoStream,
    rungs: Vec<(u32, u32)>,
}

impl Ladder<'_> {
    fn wrapping(&self) -> package::Wrapping {
        match self.options.segment_type {
            SegmentType::Fmp4 => package::Wrapping::Fragments,
            SegmentType::Ts => package::Wrapping::Transport,
        }
    }

    fn package(&self) -> Result<Package, Failure> {
        let audio = sound(VideoFormat::Mp4, self.options.quality, self.given.facts)?;
        let stream = gate::sound(self.given.facts)?;
        let audio = audio.zip(stream).map(|(audio, stream)| package::Audio {
            name: "audio".to_owned(),
            channels: audio.channels.unwrap_or_else(|| stream.channels.max(1)),
            sample_rate: audio.sample_rate.unwrap_or(stream.sample_rate),
        });
        let videos = self.rungs.iter().map(|&(width, height)| package::Video {
            name: format!("video_{}p", width.min(height)),
            width,
            height,
        });
        let subtitles = texts(self.given.facts).enumerate().map(|(n, text)| package::Subtitles {
            name: format!("subtitles_{}", n + 1),
            language: text.language.clone(),
        });
        Ok(Package {
            videos: videos.collect(),
            audio,
            subtitles: subtitles.collect(),
            wrapping: self.wrapping(),
            key_url: self.options.encryption.as_ref().map(|it| it.key_url.get().clone()),
            transport_start: u64::from(TRANSPORT_OFFSET_SECS) * TRANSPORT_CLOCK + TRANSPORT_DELAY,
        })
    }

    /// From the largest picture to each rung; the largest stays as it is.
    fn chains(&self) -> Vec<Vec<Filter>> {
        let smaller = self.rungs.iter().skip(1).map(|&(width, height)| {
            let scale = Scale { width, height, from: None, to: None, range: None };
            vec![Filter::Scale(scale), Filter::SquarePixels]
        });
        std::iter::once(Vec::new()).chain(smaller).collect()
    }

    fn files(&self, package: &Package) -> Result<Vec<Rendition>, Failure> {
        let folder = &self.given.files.output;
        let ending = package.wrapping.ending();
        let rendition = |name: &str, track: Track| Rendition {
            path: folder.join(format!("{name}.{ending}")),
            track,
            wrapping: match package.wrapping {
                package::Wrapping::Fragments => Wrapping::Fragments,
                package::Wrapping::Transport => {
                    Wrapping::TransportStream { list: folder.join(package::list_name(name)) }
                }
            },
        };
        let mut files = Vec::new();
        for (result, (video, &size)) in package.videos.iter().zip(&self.rungs).enumerate() {
            let encoder = self.encoder(size);
            files.push(rendition(&video.name, Track::Video { result, encoder }));
        }
        let audio = sound(VideoFormat::Mp4, self.options.quality, self.given.facts)?;
        if let Some((audio, told)) = audio.zip(package.audio.as_ref()) {
            files.push(rendition(&told.name, Track::Audio(audio)));
        }
        for (text, told) in texts(self.given.facts).zip(&package.subtitles) {
            files.push(Rendition {
                path: folder.join(format!("{}.vtt", told.name)),
                track: Track::Subtitles(Source { input: 0, stream: text.index }),
                wrapping: Wrapping::WebVtt,
            });
        }
        Ok(files)
    }

    fn memory(&self) -> Memory {
        self.rungs.iter().fold(Memory::reading(self.given), |memory, &size| {
            memory.and(self.encoder(size), size, self.given)
        })
    }

    fn encoder(&self, size: (u32, u32)) -> VideoEncoder {
        let fps = self.video.fps.map_or(30.0, ffmpeg::Ratio::value);
        quality::rung(self.options.codec, self.options.quality, size, fps)
    }
}

/// Subtitles that players can be given as text.
fn texts(facts: &Facts) -> impl Iterator<Item = &OtherStream> {
    let texts = facts.streams.iter().filter_map(|stream| match stream {
        Stream::Other(other) if TEXT.contains(&&*other.codec) => Some(other),
        _ => None,
    });
    texts.take(MAX_SUBTITLES)
}

/// The files of the package as outputs: what was asked for first.
fn outputs(options: &AdaptiveOptions, package: &Package) -> Vec<Planned> {
    let ending = package.wrapping.ending();
    // The largest picture and the sound stand for all.
    let parts = package.videos.first().map(|video| &video.name);
    let parts = parts.into_iter().chain(package.audio.as_ref().map(|audio| &audio.name));
    let parts: Vec<String> = parts.map(|name| format!("{name}.{ending}")).collect();
    let playlist = |file: FileType| {
        Planned::file(file, file.file_name.to_owned(), FactsFrom::Others(parts.clone()))
    };
    let mut outputs = match (options.format, package.has_manifest()) {
        (AdaptiveFormat::Hls, true) => vec![playlist(HLS), playlist(DASH)],
        (AdaptiveFormat::Dash, true) => vec![playlist(DASH), playlist(HLS)],
        (_, false) => vec![playlist(HLS)],
    };
    let (video, audio) = match package.wrapping {
        package::Wrapping::Fragments => (VIDEO, AUDIO),
        package::Wrapping::Transport => (VIDEO_STREAM, AUDIO_STREAM),
    };
    let sound = package.audio.as_ref().map(|audio| format!("{}.{ending}", audio.name));
    outputs.extend(package.files().into_iter().map(|name| {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        let (file, facts) = match ending {
            Some("m3u8") => (PLAYLIST, FactsFrom::Nobody),
            Some("vtt") => (SUBTITLES, FactsFrom::Nobody),
            _ if sound.as_ref() == Some(&name) => (audio, FactsFrom::Itself),
            _ => (video, FactsFrom::Itself),
        };
        Planned::file(file, name, facts)
    }));
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::options::{AdaptiveCodec, Quality};

    #[test]
    fn a_ladder_goes_down_in_steps_and_never_up() {
        for (largest, rungs) in [
            ((1920, 1080), &[(1920, 1080), (1280, 720), (854, 480), (640, 360), (426, 240)][..]),
            ((1080, 1920), &[(1080, 1920), (720, 1280), (480, 854), (360, 640), (240, 426)]),
            (
                (3840, 2160),
                &[(3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (854, 480), (640, 360)],
            ),
            ((960, 540), &[(960, 540), (640, 360), (426, 240)]),
            ((320, 180), &[(320, 180)]),
            ((64, 36), &[(64, 36)]),
            ((4000, 100), &[(4000, 100)]),
        ] {
            assert_eq!(ladder(largest), rungs, "{largest:?}");
        }
    }

    #[test]
    fn rungs_have_names_of_their_own() {
        for side in 2..2400 {
            let rungs = ladder((side * 2, side));
            let mut names: Vec<u32> = rungs.iter().map(|size| size.0.min(size.1)).collect();
            names.dedup();
            assert_eq!(names.len(), rungs.len(), "{side}");
            assert!(names.is_sorted_by(|a, b| a > b), "{side}");
        }
    }

    #[test]
    fn quality_moves_every_rung() {
        let bits = |quality| match quality::rung(AdaptiveCodec::H264, quality, (1280, 720), 30.0) {
            VideoEncoder::X264 { rate: ffmpeg::Rate::Capped { bits, .. }, .. } => bits,
            other => panic!("{other:?}"),
        };
        assert!(bits(Quality::Low) < bits(Quality::Medium));
        assert!(bits(Quality::Medium) < bits(Quality::High));
        assert_eq!(bits(Quality::Medium) / 100_000, 35);
    }
}
