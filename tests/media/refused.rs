//! What cannot be made: an error of a stable kind, in words, in time, and no half output.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reelway::task::Kind;
use reelway::task::Kind::{Animation, Audio, Image, Video};
use reelway::worker::EngineSettings;
use serde_json::{Value, json};

use crate::harness::{Bench, Clip, H264, clip, colors, kept, media, security, tones};
use crate::video::moments;

/// How long an input may take before it is refused or done: 10 s, and as much again for what
/// else this machine may be busy with.
const PATIENCE: Duration = Duration::from_secs(20);

const KINDS: [Kind; 4] = [Video, Audio, Image, Animation];

fn usual(kind: Kind) -> Value {
    if kind == Animation { json!({ "end": 2 }) } else { json!({}) }
}

/// What becomes of a file in each kind, a line each; those that agree share one.
async fn fates(bench: &Bench, input: &Path) -> String {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for kind in KINDS {
        let begun = Instant::now();
        let line = match bench.try_make(kind, usual(kind), input).await {
            Ok(output) => format!("made {}", output.told()),
            Err(failure) => {
                let hint = failure.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{}: {}{hint}", failure.kind.name(), failure.message)
            }
        };
        let name = input.display();
        assert!(begun.elapsed() < PATIENCE, "{name} {}: {:?}", kind.name(), begun.elapsed());
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, kinds)) => kinds.push(kind.name()),
            None => lines.push((line, vec![kind.name()])),
        }
    }
    let name = input.file_name().expect("a name").to_string_lossy().into_owned();
    let lines = lines.into_iter().map(|(line, kinds)| format!("\n  {}: {line}", kinds.join(", ")));
    name + &lines.collect::<String>()
}

#[tokio::test]
async fn hostile_inputs_are_refused_in_clear_words() {
    let Some(files) = security("inputs") else { return };
    let bench = Bench::open().await;
    let mut rows = Vec::new();
    for file in files {
        rows.push(fates(&bench, &file).await);
    }
    insta::assert_snapshot!(rows.join("\n"));
}

#[tokio::test]
async fn bombs_are_defused_in_time() {
    let Some(files) = security("bombs") else { return };
    let bench = Bench::open().await;
    let mut rows = Vec::new();
    for file in files {
        rows.push(fates(&bench, &file).await);
    }
    insta::assert_snapshot!(rows.join("\n"));
}

#[tokio::test]
async fn a_gap_of_hours_is_not_filled_with_a_million_pictures() {
    let Some(files) = security("bombs") else { return };
    let gap = files.iter().find(|path| path.ends_with("gap10h.mkv")).expect("a fixture");
    let bench = Bench::open().await;
    for fps in [1, 25, 60] {
        let begun = Instant::now();
        let failure = bench.refuse(Video, json!({ "fps": fps }), gap).await;
        assert_eq!(failure.kind.name(), "input_over_limit", "{failure:?}");
        assert!(failure.message.ends_with("more than 10000 pictures"), "{failure:?}");
        assert!(begun.elapsed() < PATIENCE, "{fps}: {:?}", begun.elapsed());
    }
}

/// The first so many thousandths of a file.
fn cut(source: &Path, name: &str, thousandths: usize) -> PathBuf {
    let recipe = [source.to_str().expect("UTF-8"), &thousandths.to_string()];
    kept(name, &recipe, |path| {
        let bytes = std::fs::read(source).expect("the clip");
        std::fs::write(path, &bytes[..bytes.len() * thousandths / 1000]).expect("written");
    })
}

/// Of a recording in a format that tells no length nobody can say that it is half of one.
#[tokio::test]
async fn half_a_file_is_refused_where_the_file_says_how_long_it_is() {
    let Some(clips) = media() else { return };
    let bench = Bench::open().await;
    let told = ["mp4", "mkv", "flac", "mp3"].map(|format| (format, true));
    let untold = ["wav", "ogg", "ts", "mpg", "avi"].map(|format| (format, false));
    for (format, is_told) in told.into_iter().chain(untold) {
        let name = format!("sample.{format}");
        let whole = clips.iter().find(|clip| clip.ends_with(&name)).expect("the clip");
        let half = cut(whole, &format!("half-{name}"), 500);
        // This one is silent.
        let kind = if format == "mpg" { Video } else { Audio };
        match bench.try_make(kind, json!({}), &half).await.map(|made| made.seen().secs()) {
            Err(failure) if is_told => {
                assert_eq!(failure.kind.name(), "input_corrupt", "{name}: {failure:?}");
                assert!(failure.message.contains("cut off"), "{name}: {failure:?}");
            }
            Ok(secs) if !is_told => assert!((1.5..2.6).contains(&secs), "{name}: {secs} s"),
            other => panic!("{name}: {other:?}"),
        }
        // What is there can be had: whoever asks for it knows what they get.
        let part = bench.try_make(kind, json!({ "end": 1.2 }), &half).await;
        assert_eq!(part.err(), None, "{name}");
    }
}

