//! What the binary says about itself, and about what it does not understand.

use clap::CommandFactory as _;
use reelway::cli::Cli;

use super::typed::Desk;

#[test]
fn the_first_page_names_every_command_and_how_to_begin() {
    let said = Desk::new().run(&["--help"]);
    said.assert_well();
    insta::assert_snapshot!(said.out);
}

/// Every command with its subcommands, as one types them.
fn commands(command: &clap::Command, before: &[String], into: &mut Vec<Vec<String>>) {
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let typed = [before, &[command.get_name().to_owned()]].concat();
        commands(command, &typed, into);
        into.push(typed);
    }
}

#[test]
fn every_command_says_what_it_does_and_how_it_is_used() {
    let desk = Desk::new();
    let mut typed = Vec::new();
    commands(&Cli::command(), &[], &mut typed);
    assert!(typed.len() > 15, "{typed:?}");
    for words in typed {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let said = desk.run(&arguments);
        said.assert_well();
        assert!(said.err.is_empty(), "{said:?}");
        let usage = format!("Usage: reelway {}", words.join(" "));
        assert!(said.out.contains(&usage), "{}", said.out);
        assert!(!said.out.starts_with("Usage"), "{words:?} does not say what it does");
    }
}

#[test]
fn the_version_is_told() {
    let said = Desk::new().run(&["--version"]);
    assert_eq!(said.out.trim(), concat!("reelway ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_mistyped_is_answered_with_what_was_meant() {
    let desk = Desk::new();
    let cases: [(&[&str], &[&str]); 9] = [
        (&[], &["Usage: reelway <COMMAND>", "serve"]),
        (&["vido"], &["unrecognized subcommand 'vido'", "video"]),
        (&["video", "-i", "a", "-o", "b.mp4", "--widht", "1"], &["--widht", "--width"]),
        (&["audio", "-i", "a", "-o", "b.mp3", "--width", "1"], &["unexpected argument '--width'"]),
        (&["video", "-o", "b.mp4"], &["--input <IN>"]),
        (&["submit", "https://a.example/b", "--kind", "film"], &["video, audio, image, animation"]),
        (&["jobs", "--status", "done"], &["queued, processing, succeeded, failed, cancelled"]),
        (&["jobs", "job_1"], &["a job's id looks like job_"]),
        (&["webhooks", "replay", "dlv_1"], &["a delivery's id is `dlv_`"]),
    ];
    for (arguments, words) in cases {
        desk.run(arguments).assert_refused(2, words);
    }
}

#[test]
fn a_wrong_option_of_a_job_is_told_with_what_is_allowed() {
    let desk = Desk::new();
    let clip = desk.input("clip.mp4", "ok");
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--quality", "best"], &["quality", "best", "very_low, low, medium, high, very_high"]),
        (&["--codec", "h266"], &["codec", "h264, h265, vp9, av1"]),
        (&["--format", "avi"], &["format", "mp4, webm, mov"]),
        (&["--width", "0"], &["width"]),
        (&["--fps", "1000"], &["fps", "60"]),
        (&["--start", "-1"], &["start"]),
    ];
    for (flags, words) in cases {
        let arguments = [&["video", "-i", clip, "-o", "out.mp4"], flags].concat();
        desk.run(&arguments).assert_refused(2, words);
    }
    let said = desk.run(&["animation", "-i", clip, "-o", "out.gif"]);
    said.assert_refused(2, &["end"]);
    assert_eq!(desk.files(), ["clip.mp4"], "nothing was made");
}
