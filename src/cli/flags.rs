//! The options of a job as flags: one table for all kinds, one JSON object out.
//!
//! The object is what a request would carry, so [`crate::job::Options::decode`] judges both and
//! the command line's errors are the API's. Nothing is checked here.

use std::marker::PhantomData;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde_json::{Map, Number, Value};

use crate::task::Kind;

/// How the text of a flag becomes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// A string as it stands.
    Text,
    /// A number; text that is none is passed on, so that the error names it.
    Number,
    /// Yes or no: a flag without a value.
    Switch,
    /// Bits a second: a number, or one with `k` or `M` behind it.
    Bits,
    /// `5x4` as `{"columns": 5, "rows": 4}`.
    Grid,
    /// Pixels as a number, a share such as `50%` as text.
    Length,
    /// What it says; text that is no JSON is passed on, so that the error names it.
    Json,
}

/// An option as a flag.
struct Flag {
    /// The option's name on the wire and, after `--`, here.
    name: &'static str,
    /// What stands for the value in the help text.
    value: &'static str,
    wire: Wire,
    /// The kinds that have the option, each with its help text.
    kinds: &'static [(Kind, &'static str)],
    /// The help text where the kind is not known yet.
    any: &'static str,
}

const WIDTH: &str = "Width in pixels, or a share of the input's such as 50%";
const HEIGHT: &str = "Height in pixels, or a share of the input's such as 50%";
const FIT: &str = "How the picture meets width x height: contain (default), cover or fill";
const POSITION: &str = "What `cover` keeps: center (default), top, bottom, left, right, top_left, \
                        top_right, bottom_left or bottom_right";
const BACKGROUND: &str = "Colour that pads a `contain` to exactly width x height, such as #1e90ff";
const QUALITY: &str = "very_low, low, medium (default), high or very_high";
const START: &str = "Where to begin, in seconds";
const END: &str = "Where to end, in seconds";

