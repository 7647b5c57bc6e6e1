//! What is already as asked is copied: the same pictures and sounds in a file of our own.

use std::path::{Path, PathBuf};

use reelway::task::Kind::Video;
use serde_json::{Value, json};

use crate::harness::{Bench, Clip, Output, clip, kept, media, run, tones, turn};

/// What the pictures and sounds of a file are, one line each, without when they are shown.
fn decoded(path: &Path, stream: &str) -> Vec<String> {
    let path = path.to_str().expect("UTF-8");
    let arguments = [
        "-v",
        "error",
        "-i",
        path,
        "-map",
        stream,
        "-fps_mode",
        "passthrough",
        "-f",
        "framemd5",
        "-",
    ];
    let said = String::from_utf8(run("ffmpeg", &arguments)).expect("text");
    let lines = said.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().expect("a sum").trim().to_owned()).collect()
}

/// A film as a browser's usual one is, of 3 s and few bits.
fn film(name: &str, more: &str) -> PathBuf {
    let coded =
        format!("-pix_fmt yuv420p -c:v libx264 -preset veryfast -crf 30 -c:a aac -b:a 96k {more}");
    let picture = "testsrc2=s=640x360:r=25:d=3";
    let sound = tones("stereo", 48_000, 3);
    clip(&Clip { name, sources: &[picture, &sound], coded: &coded })
}

fn is_same(made: &Output, source: &Path, stream: &str) -> bool {
    let (made, source) = (decoded(&made.path, stream), decoded(source, stream));
    assert!(made.len() > 10, "{} of {stream}", made.len());
    made == source
}

#[tokio::test]
async fn what_fits_is_copied_to_the_last_picture_and_can_be_played_at_once() {
    let bench = Bench::open().await;
    let containers = [
        ("film.mp4", json!({})),
        ("film.mov", json!({})),
        ("film.mkv", json!({})),
        ("film.mp4", json!({"format": "mov"})),
        ("film.mp4", json!({"width": 640, "fps": 25, "quality": "high"})),
    ];
    for (name, options) in containers {
        let (source, what) = (film(name, ""), format!("{name} {options}"));
        let (made, ways) = bench.make_told(Video, &options, &source).await;
        // Matroska does not tell how many bits a sound takes.
        let is_told = name != "film.mkv";
        let untold = "encoded audio: the input does not tell its length or bit rate";
        let audio = if is_told { "copied audio" } else { untold };
        assert_eq!(ways, [format!("copied video, {audio}")], "{what}");
        assert!(is_same(&made, &source, "0:v"), "{what}");
        assert_eq!(is_same(&made, &source, "0:a"), is_told, "{what}");
        let seen = made.seen();
        assert_eq!(seen.is_faststart(), Some(true), "{what}");
        assert_eq!(seen.tags(), Vec::<String>::new(), "{what}");
        assert!(seen.lag().abs() < 0.03, "{what}: {} s apart", seen.lag());
        let secs = made.file.duration.expect("a length");
        assert!((secs - 3.0).abs() < 0.05, "{what}: {secs} s");
    }
}

#[tokio::test]
async fn webm_is_copied_into_webm() {
    let bench = Bench::open().await;
    let source =
        film("film.webm", "-c:v libvpx-vp9 -b:v 200k -deadline realtime -cpu-used 8 -c:a libopus");
    let (made, ways) = bench.make_told(Video, &json!({"format": "webm"}), &source).await;
    assert_eq!(
        ways,
        ["copied video, encoded audio: the input does not tell its length or bit rate"]
    );
    assert!(is_same(&made, &source, "0:v"));
    assert_eq!(made.seen().audio()["codec_name"], "opus");
}

#[tokio::test]
async fn pictures_and_sound_are_judged_apart() {
    let bench = Bench::open().await;
    let surround = film("surround.mp4", "-ac 6 -b:a 300k");
    let (made, ways) = bench.make_told(Video, &json!({}), &surround).await;
    assert_eq!(ways, ["copied video, encoded audio: its channels have to be mixed"]);
    assert!(is_same(&made, &surround, "0:v"));
    assert_eq!(made.seen().audio()["channels"], 2);
    let plain = film("film.mp4", "");
    let (made, ways) = bench.make_told(Video, &json!({"width": 320}), &plain).await;
    assert_eq!(ways, ["encoded video: its size has to change, copied audio"]);
    assert!(is_same(&made, &plain, "0:a"));
    assert_eq!(made.size(), (320, 180));
    assert!(made.seen().lag().abs() < 0.03);
}

