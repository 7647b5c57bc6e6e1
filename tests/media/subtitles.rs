//! Subtitles that become part of the picture: where they are shown, when, and nothing else.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Bench, Clip, H264, Picture, clip, tones};

/// Four seconds of grey.
fn grey(name: &str, size: &str) -> PathBuf {
    let picture = format!("color=gray:s={size}:r=10:d=4,format=gbrp");
    let sound = tones("stereo", 48_000, 4);
    clip(&Clip { name, sources: &[&picture, &sound], coded: H264 })
}

const SRT: &str = "1\n00:00:01,000 --> 00:00:02,000\nHello there\n";

/// How many pixels of a picture are not grey, in its upper and in its lower half.
fn marks(path: &Path, number: u32) -> (usize, usize) {
    let picture = Picture::of(path, number);
    let (columns, rows) = (picture.width, picture.height);
    let is_mark = |column: usize, row: usize| {
        let share = |at: usize, of: usize| (at as f64 + 0.5) / of as f64;
        let [red, ..] = picture.at(share(column, columns), share(row, rows));
        red.abs_diff(128) > 40
    };
    let count = |rows: std::ops::Range<usize>| {
        rows.map(|row| (0..columns).filter(|&column| is_mark(column, row)).count()).sum()
    };
    (count(0..rows / 2), count(rows / 2..rows))
}

async fn burnt(bench: &Bench, options: Value, input: &Path, text: &str) -> PathBuf {
    let made = bench.make_with_subtitles(options, input, text).await;
    made.expect("a video with subtitles").path
}

#[tokio::test]
async fn the_text_is_in_the_picture_at_its_time_and_at_no_other() {
    let (bench, clip) = (Bench::open().await, grey("grey.mp4", "320x180"));
    for format in ["mp4", "webm"] {
        let options = json!({ "format": format });
        let path = burnt(&bench, options, &clip, SRT).await;
        assert_eq!(marks(&path, 5), (0, 0), "{format} before");
        let (above, below) = marks(&path, 15);
        assert!(above == 0 && below > 100, "{format} {above} {below}");
        assert_eq!(marks(&path, 25), (0, 0), "{format} after");
    }
}

#[tokio::test]
async fn a_part_of_the_film_has_the_texts_of_that_part() {
    let (bench, clip) = (Bench::open().await, grey("grey.mp4", "320x180"));
    let options = json!({ "start": 1.5, "end": 3.5 });
    let path = burnt(&bench, options, &clip, SRT).await;
    assert!(marks(&path, 2).1 > 100);
    assert_eq!(marks(&path, 8), (0, 0));
}

#[tokio::test]
async fn upright_small_and_padded_pictures_have_them_within() {
    let bench = Bench::open().await;
    let cases = [
        ("tall.mp4", "180x320", json!({})),
        ("grey.mp4", "320x180", json!({ "width": 160 })),
        ("grey.mp4", "320x180", json!({ "width": 200, "height": 200, "background": "#808080" })),
        ("grey.mp4", "320x180", json!({ "fps": 25, "codec": "h265" })),
    ];
    for (name, size, options) in cases {
        let path = burnt(&bench, options.clone(), &grey(name, size), SRT).await;
        let at = if options["fps"].is_null() { 15 } else { 37 };
        let (above, below) = marks(&path, at);
        assert!(above == 0 && below > 20, "{name} {options}: {above} {below}");
    }
}

#[tokio::test]
async fn a_cue_of_webvtt_can_be_at_the_top() {
    let (bench, clip) = (Bench::open().await, grey("grey.mp4", "320x180"));
    let text = "WEBVTT\n\n00:01.000 --> 00:02.000 line:0\nTop\n";
    let (above, below) = marks(&burnt(&bench, json!({}), &clip, text).await, 15);
    assert!(above > 30 && below == 0, "{above} {below}");
}

/// An override that moves, draws or reads would leave its mark elsewhere, or none below.
#[tokio::test]
async fn overrides_of_a_stranger_do_nothing() {
    let (bench, clip) = (Bench::open().await, grey("grey.mp4", "320x180"));
    let hostile = [
        r"{\pos(10,10)\fs90\fn/etc/passwd}word",
        r"{\p1}m 0 0 l 320 0 320 90 0 90{\p0}",
        r"\{\pos(10,10)}word",
        r"{{\pos(10,10)}word",
        r"word\N{\an5}word",
    ];
    for text in hostile {
        let text = format!("1\n00:00:01,000 --> 00:00:02,000\n{text}\n");
        let path = burnt(&bench, json!({}), &clip, &text).await;
        let (above, below) = marks(&path, 15);
        assert!(above == 0 && below > 50, "{text}: {above} {below}");
    }
}

#[tokio::test]
async fn a_letter_that_no_font_has_is_an_error() {
    let (bench, clip) = (Bench::open().await, grey("grey.mp4", "320x180"));
    // Linear A, for which Debian has no font.
    let text = "1\n00:00:01,000 --> 00:00:02,000\n\u{10600}\n";
    let failure = bench.make_with_subtitles(json!({}), &clip, text).await.err().expect("no font");
    assert_eq!(failure.kind.name(), "font_missing", "{failure:?}");
    assert!(failure.message.contains("U+10600"), "{}", failure.message);
}
