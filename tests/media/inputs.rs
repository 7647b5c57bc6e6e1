//! Inputs that ffmpeg does not open by itself, and moving pictures that are no video.

use std::path::PathBuf;

use reelway::task::Kind::{Animation, Audio, Image, Video};
use serde_json::json;

use crate::harness::{Bench, Clip, Picture, Seen, clip, colors, heic, media};
use crate::video::moments;

/// Four colours, half a second each.
async fn moving(bench: &Bench, format: &str) -> PathBuf {
    let options = json!({ "format": format, "end": 2, "width": 160, "quality": "very_high" });
    bench.make(Animation, options, &moments()).await.path
}

#[tokio::test]
async fn a_photograph_of_a_phone_comes_out_upright_once_and_in_the_colours_of_a_screen() {
    let Some(clips) = media() else { return };
    let photograph = clips.into_iter().find(|it| it.ends_with("fixture-heic.heic"));
    let photograph = photograph.expect("the photograph");
    let bench = Bench::open().await;
    let output = bench.make(Image, json!({}), &photograph).await;
    assert_eq!((output.file.format.as_str(), output.size()), ("jpeg", (3024, 4032)));
    assert_eq!(output.seen().tags(), Vec::<String>::new());
    let small = bench.make(Image, json!({ "width": 300, "format": "webp" }), &photograph).await;
    assert_eq!(small.size(), (300, 400));
    for kind in [Video, Audio, Animation] {
        let options = if kind == Animation { json!({ "end": 1 }) } else { json!({}) };
        let failure = bench.refuse(kind, options, &photograph).await;
        let wanted = if kind == Audio { "input_no_audio" } else { "input_no_video" };
        assert_eq!(failure.kind.name(), wanted, "{failure:?}");
    }
}

#[tokio::test]
async fn a_heic_keeps_its_colours_and_what_can_be_seen_through() {
    let bench = Bench::open().await;
    let plain = clip(&Clip {
        name: "plain.png",
        sources: &[&colors(320, 180, 1)],
        coded: "-frames:v 1 -pix_fmt rgb24",
    });
    let Some(photograph) = heic("plain.heic", &plain) else { return };
    for format in ["jpeg", "png", "webp", "avif"] {
        let options = json!({ "format": format, "quality": "very_high" });
        let output = bench.make(Image, options, &photograph).await;
        assert_eq!(output.size(), (320, 180), "{format}");
        let corners = Picture::of(&output.path, 0).corners();
        assert_eq!(corners, ["red", "lime", "blue", "white"], "{format}");
    }
    let clear = format!("{},format=rgba,colorchannelmixer=aa=0", colors(320, 180, 1));
    let clear =
        clip(&Clip { name: "clear.png", sources: &[&clear], coded: "-frames:v 1 -pix_fmt rgba" });
    let Some(clear) = heic("clear.heic", &clear) else { return };
    let output = bench.make(Image, json!({}), &clear).await;
    assert_eq!(output.file.format, "webp", "JPEG cannot be seen through");
    assert!(Picture::of(&output.path, 0).alpha(0.5, 0.5) < 10);
    let output = bench.make(Image, json!({ "background": "#ff8000" }), &clear).await;
    assert_eq!(Picture::of(&output.path, 0).name(0.5, 0.5), "orange");
}

#[tokio::test]
async fn without_heif_convert_the_package_is_named() {
    let Some(clips) = media() else { return };
    let photograph = clips.into_iter().find(|it| it.ends_with("fixture-heic.heic"));
    let bench = Bench::without_heif_convert().await;
    let failure = bench.refuse(Image, json!({}), &photograph.expect("the photograph")).await;
    assert_eq!(failure.kind.name(), "input_unsupported");
    assert!(failure.message.contains("heif-convert"), "{failure:?}");
    assert!(failure.hint.is_some_and(|hint| hint.contains("libheif-examples")));
}

#[tokio::test]
async fn a_broken_heic_is_the_files_own_fault() {
    let Some(clips) = media() else { return };
    let photograph = clips.into_iter().find(|it| it.ends_with("fixture-heic.heic"));
    let mut bytes = std::fs::read(photograph.expect("the photograph")).expect("bytes");
    bytes.truncate(bytes.len() / 3);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.heic");
    std::fs::write(&path, bytes).expect("written");
    let failure = Bench::open().await.refuse(Image, json!({}), &path).await;
    assert_eq!(failure.kind.name(), "input_corrupt", "{failure:?}");
}

#[tokio::test]
async fn moving_webp_and_gif_are_films_for_every_kind() {
    let bench = Bench::open().await;
    for format in ["gif", "webp"] {
        let film = moving(&bench, format).await;
        let output = bench.make(Video, json!({}), &film).await;
        let seen = output.seen();
        assert!((seen.secs() - 2.0).abs() < 0.15, "{format}: {} s", seen.secs());
        // A WebP has one picture for each colour: it is asked at even moments.
        let output = bench.make(Video, json!({ "fps": 10 }), &film).await;
        let of = |number| Picture::of(&output.path, number).name(0.5, 0.5);
        assert_eq!([of(1), of(7), of(12), of(18)], ["red", "lime", "blue", "white"], "{format}");
        let options = json!({ "start": 0.5, "format": "png" });
        let image = bench.make(Image, options, &film).await;
        assert_eq!(Picture::of(&image.path, 0).name(0.5, 0.5), "lime", "{format}");
        let image = bench.make(Image, json!({ "start": 60, "format": "png" }), &film).await;
        assert_eq!(Picture::of(&image.path, 0).name(0.5, 0.5), "white", "{format}");
        let again = bench.make(Animation, json!({ "start": 0.5, "end": 1.5 }), &film).await;
        let secs = Seen::of(&again.path).secs();
        assert!((secs - 1.0).abs() < 0.15, "{format}: {secs} s");
        let failure = bench.refuse(Audio, json!({}), &film).await;
        assert_eq!(failure.kind.name(), "input_no_audio", "{format}");
    }
}

#[tokio::test]
async fn a_moving_webp_that_is_cut_off_is_corrupt() {
    let bench = Bench::open().await;
    let film = moving(&bench, "webp").await;
    let mut bytes = std::fs::read(&film).expect("bytes");
    // Its chunks are as long as they say, and one holds no picture.
    let at = bytes.windows(4).position(|name| name == b"VP8 ").expect("a picture");
    bytes[at + 8..at + 20].fill(0xff);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken.webp");
    std::fs::write(&path, bytes).expect("written");
    let failure = bench.refuse(Video, json!({}), &path).await;
    assert_eq!(failure.kind.name(), "input_corrupt", "{failure:?}");
}