#[tokio::test]
async fn never_means_never() {
    let bench = Bench::open().await;
    let source = film("film.mp4", "");
    let (made, ways) = bench.make_told(Video, &json!({"copy": "never"}), &source).await;
    assert_eq!(ways, ["encoded video: `copy` is never, encoded audio: `copy` is never"]);
    assert!(!is_same(&made, &source, "0:v"));
}

#[tokio::test]
async fn a_phone_s_turn_is_never_copied() {
    let bench = Bench::open().await;
    let source = film("film.mp4", "");
    let turned = kept("turned.mp4", &["turned"], |path| turn(&source, path));
    let (made, ways) = bench.make_told(Video, &json!({}), &turned).await;
    assert_eq!(ways, ["encoded video: it has to be turned, copied audio"]);
    assert_eq!(made.size(), (360, 640));
    assert!(made.seen().video()["side_data_list"].is_null());
}

#[tokio::test]
async fn pictures_that_an_editor_hid_do_not_come_out() {
    let bench = Bench::open().await;
    let source = film("film.mp4", "-g 200");
    let cut = kept("cut.mp4", &["cut"], |path| {
        let [from, to] = [&source, path].map(|path| path.to_str().expect("UTF-8"));
        run("ffmpeg", &["-v", "error", "-y", "-ss", "1.5", "-i", from, "-c", "copy", to]);
    });
    let (made, ways) = bench.make_told(Video, &json!({}), &cut).await;
    assert_eq!(
        ways,
        ["encoded video: the input hides pictures, encoded audio: the input hides pictures"]
    );
    assert!(made.seen().frames() < 50);
}

#[tokio::test]
async fn words_among_the_pictures_are_left_out_of_a_copy() {
    let bench = Bench::open().await;
    let words = "-bsf:v h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+PLANTED";
    let source = film("words.mp4", words);
    let holds = |path: &Path, mark: &str| {
        let bytes = std::fs::read(path).expect("a file");
        bytes.windows(mark.len()).any(|at| at == mark.as_bytes())
    };
    assert!(holds(&source, "PLANTED") && holds(&source, "x264"));
    let (made, ways) = bench.make_told(Video, &json!({}), &source).await;
    assert_eq!(ways, ["copied video, copied audio"]);
    assert!(is_same(&made, &source, "0:v"));
    assert!(!holds(&made.path, "PLANTED") && !holds(&made.path, "x264"));
}

#[tokio::test]
async fn a_copy_that_goes_wrong_is_encoded() {
    let bench = Bench::open().await;
    let source = film("film.mp4", "");
    // One picture says that it is longer than the file.
    let broken = kept("broken.mp4", &["a picture that says it is longer"], |path| {
        let mut bytes = std::fs::read(&source).expect("a film");
        let film = source.to_str().expect("UTF-8");
        let entries = ["-select_streams", "v", "-show_entries", "packet=pos", "-of", "csv=p=0"];
        let told = run("ffprobe", &[&["-v", "error"][..], &entries, &[film]].concat());
        let told = String::from_utf8(told).expect("text");
        let at: usize = told.lines().nth(40).expect("a picture").parse().expect("its place");
        bytes[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        std::fs::write(path, bytes).expect("written");
    });
    let (made, ways) = bench.make_told(Video, &json!({}), &broken).await;
    assert_eq!(ways.len(), 2, "{ways:?}");
    assert_eq!(ways[1], "the copy is not as it should be: all of it is encoded");
    assert_eq!(made.seen().video()["codec_name"], "h264");
}

#[tokio::test]
async fn real_films_are_copied_where_they_fit() {
    let Some(files) = media() else { return };
    let bench = Bench::open().await;
    let cases: [(&str, Value, &str); 5] = [
        (
            "bigbuckbunny.mp4",
            json!({}),
            "copied video, encoded audio: its channels have to be mixed",
        ),
        ("sample.mp4", json!({}), "copied video, copied audio"),
        (
            "sample.mkv",
            json!({}),
            "copied video, encoded audio: the input does not tell its length or bit rate",
        ),
        (
            "phone-portrait.mov",
            json!({}),
            "encoded video: not every player takes the input's profile or pixel format, copied audio",
        ),
        (
            "rotate-buck-bunny.mp4",
            json!({}),
            "encoded video: it has to be turned, encoded audio: its channels have to be mixed",
        ),
    ];
    for (name, options, wanted) in cases {
        let source = files.iter().find(|path| path.ends_with(name)).expect("a fixture");
        let (made, ways) = bench.make_told(Video, &options, source).await;
        assert_eq!(ways, [wanted], "{name}");
        if wanted.starts_with("copied video") {
            assert!(is_same(&made, source, "0:v"), "{name}");
        }
        assert_eq!(made.seen().is_faststart(), Some(true), "{name}");
        assert!(made.seen().lag().abs() < 0.1, "{name}: {}", made.seen().lag());
    }
}
