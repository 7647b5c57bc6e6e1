//! Every option of an animation, and what it promises.

use std::path::PathBuf;

use reelway::task::Kind::Animation;
use serde_json::json;

use crate::harness::{Bench, Clip, H264, Output, Picture, Webp, clip, colors};
use crate::video::moments;

fn moving() -> PathBuf {
    let picture = "testsrc2=s=320x180:r=25:d=2";
    clip(&Clip { name: "moving.mp4", sources: &[picture], coded: H264 })
}

/// The first picture, whichever format.
fn first(output: &Output) -> Picture {
    if output.file.format == "gif" {
        return Picture::of(&output.path, 0);
    }
    let path = output.path.with_extension("first.webp");
    std::fs::write(&path, Webp::of(&output.bytes()).first).expect("written");
    Picture::of(&path, 0)
}

#[tokio::test]
async fn both_formats_have_their_facts_and_repeat_for_ever() {
    let (bench, clip) = (Bench::open().await, moving());
    for (fps, frames) in [(None, 20), (Some(20), 40), (Some(5), 10)] {
        for format in ["gif", "webp"] {
            let mut options = json!({ "format": format, "end": 2, "width": 160 });
            if let Some(fps) = fps {
                options["fps"] = json!(fps);
            }
            let output = bench.make(Animation, options.clone(), &clip).await;
            assert_eq!(output.size(), (160, 90), "{options}");
            let secs = output.file.duration.expect("a length");
            let frame = 2.0 / f64::from(frames);
            assert!((secs - 2.0).abs() <= frame + 0.001, "{options}: {secs} s");
            let told = output.file.fps.expect("a rate");
            assert!((told * frame - 1.0).abs() < 0.06, "{options}: {told} fps");
            assert_eq!(output.file.content_type, format!("image/{format}"));
            let bytes = output.bytes();
            if format == "webp" {
                let webp = Webp::of(&bytes);
                assert_eq!((webp.canvas, webp.loops), ((160, 90), 0), "{options}");
                assert!(webp.millis.len().abs_diff(frames as usize) <= 1, "{:?}", webp.millis);
                assert!((webp.secs() - secs).abs() < 0.002, "{options}: {} s", webp.secs());
            } else {
                assert!(output.seen().frames().abs_diff(frames) <= 1, "{options}");
                let netscape = bytes.windows(16).position(|at| at == b"NETSCAPE2.0\x03\x01\0\0\0");
                assert!(netscape.is_some(), "{options} does not repeat");
            }
        }
    }
}

#[tokio::test]
async fn start_end_and_size_are_those_asked_for() {
    let (bench, clip) = (Bench::open().await, moments());
    for format in ["gif", "webp"] {
        for (start, end, secs, color) in
            [(0.8, 1.4, 0.6, "lime"), (1.3, 60.0, 0.7, "blue"), (0.0, 0.7, 0.7, "red")]
        {
            let cut = json!({ "format": format, "start": start, "end": end, "width": 64 });
            let output = bench.make(Animation, cut.clone(), &clip).await;
            let found = output.file.duration.expect("a length");
            assert!((found - secs).abs() < 0.101, "{cut}: {found} s");
            assert_eq!(first(&output).corners(), [color; 4], "{cut}");
        }

        let never = json!({ "format": format, "start": 2.5, "end": 3 });
        let failure = bench.refuse(Animation, never, &clip).await;
        assert_eq!(failure.kind.name(), "input_too_short");

        let boxed = json!({
            "format": format, "end": 0.4, "width": 200, "height": 200, "background": "#ff8000",
        });
        let output = bench.make(Animation, boxed, &clip).await;
        assert_eq!(output.size(), (200, 200));
        assert_eq!(first(&output).corners(), ["orange"; 4], "{format}");

        let wide = json!({
            "format": format, "end": 0.4, "width": 999, "height": 90, "fit": "cover",
        });
        let output = bench.make(Animation, wide, &clip).await;
        assert_eq!(output.size(), (320, 28), "{format}");
    }
}

#[tokio::test]
async fn colours_are_those_of_the_source_whatever_its_matrix() {
    let bench = Bench::open().await;
    let old =
        H264.replace("matrix=bt709", "matrix=bt601").replace("space bt709", "space smpte170m");
    for (name, coded) in [("a709.mp4", H264), ("a601.mp4", &old)] {
        let source = clip(&Clip { name, sources: &[&colors(320, 180, 1)], coded });
        for format in ["gif", "webp"] {
            let options = json!({ "format": format, "end": 0.5, "quality": "very_high" });
            let output = bench.make(Animation, options, &source).await;
            assert_eq!(
                first(&output).corners(),
                ["red", "lime", "blue", "white"],
                "{name} {format}"
            );
        }
    }
}

#[tokio::test]
async fn more_quality_costs_more() {
    let (bench, clip) = (Bench::open().await, moving());
    for (format, levels) in [
        ("gif", &["very_low", "low", "medium", "high"][..]),
        ("webp", &["very_low", "low", "medium", "high", "very_high"]),
    ] {
        let mut before = 0;
        for quality in levels {
            let options = json!({ "format": format, "end": 1, "quality": quality });
            let now = bench.make(Animation, options, &clip).await.file.filesize;
            assert!(now > before, "{format} {quality}: {now} after {before}");
            before = now;
        }
    }
}

#[tokio::test]
async fn what_is_transparent_in_a_gif_shows_no_hidden_colour() {
    let bench = Bench::open().await;
    let graph = "color=0x0000ff:s=160x90:r=10:d=1,format=rgba,colorchannelmixer=aa=0[ground];\
                 color=lime:s=80x45:r=10:d=1,format=rgba[box];[ground][box]overlay=40:22:format=rgb,\
                 split[a][b];[a]palettegen[p];[b][p]paletteuse";
    let source = clip(&Clip { name: "hole.gif", sources: &[graph], coded: "" });
    for format in ["gif", "webp"] {
        let options = json!({ "format": format, "end": 1, "quality": "very_high" });
        let output = bench.make(Animation, options, &source).await;
        let picture = first(&output);
        assert_eq!(picture.name(0.5, 0.5), "lime", "{format}");
        assert_eq!(picture.corners(), ["white"; 4], "{format}");
    }
    let video = bench.make(reelway::task::Kind::Video, json!({}), &source).await;
    assert_eq!(Picture::of(&video.path, 0).corners(), ["white"; 4]);
}

#[tokio::test]
async fn the_last_scene_of_a_gif_has_its_own_colours() {
    let (bench, clip) = (Bench::open().await, moments());
    let options = json!({ "end": 2, "quality": "very_high" });
    let output = bench.make(Animation, options, &clip).await;
    let of = |number| Picture::of(&output.path, number).name(0.5, 0.5);
    assert_eq!([of(1), of(7), of(12), of(18)], ["red", "lime", "blue", "white"]);
}
