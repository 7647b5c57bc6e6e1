//! The pipeline's three tasks, from the request to the receiver.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{
    Receiver, Server, Source, client, eventually, long_clip, processes_naming, short_clip,
};

fn three_tasks() -> Value {
    json!([
        {"kind": "video", "options": {"format": "mp4", "width": 1920, "quality": "high"}},
        {"kind": "image", "options": {"format": "webp", "width": 640, "start": 2}},
        {"kind": "video", "options": {"format": "mp4", "width": 480, "quality": "low"}},
    ])
}

#[tokio::test]
async fn three_tasks_of_one_input_are_one_download_and_three_signed_webhooks() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let server = Server::start(folder.path()).await;

    let batch = server
        .post(
            "/process",
            &json!({"url": source.url, "tasks": three_tasks(), "webhook_url": receiver.url,
                    "metadata": {"upload": 7}}),
        )
        .await;
    let ids: Vec<&str> = batch["tasks"]
        .as_array()
        .expect("three tasks")
        .iter()
        .map(|task| task["task_id"].as_str().expect("an id"))
        .collect();

    let (mut joined, mut told) = (Vec::new(), Vec::new());
    for _ in 0..=ids.len() {
        let push = receiver.next().await;
        assert!(push.is_verified(), "the reference library takes the signature");
        if push.body["type"] == "batch.finished" {
            told.push(push.body);
            continue;
        }
        assert_eq!(push.body["type"], "job.succeeded");
        assert_eq!(push.body["status"], "succeeded");
        assert_eq!(push.body["metadata"], json!({"upload": 7}));
        joined.push(push.body["id"].as_str().expect("an id").to_owned());
        output_is_what_it_says(&push.body["output"]).await;
    }
    joined.sort();
    let mut sent = ids.clone();
    sent.sort_unstable();
    assert_eq!(joined, sent, "each job has its own webhook, joined by its id");
    assert_eq!(source.requests(), 1, "the source saw one download");
    let [told] = told.as_slice() else { panic!("the batch is told of once: {told:?}") };
    let succeeded = &told["counts"]["succeeded"];
    assert_eq!((&told["id"], &told["seq"], succeeded), (&batch["batch_id"], &json!(1), &json!(3)));
    output_is_what_it_says(&told["jobs"][1]["output"]).await;

    let batch =
        server.get(&format!("/batches/{}", batch["batch_id"].as_str().expect("an id"))).await;
    assert_eq!(batch["status"], "succeeded");
    let facts: Vec<Value> = batch["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| {
            let output = &job["output"];
            json!([output["kind"], output["format"], output["width"], output["height"]])
        })
        .collect();
    // Nothing is made larger than it was.
    assert_eq!(
        facts,
        [
            json!(["video", "mp4", 640, 360]),
            json!(["image", "webp", 640, 360]),
            json!(["video", "mp4", 480, 270])
        ]
    );
}

async fn output_is_what_it_says(output: &Value) {
    let url = output["url"].as_str().expect("a link");
    let answer = client().get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let bytes = answer.bytes().await.expect("the file");
    assert_eq!(output["filesize"], bytes.len() as u64);
    assert_eq!(output["sha256"], hex::encode(Sha256::digest(&bytes)));
}