#[tokio::test]
async fn what_is_cut_off_empty_or_no_media_is_told() {
    let bench = Bench::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (picture, sound) = ("testsrc2=s=320x180:r=25:d=4", tones("stereo", 48_000, 4));
    let make = |name: &str, coded: &str| clip(&Clip { name, sources: &[picture, &sound], coded });
    let sources = [
        cut(&make("whole.mp4", &format!("{H264} -movflags +faststart")), "index-first.mp4", 500),
        cut(&make("plain.mp4", H264), "index-last.mp4", 500),
        cut(&make("whole.mkv", H264), "cut.mkv", 500),
        cut(
            &make("whole.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus"),
            "cut.webm",
            500,
        ),
        cut(&make("head.mp4", H264), "head.mp4", 1),
    ];
    let mut rows = Vec::new();
    for source in sources {
        rows.push(fates(&bench, &source).await);
    }
    let texts: [(&str, &[u8]); 5] = [
        ("empty.mp4", b""),
        ("text.mp4", b"This is not a video.\n"),
        ("playlist.mp4", b"#EXTM3U\n#EXTINF:2,\nfile:///etc/passwd\n"),
        ("page.mp4", b"<!DOCTYPE html><title>404</title>"),
        ("noise.mp4", &[0x9c; 4096]),
    ];
    for (name, bytes) in texts {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        rows.push(fates(&bench, &path).await);
    }
    insta::assert_snapshot!(rows.join("\n"));
}

#[tokio::test]
async fn an_output_over_the_limit_of_bytes_is_refused_and_not_cut() {
    let settings = EngineSettings { max_output_bytes: 4000, ..EngineSettings::default() };
    let bench = Bench::with(settings).await;
    let picture = "testsrc2=s=320x180:r=25:d=4,noise=alls=12:allf=t";
    let sources = [picture, &tones("stereo", 48_000, 4)];
    let busy = clip(&Clip { name: "busy.mp4", sources: &sources, coded: H264 });
    for (kind, options) in [
        (Video, json!({})),
        (Video, json!({ "format": "mov", "codec": "h265" })),
        (Video, json!({ "format": "webm" })),
        (Video, json!({ "codec": "av1" })),
        (Audio, json!({})),
        (Audio, json!({ "format": "aac" })),
        (Audio, json!({ "format": "ogg" })),
        (Audio, json!({ "format": "opus" })),
        (Audio, json!({ "format": "wav" })),
        (Audio, json!({ "format": "flac" })),
        (Image, json!({ "format": "png" })),
        (Image, json!({ "format": "jpeg" })),
        (Image, json!({ "format": "webp" })),
        (Image, json!({ "format": "avif", "quality": "very_high" })),
        (Animation, json!({ "end": 2 })),
        (Animation, json!({ "end": 2, "format": "webp" })),
    ] {
        let what = format!("{} {options}", kind.name());
        let failure = bench.refuse(kind, options, &busy).await;
        assert_eq!(failure.kind.name(), "output_too_large", "{what}: {failure:?}");
        assert!(failure.message.contains("4.0 kB"), "{what}: {}", failure.message);
        assert!(failure.hint.is_some(), "{what}");
    }
    let small = json!({ "width": 16, "quality": "very_low" });
    assert!(bench.make(Image, small, &moments()).await.file.filesize < 4000);
}

#[tokio::test]
async fn an_input_that_is_longer_than_it_says_is_refused_and_not_cut() {
    let settings = EngineSettings { max_duration_secs: 1.0, ..EngineSettings::default() };
    let bench = Bench::with(settings).await;
    let picture = colors(320, 180, 3);
    // An elementary stream does not tell its length.
    let coded = "-c:v mpeg2video -q:v 4 -f mpeg2video";
    let untold = clip(&Clip { name: "untold.mpg", sources: &[&picture], coded });
    let failure = bench.refuse(Video, json!({}), &untold).await;
    assert_eq!(failure.kind.name(), "input_over_limit", "{failure:?}");
    assert!(failure.message.contains("1 s"), "{}", failure.message);
    let part = bench.make(Video, json!({ "end": 0.8 }), &untold).await;
    assert!(part.file.duration.is_some_and(|secs| (secs - 0.8).abs() < 0.05));

    let told = clip(&Clip { name: "told.mp4", sources: &[&picture], coded: H264 });
    let failure = bench.refuse(Video, json!({}), &told).await;
    assert_eq!(failure.kind.name(), "input_over_limit", "{failure:?}");
    bench
        .make(
            Image,
            json!({}),
            &clip(&Clip { name: "short.mp4", sources: &[&colors(320, 180, 1)], coded: H264 }),
        )
        .await;
}
