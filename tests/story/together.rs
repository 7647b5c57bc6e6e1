//! Videos of one input that wait at the same time are made by one ffmpeg.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Receiver, Server, Source, eventually, film_clip, gap_clip, long_clip, processes_naming,
    ranged_clip, short_clip,
};

/// One slot, so that everything that waits stands behind the same task.
pub(crate) const ONE_SLOT: [(&str, &str); 1] = [("REELWAY_SLOTS", "1")];

fn three_tasks() -> Value {
    json!([
        {"kind": "video", "options": {"width": 640, "quality": "high", "copy": "never"}},
        {"kind": "image", "options": {"format": "webp", "width": 320, "start": 1}},
        {"kind": "video", "options": {"width": 240, "quality": "low"}},
    ])
}

async fn send(server: &Server, source: &Source, receiver: &Receiver, tasks: Value) -> Vec<String> {
    send_of(server, &source.url, receiver, tasks).await
}

/// Posts a batch; returns the ids of its jobs.
pub(crate) async fn send_of(
    server: &Server,
    url: &str,
    receiver: &Receiver,
    tasks: Value,
) -> Vec<String> {
    let body = json!({"url": url, "tasks": tasks, "webhook_url": receiver.url});
    let batch = server.post("/process", &body).await;
    let tasks = batch["tasks"].as_array().expect("tasks");
    tasks.iter().map(|task| task["task_id"].as_str().expect("an id").to_owned()).collect()
}

/// The next webhook of a job, past that of the batch.
async fn next(receiver: &Receiver) -> Value {
    loop {
        let push = receiver.next().await;
        if push.body["type"] != "batch.finished" {
            return push.body;
        }
    }
}

/// What is said of how a job was made.
pub(crate) async fn summary(server: &Server, id: &str) -> String {
    let job = server.get(&format!("/jobs/{id}")).await;
    let stages = job["tasks"].as_array().expect("stages").clone();
    let said = stages.iter().filter_map(|stage| stage["summary"].as_str());
    said.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn a_batch_is_one_process_and_each_job_has_its_own_end_the_thumbnail_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let server = Server::start_with(folder.path(), &ONE_SLOT).await;
    let ids = send(&server, &source, &receiver, three_tasks()).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let body = next(&receiver).await;
        assert_eq!(body["type"], "job.succeeded", "{body}");
        told.push((body["id"].as_str().expect("an id").to_owned(), body));
    }
    assert_eq!(told[0].0, ids[1], "the thumbnail goes ahead");
    let width = |id: &str| {
        let (_, body) = told.iter().find(|(told, _)| told == id).expect("its webhook");
        body["output"]["width"].clone()
    };
    assert_eq!([width(&ids[0]), width(&ids[2])], [json!(640), json!(240)]);
    assert_eq!(source.requests(), 1);
    for (id, other) in [(&ids[0], &ids[2]), (&ids[2], &ids[0])] {
        let summary = summary(&server, id).await;
        assert!(summary.contains(&format!("made together with {other}")), "{summary}");
    }
    server.kill().await;
}

#[tokio::test]
async fn one_that_is_cancelled_leaves_the_others_to_be_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&long_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(data_dir.path(), &ONE_SLOT).await;
    let tasks = json!([
        {"kind": "video", "options": {"width": 640, "quality": "very_high"}},
        {"kind": "video", "options": {"width": 160, "quality": "very_low"}},
    ]);
    let ids = send(&server, &source, &receiver, tasks).await;
    let scratch = data_dir.path().join("scratch");
    eventually("ffmpeg runs", async || (!processes_naming(&scratch).is_empty()).then_some(()))
        .await;
    server.job_when(&ids[1], |job| job["status"] == "processing").await;
    server.post(&format!("/jobs/{}/cancel", ids[0]), &json!({})).await;
    let (first, second) = (next(&receiver).await, next(&receiver).await);
    assert_eq!((&first["type"], &first["id"]), (&json!("job.cancelled"), &json!(ids[0])));
    assert_eq!((&second["type"], &second["id"]), (&json!("job.succeeded"), &json!(ids[1])));
    assert_eq!(source.requests(), 1, "the input was kept");
    server.kill().await;
}

