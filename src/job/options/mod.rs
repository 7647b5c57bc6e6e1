//! What may be asked of each kind: wire options in, values that cannot be wrong out.
//!
//! One struct a kind, one file a struct. serde checks names and single values, `validate` what
//! depends on two of them; after [`Options::decode`] nothing is "maybe valid". The command
//! line's flags go through the same function, so both speak of the same errors.

mod adaptive;
mod animation;
mod audio;
mod copy;
mod image;
mod probe;
mod value;
mod video;

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use url::Url;

use super::InputUrl;
use crate::task::Kind;

pub use adaptive::{
    AdaptiveCodec, AdaptiveFormat, AdaptiveOptions, Encryption, EncryptionMethod, KeyUrl,
    SegmentType,
};
pub use animation::{AnimationFormat, AnimationOptions};
pub use audio::{
    AudioBitrate, AudioFormat, AudioOptions, Normalize, TargetLufs, Waveform, WaveformPoints,
};
pub use copy::{ExportOptions, ImportOptions};
pub use image::{ImageFormat, ImageOptions, Interval, Sprite, Tiles};
pub use probe::ProbeOptions;
pub use value::{Color, Fit, FrameRate, Length, MAX_SIDE, Position, Quality, Seconds};
pub use video::{
    Copying, SubtitleStyle, SubtitleUrl, VideoBitrate, VideoCodec, VideoFormat, VideoOptions,
};

/// The valid options of a job, by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Options {
    /// A video file.
    Video(VideoOptions),
    /// An audio file.
    Audio(AudioOptions),
    /// A still image.
    Image(ImageOptions),
    /// A short silent loop.
    Animation(AnimationOptions),
    /// Renditions of a video, and playlists to choose from them.
    AdaptiveVideo(AdaptiveOptions),
    /// The facts of the input.
    Probe(ProbeOptions),
    /// A copy of the input in storage.
    Import(ImportOptions),
    /// A copy of the input in a bucket of the user's own.
    Export(ExportOptions),
}

impl Options {
    /// Reads the wire's `options` of a `kind`.
    ///
    /// # Errors
    ///
    /// The first option that is unknown, of the wrong type, out of range, or at odds with another.
    pub fn decode(kind: Kind, options: &Map<String, Value>) -> Result<Self, OptionError> {
        match kind {
            Kind::Video => read::<VideoOptions>(options, VideoOptions::validate).map(Self::Video),
            Kind::Audio => read::<AudioOptions>(options, AudioOptions::validate).map(Self::Audio),
            Kind::Image => read::<ImageOptions>(options, ImageOptions::validate).map(Self::Image),
            Kind::Animation => {
                read::<AnimationOptions>(options, AnimationOptions::validate).map(Self::Animation)
            }
            Kind::AdaptiveVideo => {
                read::<AdaptiveOptions>(options, AdaptiveOptions::validate).map(Self::AdaptiveVideo)
            }
            Kind::Probe => read::<ProbeOptions>(options, |_| Ok(())).map(Self::Probe),
            Kind::Import => read::<ImportOptions>(options, |_| Ok(())).map(Self::Import),
            Kind::Export => read::<ExportOptions>(options, |_| Ok(())).map(Self::Export),
        }
    }

    /// Whether a `kind` has an option of this name.
    #[must_use]
    pub fn has(kind: Kind, name: &str) -> bool {
        let alone = Map::from_iter([(name.to_owned(), Value::Null)]);
        !matches!(Self::decode(kind, &alone), Err(OptionError { is_unknown: true, .. }))
    }

