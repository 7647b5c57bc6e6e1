//! A person at a terminal gets a bar and words.

use super::typed::{Desk, program};

/// What a person sees of a command, at a terminal that `script` makes.
fn seen(desk: &Desk, arguments: &str) -> (bool, String) {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_reelway"));
    let mut command = program("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    desk.environment(&mut command);
    command.env("TERM", "xterm-256color");
    let output = command.output().expect("script of bsdutils is installed");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_terminal_shows_a_bar_while_it_works_and_words_at_the_end() {
    let desk = Desk::new();
    let clip = desk.input("clip.mp4", "steady");
    let (is_well, seen) = seen(&desk, &format!("video -i {clip} -o out.mp4"));
    assert!(is_well, "{seen}");
    let plain = console::strip_ansi_codes(&seen).into_owned();
    assert!(plain.contains("out.mp4  █"), "a bar with its name: {plain}");
    let percents: Vec<u32> =
        plain.split(" %").filter_map(|before| before.rsplit(' ').next()?.parse().ok()).collect();
    assert!(percents.iter().any(|percent| (1..100).contains(percent)), "{percents:?}");
    assert!(plain.contains("video"), "what is happening: {plain}");
    let last = plain.trim_end().lines().last().expect("a last line");
    assert!(last.contains("out.mp4  mp4  640 x 360") && !last.contains('{'), "{plain}");
    assert_eq!(desk.files(), ["clip.mp4", "out.mp4"]);
}

#[test]
fn a_terminal_gets_errors_and_hints_without_a_bar_left_over() {
    let desk = Desk::new();
    let clip = desk.input("clip.mp4", "refuse");
    let (is_well, seen) = seen(&desk, &format!("video -i {clip} -o out.mp4"));
    assert!(!is_well, "{seen}");
    let plain = console::strip_ansi_codes(&seen).into_owned();
    assert!(plain.contains("error: ffmpeg failed"), "{plain}");
    assert_eq!(desk.files(), ["clip.mp4"]);
}
