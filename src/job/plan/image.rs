//! `kind: "image"`: one picture, from a film or from another picture.

use ffmpeg::filter::{Filter, Graph, Matrix, Meaning, PixelFormat, Range, Scale};
use ffmpeg::{Bounds, Conversion, Muxer, Output, Seek, Timing, Video, VideoEncoder, VideoStream};

use super::picture::Picture;
use super::size::{Grid, Wish};
use super::still::by_vips;
use super::{After, Fallback, FileType, Given, Memory, Plan, Step, Work, gate, quality, series};
use crate::job::FileKind;
use crate::job::options::{ImageFormat, ImageOptions, Quality};
use crate::task::Failure;

const JPEG: FileType = FileType::new(FileKind::Image, "jpeg", "image/jpeg", "image.jpg");
const PNG: FileType = FileType::new(FileKind::Image, "png", "image/png", "image.png");
const WEBP: FileType = FileType::new(FileKind::Image, "webp", "image/webp", "image.webp");
const AVIF: FileType = FileType::new(FileKind::Image, "avif", "image/avif", "image.avif");

/// How far before the end the last picture is looked for: a keyframe is rarely further away.
const TAIL_SECS: f64 = 10.0;

/// A picture shows for a moment; the bound is there for broken clocks.
const BOUND_SECS: f64 = 1e9;

pub(super) fn plan(options: &ImageOptions, given: Given<'_>) -> Result<Plan, Failure> {
    if options.interval.is_some() || options.sprite.is_some() {
        return series::plan(options, given);
    }
    let (video, still) = gate::any_picture(given.facts, given.settings)?;
    let format = options.format.unwrap_or_else(|| usual(video, still));
    let file = file_type(format);
    let picture = Picture {
        video,
        still,
        wish: wish(options),
        grid: if format == ImageFormat::Avif { Grid::Even } else { Grid::Any },
        fps: None,
        every_secs: None,
        at_most: None,
        last_only: false,
    };
    let memory = Memory::reading(given).and(
        encoder(format, options.quality),
        picture.geometry().size(),
        given,
    );
    let one = |seek, last_only| {
        let picture = Picture { last_only, ..picture };
        step(options, format, picture, seek, file, given)
    };
    if still {
        let by_ffmpeg = vec![one(Seek::Start, false)];
        let Some(still) = by_vips(options, format, picture, file, given) else {
            return Ok(file.plan(given, by_ffmpeg, None).taking(memory));
        };
        let step = Step { work: Work::Still(still), share: 1.0 };
        let fallback = Fallback { after: After::Failure, steps: by_ffmpeg };
        return Ok(file.plan(given, vec![step], Some(fallback)).taking(memory));
    }
    let start = options.start.get();
    let last = one(given.facts.duration.map_or(Seek::Start, tail), true);
    if given.facts.duration.is_some_and(|duration| start >= duration) {
        return Ok(file.plan(given, vec![last], None).taking(memory));
    }
    let seek = if start > 0.0 { Seek::At(start) } else { Seek::Start };
    let fallback = Fallback { after: After::Nothing, steps: vec![last] };
    Ok(file.plan(given, vec![one(seek, false)], Some(fallback)).taking(memory))
}

pub(super) const fn file_type(format: ImageFormat) -> FileType {
    match format {
        ImageFormat::Jpeg => JPEG,
        ImageFormat::Png => PNG,
        ImageFormat::Webp => WEBP,
        ImageFormat::Avif => AVIF,
    }
}

pub(super) fn encoder(format: ImageFormat, level: Quality) -> VideoEncoder {
    match format {
        ImageFormat::Jpeg => quality::jpeg(level),
        ImageFormat::Png => VideoEncoder::Png,
        ImageFormat::Webp => quality::webp(level),
        ImageFormat::Avif => quality::avif(level),
    }
}

fn tail(duration: f64) -> Seek {
    if duration > TAIL_SECS { Seek::KeyframeBefore(duration - TAIL_SECS) } else { Seek::Start }
}

