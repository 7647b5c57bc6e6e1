//! One job here and now, as a person types it: in a folder, with names that are relative.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{is_here, short_clip};

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

fn facts(folder: &Path, file: &str) -> Value {
    let mut facts: Value = serde_json::from_str(&succeeds(reelway(folder, &["probe", "-i", file])))
        .expect("a JSON line");
    // An encoder with several threads may need a byte more or less.
    for changing in ["size_bytes", "bit_rate"] {
        facts.as_object_mut().expect("an object").remove(changing);
    }
    let streams = facts["streams"].as_array_mut().expect("streams");
    streams
        .iter_mut()
        .for_each(|stream| drop(stream.as_object_mut().map(|it| it.remove("bit_rate"))));
    facts
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

#[test]
fn a_package_is_a_folder_that_was_not_there_or_was_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    short_clip(folder.path());
    let make = ["adaptive", "-i", "short.mp4", "-o", "film"];
    let printed = succeeds(reelway(folder.path(), &[&make[..], &["--print-command"]].concat()));
    let inside = folder.path().join("film/video_360p.mp4");
    assert!(printed.contains(&format!("file:{}", inside.display())), "{printed}");
    assert!(!folder.path().join("film").exists(), "printing makes nothing");

    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        names
    };
    let lines = succeeds(reelway(folder.path(), &make));
    let told: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!(told[0]["path"], "film/master.m3u8");
    let mut paths: Vec<_> = told.iter().filter_map(|line| line["path"].as_str()).collect();
    paths.sort_unstable();
    let there = names(&folder.path().join("film"));
    let there: Vec<String> = there.iter().map(|name| format!("film/{name}")).collect();
    assert_eq!(paths, there);
    assert_eq!(names(folder.path()), ["film", "short.mp4"]);

    let refused = reelway(folder.path(), &make);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("film is already there") && said.contains("--force"), "{said}");
    std::fs::create_dir(folder.path().join("empty")).expect("a folder");
    let make = ["adaptive", "-i", "short.mp4", "-o", "empty", "--width", "160"];
    succeeds(reelway(folder.path(), &make));
    assert!(folder.path().join("empty/video_90p.mp4").exists());
}

#[test]
fn the_printed_command_makes_what_the_job_makes() {
    let folder = tempfile::tempdir().expect("a folder");
    short_clip(folder.path());
    for (kind, output, more) in [
        ("video", "it's small.mp4", &["--width", "320", "--start", "1"][..]),
        ("image", "thumb nail.webp", &["--width", "320", "--start", "9"]),
        ("animation", "loop.gif", &["--width", "160", "--end", "1"]),
    ] {
        let args = [&[kind, "-i", "short.mp4", "-o", output], more].concat();
        let printed = succeeds(reelway(folder.path(), &[&args[..], &["--print-command"]].concat()));
        assert!(!folder.path().join(output).exists(), "printing makes nothing");
        run_in_a_shell(&printed);
        let by_hand = facts(folder.path(), output);
        std::fs::remove_file(folder.path().join(output)).expect("the printed command's output");
        succeeds(reelway(folder.path(), &args));
        assert_eq!(by_hand, facts(folder.path(), output), "{printed}");
    }
}

/// Prints what would be run, then types it.
fn print_and_type(folder: &Path, args: &[&str]) -> String {
    let printed = succeeds(reelway(folder, &[args, &["--print-command"]].concat()));
    run_in_a_shell(&printed);
    printed
}

#[test]
fn the_printed_commands_make_the_renditions_of_a_package_wherever_the_input_is() {
    // Inputs and outputs are below the system's temporary folder here.
    let folder = tempfile::tempdir().expect("a folder");
    short_clip(folder.path());
    let make = |output| ["adaptive", "-i", "short.mp4", "-o", output, "--width", "320"];
    let printed = print_and_type(folder.path(), &make("by hand"));
    succeeds(reelway(folder.path(), &make("by reelway")));
    let rendition = |output| facts(folder.path(), &format!("{output}/video_180p.mp4"));
    let (by_hand, by_reelway) = (rendition("by hand"), rendition("by reelway"));
    let picture = |facts: &Value| facts["streams"][0]["width"].clone();
    assert_eq!(picture(&by_hand), 320, "{printed}");
    assert_eq!(picture(&by_hand), picture(&by_reelway), "{printed}");
}

#[test]
fn the_printed_command_of_sheets_has_the_folder_that_they_go_into() {
    let folder = tempfile::tempdir().expect("a folder");
    short_clip(folder.path());
    let args = ["image", "-i", "short.mp4", "-o", "list.vtt", "--interval", "1", "--sprite", "2x1"];
    let printed = print_and_type(folder.path(), &args);
    let typed = facts(folder.path(), "sprites/001.webp");
    std::fs::remove_dir_all(folder.path().join("sprites")).expect("the sheets");
    succeeds(reelway(folder.path(), &args));
    assert_eq!(typed, facts(folder.path(), "sprites/001.webp"), "{printed}");
}

#[test]
fn the_printed_commands_of_a_heic_make_a_picture_of_it_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(()) = photograph(folder.path()) else { return };
    for output in ["thumb nail.webp", "thumbnail.jpg"] {
        let args = ["image", "-i", "a photograph.heic", "-o", output, "--width", "160"];
        let printed = print_and_type(folder.path(), &args);
        assert_eq!(printed.lines().filter(|line| line.contains("heif-convert")).count(), 1);
        let by_hand = facts(folder.path(), output);
        std::fs::remove_file(folder.path().join(output)).expect("the printed command's output");
        succeeds(reelway(folder.path(), &args));
        assert_eq!(by_hand, facts(folder.path(), output), "{printed}");
    }
}

#[test]
fn a_moving_webp_is_no_matter_of_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    run_in_a_shell(&format!(
        "ffmpeg -v error -f lavfi -i testsrc2=size=64x64:rate=5:duration=1 -c:v libwebp_anim {}",
        folder.path().join("moving.webp").display()
    ));
    let args = ["animation", "-i", "moving.webp", "-o", "moving.gif", "--end", "1"];
    let refused = reelway(folder.path(), &[&args[..], &["--print-command"]].concat());
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no command can be printed for a moving WebP"), "{said}");
    succeeds(reelway(folder.path(), &args));
}

/// A HEIC, where it can be made and opened.
fn photograph(folder: &Path) -> Option<()> {
    let has = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let is_here = is_here("libheif-examples", has("heif-enc") && has("heif-convert"));
    is_here.then(|| {
        let (png, heic) = (folder.join("a.png"), folder.join("a photograph.heic"));
        run_in_a_shell(&format!(
            "ffmpeg -v error -f lavfi -i testsrc2=size=320x240 -frames:v 1 '{0}'\n\
             heif-enc '{0}' -o '{1}' >&2",
            png.display(),
            heic.display()
        ));
    })
}

#[expect(clippy::disallowed_methods, reason = "the test types what was printed")]
fn run_in_a_shell(script: &str) {
    let mut shell = Command::new("sh");
    let output = shell.args(["-e", "-c", script]).output().expect("a shell");
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}
