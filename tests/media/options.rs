//! Every option of every kind, tried: what is made of one small clip, and the page that says so.
//!
//! `docs/options.md` is made here: `REELWAY_UPDATE_DOCS=1` writes it, and a page that is not what
//! this version makes fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reelway::job::Options;
use reelway::task::Kind;
use reelway::task::Kind::{AdaptiveVideo, Animation, Audio, Image, Video};
use serde_json::{Value, json};

use crate::harness::{Bench, Clip, H264, Output, clip, colors, tones};

/// The kinds whose options are tried here.
const KINDS: [Kind; 5] = [Video, Audio, Image, Animation, AdaptiveVideo];

/// An option: its name, its kinds, what it may be, what it is when nothing is said, what it does.
type Row = (&'static str, &'static [Kind], &'static str, &'static str, &'static str);

const PICTURES: &[Kind] = &[Video, Image, Animation];

const SIZED: &[Kind] = &[Video, Image, Animation, AdaptiveVideo];

const OPTIONS: &[Row] = &[
    ("format", &[Video], "`mp4` `webm` `mov`", "`mp4`", "The container."),
    (
        "format",
        &[Audio],
        "`mp3` `aac` (`m4a`) `ogg` `opus` `wav` `flac`",
        "`mp3`",
        "The codec in its usual container.",
    ),
    (
        "format",
        &[Image],
        "`jpeg` (`jpg`) `png` `webp` `avif`",
        "the input's; `webp` of a film, `jpeg` of a HEIC",
        "The format. Not `avif` with `interval` or `sprite`.",
    ),
    ("format", &[Animation], "`gif` `webp`", "`gif`", "The format. Both repeat for ever."),
    (
        "format",
        &[AdaptiveVideo],
        "`hls` `dash`",
        "`hls`",
        "Which playlist is the output; with fmp4 both are made, of the same segments. \
         [Adaptive playback](adaptive.md) says what is in a package.",
    ),
    (
        "segment_type",
        &[AdaptiveVideo],
        "`fmp4` `ts`",
        "`fmp4`",
        "What segments are wrapped in; `ts` is for HLS players from before 2016.",
    ),
    (
        "codec",
        &[Video],
        "`h264` `h265` `vp9` `av1`",
        "`h264`; `vp9` in webm",
        "mp4 takes h264, h265 and av1, mov h264 and h265, webm vp9 and av1. One that is named \
         keeps 10 bits and HDR where it can (not h264).",
    ),
    ("codec", &[AdaptiveVideo], "`h264` `h265`", "`h264`", "h265 in fmp4 only."),
    (
        "quality",
        &KINDS,
        "`very_low` `low` `medium` `high` `very_high`",
        "`medium`",
        "How good it looks or sounds, alike for all codecs: [measured](quality.md).",
    ),
    (
        "width",
        SIZED,
        "1 to 8192 pixels, or a share such as `\"50%\"`",
        "the input's",
        "Nothing is enlarged but by `fill` with both sides. One side keeps the aspect. On a \
         `sprite` the width of each picture, 160 when neither side is given; of a package that of \
         the largest rendition.",
    ),
    ("height", SIZED, "as `width`", "the input's", "As `width`."),
    (
        "fit",
        SIZED,
        "`contain` `cover` `fill`",
        "`contain`",
        "How the picture meets `width` × `height`: all of it within, the box covered and the rest \
         cut off, or stretched.",
    ),
    (
        "position",
        PICTURES,
        "`center` `top` `bottom` `left` `right` `top_left` `top_right` `bottom_left` `bottom_right`",
        "`center`",
        "What `cover` keeps.",
    ),
    (
        "background",
        PICTURES,
        "a colour such as `\"#1e90ff\"`",
        "none",
        "Pads a `contain` to exactly `width` × `height`; lies under what can be seen through.",
    ),
    (
        "fps",
        &[Video, Animation],
        "1 to 60",
        "the input's; 10 for an animation",
        "Pictures a second.",
    ),
    (
        "bitrate",
        &[Video],
        "300000 to 60000000",
        "none",
        "Bits a second of the picture, in place of `quality`.",
    ),
    (
        "bitrate",
        &[Audio],
        "32000 to 320000",
        "none",
        "Bits a second, in place of `quality`; not for wav and flac.",
    ),
    (
        "start",
        &KINDS,
        "seconds",
        "0",
        "Where to begin. Of an image the moment, or the first one; past the end it is the last \
         picture.",
    ),
    (
        "end",
        &[Video, Audio, Animation, AdaptiveVideo],
        "seconds",
        "the input's end; needed for an animation",
        "Where to end. An animation is at most 60 s long.",
    ),
    ("mute", &[Video], "`true` `false`", "`false`", "Leaves the sound out."),
    (
        "copy",
        &[Video],
        "`auto` `never`",
        "`auto`",
        "Whether pictures and sound that are already as asked are copied, each for itself, in \
         place of being coded again: quicker by far, and without loss. What was done, and why, \
         stands in the job's `tasks`. [Performance](performance.md) says when it fits.",
    ),
    (
        "subtitle_url",
        &[Video],
        "an http or https URL",
        "none",
        "A SubRip or WebVTT file of at most 1 MiB in UTF-8, fetched as the input is. Italic, \
         bold, underlined and \"at the top\" are kept; fonts, colours and other overrides are not. \
         SubStation Alpha is refused. The server needs a font for every letter (`font_missing`).",
    ),
    (
        "subtitle_style",
        &[Video],
        "`burn_in`",
        "`burn_in`",
        "What becomes of the subtitles: they are part of the picture.",
    ),
    (
        "normalize",
        &[Audio],
        "`lufs`",
        "none",
        "Brings the loudness (EBU R 128) to `target_lufs`: one gain for all of it, and a limiter \
         only where peaks would go over -1 dBTP. Surround is not limited and stays softer there. \
         What came of it is `loudness` in the output: `integrated_lufs`, `true_peak_dbtp`, \
         `range_lu`; silence stays silent and has only a range.",
    ),
    ("target_lufs", &[Audio], "-70 to -5", "-16", "The loudness for `normalize`."),
    (
        "waveform",
        &[Audio],
        "`json`",
        "none",
        "Makes `waveform.json` beside the sound, in `outputs`: the lowest and the highest sample \
         of each stretch, as [audiowaveform](https://github.com/bbc/audiowaveform) writes it and \
         peaks.js draws it (version 2, 8 bits, one channel).",
    ),
    ("waveform_points", &[Audio], "10 to 10000", "1000", "The most points of the waveform."),
    (
        "interval",
        &[Image],
        "0.1 to 3600 seconds",
        "none",
        "What is shown every so many seconds from `start` on, each a file in `outputs`: \
         `frames/0001.webp` and so on, at most 1000. With `sprite` the distance of its pictures, \
         at most 10000.",
    ),
    (
        "sprite",
        &[Image],
        "`{\"columns\": 1 to 50, \"rows\": 1 to 50}`",
        "none",
        "Sheets of pictures for a player's time line. `output` is `thumbnails.vtt`, which names \
         for each moment the part of a sheet (`sprites/001.webp#xywh=160,0,160,90`), as Video.js, \
         JW Player and Vidstack take it; the sheets follow in `outputs`. Without `interval` one \
         sheet for the whole film.",
    ),
    (
        "encryption",
        &[AdaptiveVideo],
        "`{\"method\": \"aes-128\", \"key_url\": \"https://…\"}`",
        "none",
        "Encrypts the segments of HLS. The key, 16 bytes, is fetched once as the input is, and by \
         every player.",
    ),
];

/// What is tried, of a clip of 160 × 90 pixels, 2 s, 25 pictures a second, with stereo sound.
fn tried() -> Vec<(Kind, Value)> {
    let video = [
        json!({}),
        json!({ "format": "mp4", "codec": "h265" }),
        json!({ "format": "mp4", "codec": "av1" }),
        json!({ "format": "mov" }),
        json!({ "format": "mov", "codec": "h265" }),
        json!({ "format": "webm" }),
        json!({ "format": "webm", "codec": "av1" }),
        json!({ "quality": "very_high" }),
        json!({ "width": 80 }),
        json!({ "height": "50%" }),
        json!({ "width": 320 }),
        json!({ "width": 60, "height": 60, "fit": "cover", "position": "left" }),
        json!({ "width": 200, "height": 200, "fit": "fill" }),
        json!({ "width": 60, "height": 60, "background": "#1e90ff" }),
        json!({ "fps": 10 }),
        json!({ "bitrate": 300_000 }),
        json!({ "start": 0.5, "end": 1.5 }),
        json!({ "mute": true }),
        json!({ "copy": "never" }),
        json!({ "subtitle_url": "https://example.com/a.srt", "subtitle_style": "burn_in" }),
    ];
    let audio = [
        json!({}),
        json!({ "format": "aac" }),
        json!({ "format": "ogg" }),
        json!({ "format": "opus" }),
        json!({ "format": "wav" }),
        json!({ "format": "flac" }),
        json!({ "quality": "low" }),
        json!({ "bitrate": 64_000 }),
        json!({ "start": 0.5, "end": 1.5 }),
        json!({ "normalize": "lufs" }),
        json!({ "normalize": "lufs", "target_lufs": -23, "format": "flac" }),
        json!({ "waveform": "json", "waveform_points": 100 }),
    ];
    let image = [
        json!({}),
        json!({ "format": "jpeg" }),
        json!({ "format": "png" }),
        json!({ "format": "avif" }),
        json!({ "quality": "low" }),
        json!({ "width": 80 }),
        json!({ "height": 45 }),
        json!({ "width": 60, "height": 60, "fit": "cover", "position": "top" }),
        json!({ "width": 60, "height": 60, "background": "#fff" }),
        json!({ "start": 1.5 }),
        json!({ "interval": 0.5 }),
        json!({ "sprite": { "columns": 4, "rows": 4 } }),
        json!({ "sprite": { "columns": 2, "rows": 1 }, "interval": 0.5, "format": "jpeg" }),
    ];
    let animation = [
        json!({ "end": 1 }),
        json!({ "end": 1, "format": "webp" }),
        json!({ "start": 0.5, "end": 1.5, "quality": "low" }),
        json!({ "end": 1, "width": 80 }),
        json!({ "end": 1, "height": 45 }),
        json!({ "end": 1, "width": 60, "height": 60, "fit": "cover", "position": "right" }),
        json!({ "end": 1, "width": 60, "height": 60, "background": "#000" }),
        json!({ "end": 1, "fps": 25 }),
    ];
    let adaptive = [
        json!({}),
        json!({ "format": "dash" }),
        json!({ "segment_type": "ts" }),
        json!({ "codec": "h265" }),
        json!({ "quality": "low" }),
        json!({ "width": 80 }),
        json!({ "height": 45 }),
        json!({ "width": 60, "height": 60, "fit": "cover" }),
        json!({ "start": 0.5, "end": 1.5 }),
        json!({ "encryption": { "method": "aes-128", "key_url": "https://example.com/key" } }),
    ];
    let of = |kind: Kind, asked: &[Value]| -> Vec<(Kind, Value)> {
        asked.iter().map(|options| (kind, options.clone())).collect()
    };
    [
        of(Video, &video),
        of(Audio, &audio),
        of(Image, &image),
        of(Animation, &animation),
        of(AdaptiveVideo, &adaptive),
    ]
    .concat()
}

/// The options that the decoder knows, from the error that lists them.
fn known(kind: Kind) -> BTreeSet<String> {
    let options = json!({ "no such option": 1 });
    let error = Options::decode(kind, options.as_object().expect("an object"))
        .expect_err("there is no such option");
    let (_, names) = error.message.split_once("there are ").expect("a list of names");
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_option_is_explained_and_tried() {
    for kind in KINDS {
        let rows = OPTIONS.iter().filter(|(_, kinds, ..)| kinds.contains(&kind));
        let explained: BTreeSet<String> = rows.map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(explained, known(kind), "{}", kind.name());
        let asked = tried().into_iter().filter(|(of, _)| *of == kind);
        let asked = asked.flat_map(|(_, options)| {
            options.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
        });
        assert_eq!(asked.collect::<BTreeSet<_>>(), known(kind), "{}", kind.name());
    }
}

fn small() -> PathBuf {
    let (picture, sound) = (colors(160, 90, 2), tones("stereo", 48_000, 2));
    clip(&Clip { name: "small.mp4", sources: &[&picture, &sound], coded: H264 })
}

async fn made(bench: &Bench, kind: Kind, options: &Value, input: &Path) -> Vec<Output> {
    if options["subtitle_url"].is_null() {
        return bench.make_all(kind, options, input).await;
    }
    let text = "1\n00:00:00,000 --> 00:00:02,000\nHello\n";
    let made = bench.make_with_subtitles(options.clone(), input, text).await;
    vec![made.expect("a video with subtitles")]
}

/// The facts of the files, each told once.
fn told(made: &[Output]) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for output in made {
        let line = output.told();
        match lines.last_mut() {
            Some((before, times)) if *before == line => *times += 1,
            _ => lines.push((line, 1)),
        }
    }
    let line = |(line, times)| if times == 1 { line } else { format!("{times} × {line}") };
    lines.into_iter().map(line).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn the_reference_page_of_options_is_what_was_tried() {
    let (bench, input) = (Bench::open().await, small());
    let mut facts = Vec::new();
    for (kind, options) in tried() {
        let told = told(&made(&bench, kind, &options, &input).await);
        let asked = options.to_string().replace("\":", "\": ").replace(",\"", ", \"");
        facts.push(format!("| {} | `{asked}` | {told} |", kind.name()));
    }
    let rows = OPTIONS.iter().map(|(name, kinds, values, usual, what)| {
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        format!("| `{name}` | {} | {values} | {usual} | {what} |", kinds.join(", "))
    });
    let page = format!(
        "# Options\n\n\
         Made from the tests; `REELWAY_UPDATE_DOCS=1 cargo nextest run reference_page` writes it. \
         On the command line an\noption is a flag of the same name: `--target-lufs -23`, `--mute`, \
         `--sprite 5x4`.\n\n\
         | option | kinds | values | default | what it does |\n|---|---|---|---|---|\n{}\n\n\
         ## What was made\n\n\
         Of a clip of 160 × 90 pixels, 2 s long, with 25 pictures a second and stereo sound, by \
         ffmpeg 5.1.\n\n\
         | kind | options | files |\n|---|---|---|\n{}\n",
        rows.collect::<Vec<_>>().join("\n"),
        facts.join("\n")
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    if std::env::var_os("REELWAY_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/options.md can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let advice = "REELWAY_UPDATE_DOCS=1 cargo nextest run reference_page";
    assert_eq!(kept, page, "docs/options.md is not of this version: {advice}");
}
