//! One job here and now.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::typed::{Desk, real_clip};
use crate::fake::processes_in;
use crate::loopback::patiently;

const REAL_TOOLS: [(&str, &str); 2] = [("REELWAY_FFMPEG", ""), ("REELWAY_FFPROBE", "")];

#[test]
fn a_real_clip_becomes_a_smaller_one_and_a_pipe_gets_its_facts_as_json() {
    let desk = Desk::new();
    real_clip(desk.folder.path());
    let make = ["video", "-i", "clip.mp4", "-o", "small.mp4", "--width", "160", "--quality", "low"];
    let said = desk.run_with(&make, &REAL_TOOLS);
    said.assert_well();
    assert_eq!(said.err, "", "no bar in a pipe");
    let made = said.line();
    assert_eq!((&made["path"], &made["width"]), (&json!("small.mp4"), &json!(160)));
    assert_eq!((&made["height"], &made["format"]), (&json!(90), &json!("mp4")));
    let size = std::fs::metadata(desk.path("small.mp4")).expect("the output").len();
    assert_eq!(made["filesize"], json!(size));
    let facts = made.as_object().expect("an object");
    let is_empty = |value: &serde_json::Value| value.is_null() || value == "";
    assert!(!facts.values().any(is_empty), "what does not apply is absent, as in the API: {made}");

    let image = ["image", "-i", "clip.mp4", "-o", "thumb.jpg", "--start", "1", "--width", "80"];
    assert_eq!(desk.run_with(&image, &REAL_TOOLS).line()["format"], "jpeg");
    let sound = ["audio", "-i", "clip.mp4", "-o", "sound.mp3"];
    assert_eq!(desk.run_with(&sound, &REAL_TOOLS).line()["kind"], "audio");
    let facts = desk.run_with(&["probe", "-i", "small.mp4"], &REAL_TOOLS).line();
    let streams = facts["streams"].as_array().expect("streams");
    assert!(streams.iter().any(|stream| stream.to_string().contains("160")), "{facts}");
    assert_eq!(desk.files(), ["clip.mp4", "small.mp4", "sound.mp3", "thumb.jpg"]);
}

#[test]
fn an_output_that_is_there_is_kept_unless_it_is_to_be_written_over() {
    let desk = Desk::new();
    let clip = desk.input("clip.mp4", "ok");
    std::fs::write(desk.path("out.mp4"), "precious").expect("a file");
    let make = ["video", "-i", clip, "-o", "out.mp4"];
    desk.run(&make).assert_refused(1, &["out.mp4 is already there", "hint: ", "--force"]);
    assert_eq!(std::fs::read_to_string(desk.path("out.mp4")).expect("a file"), "precious");

    let said = desk.run(&[make.as_slice(), &["--force"]].concat());
    said.assert_well();
    assert_eq!(std::fs::read_to_string(desk.path("out.mp4")).expect("a file"), "made\n");
    assert_eq!(desk.files(), ["clip.mp4", "out.mp4"]);
}

#[test]
fn a_job_that_fails_keeps_what_was_there_and_leaves_nothing_half_made() {
    let desk = Desk::new();
    std::fs::write(desk.path("out.mp4"), "precious").expect("a file");
    for (order, words) in [
        ("refuse", ["ffmpeg failed", "Conversion failed"].as_slice()),
        ("corrupt", &["the file is damaged", "moov atom not found"]),
        ("crash", &["ended by signal 11"]),
        ("full", &["disk is full"]),
        ("nothing", &["nothing was written"]),
    ] {
        let clip = desk.input("clip.mp4", order);
        let said = desk.run(&["video", "-i", clip, "-o", "out.mp4", "--force"]);
        said.assert_refused(1, words);
    }
    assert_eq!(std::fs::read_to_string(desk.path("out.mp4")).expect("a file"), "precious");
    assert_eq!(desk.files(), ["clip.mp4", "out.mp4"]);
}

#[test]
fn an_input_that_cannot_be_one_is_told_apart() {
    let desk = Desk::new();
    std::fs::write(desk.path("empty.mp4"), "").expect("a file");
    std::fs::write(desk.path("page.html"), "<!doctype html><p>Sign in").expect("a file");
    std::fs::create_dir(desk.path("folder")).expect("a folder");
    let cases = [
        ("missing.mp4", 1, "cannot read missing.mp4"),
        ("folder", 2, "folder is not a file"),
        ("empty.mp4", 1, "the file has no bytes"),
        ("page.html", 1, "a web page"),
        ("ftp://a.example/b.mp4", 2, "only http, https and s3"),
        ("http://10.0.0.1/b.mp4", 1, "address"),
    ];
    for (input, code, words) in cases {
        desk.run(&["video", "-i", input, "-o", "out.mp4"]).assert_refused(code, &[words]);
        desk.run(&["probe", "-i", input]).assert_refused(code, &[words]);
    }
    assert_eq!(desk.files(), ["empty.mp4", "folder", "page.html"]);
}

#[test]
fn an_output_that_cannot_be_one_is_told_before_any_work() {
    let desk = Desk::new();
    let clip = desk.input("clip.mp4", "ok");
    std::fs::create_dir(desk.path("folder")).expect("a folder");
    let cases = [
        ("folder", 2, "folder is a folder"),
        ("-", 2, "the output cannot be a pipe"),
        ("nowhere/out.mp4", 1, "there is no folder nowhere"),
        ("out", 2, "no ending that says the format"),
        ("out.txt", 2, "no video is made as .txt"),
        ("out.mp3", 2, "`reelway audio`"),
    ];
    for (output, code, words) in cases {
        let said = desk.run(&["video", "-i", clip, "-o", output]);
        assert_eq!(said.code, Some(code), "{output}: {said:?}");
        assert!(said.err.contains(words), "{output}: {said:?}");
    }
    assert_eq!(desk.files(), ["clip.mp4", "folder"]);
}

#[test]
fn no_ffmpeg_is_told_with_what_to_install() {
    let desk = Desk::new();
    let clip = desk.input("clip.mp4", "ok");
    let make = ["video", "-i", clip, "-o", "out.mp4"];
    let said = desk.run_with(&make, &[("REELWAY_FFMPEG", "/nowhere/ffmpeg")]);
    said.assert_refused(1, &["/nowhere/ffmpeg", "apt-get install ffmpeg"]);
}

#[tokio::test]
async fn ctrl_c_ends_ffmpeg_and_leaves_no_half_output() {
    for order in ["busy", "stubborn"] {
        let desk = Desk::new();
        let clip = desk.input("clip.mp4", order);
        let running = desk.start(&["video", "-i", clip, "-o", "out.mp4"], &[]);
        patiently("ffmpeg writes", async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !desk.is_something_half_made() {
                ticks.tick().await;
            }
        })
        .await;
        running.signal(Signal::INT);
        assert_eq!(running.ended().await, Some(130), "{order}");
        assert_eq!(desk.files(), ["clip.mp4"], "{order}");
        // What was killed may take the kernel a moment.
        patiently("no process is left", async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !processes_in(desk.folder.path()).is_empty() {
                ticks.tick().await;
            }
        })
        .await;
    }
}

impl Desk {
    /// Whether the hidden folder beside the output has a file with bytes in it.
    fn is_something_half_made(&self) -> bool {
        let hidden = self.files().into_iter().find(|name| name.starts_with(".reelway-"));
        let made =
            hidden.and_then(|name| std::fs::metadata(self.path(&name).join("video.mp4")).ok());
        made.is_some_and(|made| made.len() > 0)
    }
}
