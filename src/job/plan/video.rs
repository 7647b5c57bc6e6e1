//! `kind: "video"`: one ffmpeg from the source to a file that plays everywhere.

use ffmpeg::VideoStream;
use ffmpeg::filter::{Filter, Rgb, SUBTITLES};
use ffmpeg::subtitles::Look;
use ffmpeg::{
    Audio, Bounds, Conversion, Facts, Muxer, Output, Source, Stream, Timing, Video, VideoEncoder,
};

use super::picture::Picture;
use super::size::{Grid, Wish};
use super::span::Span;
use super::{
    After, Fallback, FileType, Given, Memory, Plan, Step, Way, Ways, Why, copy, gate, quality,
};
use crate::job::FileKind;
use crate::job::options::{Quality, Seconds, VideoCodec, VideoFormat, VideoOptions};
use crate::task::Failure;

const MP4: FileType = FileType::new(FileKind::Video, "mp4", "video/mp4", "video.mp4");
const MOV: FileType = FileType::new(FileKind::Video, "mov", "video/quicktime", "video.mov");
const WEBM: FileType = FileType::new(FileKind::Video, "webm", "video/webm", "video.webm");

/// More channels than these are mixed down: browsers and phones play two.
const MAX_CHANNELS: u32 = 2;

/// The highest sample rate that is delivered.
const MAX_SAMPLE_RATE: u32 = 48_000;

pub(super) fn plan(options: &VideoOptions, given: Given<'_>) -> Result<Plan, Failure> {
    let video = gate::moving(given.facts, given.settings)?;
    let (start, end) = (options.start.unwrap_or_default(), options.end.map(Seconds::get));
    let span = Span::new(start.get(), end, given.facts.duration, given.settings)?;
    let (file, muxer) = match options.format {
        VideoFormat::Mp4 => (MP4, Muxer::Mp4),
        VideoFormat::Mov => (MOV, Muxer::Mov),
        VideoFormat::Webm => (WEBM, Muxer::Webm),
    };
    let max_fps = given.settings.max_fps;
    let fps = wanted_fps(options, video, max_fps);
    let picture = Picture {
        video,
        still: false,
        wish: wish(options),
        grid: Grid::Even,
        fps,
        every_secs: None,
        at_most: None,
        last_only: false,
    };
    let keeps_light = keeps_light(options, video);
    let graph = if keeps_light { picture.untouched() } else { picture.for_players() };
    let script = given.known.subtitles.as_ref().map(|subtitles| {
        let (width, height) = picture.geometry().size();
        let color = if keeps_light { white_of(video) } else { WHITE };
        subtitles.to_ass(&Look { width, height, color, start_secs: start.get() })
    });
    let graph = graph.then_some(script.is_some().then_some(Filter::Subtitles));
    let bitrate = options.bitrate.map(crate::job::options::VideoBitrate::get);
    let encoder = quality::video(options.codec(), options.quality, bitrate, given.settings.av1);
    let timing = if fps.is_some() { Timing::Graph } else { Timing::Source };
    let encoded = Conversion {
        threads: given.settings.threads,
        inputs: vec![picture.input(given, span.seek, span.read_secs)],
        graph: Some(graph),
        output: Output {
            path: file.path(given),
            muxer,
            video: Some(Video { encoder, timing }),
            audio: if options.mute {
                None
            } else {
                sound(options.format, options.quality, given.facts)?
            },
            bounds: Bounds {
                frames: match fps {
                    Some(fps) => span.filled(fps, given.facts.size_bytes),
                    None => span.frames(max_fps),
                },
                secs: span.bound_secs,
                bytes: given.settings.max_output_bytes,
            },
        },
        expected_secs: span.expected_secs,
    };
    let (copying, ways) = copied(options, &picture, given, &encoded);
    let steps = |conversion: &Conversion| {
        let text = script.iter().map(|script| Step::write(SUBTITLES, script.clone()));
        text.chain([Step::run(conversion.command(), 1.0)]).collect::<Vec<_>>()
    };
    // What keeps its light has ten bits, which not every card takes; what is copied needs none.
    let hardware = given.settings.hardware.of(options.codec());
    let hardware = hardware.filter(|_| !keeps_light && ways.video != Way::Copied);
    let plan = match (hardware, &copying) {
        (Some(encoder), _) => {
            let encoder = quality::in_hardware(encoder, options.quality, bitrate);
            let by_hardware = with_encoder(copying.as_ref().unwrap_or(&encoded).clone(), encoder);
            let by_software = Fallback { after: After::Failure, steps: steps(&encoded) };
            file.plan(given, steps(&by_hardware), Some(by_software))
        }
        (None, Some(copying)) => {
            let encoding = Fallback { after: After::Copy, steps: steps(&encoded) };
            file.plan(given, steps(copying), Some(encoding))
        }
        (None, None) => file.plan(given, steps(&encoded), None),
    };
    let is_cuttable = copy::is_whole(options, given.facts) && copy::has_index(given.facts);
    // Nobody knows before whether the copy will do.
    let memory = Memory::reading(given).and(encoder, picture.geometry().size(), given);
    let memory = memory.deep(keeps_light);
    let is_shareable = ways.video != Way::Copied && script.is_none() && hardware.is_none();
    let shareable = is_shareable.then(|| copying.unwrap_or(encoded));
    Ok(Plan {
        ways: Some(ways),
        cuttable: shareable.clone().filter(|it| is_cuttable && it.can_be_cut()),
        shareable,
        ..plan.capped(span.is_capped).taking(memory)
    })
}

