//! Which streams are taken, when their pictures are shown, and what never leaves.

use std::path::{Path, PathBuf};

use reelway::task::Kind;
use reelway::task::Kind::{Animation, Audio, Image, Video};
use serde_json::{Value, json};

use crate::harness::{Bench, Clip, H264, Seen, clip, colors, media, photos, tones};

/// Every way to code a video, small.
fn ways() -> [Value; 4] {
    [
        json!({ "width": 160 }),
        json!({ "width": 160, "codec": "h265" }),
        json!({ "width": 160, "format": "webm" }),
        json!({ "width": 160, "codec": "av1" }),
    ]
}

/// Each picture is shown when it was, to a hundredth of a second.
fn assert_same_times(made: &Path, source: &Path, what: &str) {
    let (made, source) = (Seen::of(made).times(), Seen::of(source).times());
    assert_eq!(made.len(), source.len(), "{what}: pictures were lost or doubled");
    for (number, (made, source)) in made.iter().zip(&source).enumerate() {
        assert!((made - source).abs() < 0.0021, "{what}: {number} at {made}, not {source}");
    }
}

#[tokio::test]
async fn pictures_at_uneven_times_stay_at_their_times() {
    let bench = Bench::open().await;
    let uneven = "testsrc2=s=320x180:r=60:d=2,select='lt(mod(n\\,7)\\,2)+eq(mod(n\\,11)\\,0)'";
    let coded = "-fps_mode passthrough -enc_time_base 1/60 -c:v libx264 -preset ultrafast -bf 0";
    let made = clip(&Clip { name: "uneven.mp4", sources: &[uneven], coded });
    let phone = photos("movie1/VID_20191220_170832.mp4");
    for source in [Some(made), phone].into_iter().flatten() {
        for options in ways() {
            let output = bench.make(Video, options.clone(), &source).await;
            let what = format!("{} {options}", source.display());
            assert_same_times(&output.path, &source, &what);
        }
    }
}

#[tokio::test]
async fn sound_that_begins_later_stays_later() {
    let bench = Bench::open().await;
    let (picture, sound) = (colors(320, 180, 2), tones("mono", 48_000, 1));
    let coded = format!("{H264} -af asetpts=PTS+0.5/TB");
    let source = clip(&Clip { name: "late.mkv", sources: &[&picture, &sound], coded: &coded });
    let before = Seen::of(&source).lag();
    assert!(before > 0.4, "{before}");
    for options in [json!({}), json!({ "format": "webm" })] {
        let after = bench.make(Video, options.clone(), &source).await.seen().lag();
        assert!((after - before).abs() < 0.05, "{options}: {after} s, not {before} s");
    }
}

#[tokio::test]
async fn mono_stays_mono_and_surround_becomes_stereo() {
    let bench = Bench::open().await;
    let picture = colors(320, 180, 1);
    for (layout, channels) in [("mono", 1), ("stereo", 2), ("5.1", 2), ("7.1", 2)] {
        let sound = tones(layout, 48_000, 1);
        let name = format!("{layout}.mkv");
        let coded = "-c:v libx264 -preset ultrafast -c:a flac";
        let source = clip(&Clip { name: &name, sources: &[&picture, &sound], coded });
        for format in ["mp4", "webm", "mov"] {
            let output = bench.make(Video, json!({ "format": format }), &source).await;
            assert_eq!(output.seen().audio()["channels"], channels, "{layout} {format}");
        }
    }
}

#[tokio::test]
async fn the_sound_that_is_marked_to_be_played_is_taken() {
    let bench = Bench::open().await;
    let (picture, mono) = (colors(320, 180, 1), tones("mono", 48_000, 1));
    let stereo = tones("stereo", 48_000, 1);
    for (name, marks, channels) in [
        ("first.mkv", "-disposition:a:0 default -disposition:a:1 0", 1),
        ("second.mkv", "-disposition:a:0 0 -disposition:a:1 default", 2),
        ("none.mkv", "-disposition:a:0 0 -disposition:a:1 0", 1),
    ] {
        let coded = format!("-map 0 -map 1 -map 2 {H264} {marks}");
        let sources = [picture.as_str(), &mono, &stereo];
        let source = clip(&Clip { name, sources: &sources, coded: &coded });
        for kind in [Video, Audio] {
            let seen = bench.make(kind, json!({}), &source).await.seen();
            assert_eq!(seen.audio()["channels"], channels, "{name} {}", kind.name());
            assert_eq!(seen.count("audio"), 1, "{name}");
        }
    }
}

