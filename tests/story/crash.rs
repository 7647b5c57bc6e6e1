//! What is left when the process is killed, and what becomes of it.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{
    Receiver, Server, Source, client, eventually, long_clip, processes_naming, short_clip,
};

#[tokio::test]
async fn a_server_killed_in_the_middle_of_an_encode_finishes_the_job_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&long_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let scratch = data_dir.path().join("scratch");
    let server = Server::start(data_dir.path()).await;

    let body = json!({"input": source.url, "kind": "video",
                      "options": {"width": 320, "quality": "very_low"},
                      "webhook_url": receiver.url});
    let job = server.post("/jobs", &body).await;
    let id = job["id"].as_str().expect("an id").to_owned();
    let orphans = eventually("ffmpeg runs", async || {
        Some(processes_naming(&scratch)).filter(|found| !found.is_empty())
    })
    .await;
    server.kill().await;
    eventually("no orphan", async || processes_naming(&scratch).is_empty().then_some(())).await;
    assert!(!orphans.is_empty());

    let server = Server::start(data_dir.path()).await;
    let push = receiver.next().await;
    assert_eq!(
        (push.body["type"].as_str(), push.body["id"].as_str()),
        (Some("job.succeeded"), Some(&*id))
    );
    assert_eq!(push.body["outputs"].as_array().map(Vec::len), Some(1));
    assert!(push.is_verified());
    assert!(receiver.is_quiet_for(Duration::from_secs(1)).await, "one end is one event");

    let log = server.get(&format!("/webhooks/deliveries?job_id={id}")).await;
    assert_eq!(log.as_array().map(Vec::len), Some(1));
    let files = walk(&data_dir.path().join("files"));
    assert_eq!(files.len(), 1, "one output in storage: {files:?}");
    server.signal(Signal::TERM);
    let scratch_left = async || walk_files(&scratch).is_empty().then_some(());
    assert!(server.ended().await, "SIGTERM is a good end");
    eventually("no scratch", scratch_left).await;
}

#[tokio::test]
async fn sigterm_lets_running_work_end_and_a_second_one_hands_it_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&long_clip(folder.path())).await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let scratch = data_dir.path().join("scratch");
    let server = Server::start(data_dir.path()).await;
    let body = json!({"input": source.url, "kind": "video", "options": {"quality": "very_high"}});
    let job = server.post("/jobs", &body).await;
    let id = job["id"].as_str().expect("an id").to_owned();
    eventually("ffmpeg runs", async || (!processes_naming(&scratch).is_empty()).then_some(()))
        .await;

    server.signal(Signal::TERM);
    let url = format!("{}/healthz", server.url);
    eventually("nothing new is taken", async || {
        client().get(&url).send().await.is_err().then_some(())
    })
    .await;
    assert!(!processes_naming(&scratch).is_empty(), "the work goes on");
    server.signal(Signal::TERM);
    assert!(server.ended().await, "a second signal is a good end too");
    assert!(processes_naming(&scratch).is_empty(), "no orphan");

    let server = Server::start(data_dir.path()).await;
    let job = server.job_when(&id, |job| job["status"] == "processing").await;
    assert_eq!(job["error"], serde_json::Value::Null, "handed back, not failed");
    server.kill().await;
}

#[tokio::test]
async fn a_poisonous_job_is_failed_in_the_end_and_the_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = Source::of(&long_clip(folder.path())).await;
    let short = Source::of(&short_clip(folder.path())).await;
    let (receiver, operator) = (Receiver::start().await, Receiver::start().await);
    let data_dir = tempfile::tempdir().expect("a folder");
    let scratch = data_dir.path().join("scratch");

    let env = [("REELWAY_OPERATIONS_URL", &*operator.url)];
    let mut server = Server::start_with(data_dir.path(), &env).await;
    let body = json!({"input": long.url, "kind": "video", "options": {"quality": "very_high"},
                      "webhook_url": receiver.url});
    let job = server.post("/jobs", &body).await;
    let id = job["id"].as_str().expect("an id").to_owned();
    for _ in 0..3 {
        eventually("ffmpeg runs", async || (!processes_naming(&scratch).is_empty()).then_some(()))
            .await;
        server.kill().await;
        server = Server::start_with(data_dir.path(), &env).await;
    }
    let push = receiver.next().await;
    assert_eq!(push.body["id"], *id);
    assert_eq!(push.body["error"]["kind"], "poison");
    // The processes that were killed are missed too, a while after their death.
    let told = loop {
        let push = operator.next().await;
        if push.body["type"] != "worker.lost" {
            break push;
        }
    };
    assert!(told.is_verified());
    assert_eq!(
        (&told.body["type"], &told.body["data"]["job_id"]),
        (&json!("job.poisoned"), &json!(id))
    );
    assert_eq!(told.body["data"]["page"], format!("{}/ui/jobs/{id}", server.url));

    let other = server.post("/jobs", &json!({"input": short.url, "kind": "image"})).await;
    let other = other["id"].as_str().expect("an id");
    server.job_when(other, |job| job["status"] == "succeeded").await;
    server.kill().await;
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() { walk(&path) } else { vec![path] }
        })
        .collect()
}

/// Everything but the locks, which stay.
fn walk_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = walk(folder);
    files.retain(|path| path.file_name().is_none_or(|name| name != ".gate"));
    files
}