#[tokio::test]
async fn a_receiver_that_is_down_at_first_gets_the_webhook_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    receiver.answer(StatusCode::SERVICE_UNAVAILABLE);
    let server = Server::start(folder.path()).await;

    let body = json!({"url": source.url, "kind": "image", "webhook_url": receiver.url});
    server.post("/process", &body).await;
    let first = receiver.next().await;
    receiver.answer(StatusCode::OK);
    let second = receiver.next().await;
    assert_eq!(first.id(), second.id(), "the same event");
    assert_eq!(
        (&first.headers["webhook-attempt"], &second.headers["webhook-attempt"]),
        (&"1".parse().expect("a header"), &"2".parse().expect("a header"))
    );
    assert!(second.is_verified());

    let delivered = eventually("the log shows it", async || {
        let log = server.get("/webhooks/deliveries").await;
        (log[0]["state"] == "delivered").then(|| log[0].clone())
    })
    .await;
    assert_eq!(delivered["attempts"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn cancelling_a_running_job_ends_its_ffmpeg_within_three_seconds() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&long_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let server = Server::start(data_dir.path()).await;

    let body = json!({"input": source.url, "kind": "video", "options": {"quality": "very_high"},
                      "webhook_url": receiver.url});
    let job = server.post("/jobs", &body).await;
    let id = job["id"].as_str().expect("an id");
    let scratch = data_dir.path().join("scratch");
    eventually("ffmpeg runs", async || (!processes_naming(&scratch).is_empty()).then_some(()))
        .await;

    let asked = Instant::now();
    server.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    eventually("ffmpeg is gone", async || processes_naming(&scratch).is_empty().then_some(()))
        .await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());

    let job = server.job_when(id, |job| job["status"] == "cancelled").await;
    assert_eq!(job["output"], Value::Null);
    let push = receiver.next().await;
    assert_eq!(
        (push.body["type"].as_str(), push.body["id"].as_str()),
        (Some("job.cancelled"), Some(id))
    );
    eventually("no scratch", async || {
        // The input is kept a while for other tasks of it.
        let left = server.scratch_files();
        left.iter()
            .all(|path| path.components().any(|part| part.as_os_str() == "inputs"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_job_that_cannot_be_done_says_why_and_is_pushed_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    std::fs::write(&page, "<!doctype html><title>Sign in</title>").expect("a file");
    let source = Source::of(&page).await;
    let receiver = Receiver::start().await;
    let server = Server::start(folder.path()).await;

    let body = json!({"url": source.url, "webhook_url": receiver.url});
    server.post("/process", &body).await;
    let push = receiver.next().await;
    assert_eq!(push.body["type"], "job.failed");
    assert_eq!(push.body["error"]["kind"], "input_unsupported");
    assert_eq!(push.body["error"]["retryable"], false);
    let words = push.body["error"]["message"].as_str().expect("words");
    assert!(words.contains("web page") || words.contains("HTML"), "{words}");
}

/// A second of a note, of which ffmpeg has to guess which loudspeakers it is for.
fn note(folder: &Path) -> PathBuf {
    let level = |n: u32| ((f64::from(n) * 0.3).sin() * 8000.0) as i16;
    let samples: Vec<u8> =
        (0..8000).flat_map(|n| [level(n); 2]).flat_map(i16::to_le_bytes).collect();
    let size = samples.len() as u32;
    let mut wav = [b"RIFF", &(size + 36).to_le_bytes()[..], b"WAVEfmt "].concat();
    wav.extend(16_u32.to_le_bytes());
    // PCM, two channels, so many samples, bytes a second, bytes a sample, bits.
    wav.extend([1_u16, 2].map(u16::to_le_bytes).concat());
    wav.extend([8000_u32, 32_000].map(u32::to_le_bytes).concat());
    wav.extend([4_u16, 16].map(u16::to_le_bytes).concat());
    wav.extend([b"data", &size.to_le_bytes()[..], &samples].concat());
    let path = folder.join("note.wav");
    std::fs::write(&path, wav).expect("written");
    path
}

#[tokio::test]
async fn what_ffmpeg_said_of_a_job_that_went_well_is_on_its_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&note(folder.path())).await;
    let server = Server::start(folder.path()).await;
    let job = server.post("/jobs", &json!({"input": source.url, "kind": "audio"})).await;
    let id = job["id"].as_str().expect("an id").to_owned();
    server.job_when(&id, |job| job["status"] == "succeeded").await;
    let answer = client().get(format!("{}/ui/jobs/{id}", server.url)).send().await;
    let page = answer.expect("an answer").text().await.expect("text");
    assert!(page.contains("Guessed Channel Layout"), "{page}");
}