#[tokio::test]
async fn a_killed_worker_s_tasks_are_each_made_once_more_and_told_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&film_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(data_dir.path(), &ONE_SLOT).await;
    let tasks = json!([
        {"kind": "video", "options": {"format": "webm", "quality": "high"}},
        {"kind": "video", "options": {"format": "webm", "width": 160, "quality": "very_low"}},
    ]);
    let mut ids = send(&server, &source, &receiver, tasks).await;
    let scratch = data_dir.path().join("scratch");
    eventually("ffmpeg runs", async || (!processes_naming(&scratch).is_empty()).then_some(()))
        .await;
    server.job_when(&ids[1], |job| job["status"] == "processing").await;
    server.kill().await;
    let server = Server::start_with(data_dir.path(), &ONE_SLOT).await;
    let mut told = Vec::new();
    // Of each job, and of the batch.
    for _ in 0..3 {
        let body = receiver.next().await.body;
        if body["type"] == "batch.finished" {
            continue;
        }
        assert_eq!(body["type"], "job.succeeded", "{body}");
        assert_eq!(body["outputs"].as_array().map(Vec::len), Some(1));
        told.push(body["id"].as_str().expect("an id").to_owned());
    }
    told.sort();
    ids.sort();
    assert_eq!(told, ids);
    for id in &ids {
        let summary = summary(&server, id).await;
        assert!(!summary.contains("made together"), "alone now: {summary}");
        let log = server.get(&format!("/webhooks/deliveries?job_id={id}")).await;
        assert_eq!(log.as_array().map(Vec::len), Some(1));
    }
    assert!(receiver.is_quiet_for(Duration::from_secs(1)).await);
    server.kill().await;
}

/// The ends that are told of the jobs of a batch, by their ids: one each, and then no more.
pub(crate) async fn ends(
    receiver: &Receiver,
    server: &Server,
    ids: &[String],
) -> BTreeMap<String, Value> {
    let mut told = BTreeMap::new();
    // Of each job, and of the batch.
    for _ in 0..=ids.len() {
        let body = receiver.next().await.body;
        let before = told.insert(body["id"].as_str().expect("an id").to_owned(), body);
        assert_eq!(before, None, "one end each");
    }
    for id in ids {
        let log = server.get(&format!("/webhooks/deliveries?job_id={id}")).await;
        assert_eq!(log.as_array().map(Vec::len), Some(1), "{log}");
    }
    assert!(receiver.is_quiet_for(Duration::from_secs(1)).await);
    told
}

/// How a job failed.
pub(crate) fn failure(end: &Value) -> &str {
    assert_eq!(end["type"], "job.failed", "{end}");
    assert_eq!(end["outputs"], json!([]), "{end}");
    end["error"]["kind"].as_str().expect("a kind")
}

/// Of an end that is good, what a player would ask.
fn facts(end: &Value) -> Value {
    assert_eq!(end["type"], "job.succeeded", "{end}");
    let (file, codecs) = (&end["output"], &end["output"]["codecs"]);
    let secs = file["duration"].as_f64().expect("a duration").round();
    json!([file["width"], file["height"], secs, codecs["video"], codecs["audio"]])
}

