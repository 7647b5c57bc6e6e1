//! The client that Python has for the Ittybit API, call by call, against what our page says of it.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::process::Command;

use crate::harness::{Server, installed};

const KEY: &str = "the-key-that-they-have";

/// What `docs/from-ittybit.md` says of each call: `works`, or a status.
fn promised() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-ittybit.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, section) = page.split_once("\n## Clients\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut promised = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let columns: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [calls, outcome] = columns[..] else { panic!("two columns: {line}") };
        for call in calls.split('`').skip(1).step_by(2) {
            promised.insert(call.to_owned(), outcome.to_owned());
        }
    }
    promised
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test starts a user's program")]
async fn the_client_on_pypi_can_do_what_the_page_says_and_no_more() {
    let Some(packages) = installed("ittybit") else { return };
    let data_dir = tempfile::tempdir().expect("a folder");
    let env = [("REELWAY_API_KEY", KEY), ("REELWAY_NO_WORKERS", "true")];
    let server = Server::start_with(data_dir.path(), &env).await;
    let calls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ittybit/calls.py");
    let output = Command::new(packages.join("bin/python"))
        .arg(calls)
        .args([&server.url, KEY, "http://127.0.0.1:9/a.mp4"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let seen: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(seen, promised(), "docs/from-ittybit.md, section Clients");
}