pub(super) fn wish(options: &ImageOptions) -> Wish {
    Wish {
        width: options.width,
        height: options.height,
        fit: options.fit,
        position: options.position,
        background: options.background,
    }
}

/// The format of the input; WebP for the picture of a film, PNG for what nobody publishes.
pub(super) fn usual(video: &VideoStream, still: bool) -> ImageFormat {
    match video.codec.as_str() {
        _ if !still => ImageFormat::Webp,
        "mjpeg" => ImageFormat::Jpeg,
        "webp" => ImageFormat::Webp,
        "av1" => ImageFormat::Avif,
        // Few programs open what a phone makes, and every one opens a JPEG.
        "hevc" if !video.alpha => ImageFormat::Jpeg,
        "hevc" => ImageFormat::Webp,
        _ => ImageFormat::Png,
    }
}

fn step(
    options: &ImageOptions,
    format: ImageFormat,
    picture: Picture<'_>,
    seek: Seek,
    file: FileType,
    given: Given<'_>,
) -> Step {
    let encoder = encoder(format, options.quality);
    let muxer = if format == ImageFormat::Avif { Muxer::Avif } else { Muxer::Picture };
    let conversion = Conversion {
        threads: given.settings.threads,
        inputs: vec![picture.input(given, seek, None)],
        graph: Some(graph(format, picture)),
        output: Output {
            path: file.path(given),
            muxer,
            video: Some(Video { encoder, timing: Timing::Graph }),
            audio: None,
            bounds: Bounds { frames: 1, secs: BOUND_SECS, bytes: given.settings.max_output_bytes },
        },
        expected_secs: None,
    };
    Step::run(conversion.command(), 1.0)
}

pub(super) fn graph(format: ImageFormat, picture: Picture<'_>) -> Graph {
    let keeps_alpha = matches!(format, ImageFormat::Png | ImageFormat::Webp);
    if picture.video.alpha && keeps_alpha && picture.wish.background.is_none() {
        return transparent(format, picture);
    }
    let (to, range, pixels) = match format {
        ImageFormat::Jpeg => (Some(Matrix::Bt601), Some(Range::Pc), PixelFormat::Yuvj420p),
        ImageFormat::Png => (None, None, PixelFormat::Rgb24),
        ImageFormat::Webp => (Some(Matrix::Bt601), Some(Range::Tv), PixelFormat::Yuv420p),
        ImageFormat::Avif => (Some(Matrix::Bt601), Some(Range::Tv), PixelFormat::Yuv420p),
    };
    let (opaque, from) = (picture.opaque(), picture.coding().matrix());
    let geometry = picture.geometry();
    let sized = if geometry.crop.or(geometry.pad).is_some() {
        // Where pixels share their colour, cuts and grounds are only as exact as the share.
        let exact = picture.sized(opaque.then(Filter::Format(PixelFormat::Gbrp)), from, None, None);
        let (width, height) = geometry.size();
        exact.then(Filter::Scale(Scale { width, height, from: None, to, range }))
    } else {
        picture.sized(opaque, from, to, range)
    };
    let sized = sized.then(Filter::Format(pixels));
    let label = Filter::Tag { range: Range::Tv, meaning: Meaning::SRGB_STILL };
    sized.then_some((format == ImageFormat::Avif).then_some(label))
}

/// Scaled with its colours multiplied in, so that no invisible colour bleeds into the edges.
fn transparent(format: ImageFormat, picture: Picture<'_>) -> Graph {
    let pixels = if format == ImageFormat::Png { PixelFormat::Rgba } else { PixelFormat::Bgra };
    let premultiplied =
        picture.standard().then(Filter::Format(PixelFormat::Gbrap)).then(Filter::Premultiply);
    picture
        .sized(premultiplied, None, None, None)
        .then(Filter::Unpremultiply)
        .then(Filter::Format(pixels))
}