/// The same with another encoder.
fn with_encoder(mut conversion: Conversion, encoder: VideoEncoder) -> Conversion {
    if let Some(video) = &mut conversion.output.video {
        video.encoder = encoder;
    }
    conversion
}

/// The conversion with what of the input can stay as it is, if there is anything, and what becomes
/// of each stream.
fn copied(
    options: &VideoOptions,
    picture: &Picture<'_>,
    given: Given<'_>,
    encoded: &Conversion,
) -> (Option<Conversion>, Ways) {
    let facts = given.facts;
    let has_subtitles = given.known.subtitles.is_some();
    let whole = copy::whole(options, picture.video, facts);
    let mut copying = encoded.clone();
    let video = match copy::pictures(options, picture, facts, has_subtitles, whole) {
        Ok(encoder) => {
            copying.graph = None;
            copying.output.video = Some(Video { encoder, timing: Timing::Source });
            Way::Copied
        }
        Err(why) => Way::Encoded(why),
    };
    let audio = encoded.output.audio.as_ref().map(|wanted| {
        let stream = facts.streams.iter().find_map(|stream| match stream {
            Stream::Audio(audio) if audio.index == wanted.source.stream => Some(audio),
            _ => None,
        });
        let sound = stream.ok_or(Why::Codec);
        match sound.and_then(|audio| copy::sound(options.format, wanted, audio, whole)) {
            Ok(sound) => {
                copying.output.audio = Some(sound);
                Way::Copied
            }
            Err(why) => Way::Encoded(why),
        }
    });
    let ways = Ways { video, audio };
    (ways.copies().then_some(copying), ways)
}

const fn grey(level: u8) -> Rgb {
    Rgb { red: level, green: level, blue: level }
}

const WHITE: Rgb = grey(255);

/// What is as bright as paper in pictures that can be brighter: 203 cd/m² (ITU-R BT.2408).
fn white_of(video: &VideoStream) -> Rgb {
    match video.color.transfer.as_str() {
        "smpte2084" => grey(148),
        "arib-std-b67" => grey(191),
        _ => WHITE,
    }
}

fn wish(options: &VideoOptions) -> Wish {
    Wish {
        width: options.width,
        height: options.height,
        fit: options.fit,
        position: options.position,
        background: options.background,
    }
}

/// The source's own moments are kept, unless another rate is asked for or its clock is broken.
fn wanted_fps(options: &VideoOptions, video: &VideoStream, max_fps: f64) -> Option<f64> {
    let source = video.fps.map(ffmpeg::Ratio::value);
    let asked = options.fps.map(|fps| fps.get().min(max_fps));
    asked.or_else(|| source.filter(|fps| *fps > max_fps).map(|_| max_fps))
}

/// Ten bits and more light leave only in a codec that was named and that can hold them. What can
/// be seen through is laid on a ground, which is of eight bits.
fn keeps_light(options: &VideoOptions, video: &VideoStream) -> bool {
    let holds = matches!(options.codec, Some(VideoCodec::H265 | VideoCodec::Vp9 | VideoCodec::Av1));
    holds && video.bit_depth > 8 && !video.alpha
}

pub(super) fn sound(
    format: VideoFormat,
    level: Quality,
    facts: &Facts,
) -> Result<Option<Audio>, Failure> {
    let Some(audio) = gate::sound(facts)? else { return Ok(None) };
    let channels = audio.channels.clamp(1, MAX_CHANNELS);
    let (encoder, sample_rate) = match format {
        VideoFormat::Webm => (quality::opus(level, channels), Some(MAX_SAMPLE_RATE)),
        VideoFormat::Mp4 | VideoFormat::Mov => {
            let too_high = audio.sample_rate > MAX_SAMPLE_RATE;
            (quality::aac(level, channels), too_high.then_some(MAX_SAMPLE_RATE))
        }
    };
    Ok(Some(Audio {
        source: Source { input: 0, stream: audio.index },
        encoder,
        channels: (audio.channels > MAX_CHANNELS).then_some(MAX_CHANNELS),
        sample_rate,
        gain: None,
    }))
}
