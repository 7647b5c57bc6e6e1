//! The way of a picture from the source to its encoder, the same for every kind.
//!
//! Upright first, then the wanted rate (fewer pictures, less work), then standard light, then
//! the size. Films are turned by ffmpeg itself, which then leaves the turn out of the output's
//! own metadata; nothing else takes it out. Stills are turned here, because only their EXIF
//! tells how.

use ffmpeg::filter::{Filter, Graph, Matrix, PixelFormat, Range, Scale};
use ffmpeg::{Demuxer, Input, Rotation, Seek, Source, VideoStream};

use super::Given;
use super::color::{Coding, to_standard};
use super::size::{Geometry, Grid, Wish};

/// A picture on its way: what it is, and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture<'a> {
    pub(super) video: &'a VideoStream,
    /// Whether the source is one picture.
    pub(super) still: bool,
    pub(super) wish: Wish,
    pub(super) grid: Grid,
    /// Pictures a second, if they are to be others than the source's.
    pub(super) fps: Option<f64>,
    /// One picture every so many seconds.
    pub(super) every_secs: Option<f64>,
    /// The most pictures that are taken.
    pub(super) at_most: Option<u64>,
    /// Only the last picture.
    pub(super) last_only: bool,
}

impl Picture<'_> {
    /// What the numbers mean once the light is standard.
    pub(super) fn coding(&self) -> Coding {
        if self.video.alpha {
            // What was laid on a ground is red, green and blue.
            return Coding::Rgb;
        }
        let coding = Coding::of(self.video, self.still);
        if to_standard(self.video, coding).is_some() { Coding::BT709 } else { coding }
    }

    /// Upright, at the wanted rate, in the source's own light.
    pub(super) fn upright(&self) -> Graph {
        Graph::from_stream(Source { input: 0, stream: self.video.index })
            .then_some(self.last_only.then_some(Filter::LastOnly))
            .then_some(self.every_secs.map(Filter::Every))
            .then_some((self.still && self.video.mirrored).then_some(Filter::Mirror))
            .then_some(self.turn())
            .then_some(self.fps.map(Filter::Fps))
            .then_some(self.at_most.map(Filter::AtMost))
    }

    /// The same in standard light: 8 bit, BT.709, no more light than a screen has.
    pub(super) fn standard(&self) -> Graph {
        let coding = Coding::of(self.video, self.still);
        let standard = self.upright().then_some(to_standard(self.video, coding));
        let is_wide = coding == Coding::Rgb && self.video.color.primaries == "smpte432";
        standard.then_some(is_wide.then_some(Filter::P3ToSrgb { alpha: self.video.alpha }))
    }

    /// The same, laid on the ground where it can be seen through.
    pub(super) fn opaque(&self) -> Graph {
        let standard = self.standard();
        if self.video.alpha { standard.lay_on(self.wish.ground()) } else { standard }
    }

    /// How the picture gets its size.
    pub(super) fn geometry(&self) -> Geometry {
        Geometry::new(self.video.display_size(), &self.wish, self.grid)
    }

    /// The graph with the picture in its wanted size.
    pub(super) fn sized(
        &self,
        graph: Graph,
        from: Option<Matrix>,
        to: Option<Matrix>,
        range: Option<Range>,
    ) -> Graph {
        let geometry = self.geometry();
        let (width, height) = geometry.scaled;
        let pad = geometry.pad.map(|area| Filter::Pad { area, color: self.wish.ground() });
        graph
            .then(Filter::Scale(Scale { width, height, from, to, range }))
            .then_some(geometry.crop.map(Filter::Crop))
            .then_some(pad)
            .then(Filter::SquarePixels)
    }

    /// Standard pictures for a player: 4:2:0, television range, labelled.
    pub(super) fn for_players(&self) -> Graph {
        let coding = self.coding();
        let (from, to) = (coding.matrix(), Some(coding.label_matrix()));
        self.sized(self.opaque(), from, to, Some(Range::Tv))
            .then(Filter::Format(PixelFormat::Yuv420p))
            .then(Filter::Tag { range: Range::Tv, meaning: coding.label() })
    }

    /// Pictures with all their light and colours, for a codec that was asked to keep them.
    pub(super) fn untouched(&self) -> Graph {
        let coding = Coding::of(self.video, self.still);
        let (from, to) = (coding.matrix(), Some(coding.label_matrix()));
        self.sized(self.upright(), from, to, Some(Range::Tv))
            .then(Filter::Format(PixelFormat::Yuv420p10))
            .then(Filter::Tag { range: Range::Tv, meaning: coding.label() })
    }

    /// The input that the picture comes from, read from `seek` on for `span_secs`.
    pub(super) fn input(&self, given: Given<'_>, seek: Seek, span_secs: Option<f64>) -> Input {
        Input { autorotate: !self.still, ..input(given, seek, span_secs) }
    }

    fn turn(&self) -> Option<Filter> {
        let turned = self.still && self.video.rotation != Rotation::None;
        turned.then_some(Filter::Turn(self.video.rotation))
    }
}

/// The input of a plan, read from `seek` on for `span_secs`.
pub(super) fn input(given: Given<'_>, seek: Seek, span_secs: Option<f64>) -> Input {
    Input {
        media: given.files.input.clone(),
        demuxer: Demuxer::of(&given.facts.format),
        seek,
        span_secs,
        autorotate: false,
    }
}
