//! Inputs that are read while they come, seen from outside.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::{Server, client, eventually, processes_naming, ranged_clip, run, words};
use crate::parts::{Source, Trouble};

/// A file of some megabytes with its index in front, and where its second half is.
fn film(folder: &Path) -> (PathBuf, std::ops::Range<usize>) {
    let film = ranged_clip(folder);
    let size = std::fs::metadata(&film).expect("the film").len() as usize;
    assert!(size > 5 << 20, "it is worth being read by parts: {size}");
    (film, size / 2..size)
}

#[tokio::test]
async fn a_thumbnail_says_how_little_of_its_film_was_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let (film, half) = film(folder.path());
    // Nobody waits for the second half.
    let trouble = Trouble { held: Some((half, CancellationToken::new())), ..Trouble::default() };
    let source = Source::with(&film, trouble).await;
    let server = Server::start(folder.path()).await;
    let body = json!({"input": source.url().as_str(), "kind": "image",
                      "options": {"start": 1, "width": 320}});
    let job = server.post("/jobs", &body).await;
    let id = job["id"].as_str().expect("an id").to_owned();
    server.job_when(&id, |job| job["status"] == "succeeded").await;
    let get = async |path: String| {
        let answer = client().get(format!("{}{path}", server.url)).send().await;
        answer.expect("an answer").text().await.expect("text")
    };
    let job: serde_json::Value =
        serde_json::from_str(&get(format!("/jobs/{id}")).await).expect("a job");
    let of_import = job["tasks"][0]["summary"].as_str().unwrap_or_default();
    assert!(of_import.contains(" read, in "), "the API tells it as the page does: {job:#}");
    let page = get(format!("/ui/jobs/{id}")).await;
    assert!(page.contains(" read, in "), "the stage tells: {page}");
    assert!(!page.contains("127.0.0.1:0") && page.contains("-i input"), "and not from where");
    let metrics = get("/metrics".to_owned()).await;
    assert!(metrics.contains("reelway_input_ways_total{way=\"gateway\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_command_here_and_now_reads_no_more_than_it_needs_unless_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let (film, half) = film(folder.path());
    let trouble =
        Trouble { held: Some((half.clone(), CancellationToken::new())), ..Trouble::default() };
    let source = Source::with(&film, trouble).await;
    let url = source.url().as_str().to_owned();
    let made = |env: &'static [(&str, &str)], url: String| {
        let folder = folder.path().to_owned();
        tokio::task::spawn_blocking(move || {
            let args = ["image", "-i", &url, "-o", "one.webp", "--start", "1", "--force"];
            let own = [("REELWAY_ALLOW_NETWORKS", "127.0.0.0/8")];
            run(&folder, &args, &[&own[..], env].concat())
        })
    };
    let output = made(&[], url).await.expect("it ends");
    assert!(output.status.success(), "{}", words(&output));
    assert!(source.sent_bytes() <= half.start as u64);

    let source = Source::of(&film).await;
    let url = source.url().as_str().to_owned();
    let output = made(&[("REELWAY_INPUT_GATEWAY", "never")], url).await.expect("it ends");
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!((source.requests(), source.sent_bytes()), (1, source.size_bytes()));
}

#[tokio::test]
async fn a_server_killed_while_an_input_comes_leaves_nothing_of_it_once_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (film, half) = film(folder.path());
    let gate = CancellationToken::new();
    let trouble = Trouble { held: Some((half, gate.clone())), ..Trouble::default() };
    let source = Source::with(&film, trouble).await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let scratch = data_dir.path().join("scratch");
    let server = Server::start(data_dir.path()).await;
    let body = json!({"input": source.url().as_str(), "kind": "video",
                      "options": {"width": 160, "quality": "very_low"}});
    let job = server.post("/jobs", &body).await;
    let id = job["id"].as_str().expect("an id").to_owned();
    eventually("ffmpeg reads", async || (!processes_naming(&scratch).is_empty()).then_some(()))
        .await;
    let inputs = |server: &Server| {
        let files = server.scratch_files().into_iter();
        files.filter(|it| it.to_string_lossy().contains("/input-")).collect::<Vec<_>>()
    };
    let before = inputs(&server);
    assert_eq!(before.len(), 1, "what came so far: {before:?}");
    server.kill().await;
    eventually("no orphan", async || processes_naming(&scratch).is_empty().then_some(())).await;

    gate.cancel();
    let server = Server::start(data_dir.path()).await;
    assert!(!before[0].exists(), "it was swept at the start");
    server.job_when(&id, |job| job["status"] == "succeeded").await;
    server.signal(rustix::process::Signal::TERM);
    assert!(server.ended().await, "SIGTERM is a good end");
}
