//! `kind: "image"`.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::value::{Color, Fit, Length, Position, Quality, Seconds};
use super::{OptionError, value};

/// What may be asked of a still image.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageOptions {
    /// The format; when nothing is said the input's, or webp from a video.
    pub format: Option<ImageFormat>,
    /// The perceptual target.
    pub quality: Quality,
    /// Width of the output.
    pub width: Option<Length>,
    /// Height of the output.
    pub height: Option<Length>,
    /// How the picture meets `width` × `height`.
    pub fit: Fit,
    /// What `cover` keeps.
    pub position: Position,
    /// Pads a `contain` to exactly `width` × `height`, and lies under transparent pictures.
    pub background: Option<Color>,
    /// Which moment of a video; a time past the end gives the last picture.
    pub start: Seconds,
    /// A picture every so many seconds from `start` on, in place of one.
    pub interval: Option<Interval>,
    /// Pictures side by side on sheets, with a list of their times for players.
    pub sprite: Option<Sprite>,
}

/// The time between two pictures in seconds: 0.1 to 3600.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Interval(f64);

impl From<Interval> for f64 {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

impl PartialSchema for Interval {
    fn schema() -> RefOr<Schema> {
        value::range("The time between two pictures in seconds.", Type::Number, 0.1, 3600.0)
    }
}

impl ToSchema for Interval {}

impl Interval {
    /// The number of seconds.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Interval {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        if (0.1..=3600.0).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err("an interval is from 0.1 to 3600 seconds")
        }
    }
}

/// How many pictures lie on a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sprite {
    /// Beside each other.
    pub columns: Tiles,
    /// Below each other.
    pub rows: Tiles,
}

/// How many pictures lie beside or below each other on a sheet: 1 to 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Tiles(u32);

impl From<Tiles> for u32 {
    fn from(tiles: Tiles) -> Self {
        tiles.0
    }
}

impl PartialSchema for Tiles {
    fn schema() -> RefOr<Schema> {
        value::range("How many pictures lie on a side of a sheet.", Type::Integer, 1.0, 50.0)
    }
}

impl ToSchema for Tiles {}

impl Tiles {
    /// The number of pictures.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Tiles {
    type Error = &'static str;

    fn try_from(tiles: u32) -> Result<Self, Self::Error> {
        if (1..=50).contains(&tiles) {
            Ok(Self(tiles))
        } else {
            Err("a sheet has from 1 to 50 pictures on a side")
        }
    }
}

/// An image format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// JPEG.
    #[serde(alias = "jpg")]
    Jpeg,
    /// PNG.
    Png,
    /// `WebP`.
    Webp,
    /// AVIF.
    Avif,
}

impl PartialSchema for ImageFormat {
    fn schema() -> RefOr<Schema> {
        value::names("An image format; `jpg` is `jpeg`.", &["jpeg", "jpg", "png", "webp", "avif"])
    }
}

impl ToSchema for ImageFormat {}

impl ImageFormat {
    /// The format's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Avif => "avif",
        }
    }
}

impl ImageOptions {
    pub(super) fn validate(&self) -> Result<(), OptionError> {
        value::check_background(self.background, self.fit, self.width, self.height)?;
        let is_series = self.interval.is_some() || self.sprite.is_some();
        if is_series && self.format == Some(ImageFormat::Avif) {
            return Err(OptionError::new("format", "several pictures are not made as avif")
                .hint("ask for webp, jpeg or png"));
        }
        Ok(())
    }
}