/// Every option of every kind (wire.md section 3), in the order of the help text.
const FLAGS: &[Flag] = &[
    Flag {
        name: "format",
        value: "NAME",
        wire: Wire::Text,
        kinds: &[
            (Kind::Video, "mp4, webm or mov; default: what OUT is called"),
            (Kind::Audio, "mp3, aac, ogg, opus, wav or flac; default: what OUT is called"),
            (Kind::Image, "jpeg, png, webp or avif; default: what OUT is called"),
            (Kind::Animation, "gif or webp; default: what OUT is called"),
            (Kind::AdaptiveVideo, "Which of the playlists comes first: hls (default) or dash"),
        ],
        any: "The format, such as mp4, webm, mp3, jpeg, webp or gif",
    },
    Flag {
        name: "codec",
        value: "NAME",
        wire: Wire::Text,
        kinds: &[
            (Kind::Video, "h264, h265, vp9 or av1; default: the format's usual one"),
            (Kind::AdaptiveVideo, "h264 (default) or h265"),
        ],
        any: "h264, h265, vp9 or av1 (video, adaptive_video)",
    },
    Flag {
        name: "segment_type",
        value: "NAME",
        wire: Wire::Text,
        kinds: &[(Kind::AdaptiveVideo, "fmp4 (default) or ts, for old players of HLS")],
        any: "fmp4 or ts (adaptive_video)",
    },
    Flag {
        name: "encryption",
        value: "JSON",
        wire: Wire::Json,
        kinds: &[(
            Kind::AdaptiveVideo,
            "Encrypt the segments: {\"method\": \"aes-128\", \"key_url\": \"https://…\"}",
        )],
        any: "Encrypt the segments, as JSON (adaptive_video)",
    },
    Flag {
        name: "quality",
        value: "LEVEL",
        wire: Wire::Text,
        kinds: &[
            (Kind::Video, QUALITY),
            (Kind::Audio, QUALITY),
            (Kind::Image, QUALITY),
            (Kind::Animation, QUALITY),
            (Kind::AdaptiveVideo, QUALITY),
        ],
        any: QUALITY,
    },
    Flag {
        name: "width",
        value: "PX|%",
        wire: Wire::Length,
        kinds: &[
            (Kind::Video, WIDTH),
            (Kind::Image, WIDTH),
            (Kind::Animation, WIDTH),
            (Kind::AdaptiveVideo, WIDTH),
        ],
        any: WIDTH,
    },
    Flag {
        name: "height",
        value: "PX|%",
        wire: Wire::Length,
        kinds: &[
            (Kind::Video, HEIGHT),
            (Kind::Image, HEIGHT),
            (Kind::Animation, HEIGHT),
            (Kind::AdaptiveVideo, HEIGHT),
        ],
        any: HEIGHT,
    },
    Flag {
        name: "fit",
        value: "HOW",
        wire: Wire::Text,
        kinds: &[
            (Kind::Video, FIT),
            (Kind::Image, FIT),
            (Kind::Animation, FIT),
            (Kind::AdaptiveVideo, FIT),
        ],
        any: FIT,
    },
    Flag {
        name: "position",
        value: "WHERE",
        wire: Wire::Text,
        kinds: &[(Kind::Video, POSITION), (Kind::Image, POSITION), (Kind::Animation, POSITION)],
        any: POSITION,
    },
    Flag {
        name: "background",
        value: "#RRGGBB",
        wire: Wire::Text,
        kinds: &[
            (Kind::Video, BACKGROUND),
            (Kind::Image, BACKGROUND),
            (Kind::Animation, BACKGROUND),
        ],
        any: BACKGROUND,
    },
    Flag {
        name: "fps",
        value: "N",
        wire: Wire::Number,
        kinds: &[
            (Kind::Video, "Pictures a second, 1 to 60; default: the input's"),
            (Kind::Animation, "Pictures a second, 1 to 60; default: 10"),
        ],
        any: "Pictures a second, 1 to 60 (video, animation)",
    },
    Flag {
        name: "bitrate",
        value: "BITS",
        wire: Wire::Bits,
        kinds: &[
            (Kind::Video, "Bits a second in place of a quality: 300k to 60M"),
            (Kind::Audio, "Bits a second in place of a quality: 32k to 320k"),
        ],
        any: "Bits a second in place of a quality, such as 128k or 2M (video, audio)",
    },
    Flag {
        name: "start",
        value: "SECS",
        wire: Wire::Number,
        kinds: &[
            (Kind::Video, START),
            (Kind::Audio, START),
            (Kind::Image, "Which moment of a video, in seconds; default: 0"),
            (Kind::Animation, START),
            (Kind::AdaptiveVideo, START),
        ],
        any: START,
    },
    Flag {
        name: "end",
        value: "SECS",
        wire: Wire::Number,
        kinds: &[
            (Kind::Video, END),
            (Kind::Audio, END),
            (Kind::Animation, "Where to end, in seconds: at most 60 after the start (required)"),
            (Kind::AdaptiveVideo, END),
        ],
        any: "Where to end, in seconds (all but image)",
    },
    Flag {
        name: "mute",
        value: "",
        wire: Wire::Switch,
        kinds: &[(Kind::Video, "Leave the sound out")],
        any: "Leave the sound out (video)",
    },
    Flag {
        name: "copy",
        value: "WHEN",
        wire: Wire::Text,
        kinds: &[(Kind::Video, "Copy what is already as asked: auto (default), never")],
        any: "Copy what is already as asked: auto, never (video)",
    },
    Flag {
        name: "subtitle_url",
        value: "URL",
        wire: Wire::Text,
        kinds: &[(Kind::Video, "Subtitles to be fetched: SubRip or WebVTT")],
        any: "Subtitles to be fetched: SubRip or WebVTT (video)",
    },
    Flag {
        name: "subtitle_style",
        value: "HOW",
        wire: Wire::Text,
        kinds: &[(Kind::Video, "What becomes of subtitles: burn_in (default)")],
        any: "What becomes of subtitles: burn_in (video)",
    },
    Flag {
        name: "normalize",
        value: "HOW",
        wire: Wire::Text,
        kinds: &[(Kind::Audio, "Bring the loudness to a target: lufs (EBU R 128)")],
        any: "Bring the loudness to a target: lufs (audio)",
    },
    Flag {
        name: "target_lufs",
        value: "LUFS",
        wire: Wire::Number,
        kinds: &[(Kind::Audio, "The loudness for --normalize, -70 to -5; default: -16")],
        any: "The loudness for --normalize, -70 to -5 (audio)",
    },
    Flag {
        name: "waveform",
        value: "FORMAT",
        wire: Wire::Text,
        kinds: &[(Kind::Audio, "Make the shape of the sound too: json, as peaks.js reads it")],
        any: "Make the shape of the sound too: json (audio)",
    },
    Flag {
        name: "waveform_points",
        value: "N",
        wire: Wire::Number,
        kinds: &[(Kind::Audio, "Points of the waveform, 10 to 10000; default: 1000")],
        any: "Points of the waveform, 10 to 10000 (audio)",
    },
    Flag {
        name: "interval",
        value: "SECS",
        wire: Wire::Number,
        kinds: &[(Kind::Image, "A picture every so many seconds, 0.1 to 3600")],
        any: "A picture every so many seconds, 0.1 to 3600 (image)",
    },
    Flag {
        name: "sprite",
        value: "CxR",
        wire: Wire::Grid,
        kinds: &[(
            Kind::Image,
            "Sheets of so many columns and rows of pictures, and a .vtt as OUT",
        )],
        any: "Sheets of so many columns and rows of pictures, such as 5x4 (image)",
    },
];