/// An ffmpeg whose files may have so many bytes and no more, by the kernel's word.
fn ffmpeg_with_room_for(folder: &Path, bytes: u64) -> String {
    let path = folder.join("ffmpeg-with-room");
    let script = format!("#!/bin/sh\nulimit -f {}\nexec ffmpeg \"$@\"\n", bytes / 512);
    fs::write(&path, script).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[tokio::test]
async fn one_that_ends_the_process_of_all_fails_alone_and_the_others_are_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&ranged_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    // The kernel ends whoever writes more: it cannot tell one output from another.
    let ffmpeg = ffmpeg_with_room_for(folder.path(), 1 << 20);
    let env = [ONE_SLOT[0], ("REELWAY_FFMPEG", &ffmpeg)];
    let server = Server::start_with(folder.path(), &env).await;
    let tasks = json!([
        {"kind": "video", "options": {"width": 160, "quality": "very_low"}},
        {"kind": "video", "options": {"copy": "never"}},
        {"kind": "video", "options": {"width": 96, "quality": "very_low", "format": "webm"}},
    ]);
    let ids = send(&server, &source, &receiver, tasks).await;
    let ends = ends(&receiver, &server, &ids).await;
    assert_eq!(facts(&ends[&ids[0]]), json!([160, 90, 12.0, "h264", "aac"]));
    assert_eq!(facts(&ends[&ids[2]]), json!([96, 54, 12.0, "vp9", "opus"]));
    assert_eq!(failure(&ends[&ids[1]]), "output_too_large");
    for id in &ids {
        let summary = summary(&server, id).await;
        assert!(summary.contains("made together with"), "{summary}");
        assert!(summary.contains("that failed: made alone"), "{summary}");
    }
    assert_eq!(source.requests(), 1, "the input was kept");
    let of_tasks = |path: &PathBuf| !path.to_string_lossy().contains("/inputs/");
    assert_eq!(server.scratch_files().into_iter().find(of_tasks), None, "nothing is left");
    server.kill().await;
}

#[tokio::test]
async fn what_one_does_to_itself_is_its_own_failure_and_the_process_goes_on_for_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&gap_clip(folder.path(), 10, 600)).await;
    let receiver = Receiver::start().await;
    let server = Server::start_with(folder.path(), &ONE_SLOT).await;
    let tasks = json!([
        {"kind": "video", "options": {"width": 64, "fps": 60}},
        {"kind": "video", "options": {"width": 64}},
        {"kind": "video", "options": {"width": 64, "fps": 60, "format": "webm"}},
        {"kind": "video", "options": {"width": 48, "format": "webm"}},
    ]);
    let ids = send(&server, &source, &receiver, tasks).await;
    let ends = ends(&receiver, &server, &ids).await;
    for id in [&ids[0], &ids[2]] {
        assert_eq!(failure(&ends[id]), "input_over_limit");
        let message = ends[id]["error"]["message"].as_str().expect("a message");
        assert!(message.ends_with("more than 10000 pictures"), "{message}");
    }
    assert_eq!(facts(&ends[&ids[1]]), json!([64, 36, 600.0, "h264", null]));
    assert_eq!(facts(&ends[&ids[3]]), json!([48, 28, 600.0, "vp9", null]));
    for (number, id) in ids.iter().enumerate() {
        let summary = summary(&server, id).await;
        assert!(summary.contains("made together with"), "{summary}");
        // A WebM does not say how many pictures it has: whether that is all of them is asked of a
        // process of its own.
        assert_eq!(summary.contains("that did not do: made alone"), number == 2, "{summary}");
    }
    server.kill().await;
}

#[tokio::test]
async fn what_one_format_cannot_hold_is_not_held_against_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start().await;
    let server = Server::start_with(folder.path(), &ONE_SLOT).await;
    // An MP4 has no numbers for ten hours between two pictures: ffmpeg warns of the last one, and
    // gives up at any other.
    for (pictures, kind, said) in [
        (2, "input_corrupt", "that did not do: made alone"),
        (10, "ffmpeg_failed", "that failed: made alone"),
    ] {
        let source = Source::of(&gap_clip(folder.path(), pictures, 36_000)).await;
        let tasks = json!([
            {"kind": "video", "options": {"width": 64, "format": "webm"}},
            {"kind": "video", "options": {"width": 64}},
            {"kind": "video", "options": {"width": 48, "format": "webm"}},
        ]);
        let ids = send(&server, &source, &receiver, tasks).await;
        let ends = ends(&receiver, &server, &ids).await;
        assert_eq!(failure(&ends[&ids[1]]), kind);
        assert_eq!(facts(&ends[&ids[0]]), json!([64, 36, 36_000.0, "vp9", null]));
        assert_eq!(facts(&ends[&ids[2]]), json!([48, 28, 36_000.0, "vp9", null]));
        for id in &ids {
            let summary = summary(&server, id).await;
            assert!(summary.contains("made together with") && summary.contains(said), "{summary}");
        }
    }
    server.kill().await;
}
