//! The embedded database is copied while the server works, and put back elsewhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Receiver, Server, Source, eventually, run, short_clip, words};

#[tokio::test]
async fn a_copy_made_under_load_has_every_job_accepted_before_it_and_goes_on_elsewhere() {
    let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    let source = Source::of(&short_clip(here.path())).await;
    let receiver = Receiver::start().await;
    let server = Server::start(here.path()).await;
    let job = json!({"input": source.url, "kind": "video", "options": {"width": 160},
                     "webhook_url": receiver.url});
    let mut ids = Vec::new();
    for _ in 0..12 {
        let accepted = server.post("/jobs", &job).await;
        ids.push(accepted["id"].as_str().expect("an id").to_owned());
    }
    let copy = here.path().join("nightly.backup");
    let to = copy.to_str().expect("UTF-8");
    let output = run(here.path(), &["backup", to], &[]);
    assert!(output.status.success(), "{}", words(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("a JSON line");
    assert_eq!(told["jobs"], 12, "{told}");
    assert!(ids.len() == 12 && is_for_its_owner_alone(&copy));

    // Twice onto the same name, and back onto a server that runs: both are refused with a way out.
    let again = run(here.path(), &["backup", to], &[]);
    assert!(!again.status.success() && words(&again).contains("is there already"));
    let running = run(here.path(), &["restore", to, "--force"], &[]);
    assert!(
        !running.status.success() && words(&running).contains("stop it"),
        "{}",
        words(&running)
    );
    // The copy has not disturbed the server: all of its jobs end.
    for id in &ids {
        server.job_when(id, |job| job["status"] == "succeeded").await;
    }
    server.kill().await;

    let restored = run(there.path(), &["restore", to], &[]);
    assert!(restored.status.success(), "{}", words(&restored));
    let server = Server::start(there.path()).await;
    for id in &ids {
        server.job_when(id, |job| job["status"] == "succeeded").await;
    }
    server.kill().await;

    // Where there is a database already, it takes a word, and what was there is kept.
    let careful = run(there.path(), &["restore", to], &[]);
    assert!(
        !careful.status.success() && words(&careful).contains("--force"),
        "{}",
        words(&careful)
    );
    let forced = run(there.path(), &["restore", to, "--force"], &[]);
    assert!(forced.status.success(), "{}", words(&forced));
    let told: Value = serde_json::from_slice(&forced.stdout).expect("a JSON line");
    let before = told["before"].as_str().expect("where it is");
    assert!(Path::new(before).is_file(), "{told}");
    let server = Server::start(there.path()).await;
    let first = &ids[0];
    eventually("the job is known", async || {
        Some(server.get(&format!("/jobs/{first}")).await).filter(|job| job["id"] == **first)
    })
    .await;
    server.kill().await;
}

fn is_for_its_owner_alone(path: &Path) -> bool {
    path.metadata().expect("it is there").permissions().mode() & 0o777 == 0o600
}