impl Flag {
    fn help(&self, kind: Option<Kind>) -> Option<&'static str> {
        let Some(kind) = kind else { return Some(self.any) };
        self.kinds.iter().find(|(of, _)| *of == kind).map(|(_, help)| *help)
    }

    /// `target_lufs` is typed `--target-lufs`, as is usual; the option's own name is taken too.
    fn arg(&self, help: &'static str) -> Arg {
        let arg = Arg::new(self.name)
            .long(self.name.replace('_', "-"))
            .alias(self.name)
            .help(help)
            .help_heading("Options of the job");
        match self.wire {
            // Only behind `=`, so that what follows is never taken for its value.
            Wire::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
            // A value such as -1 is the decoder's to refuse, with words.
            _ => arg.value_name(self.value).allow_hyphen_values(true),
        }
    }
}

impl Wire {
    fn value(self, text: &str) -> Value {
        let number = match self {
            Self::Json => return serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            Self::Switch => {
                return text.parse().map_or_else(|_| Value::String(text.to_owned()), Value::Bool);
            }
            Self::Grid => return grid(text).unwrap_or_else(|| Value::String(text.to_owned())),
            Self::Text => None,
            Self::Number => number(text),
            Self::Bits => bits(text).or_else(|| number(text)),
            Self::Length if text.bytes().all(|byte| byte.is_ascii_digit()) => number(text),
            Self::Length => None,
        };
        number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
    }
}

fn grid(text: &str) -> Option<Value> {
    let (columns, rows) = text.split_once('x')?;
    Some(serde_json::json!({ "columns": number(columns)?, "rows": number(rows)? }))
}

/// A number as JSON has it: whole where it is written whole.
fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    text.parse().ok().and_then(Number::from_f64)
}

/// `2M`, `1.5M` and `128k` as whole numbers.
fn bits(text: &str) -> Option<Number> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => (text.strip_suffix('M')?, 1e6),
    };
    let bits = digits.parse::<f64>().ok()? * unit;
    (0.0..1e15).contains(&bits).then(|| Number::from(bits.round() as u64))
}

/// Whose options a command takes.
pub trait OfKind: Clone + Send + Sync + 'static {
    /// The kind; `None` where a flag names it.
    const KIND: Option<Kind>;
}

macro_rules! flags_of {
    ($($(#[$doc:meta])+ $name:ident = $kind:expr;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl OfKind for $name {
            const KIND: Option<Kind> = $kind;
        }
    )+};
}

flags_of! {
    /// The options of a video.
    OfVideo = Some(Kind::Video);
    /// The options of an audio file.
    OfAudio = Some(Kind::Audio);
    /// The options of a still image.
    OfImage = Some(Kind::Image);
    /// The options of an animation.
    OfAnimation = Some(Kind::Animation);
    /// The options of a package for adaptive playback.
    OfAdaptive = Some(Kind::AdaptiveVideo);
    /// The options of all kinds.
    OfAny = None;
}

/// The options that were typed, as a request's `options`.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionFlags<K> {
    /// The options, in the order of the help text.
    pub options: Map<String, Value>,
    kind: PhantomData<K>,
}

impl<K: OfKind> OptionFlags<K> {
    /// The names of the flags, which are those of the options.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FLAGS.iter().filter(|flag| flag.help(K::KIND).is_some()).map(|flag| flag.name)
    }
}

impl<K: OfKind> FromArgMatches for OptionFlags<K> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Map::new();
        for flag in FLAGS.iter().filter(|flag| flag.help(K::KIND).is_some()) {
            if let Some(text) = matches.get_one::<String>(flag.name) {
                options.insert(flag.name.to_owned(), flag.wire.value(text));
            }
        }
        Ok(Self { options, kind: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let mut typed = Self::from_arg_matches(matches)?;
        self.options.append(&mut typed.options);
        Ok(())
    }
}

