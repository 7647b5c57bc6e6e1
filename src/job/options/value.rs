//! The values that options are made of, each parsed once.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::OptionError;

/// A perceptual target, the same level whatever the codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// The smallest file that is still recognisable.
    VeryLow,
    /// A preview.
    Low,
    /// Good on a phone and acceptable on a large screen.
    #[default]
    Medium,
    /// Hard to tell from the source.
    High,
    /// For archives and further editing.
    VeryHigh,
}

/// How a picture meets a box of another shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Whole picture inside the box.
    #[default]
    Contain,
    /// Whole box covered, what hangs over is cut off.
    Cover,
    /// Stretched to the box; the only fit that may enlarge.
    Fill,
}

/// Which part of the picture `cover` keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name says it all")]
pub enum Position {
    #[default]
    Center,
    Top,
    Bottom,
    Left,
    Right,
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
}

/// A width or a height: pixels, or a share of the source's.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RawLength")]
pub enum Length {
    /// 1 to 8192 pixels (the largest side that Reelway makes or takes).
    Pixels(u32),
    /// Over 0, up to 100 per cent of the source.
    Percent(f64),
}

/// The largest side of a picture in pixels.
pub const MAX_SIDE: u32 = 8192;

#[derive(Deserialize)]
#[serde(untagged, expecting = "it is a whole number of pixels or a share such as \"50%\"")]
enum RawLength {
    Pixels(u32),
    Text(String),
}

impl TryFrom<RawLength> for Length {
    type Error = String;

    fn try_from(raw: RawLength) -> Result<Self, String> {
        let text = match raw {
            RawLength::Pixels(pixels) => return in_range(pixels),
            RawLength::Text(text) => text,
        };
        if let Some(share) = text.strip_suffix('%') {
            return match share.trim().parse::<f64>() {
                Ok(share) if share > 0.0 && share <= 100.0 => Ok(Self::Percent(share)),
                _ => Err("a share is over 0% and at most 100%".to_owned()),
            };
        }
        // Form fields and command-line flags carry numbers as text.
        match text.parse() {
            Ok(pixels) => in_range(pixels),
            Err(_) => Err("it is a whole number of pixels or a share such as \"50%\"".to_owned()),
        }
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pixels(pixels) => serializer.serialize_u32(*pixels),
            Self::Percent(share) => serializer.collect_str(&format_args!("{share}%")),
        }
    }
}

impl PartialSchema for Length {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str, pattern: &str, example: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(description))
                .pattern(Some(pattern))
                .examples([example])
        };
        let pixels = "^([1-9][0-9]{0,2}|[1-7][0-9]{3}|80[0-9]{2}|81[0-8][0-9]|819[0-2])$";
        let share = r"^(100(\.0+)?|[1-9][0-9]?(\.[0-9]+)?|0\.[0-9]*[1-9][0-9]*)%$";
        OneOfBuilder::new()
            .description(Some("A width or a height: pixels, or a share of the source's."))
            .item(range("Pixels.", Type::Integer, 1.0, f64::from(MAX_SIDE)))
            .item(text("A share of the source's side.", share, "50%"))
            .item(text("Pixels, as forms send them.", pixels, "640"))
            .into()
    }
}

impl ToSchema for Length {}

fn in_range(pixels: u32) -> Result<Length, String> {
    if (1..=MAX_SIDE).contains(&pixels) {
        Ok(Length::Pixels(pixels))
    } else {
        Err(format!("a length is from 1 to {MAX_SIDE} pixels"))
    }
}

/// The latest time in an input: 100 hours.
const MAX_SECONDS: f64 = 360_000.0;

/// A time in the input in seconds: finite, not negative, at most 100 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Seconds(f64);

impl Seconds {
    /// The number of seconds.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        if (0.0..=MAX_SECONDS).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err("a time is from 0 to 360000 seconds")
        }
    }
}

impl From<Seconds> for f64 {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

impl PartialSchema for Seconds {
    fn schema() -> RefOr<Schema> {
        range("A time in the input, in seconds.", Type::Number, 0.0, MAX_SECONDS)
    }
}

impl ToSchema for Seconds {}

/// Pictures a second, 1 to 60.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct FrameRate(f64);

impl FrameRate {
    /// Pictures a second.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for FrameRate {
    type Error = &'static str;

    fn try_from(fps: f64) -> Result<Self, Self::Error> {
        if (1.0..=60.0).contains(&fps) { Ok(Self(fps)) } else { Err("fps is from 1 to 60") }
    }
}

impl From<FrameRate> for f64 {
    fn from(rate: FrameRate) -> Self {
        rate.0
    }
}

impl PartialSchema for FrameRate {
    fn schema() -> RefOr<Schema> {
        range("Pictures a second.", Type::Number, 1.0, 60.0)
    }
}

impl ToSchema for FrameRate {}

/// An opaque colour, written `#rrggbb` or `#rgb`, the hash optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

impl Color {
    /// White: what a transparent picture is laid on when nothing is said.
    pub const WHITE: Self = Self { red: 255, green: 255, blue: 255 };

    /// Red, green and blue.
    #[must_use]
    pub const fn channels(self) -> [u8; 3] {
        [self.red, self.green, self.blue]
    }
}

impl TryFrom<String> for Color {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const SHAPE: &str = "a colour is hexadecimal, such as \"#1e90ff\" or \"#fff\"";
        let digits = text.strip_prefix('#').unwrap_or(&text);
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SHAPE);
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| SHAPE)?;
        let [_, red, green, blue] = match digits.len() {
            6 => value.to_be_bytes(),
            3 => {
                [0, (value >> 8) as u8 * 17, (value >> 4 & 15) as u8 * 17, (value & 15) as u8 * 17]
            }
            _ => return Err(SHAPE),
        };
        Ok(Self { red, green, blue })
    }
}

/// As users write a colour: `#rrggbb`.
impl From<Color> for String {
    fn from(color: Color) -> Self {
        format!("#{:02x}{:02x}{:02x}", color.red, color.green, color.blue)
    }
}

impl PartialSchema for Color {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("An opaque colour: `#rrggbb` or `#rgb`, the hash optional."))
            .pattern(Some("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"))
            .examples(["#1e90ff"])
            .into()
    }
}

impl ToSchema for Color {}

/// As ffmpeg writes a colour: `0xRRGGBB`.
impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

/// The schema of a number from `min` to `max`.
pub(super) fn range(description: &str, number: Type, min: f64, max: f64) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(number)
        .description(Some(description))
        .minimum(Some(min))
        .maximum(Some(max))
        .into()
}

/// The schema of one of some names, for enums whose derived schema would miss a second name.
pub(super) fn names(description: &str, names: &[&str]) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(names.iter().copied()))
        .into()
}

/// A clip ends after it starts.
pub(super) fn check_span(start: Option<Seconds>, end: Option<Seconds>) -> Result<(), OptionError> {
    let start = start.unwrap_or_default();
    match end {
        Some(end) if end <= start => Err(OptionError::new(
            "end",
            format!("`end` ({}) must be after `start` ({})", end.get(), start.get()),
        )),
        _ => Ok(()),
    }
}

/// Only a `contain` in a whole box has room for a background.
pub(super) fn check_background(
    background: Option<Color>,
    fit: Fit,
    width: Option<Length>,
    height: Option<Length>,
) -> Result<(), OptionError> {
    let room = fit == Fit::Contain && width.is_some() == height.is_some();
    if background.is_none() || room {
        return Ok(());
    }
    Err(OptionError::new("background", "`background` needs `fit: \"contain\"` and both sides")
        .hint("give `width` and `height`, or leave `background` out"))
}
