//! From the size of a source and a wish to the size of an output. Pure geometry.
//!
//! The source's size is the one that is seen: upright, with square pixels. Nothing is ever
//! enlarged, unless a `fill` names both sides.

use ffmpeg::filter::{Area, Rgb};

use crate::job::options::{Color, Fit, Length, MAX_SIDE, Position};

/// What was asked about size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    pub(super) width: Option<Length>,
    pub(super) height: Option<Length>,
    pub(super) fit: Fit,
    pub(super) position: Position,
    pub(super) background: Option<Color>,
}

impl Wish {
    /// The ground that pictures are laid on.
    pub(super) fn ground(&self) -> Rgb {
        let [red, green, blue] = self.background.unwrap_or(Color::WHITE).channels();
        Rgb { red, green, blue }
    }
}

/// Which numbers of pixels a format can have on a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grid {
    /// Even ones, because two pixels share their colour.
    Even,
    /// All.
    Any,
}

/// How a picture gets its size: scaled, then perhaps cut or laid on a ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// The size after scaling.
    pub(super) scaled: (u32, u32),
    /// What is kept of the scaled picture.
    pub(super) crop: Option<Area>,
    /// The ground, and where on it the scaled picture lies.
    pub(super) pad: Option<Area>,
}

impl Geometry {
    /// How a `source` of this size meets the wish.
    pub(super) fn new(source: (u32, u32), wish: &Wish, grid: Grid) -> Self {
        let width = wish.width.map(|length| pixels(length, source.0));
        let height = wish.height.map(|length| pixels(length, source.1));
        match (wish.fit, width, height) {
            (Fit::Fill, Some(width), Some(height)) => {
                Self::plain((grid.floor(width), grid.floor(height)))
            }
            (Fit::Cover, Some(width), Some(height)) => {
                cover(source, (width, height), wish.position, grid)
            }
            (Fit::Contain, Some(width), Some(height)) if wish.background.is_some() => {
                let inner = contain(source, (width, height), grid);
                padded(inner, (grid.floor(width), grid.floor(height)), grid)
            }
            (_, width, height) => {
                let limit = (width.unwrap_or(MAX_SIDE), height.unwrap_or(MAX_SIDE));
                Self::plain(contain(source, limit, grid))
            }
        }
    }

    /// The size of the output.
    pub(super) fn size(&self) -> (u32, u32) {
        let area = self.pad.or(self.crop);
        area.map_or(self.scaled, |area| (area.width, area.height))
    }

    const fn plain(scaled: (u32, u32)) -> Self {
        Self { scaled, crop: None, pad: None }
    }
}

impl Grid {
    const fn least(self) -> u32 {
        match self {
            Self::Even => 2,
            Self::Any => 1,
        }
    }

    /// The largest number of the grid that is not over `side`, if there is one.
    fn floor(self, side: u32) -> u32 {
        (side / self.least() * self.least()).max(self.least())
    }

    /// The number of the grid that is nearest to `side`, but not over `limit`.
    fn near(self, side: f64, limit: u32) -> u32 {
        let step = f64::from(self.least());
        let near = ((side / step).round() * step) as u32;
        near.min(self.floor(limit)).max(self.least())
    }
}

fn pixels(length: Length, source: u32) -> u32 {
    let pixels = match length {
        Length::Pixels(pixels) => pixels,
        Length::Percent(share) => (f64::from(source) * share / 100.0).round() as u32,
    };
    pixels.clamp(1, MAX_SIDE)
}

fn contain(source: (u32, u32), limit: (u32, u32), grid: Grid) -> (u32, u32) {
    let (width, height) = (f64::from(source.0), f64::from(source.1));
    let factor = (f64::from(limit.0) / width).min(f64::from(limit.1) / height).min(1.0);
    (
        grid.near(width * factor, source.0.min(limit.0)),
        grid.near(height * factor, source.1.min(limit.1)),
    )
}

/// The box is covered; where the source is too small for it, a smaller box of the same shape is.
fn cover(source: (u32, u32), asked: (u32, u32), position: Position, grid: Grid) -> Geometry {
    let (width, height) = (f64::from(source.0), f64::from(source.1));
    let (box_width, box_height) = (f64::from(asked.0), f64::from(asked.1));
    let factor = (box_width / width).max(box_height / height);
    let shrink = factor.max(1.0);
    let kept = (
        grid.near(box_width / shrink, source.0.min(asked.0)),
        grid.near(box_height / shrink, source.1.min(asked.1)),
    );
    let factor = factor.min(1.0);
    let scaled = (
        grid.near(width * factor, source.0).max(kept.0),
        grid.near(height * factor, source.1).max(kept.1),
    );
    if scaled == kept {
        return Geometry::plain(scaled);
    }
    let (x, y) = anchor(position);
    let crop = Area {
        width: kept.0,
        height: kept.1,
        x: x.offset(scaled.0 - kept.0, grid),
        y: y.offset(scaled.1 - kept.1, grid),
    };
    Geometry { scaled, crop: Some(crop), pad: None }
}

fn padded(inner: (u32, u32), outer: (u32, u32), grid: Grid) -> Geometry {
    let pad = Area {
        width: outer.0,
        height: outer.1,
        x: Anchor::Middle.offset(outer.0.saturating_sub(inner.0), grid),
        y: Anchor::Middle.offset(outer.1.saturating_sub(inner.1), grid),
    };
    Geometry { scaled: inner, crop: None, pad: (inner != outer).then_some(pad) }
}

/// Where along one side the kept part lies.
#[derive(Clone, Copy)]
enum Anchor {
    First,
    Middle,
    Last,
}

impl Anchor {
    fn offset(self, room: u32, grid: Grid) -> u32 {
        match self {
            Self::First => 0,
            Self::Middle => room / 2 / grid.least() * grid.least(),
            Self::Last => room,
        }
    }
}

const fn anchor(position: Position) -> (Anchor, Anchor) {
    use Anchor::{First, Last, Middle};
    match position {
        Position::Center => (Middle, Middle),
        Position::Top => (Middle, First),
        Position::Bottom => (Middle, Last),
        Position::Left => (First, Middle),
        Position::Right => (Last, Middle),
        Position::TopLeft => (First, First),
        Position::TopRight => (Last, First),
        Position::BottomLeft => (First, Last),
        Position::BottomRight => (Last, Last),
    }
}

#[cfg(test)]
mod tests;
