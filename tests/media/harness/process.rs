//! ffmpeg and ffprobe as the tests' own tools.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

/// What a program wrote to standard output; it must end well.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Vec<u8> {
    ended_well(program, arguments).stdout
}

/// What a program wrote to standard error; it must end well.
pub(super) fn said_well<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> String {
    String::from_utf8_lossy(&ended_well(program, arguments).stderr).into_owned()
}

fn ended_well<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Output {
    let output = output(program, arguments);
    let shown: Vec<_> = arguments.iter().map(|argument| argument.as_ref().display()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {shown:?}: {said}");
    output
}

/// What a program wrote to standard error, however it ended.
pub(super) fn said<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> String {
    String::from_utf8_lossy(&output(program, arguments).stderr).into_owned()
}

/// What a program wrote, however it ended.
#[expect(clippy::disallowed_methods, reason = "the tests look at media with their own eyes")]
pub(super) fn output<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Output {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{program} is installed: {error}"))
}
