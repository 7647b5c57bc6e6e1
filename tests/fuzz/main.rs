//! The fuzzers' corpus, replayed: what they once found stays found.
//!
//! `make fuzz` looks for more, and puts what breaks a property into `fuzz/corpus` beside the rest.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "../../fuzz/properties/mod.rs"]
mod properties;

use std::path::Path;

use properties::{options, probe, progress, range, signature};

/// Goes through the files of a target; a failure names the one that did it.
fn replay(target: &str, holds: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).expect("a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{} is a corpus", folder.display());
    for file in files {
        let data = std::fs::read(&file).expect("a file");
        let outcome = std::panic::catch_unwind(|| holds(&data));
        assert!(outcome.is_ok(), "{} does it", file.display());
    }
}

#[test]
fn options_of_the_corpus_hold() {
    replay("options", options::holds);
}

#[test]
fn answers_of_ffprobe_in_the_corpus_hold() {
    replay("probe", probe::holds);
}

#[test]
fn progress_of_the_corpus_holds() {
    replay("progress", progress::holds);
}

#[test]
fn ranges_of_the_corpus_hold() {
    replay("range", range::holds);
}

#[test]
fn signatures_of_the_corpus_hold() {
    replay("signature", signature::holds);
}