    /// The kind that these are the options of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Video(_) => Kind::Video,
            Self::Audio(_) => Kind::Audio,
            Self::Image(_) => Kind::Image,
            Self::Animation(_) => Kind::Animation,
            Self::AdaptiveVideo(_) => Kind::AdaptiveVideo,
            Self::Probe(_) => Kind::Probe,
            Self::Import(_) => Kind::Import,
            Self::Export(_) => Kind::Export,
        }
    }

    /// Whether what is made is pictures of the whole input, with nothing fetched beside it: then
    /// the input can be decoded once for several of them.
    #[must_use]
    pub const fn spans_input(&self) -> bool {
        match self {
            Self::Video(options) => {
                options.start.is_none() && options.end.is_none() && options.subtitle_url.is_none()
            }
            // Sound alone costs little, and would wait for the pictures.
            _ => false,
        }
    }

    /// Whether what is made is a folder of files that name each other.
    #[must_use]
    pub const fn makes_folder(&self) -> bool {
        matches!(self, Self::AdaptiveVideo(_))
    }

    /// Where the key is that the output is encrypted with, if it is.
    #[must_use]
    pub fn key_url(&self) -> Option<&Url> {
        match self {
            Self::AdaptiveVideo(options) => {
                options.encryption.as_ref().map(|encryption| encryption.key_url.get())
            }
            _ => None,
        }
    }

    /// The subtitles that are to be fetched beside the input.
    #[must_use]
    pub fn subtitle_url(&self) -> Option<&InputUrl> {
        match self {
            Self::Video(options) => options.subtitle_url.as_ref().map(SubtitleUrl::url),
            _ => None,
        }
    }

    /// Whether all of the input is read, and not only a moment or a stretch of it.
    #[must_use]
    pub fn read_all(&self) -> bool {
        let is_all = |start: Option<Seconds>, end: Option<Seconds>| {
            start.is_none_or(|start| start == Seconds::default()) && end.is_none()
        };
        match self {
            Self::Video(options) => is_all(options.start, options.end),
            Self::Audio(options) => is_all(options.start, options.end),
            Self::AdaptiveVideo(options) => is_all(options.start, options.end),
            Self::Image(options) => options.interval.is_some() || options.sprite.is_some(),
            Self::Animation(_) => false,
            Self::Probe(_) | Self::Import(_) | Self::Export(_) => true,
        }
    }

    /// The loudness that the sound is to have, where one is asked for.
    #[must_use]
    pub fn target_lufs(&self) -> Option<f64> {
        match self {
            Self::Audio(options) => options.target_lufs(),
            _ => None,
        }
    }
}

fn read<T: DeserializeOwned>(
    options: &Map<String, Value>,
    validate: impl FnOnce(&T) -> Result<(), OptionError>,
) -> Result<T, OptionError> {
    let plain = plain(&Value::Object(options.clone()));
    let decoded: T = serde_path_to_error::deserialize(plain)
        .map_err(|error| OptionError::from_serde(&error, options))?;
    validate(&decoded)?;
    Ok(decoded)
}

/// The value with every whole number written as one: serde does not take `640.0` for an integer.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => whole(number).map_or_else(|| value.clone(), Value::from),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(object) => {
            object.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
        }
        other => other.clone(),
    }
}

/// The whole number that a JSON number is, however it is written: clients that know no integers
/// send `640.0`.
#[must_use]
pub fn whole(number: &Number) -> Option<i64> {
    /// Beyond it, numbers with a fraction cannot be told from those without.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
    })
}

/// An option that cannot be accepted, in words for the person who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OptionError {
    /// The option's name; a path such as `sprite.columns` for a nested one.
    pub field: String,
    /// What is wrong, naming the value and what is allowed.
    pub message: String,
    /// What to do about it, when there is something to say.
    pub hint: Option<String>,
    /// Whether there is no option of that name.
    pub is_unknown: bool,
}