impl<K: OfKind> Args for OptionFlags<K> {
    fn augment_args(command: Command) -> Command {
        command.args(FLAGS.iter().filter_map(|flag| Some(flag.arg(flag.help(K::KIND)?))))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::job::Options;

    #[derive(Parser)]
    struct Typed<K: OfKind> {
        #[command(flatten)]
        options: OptionFlags<K>,
    }

    fn typed<K: OfKind>(line: &str) -> Value {
        let words = std::iter::once("reelway").chain(line.split_whitespace());
        let typed = Typed::<K>::try_parse_from(words).expect("flags");
        Value::Object(typed.options.options)
    }

    #[test]
    fn flags_become_what_a_request_would_carry() {
        let cases = [
            ("", json!({})),
            ("--width 640 --height 50%", json!({"width": 640, "height": "50%"})),
            ("--width wide", json!({"width": "wide"})),
            ("--fps 29.97 --start 0 --end 1.5", json!({"fps": 29.97, "start": 0, "end": 1.5})),
            ("--start -1", json!({"start": -1})),
            ("--start soon --end NaN", json!({"start": "soon", "end": "NaN"})),
            ("--bitrate 2M", json!({"bitrate": 2_000_000})),
            ("--bitrate 1.5M", json!({"bitrate": 1_500_000})),
            ("--bitrate 128k", json!({"bitrate": 128_000})),
            ("--bitrate 800000", json!({"bitrate": 800_000})),
            ("--bitrate -2k", json!({"bitrate": "-2k"})),
            ("--background #fff --fit cover", json!({"background": "#fff", "fit": "cover"})),
            ("--quality high --codec av1", json!({"quality": "high", "codec": "av1"})),
            ("--mute --width 640", json!({"width": 640, "mute": true})),
            ("--mute=false", json!({"mute": false})),
        ];
        for (line, options) in cases {
            assert_eq!(typed::<OfVideo>(line), options, "{line}");
            assert_eq!(typed::<OfAny>(line), options, "{line}");
        }
    }

    #[test]
    fn a_sheet_is_typed_as_columns_and_rows() {
        let grid = json!({"interval": 0.5, "sprite": {"columns": 5, "rows": 4}});
        assert_eq!(typed::<OfImage>("--sprite 5x4 --interval 0.5"), grid);
        assert_eq!(typed::<OfImage>("--sprite many"), json!({"sprite": "many"}));
    }

    #[test]
    fn a_flag_of_two_words_is_typed_with_either_mark_between_them() {
        let options = json!({"normalize": "lufs", "target_lufs": -23});
        for line in ["--normalize lufs --target-lufs -23", "--normalize lufs --target_lufs=-23"] {
            assert_eq!(typed::<OfAudio>(line), options, "{line}");
        }
    }

    /// The options that the decoder knows, from the error that lists them.
    fn known(kind: Kind) -> Vec<String> {
        let options = json!({"no such option": 1});
        let error = Options::decode(kind, options.as_object().expect("an object"))
            .expect_err("there is no such option");
        let (_, names) = error.message.split_once("there are ").expect("a list of names");
        let names = names.split(", ").filter(|name| *name != "none");
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    fn flags<K: OfKind>() -> Vec<String> {
        let mut names: Vec<String> = OptionFlags::<K>::names().map(str::to_owned).collect();
        names.sort();
        names
    }

    #[test]
    fn every_option_of_every_kind_has_a_flag_and_no_flag_is_without_its_option() {
        assert_eq!(flags::<OfVideo>(), known(Kind::Video));
        assert_eq!(flags::<OfAudio>(), known(Kind::Audio));
        assert_eq!(flags::<OfImage>(), known(Kind::Image));
        assert_eq!(flags::<OfAnimation>(), known(Kind::Animation));
        assert_eq!(flags::<OfAdaptive>(), known(Kind::AdaptiveVideo));
        let mut all: Vec<String> = Kind::OF_JOBS.into_iter().flat_map(known).collect();
        all.sort();
        all.dedup();
        assert_eq!(flags::<OfAny>(), all);
    }

    #[test]
    fn a_kind_does_not_take_the_flags_of_another() {
        let typed = Typed::<OfAudio>::try_parse_from(["reelway", "--width", "640"]);
        assert!(typed.is_err());
    }
}
