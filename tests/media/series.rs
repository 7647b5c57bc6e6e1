//! Many pictures of a film: files of their own, sheets of them, and the list that names the parts.

use reelway::task::Kind::Image;
use serde_json::json;

use crate::harness::{Bench, Clip, H264, Output, Picture, clip, colors};
use crate::video::moments;

fn names(made: &[Output]) -> Vec<String> {
    let name = |output: &Output| {
        let mut parts: Vec<_> = output.path.iter().rev().take(2).collect();
        parts.reverse();
        parts.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    made.iter().map(name).collect()
}

#[tokio::test]
async fn interval_gives_what_is_shown_every_so_many_seconds() {
    let (bench, clip) = (Bench::open().await, moments());
    let cases = [
        (json!({ "interval": 0.5 }), vec!["red", "lime", "blue", "white"]),
        (json!({ "interval": 0.5, "start": 0.7 }), vec!["lime", "blue", "white"]),
        (json!({ "interval": 1, "format": "png", "width": 160 }), vec!["red", "blue"]),
        (json!({ "interval": 0.7, "format": "jpeg" }), vec!["red", "lime", "blue"]),
        (json!({ "interval": 60 }), vec!["red"]),
    ];
    for (options, wanted) in cases {
        let made = bench.make_all(Image, &options, &clip).await;
        let found: Vec<_> = made.iter().map(|it| Picture::of(&it.path, 0).name(0.5, 0.5)).collect();
        assert_eq!(found, wanted, "{options}");
        let ending = match options["format"].as_str() {
            Some("jpeg") => "jpg",
            format => format.unwrap_or("webp"),
        };
        let numbered: Vec<_> =
            (1..=wanted.len()).map(|n| format!("frames/{n:04}.{ending}")).collect();
        assert_eq!(names(&made), numbered, "{options}");
        let width = options["width"].as_u64().unwrap_or(320);
        assert!(made.iter().all(|it| u64::from(it.size().0) == width), "{options}");
    }
}

#[tokio::test]
async fn more_pictures_than_are_made_are_refused_with_the_interval_that_fits() {
    let bench = Bench::open().await;
    let long = "color=red:s=16x16:r=1:d=200,format=gbrp";
    let long = clip(&Clip { name: "long.mp4", sources: &[long], coded: H264 });
    let failure = bench.refuse(Image, json!({ "interval": 0.1 }), &long).await;
    assert_eq!(failure.kind.name(), "input_over_limit");
    assert_eq!(
        failure.message,
        "a picture every 0.1 s of 200 s are 2000 pictures; at most 1000 are made"
    );
    assert_eq!(failure.hint.as_deref(), Some("the smallest `interval` that fits is 0.2 s"));
    let made = bench.make_all(Image, &json!({ "interval": 0.2, "width": 8 }), &long).await;
    assert_eq!(made.len(), 1000);
}

#[tokio::test]
async fn a_sheet_shows_the_whole_film_and_its_list_says_where() {
    let (bench, clip) = (Bench::open().await, moments());
    let made =
        bench.make_all(Image, &json!({ "sprite": { "columns": 2, "rows": 2 } }), &clip).await;
    let [list, sheet] = &made[..] else { panic!("{:?}", names(&made)) };
    assert_eq!(sheet.size(), (320, 180));
    assert_eq!(Picture::of(&sheet.path, 0).corners(), ["red", "lime", "blue", "white"]);
    assert_eq!((list.file.content_type.as_str(), list.file.width), ("text/vtt", None));
    let text = String::from_utf8(list.bytes()).expect("text");
    insta::assert_snapshot!(text, @r"
    WEBVTT

    00:00:00.000 --> 00:00:00.500
    sprites/001.webp#xywh=0,0,160,90

    00:00:00.500 --> 00:00:01.000
    sprites/001.webp#xywh=160,0,160,90

    00:00:01.000 --> 00:00:01.500
    sprites/001.webp#xywh=0,90,160,90

    00:00:01.500 --> 00:00:02.000
    sprites/001.webp#xywh=160,90,160,90
    ");
}

#[tokio::test]
async fn with_an_interval_there_are_as_many_sheets_as_it_takes() {
    let (bench, clip) = (Bench::open().await, moments());
    let options = json!({
        "sprite": { "columns": 3, "rows": 1 }, "interval": 0.5, "width": 80, "format": "jpeg"
    });
    let made = bench.make_all(Image, &options, &clip).await;
    assert_eq!(names(&made)[1..], ["sprites/001.jpg", "sprites/002.jpg"]);
    let first = Picture::of(&made[1].path, 0);
    assert_eq!((first.width, first.height), (240, 46));
    let at = |x: f64| first.name(x, 0.5);
    assert_eq!([at(0.1), at(0.5), at(0.9)], ["red", "lime", "blue"]);
    let second = Picture::of(&made[2].path, 0);
    assert_eq!([second.name(0.1, 0.5), second.name(0.5, 0.5)], ["white", "black"]);
    let text = String::from_utf8(made[0].bytes()).expect("text");
    let last = "00:00:01.500 --> 00:00:02.000\nsprites/002.jpg#xywh=0,0,80,46\n";
    assert!(text.ends_with(last), "{text}");
}

#[tokio::test]
async fn what_gives_no_series_is_told() {
    let bench = Bench::open().await;
    let still =
        clip(&Clip { name: "still.png", sources: &[&colors(320, 180, 1)], coded: "-frames:v 1" });
    let failure = bench.refuse(Image, json!({ "interval": 1 }), &still).await;
    assert_eq!(failure.kind.name(), "input_no_video", "{failure:?}");
    let options = json!({ "sprite": { "columns": 50, "rows": 50 }, "width": 320 });
    let failure = bench.refuse(Image, options, &moments()).await;
    assert_eq!(failure.kind.name(), "input_over_limit", "{failure:?}");
    assert!(failure.message.contains("8192"), "{}", failure.message);
    let failure = bench.refuse(Image, json!({ "interval": 1, "start": 9 }), &moments()).await;
    assert_eq!(failure.kind.name(), "input_too_short", "{failure:?}");
}
