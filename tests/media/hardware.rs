//! Encoders in hardware: found by a picture, given up for one job when they fail. A script stands in
//! for an ffmpeg with a card beside it; everything else goes on to the real one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ffmpeg::{Hardware, Limits, Tools};
use reelway::task::Kind::Video;
use reelway::worker::EngineSettings;
use serde_json::json;

use crate::harness::Bench;
use crate::video::moments;

/// Tells of an encoder, makes the trial's picture with it if it is to, and fails at every film.
async fn tools(folder: &Path, trial: &str) -> Tools {
    let program = folder.join("ffmpeg");
    let script = format!(
        "#!/bin/sh\n\
         case \"$*\" in\n\
         *-encoders*) echo ' ------'; echo ' V....D h264_nvenc'; exit;;\n\
         *lavfi*h264_nvenc*) {trial};;\n\
         *h264_nvenc*) echo '[error] no card' >&2; exit 1;;\n\
         esac\n\
         exec /usr/bin/ffmpeg \"$@\"\n"
    );
    fs::write(&program, script).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    let tools = Tools::find(Some(&program), None, Limits::default()).await.expect("the tools");
    tools.with_hardware(&Hardware::ALL).await
}

/// What a picture that was encoded says of itself.
const PICTURE: &str = "printf 'frame=1\\nprogress=end\\n'; exit";

#[tokio::test]
async fn a_film_that_the_hardware_fails_is_made_in_software() {
    let folder = tempfile::tempdir().expect("a folder");
    let tools = tools(folder.path(), PICTURE).await;
    let found: Vec<_> = tools.hardware().iter().map(|encoder| encoder.name()).collect();
    assert_eq!(found, ["h264_nvenc"]);
    let bench = Bench::on(tools, EngineSettings::default());
    let made = bench.make(Video, json!({ "width": 64, "end": 0.5 }), &moments()).await;
    assert!(made.second_way);
    assert_eq!(made.seen().video()["codec_name"], "h264");
    // What it has no encoder for is not its work.
    let other = json!({ "width": 64, "end": 0.5, "codec": "h265" });
    assert!(!bench.make(Video, other, &moments()).await.second_way);
}

#[tokio::test]
async fn an_encoder_that_makes_no_picture_at_the_start_is_never_used() {
    let folder = tempfile::tempdir().expect("a folder");
    for trial in ["exit 1", "exit 0"] {
        let tools = tools(folder.path(), trial).await;
        assert!(tools.hardware().is_empty(), "{trial}");
        let bench = Bench::on(tools, EngineSettings::default());
        let made = bench.make(Video, json!({ "width": 64, "end": 0.5 }), &moments()).await;
        assert!(!made.second_way, "{trial}");
    }
}
