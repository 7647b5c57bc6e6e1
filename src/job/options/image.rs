//! `kind: "image"`.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
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
        value::check_background(self.background, self.fit, self.width, self.height)
    }
}
