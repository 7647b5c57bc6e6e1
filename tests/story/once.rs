//! One job here and now, as a person types it: in a folder, with names that are relative.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::short_clip;

/// Runs `reelway` in `folder` with no settings but the system's.
#[expect(clippy::disallowed_methods, reason = "the test starts the product")]
fn reelway(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelway"));
    command.args(args).current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.output().expect("the binary starts")
}

fn succeeds(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_job_is_done_in_the_folder_where_it_is_typed() {
    let folder = tempfile::tempdir().expect("a folder");
    short_clip(folder.path());
    let args = ["video", "-i", "short.mp4", "-o", "small.mp4", "--width", "320"];
    let line = succeeds(reelway(folder.path(), &args));
    let made: Value = serde_json::from_str(&line).expect("a JSON line");
    assert_eq!((&made["path"], &made["width"]), (&"small.mp4".into(), &320.into()), "{made}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 2, "the input, the output and nothing else: {left:?}");
}
