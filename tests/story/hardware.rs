//! Encoders in hardware, as far as a job tells of them. A script stands in for an ffmpeg with a
//! card beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::harness::{Receiver, Server, Source, short_clip};
use crate::together::{send_of, summary};

/// An ffmpeg that has the encoder, makes the trial's picture with it, and does this with a film.
fn ffmpeg(folder: &Path, film: &str) -> String {
    let path = folder.join("ffmpeg-with-card");
    let script = format!(
        "#!/bin/sh\n\
         case \"$*\" in\n\
         *-encoders*) echo ' ------'; echo ' V....D h264_nvenc'; echo ' V....D libx264'; exit;;\n\
         *lavfi*h264_nvenc*) printf 'frame=1\\nprogress=end\\n'; exit;;\n\
         *h264_nvenc*) {film};;\n\
         esac\n\
         exec ffmpeg \"$@\"\n"
    );
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// The card's encoder by the processors, word for word.
const BY_PROCESSORS: &str = "for word; do shift; case \"$word\" in \
    h264_nvenc) word=libx264;; p5) word=veryfast;; -rc) word=-profile:v;; vbr) word=high;; \
    -cq) word=-crf;; esac; set -- \"$@\" \"$word\"; done";

#[tokio::test]
async fn a_job_tells_what_encoded_it_and_why_it_was_not_the_hardware() {
    for (film, is_given_up) in
        [(BY_PROCESSORS, false), ("echo '[error] there is no card' >&2; exit 1", true)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let source = Source::of(&short_clip(folder.path())).await;
        let receiver = Receiver::start().await;
        let ffmpeg = ffmpeg(folder.path(), film);
        let env = [("REELWAY_FFMPEG", ffmpeg.as_str()), ("REELWAY_ENCODER", "auto")];
        let server = Server::start_with(folder.path(), &env).await;
        let task = json!([{"kind": "video", "options": {"width": 96, "copy": "never"}}]);
        let ids = send_of(&server, &source.url, &receiver, task).await;
        let end = receiver.next().await.body;
        assert_eq!(end["status"], "succeeded", "{end}");
        let summary = summary(&server, &ids[0]).await;
        assert!(summary.contains("encoder h264_nvenc"), "{summary}");
        assert_eq!(summary.contains("given up"), is_given_up, "{summary}");
        server.kill().await;
    }
}