/// A clip whose every place for words has some, private ones.
fn talkative(name: &str, codecs: &str) -> PathBuf {
    let (picture, sound) = (colors(320, 180, 1), tones("stereo", 48_000, 1));
    let words = ["title", "comment", "artist", "location", "language", "handler_name", "make"];
    let mut coded = format!("{codecs} -movflags use_metadata_tags");
    for place in ["-metadata", "-metadata:s:v:0", "-metadata:s:a:0"] {
        for word in words {
            coded += &format!(" {place} {word}=PRIVATE+27.1281+100.2508/");
        }
    }
    let sources = [picture.as_str(), &sound];
    let sources = if name.ends_with("ogg") { &sources[1..] } else { &sources[..] };
    clip(&Clip { name, sources, coded: &coded })
}

/// What is made of a clip with words: all that could carry them on.
fn asked(name: &str) -> Vec<(Kind, Value)> {
    let each = |kind, formats: &[&str]| {
        let asked = |format| (kind, json!({ "format": format }));
        formats.iter().map(asked).collect::<Vec<_>>()
    };
    match name {
        "words.ogg" => each(Audio, &["ogg", "opus", "flac", "mp3"]),
        "words.mp4" | "words.mov" => [each(Video, &["mp4", "mov"]), each(Audio, &["m4a"])].concat(),
        "words.mkv" => [
            each(Video, &["mp4", "mov", "webm"]),
            each(Audio, &["mp3", "m4a", "ogg", "opus", "wav", "flac"]),
        ]
        .concat(),
        _ => {
            let mut asked = each(Video, &["mp4", "mov"]);
            asked.extend(each(Image, &["jpeg", "png", "webp", "avif"]));
            let loops = ["gif", "webp"];
            asked.extend(loops.map(|format| (Animation, json!({ "format": format, "end": 0.3 }))));
            asked
        }
    }
}

#[tokio::test]
async fn private_words_never_leave() {
    let bench = Bench::open().await;
    let mut sources = vec![
        talkative("words.mp4", H264),
        talkative("words.mov", H264),
        talkative("words.mkv", H264),
        talkative("words.ogg", "-c:a libvorbis"),
    ];
    sources
        .extend(media().into_iter().flatten().filter(|path| path.ends_with("phone-portrait.mov")));
    for source in &sources {
        let private: &[&str] = &["PRIVATE", "27.1281", "100.2508", "iPhone", "Apple"];
        let bytes = String::from_utf8_lossy(&std::fs::read(source).expect("a clip")).into_owned();
        assert!(bytes.contains("27.1281"), "{} has nothing to hide", source.display());
        let name = source.file_name().expect("a name").to_string_lossy();
        for (kind, options) in asked(&name) {
            let what = format!("{} {} {options}", source.display(), kind.name());
            let output = bench.make(kind, options, source).await;
            let bytes = output.bytes();
            let found = String::from_utf8_lossy(&bytes);
            for word in private {
                assert!(!found.contains(word), "{what}: {word}");
            }
            if kind == Video || kind == Audio {
                assert_eq!(output.seen().tags(), [""; 0], "{what}");
            }
        }
    }
}

#[tokio::test]
async fn chapters_and_subtitles_and_data_are_left_behind() {
    let bench = Bench::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let chapters = folder.path().join("chapters.txt");
    let text = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=PRIVATE\n";
    std::fs::write(&chapters, text).expect("written");
    let subtitles = folder.path().join("words.srt");
    std::fs::write(&subtitles, "1\n00:00:00,100 --> 00:00:00,900\nPRIVATE\n").expect("written");
    let (chapters, subtitles) = (chapters.display(), subtitles.display());
    let coded =
        format!("-i {chapters} -i {subtitles} -map 0 -map 2 -map_chapters 1 {H264} -c:s copy");
    let source = clip(&Clip { name: "book.mkv", sources: &[&colors(320, 180, 1)], coded: &coded });
    assert!(Seen::of(&source).line().contains("CHAPTERS"));
    for format in ["mp4", "mov", "webm"] {
        let output = bench.make(Video, json!({ "format": format }), &source).await;
        let seen = output.seen();
        assert!(!seen.line().contains("CHAPTERS"), "{format}");
        assert_eq!((seen.count("video"), seen.count("subtitle"), seen.count("data")), (1, 0, 0));
        assert!(!String::from_utf8_lossy(&output.bytes()).contains("PRIVATE"), "{format}");
    }
}
