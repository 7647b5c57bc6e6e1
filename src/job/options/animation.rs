//! `kind: "animation"`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::{Color, Fit, FrameRate, Length, Position, Quality, Seconds};
use super::{OptionError, value};

/// The longest animation in seconds.
pub(super) const MAX_SPAN_SECS: f64 = 60.0;

/// What may be asked of an animation.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnimationOptions {
    /// The format; gif when nothing is said.
    #[serde(default)]
    #[schema(default = "gif")]
    pub format: AnimationFormat,
    /// The perceptual target.
    #[serde(default)]
    #[schema(default = "medium")]
    pub quality: Quality,
    /// Width of the output.
    pub width: Option<Length>,
    /// Height of the output.
    pub height: Option<Length>,
    /// How the picture meets `width` × `height`.
    #[serde(default)]
    #[schema(default = "contain")]
    pub fit: Fit,
    /// What `cover` keeps.
    #[serde(default)]
    #[schema(default = "center")]
    pub position: Position,
    /// Pads a `contain` to exactly `width` × `height`.
    pub background: Option<Color>,
    /// Pictures a second; 10 when nothing is said.
    pub fps: Option<FrameRate>,
    /// Where to begin.
    #[serde(default)]
    #[schema(default = 0)]
    pub start: Seconds,
    /// Where to end: at most 60 s after `start`.
    pub end: Seconds,
}

/// A format of moving pictures without sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnimationFormat {
    /// GIF with a palette made for the clip.
    #[default]
    Gif,
    /// Animated `WebP`.
    Webp,
}

impl AnimationFormat {
    /// The format's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }
}

impl AnimationOptions {
    /// Pictures a second when nothing is said.
    pub const DEFAULT_FPS: f64 = 10.0;

    /// Pictures a second of the output.
    #[must_use]
    pub fn fps(&self) -> f64 {
        self.fps.map_or(Self::DEFAULT_FPS, FrameRate::get)
    }

    /// How long the animation is in seconds.
    #[must_use]
    pub fn span_secs(&self) -> f64 {
        self.end.get() - self.start.get()
    }

    pub(super) fn validate(&self) -> Result<(), OptionError> {
        value::check_span(Some(self.start), Some(self.end))?;
        value::check_background(self.background, self.fit, self.width, self.height)?;
        if self.span_secs() > MAX_SPAN_SECS {
            return Err(OptionError::new(
                "end",
                format!(
                    "an animation is at most {MAX_SPAN_SECS} s long, not {} s",
                    self.span_secs()
                ),
            )
            .hint("for longer clips ask for a video"));
        }
        Ok(())
    }
}