impl OptionError {
    pub(crate) fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into(), hint: None, is_unknown: false }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn from_serde(
        error: &serde_path_to_error::Error<serde_json::Error>,
        options: &Map<String, Value>,
    ) -> Self {
        let field = error.path().to_string();
        let message = error.inner().to_string();
        match at(&field, options) {
            Some(value) if !message.starts_with("unknown field") => {
                let reason = reason(&message);
                let wrong =
                    Self::new(&field, format!("`{field}` cannot be {}: {reason}", shown(value)));
                match meant(&field, value, &message) {
                    Some(hint) => wrong.hint(hint),
                    None => wrong,
                }
            }
            _ => Self::unknown_or_missing(&field, &message),
        }
    }

    /// serde tells an unknown or a missing field only in its message, between backquotes.
    fn unknown_or_missing(field: &str, message: &str) -> Self {
        let is_missing = message.starts_with("missing field");
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let Some((&name, known)) = quoted.split_first() else {
            return Self::new(field, message);
        };
        if is_missing {
            let missing = Self::new(name, format!("`{name}` is required"));
            return if name == "end" {
                missing.hint("say in seconds where the animation ends, at most 60 s after `start`")
            } else {
                missing
            };
        }
        let path = if field.ends_with(name) { field } else { name };
        let all = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let message = format!("there is no option `{name}`; there are {all}");
        let unknown = Self { is_unknown: true, ..Self::new(path, message) };
        match closest(name, known.iter().copied()) {
            Some(meant) => unknown.hint(format!("did you mean `{meant}`?")),
            None => unknown,
        }
    }
}

/// The value of an option, or of a field of one: `sprite.columns`.
fn at<'a>(path: &str, options: &'a Map<String, Value>) -> Option<&'a Value> {
    let (option, fields) = path.split_once('.').map_or((path, None), |(o, f)| (o, Some(f)));
    let value = options.get(option)?;
    fields.into_iter().flat_map(|fields| fields.split('.')).try_fold(value, Value::get)
}

/// serde's words about a value, in ours.
fn reason(message: &str) -> String {
    if let Some((_, names)) = message.split_once(", expected one of ") {
        format!("it is one of {}", names.replace('`', ""))
    } else if let Some((_, names)) = message.split_once(", expected `") {
        format!("it is {}", names.replace('`', ""))
    } else if message.ends_with("expected string or map") {
        "it is a name in quotes".to_owned()
    } else {
        let is_type = message.starts_with("invalid type") || message.starts_with("invalid value");
        let expected = message.rsplit_once(", expected ").filter(|_| is_type);
        expected.and_then(|(_, name)| typed(name)).unwrap_or(message).to_owned()
    }
}

/// A type of serde's in words for whoever wrote the value.
fn typed(name: &str) -> Option<&'static str> {
    Some(match name {
        "f32" | "f64" => "it is a number, such as 2 or 2.5",
        "a boolean" => "it is true or false",
        "a string" => "it is a text in quotes",
        _ if name.starts_with("struct ") => "it is an object",
        _ if matches!(name.split_at_checked(1), Some(("u" | "i", bits)) if bits.parse::<u8>().is_ok()) => {
            "it is a whole number"
        }
        _ => return None,
    })
}

/// What was probably meant by a name that is none of an option's, or whose kind has it.
fn meant(field: &str, value: &Value, message: &str) -> Option<String> {
    let typed = value.as_str()?.to_ascii_lowercase().replace(['-', ' '], "_");
    if let Some((_, names)) = message.split_once(", expected one of ")
        && let Some(meant) = closest(&typed, names.split('`').skip(1).step_by(2))
    {
        return Some(format!("did you mean `{meant}`?"));
    }
    let kind = match typed.trim_start_matches('.') {
        "mp4" | "mov" | "webm" => Kind::Video,
        "mp3" | "aac" | "m4a" | "ogg" | "opus" | "wav" | "flac" => Kind::Audio,
        "jpeg" | "jpg" | "png" | "webp" | "avif" => Kind::Image,
        "gif" => Kind::Animation,
        "hls" | "dash" => Kind::AdaptiveVideo,
        _ => return None,
    };
    (field == "format").then(|| format!("the kind `{}` makes that", kind.name()))
}

/// The one of `known` that `typed` is probably a slip of.
#[must_use]
pub fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// A value as it is named in an error: whole when short, cut when long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
