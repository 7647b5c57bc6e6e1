//! Schemathesis asks a real server for everything that its own document allows, and for much that
//! it does not.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::{Server, is_here};

const KEY: &str = "the-key-of-the-fuzzer";

/// Where `scripts/setup schemathesis` puts it, if it was called.
fn program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/st");
    is_here("schemathesis (scripts/setup schemathesis)", program.exists()).then_some(program)
}

/// A server that works on nothing: what is asked of it here leads nowhere.
async fn server(data_dir: &Path) -> Server {
    let env = [
        ("REELWAY_API_KEY", KEY),
        ("REELWAY_NO_WORKERS", "true"),
        ("REELWAY_SECRET_KEY", &"07".repeat(32)),
        // It asks faster than anybody may, with and without a key.
        ("REELWAY_MAX_REQUESTS_PER_KEY", "0"),
        ("REELWAY_MAX_REFUSED_PER_ADDRESS", "0"),
        // So that it has an ear for a provider's webhooks.
        ("ITTYBIT_API_KEY", "the-key-of-a-provider"),
        ("ITTYBIT_API_URL", "http://127.0.0.1:9"),
    ];
    Server::start_with(data_dir, &env).await
}

/// Runs it with more arguments; all that it found is in the panic.
#[expect(clippy::disallowed_methods, reason = "the test starts a tester")]
async fn run(program: &Path, server: &Server, arguments: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["schemathesis.toml", "hooks.py"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis").join(file);
        std::fs::copy(from, folder.path().join(file)).expect("a copy");
    }
    let output = Command::new(program)
        .args(["run", &format!("{}/openapi.json", server.url), "--no-color"])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let cases =
        said.split_once(" generated,").and_then(|(before, _)| before.split_whitespace().last());
    let cases: u32 = cases.and_then(|cases| cases.parse().ok()).unwrap_or_default();
    assert!(cases > 1000, "it asked for too little: {said}");
}

#[tokio::test]
async fn a_server_keeps_to_its_own_document_whatever_it_is_asked() {
    let Some(program) = program() else { return };
    let data_dir = tempfile::tempdir().expect("a folder");
    let server = server(data_dir.path()).await;
    run(&program, &server, &["--header", &format!("Authorization: Bearer {KEY}")]).await;
}

#[tokio::test]
async fn a_server_keeps_to_its_own_document_without_a_key_too() {
    let Some(program) = program() else { return };
    let data_dir = tempfile::tempdir().expect("a folder");
    let server = server(data_dir.path()).await;
    run(&program, &server, &["--phases", "examples,coverage,fuzzing", "--max-examples", "5"]).await;
}
