//! `kind: "animation"`: a short silent loop.
//!
//! A GIF takes two processes: one finds the colours, the other uses them. In one process every
//! picture would wait in memory for the last one.

use ffmpeg::filter::{Filter, Graph, Matrix, PixelFormat, Range};
use ffmpeg::{
    Bounds, Conversion, Demuxer, Input, Muxer, Output, Seek, Source, Timing, Video, VideoEncoder,
};

use super::picture::Picture;
use super::size::{Grid, Wish};
use super::span::Span;
use super::{FileType, Given, Memory, Plan, Step, gate, quality};
use crate::job::FileKind;
use crate::job::options::{AnimationFormat, AnimationOptions};
use crate::task::Failure;

const GIF: FileType = FileType::new(FileKind::Animation, "gif", "image/gif", "animation.gif");
const WEBP: FileType = FileType::new(FileKind::Animation, "webp", "image/webp", "animation.webp");

/// The file between the two processes of a GIF.
const PALETTE: &str = "palette.png";

pub(super) fn plan(options: &AnimationOptions, given: Given<'_>) -> Result<Plan, Failure> {
    let video = gate::moving(given.facts, given.settings)?;
    let (start, end) = (options.start.get(), options.end.get());
    let span = Span::new(start, Some(end), given.facts.duration, given.settings)?;
    let picture = Picture {
        video,
        still: false,
        wish: Wish {
            width: options.width,
            height: options.height,
            fit: options.fit,
            position: options.position,
            background: options.background,
        },
        grid: Grid::Even,
        fps: Some(options.fps()),
        every_secs: None,
        // A palette waits for the last picture, and a broken clock can put it hours away.
        at_most: Some(span.frames(options.fps())),
        last_only: false,
    };
    let loops = Loop { options, given, span, picture };
    let plan = match options.format {
        AnimationFormat::Gif => GIF.plan(given, loops.gif(), None),
        AnimationFormat::Webp => WEBP.plan(given, loops.webp(), None),
    };
    Ok(plan.capped(span.is_capped).taking(loops.memory()))
}

struct Loop<'a> {
    options: &'a AnimationOptions,
    given: Given<'a>,
    span: Span,
    picture: Picture<'a>,
}

impl Loop<'_> {
    fn memory(&self) -> Memory {
        let (given, size) = (self.given, self.picture.geometry().size());
        let memory = Memory::reading(given);
        match self.options.format {
            AnimationFormat::Gif => memory.and(VideoEncoder::Gif, size, given),
            AnimationFormat::Webp => {
                let encoder = quality::webp_animation(self.options.quality);
                let secs = self.options.end.get() - self.options.start.get();
                memory.and(encoder, size, given).and_whole(secs * self.options.fps(), size)
            }
        }
    }

    fn webp(&self) -> Vec<Step> {
        let encoder = quality::webp_animation(self.options.quality);
        // WebP knows one meaning of its numbers.
        let (from, to) = (self.picture.coding().matrix(), Some(Matrix::Bt601));
        let graph = self
            .picture
            .sized(self.picture.opaque(), from, to, Some(Range::Tv))
            .then(Filter::Format(PixelFormat::Yuv420p));
        let output = self.output(WEBP, Muxer::Webp, encoder);
        vec![self.step(vec![self.source()], graph, output, 1.0)]
    }

    fn gif(&self) -> Vec<Step> {
        let (colors, dither) = quality::gif(self.options.quality);
        let palette = self.given.files.output.join(PALETTE);
        let find = Output {
            path: palette.clone(),
            bounds: Bounds { frames: 1, ..self.bounds() },
            ..self.output(GIF, Muxer::Picture, VideoEncoder::Png)
        };
        let from = self.picture.coding().matrix();
        let colored = || {
            let opaque = self.picture.opaque();
            self.picture.sized(opaque, from, None, None).then(Filter::Format(PixelFormat::Bgra))
        };
        let graph = colored().then(Filter::PaletteGen { colors });
        let found = Input {
            media: palette.into(),
            demuxer: Demuxer::of("png_pipe"),
            seek: Seek::Start,
            span_secs: None,
            autorotate: false,
        };
        let painted = colored().in_palette(Source { input: 1, stream: 0 }, dither);
        vec![
            self.step(vec![self.source()], graph, find, 0.4),
            self.step(
                vec![self.source(), found],
                painted,
                self.output(GIF, Muxer::Gif, VideoEncoder::Gif),
                0.6,
            ),
        ]
    }

    fn source(&self) -> Input {
        self.picture.input(self.given, self.span.seek, self.span.read_secs)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            frames: self.span.frames(self.options.fps()),
            secs: self.span.bound_secs,
            bytes: self.given.settings.max_output_bytes,
        }
    }

    fn output(&self, file: FileType, muxer: Muxer, encoder: VideoEncoder) -> Output {
        Output {
            path: file.path(self.given),
            muxer,
            video: Some(Video { encoder, timing: Timing::Graph }),
            audio: None,
            bounds: self.bounds(),
        }
    }

    fn step(&self, inputs: Vec<Input>, graph: Graph, output: Output, share: f32) -> Step {
        let conversion = Conversion {
            threads: self.given.settings.threads,
            inputs,
            graph: Some(graph),
            output,
            expected_secs: self.span.expected_secs,
        };
        Step::run(conversion.command(), share)
    }
}
