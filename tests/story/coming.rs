//! Inputs that are read while they come, seen from outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{
    Receiver, Server, client, eventually, processes_naming, ranged_clip, run, words,
};
use crate::parts::{Source, Trouble};
use crate::together::{ONE_SLOT, ends, failure, send_of, summary};

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

/// Of different sizes, formats and rates, so that none is another's.
fn three_videos() -> Value {
    json!([
        {"kind": "video", "options": {"width": 320, "quality": "low"}},
        {"kind": "video", "options": {"width": 160, "quality": "very_low", "fps": 10}},
        {"kind": "video", "options": {"width": 96, "quality": "very_low", "format": "webm"}},
    ])
}

/// What is told of the outputs, in the order of their jobs, but for what the same pictures may differ
/// in from one encode to the next.
fn told(ids: &[String], ends: &BTreeMap<String, Value>) -> Vec<Value> {
    let told = |id: &String| {
        assert_eq!(ends[id]["type"], "job.succeeded", "{}", ends[id]);
        let mut output = ends[id]["output"].clone();
        let facts = output.as_object_mut().expect("an output");
        facts.retain(|name, _| !["url", "filesize", "bitrate", "sha256"].contains(&name.as_str()));
        output
    };
    ids.iter().map(told).collect()
}

#[tokio::test]
async fn videos_of_an_input_that_comes_are_made_by_one_ffmpeg_as_of_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (film, half) = film(folder.path());
    let receiver = Receiver::start().await;
    let gate = CancellationToken::new();
    let trouble = Trouble { held: Some((half, gate.clone())), ..Trouble::default() };
    let source = Source::with(&film, trouble).await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(data_dir.path(), &ONE_SLOT).await;
    let ids = send_of(&server, source.url().as_str(), &receiver, three_videos()).await;
    // Each is on its way while half of the input has not come.
    for id in &ids {
        server
            .job_when(id, |job| {
                let stages = job["tasks"].as_array().expect("stages");
                stages.iter().any(|it| it["kind"] == "video" && it["progress"].as_f64() > Some(0.0))
            })
            .await;
    }
    assert!(!gate.is_cancelled());
    gate.cancel();
    let coming = ends(&receiver, &server, &ids).await;
    for id in &ids {
        let summary = summary(&server, id).await;
        assert!(summary.contains("made together with"), "{summary}");
        assert!(!summary.contains("made alone"), "{summary}");
    }
    assert!(source.sent_bytes() < source.size_bytes() * 3 / 2, "it comes once, not for each");
    server.kill().await;

    let source = Source::of(&film).await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let env = [ONE_SLOT[0], ("REELWAY_INPUT_GATEWAY", "never")];
    let server = Server::start_with(data_dir.path(), &env).await;
    let of_file = send_of(&server, source.url().as_str(), &receiver, three_videos()).await;
    let whole = ends(&receiver, &server, &of_file).await;
    assert_eq!(told(&ids, &coming), told(&of_file, &whole));
    server.kill().await;
}

#[tokio::test]
async fn an_input_that_breaks_off_fails_each_of_its_videos_with_what_the_source_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (film, half) = film(folder.path());
    let receiver = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(data_dir.path(), &ONE_SLOT).await;
    let trouble = Trouble { runs_out_at: Some(half.start), ..Trouble::default() };
    let source = Source::with(&film, trouble).await;
    let ids = send_of(&server, source.url().as_str(), &receiver, three_videos()).await;
    let ends = ends(&receiver, &server, &ids).await;
    for id in &ids {
        assert_eq!(failure(&ends[id]), "input_unauthorized");
        let summary = summary(&server, id).await;
        assert!(summary.contains("made together with"), "{summary}");
        assert!(!summary.contains("made alone"), "there is nothing to make it of: {summary}");
    }

    // What may pass is tried again, by each for itself.
    let trouble = Trouble { breaks_at: Some(half.start), ..Trouble::default() };
    let source = Source::with(&film, trouble).await;
    let ids = send_of(&server, source.url().as_str(), &receiver, three_videos()).await;
    let failed = |job: &Value| {
        let stages = job["tasks"].as_array().expect("stages");
        stages.iter().find(|stage| stage["status"] == "failed").cloned()
    };
    for id in &ids {
        let is_back = |job: &Value| job["status"] == "queued" && failed(job).is_some();
        let job = server.job_when(id, is_back).await;
        let stage = failed(&job).expect("a stage that failed");
        assert_eq!(stage["kind"], "video", "{stage}");
        assert_eq!(stage["error"]["kind"], "input_unavailable", "{stage}");
    }
    server.kill().await;
}
