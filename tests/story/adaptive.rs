//! Adaptive playback, from the request to other people's players in a real browser.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::routing::get;
use reqwest::Url;
use serde_json::{Value, json};

use crate::buckets::{SEALING, connection, outputs_in};
use crate::harness::{
    Receiver, Server, Source, client, eventually, film_clip, installed, is_here, node_project,
    serve,
};
use crate::s3::{S3Server, SECRET_ACCESS_KEY};

/// The end of a job with these options.
async fn made(server: &Server, source: &Source, body: Value) -> Value {
    let receiver = Receiver::start().await;
    let mut body = body;
    body["input"] = json!(source.url);
    body["kind"] = json!("adaptive_video");
    body["webhook_url"] = json!(receiver.url);
    let id = server.post("/jobs", &body).await["id"].as_str().expect("an id").to_owned();
    // First try or none: what is tried again has failed here.
    eventually("the job ends", async || {
        let job = server.get(&format!("/jobs/{id}")).await;
        let tasks = job["tasks"].as_array().expect("tasks");
        assert!(tasks.iter().all(|task| task["error"] == Value::Null), "{job}");
        (job["status"] == "succeeded").then_some(())
    })
    .await;
    let push = receiver.next().await;
    assert!(push.is_verified());
    assert_eq!(push.body["status"], "succeeded", "{}", push.body);
    push.body
}

fn url(file: &Value) -> Url {
    file["url"].as_str().expect("a URL").parse().expect("a URL")
}

async fn text(url: &Url) -> String {
    let answer = client().get(url.clone()).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()["access-control-allow-origin"], "*", "{url}");
    answer.text().await.expect("text")
}

/// Reads everything below the master playlist as a player does; returns the names of the files.
async fn walk(master: &Url) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let list = m3u8_rs::parse_master_playlist_res(text(master).await.as_bytes()).expect("a master");
    let others = list.alternatives.iter().filter_map(|other| other.uri.as_ref());
    for uri in list.variants.iter().map(|variant| &variant.uri).chain(others) {
        let playlist = master.join(uri).expect("a URL");
        let told = text(&playlist).await;
        let list = m3u8_rs::parse_media_playlist_res(told.as_bytes());
        names.insert(uri.clone());
        for segment in list.expect("a playlist").segments {
            names.insert(segment.uri.clone());
            let mut asked = client().get(playlist.join(&segment.uri).expect("a URL"));
            let Some(range) = segment.byte_range else { continue };
            let start = range.offset.expect("an offset");
            let end = start + range.length - 1;
            asked = asked.header("range", format!("bytes={start}-{end}"));
            let answer = asked.send().await.expect("an answer");
            assert_eq!(answer.status(), 206, "{}", segment.uri);
            assert_eq!(answer.bytes().await.expect("bytes").len() as u64, range.length);
        }
    }
    names
}

/// What a player in the browser has seen; none where there is no browser.
#[expect(clippy::disallowed_methods, reason = "the test starts a browser")]
async fn seen(player: &str, url: &Url) -> Option<Value> {
    let chromium = Path::new("/usr/bin/chromium");
    let has_browser = is_here("/usr/bin/chromium (scripts/setup browser)", chromium.exists());
    let packages = installed("browser").filter(|_| has_browser)?;
    let folder = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/play.mjs");
    node_project(folder.path(), &packages, &[script]);
    let said = tokio::process::Command::new("node")
        .args(["play.mjs", player, url.as_str()])
        .current_dir(folder.path())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node is installed");
    let shown = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{shown}");
    Some(serde_json::from_slice(&said.stdout).expect("JSON"))
}

/// Every rendition was shown and moved, without an error.
fn assert_played(seen: &Value, what: &str) {
    assert_eq!(seen["errors"], json!([]), "{what}");
    let levels = seen["levels"].as_array().expect("levels");
    let heights: BTreeSet<u64> =
        levels.iter().map(|level| level["height"].as_u64().expect("a height")).collect();
    assert_eq!(heights, BTreeSet::from([240, 360]), "{what}");
    for level in levels {
        assert_eq!(level["shown"], level["height"], "{what}: {seen}");
        assert_eq!(level["moved"], true, "{what}: {seen}");
        assert!(level["pictures"].as_u64().expect("pictures") > 3, "{what}: {seen}");
    }
    for (name, is_known) in seen["types"].as_object().expect("types") {
        assert_eq!(*is_known, true, "{what}: {name}");
    }
    let secs = seen["duration"].as_f64().expect("a length");
    assert!((secs - 6.0).abs() < 0.2, "{what}: {secs} s");
}

#[tokio::test]
async fn a_package_plays_from_its_link_through_all_renditions() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&film_clip(folder.path())).await;
    let bucket = S3Server::start().await;
    for env in [&[][..], &outputs_in(&bucket)] {
        let data_dir = tempfile::tempdir().expect("a folder");
        let server = Server::start_with(data_dir.path(), env).await;
        let job = made(&server, &source, json!({})).await;
        let output = &job["output"];
        assert_eq!(
            [&output["kind"], &output["format"], &output["width"], &output["height"]],
            [&json!("adaptive_video"), &json!("hls"), &json!(640), &json!(360)]
        );
        assert_eq!(output["codecs"], json!({"video": "h264", "audio": "aac"}));
        assert_eq!(job["output_url"], output["url"]);
        let outputs = job["outputs"].as_array().expect("outputs");
        assert_eq!(outputs[0], *output);

        let master = url(output);
        let mut walked = walk(&master).await;
        walked.extend(["master.m3u8", "manifest.mpd"].map(str::to_owned));
        let told: BTreeSet<String> = outputs
            .iter()
            .map(|file| url(file).path().rsplit('/').next().expect("a name").to_owned())
            .collect();
        assert_eq!(walked, told, "everything that is told of is led to, and the other way round");

        if let Some(seen) = seen("hls", &master).await {
            assert_played(&seen, "HLS");
        }
        let manifest = master.join("manifest.mpd").expect("a URL");
        assert!(text(&manifest).await.contains("<BaseURL>video_360p.mp4</BaseURL>"));
        if let Some(seen) = seen("dash", &manifest).await {
            assert_played(&seen, "DASH");
        }
    }
}

/// A server of a key that any page may read.
async fn key_server() -> String {
    let key = || async { ([("access-control-allow-origin", "*")], *b"sixteen bytes...") };
    let short = || async { *b"short" };
    let app = Router::new().route("/key", get(key)).route("/short", get(short));
    serve(app).await
}

#[tokio::test]
async fn encrypted_packages_and_transport_streams_play_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&film_clip(folder.path())).await;
    let server = Server::start(folder.path()).await;
    let keys = key_server().await;
    let encryption = json!({"method": "aes-128", "key_url": format!("{keys}/key")});
    for options in [
        json!({"segment_type": "ts"}),
        json!({"segment_type": "ts", "encryption": encryption}),
        json!({"encryption": encryption}),
    ] {
        let job = made(&server, &source, json!({"options": options})).await;
        if let Some(seen) = seen("hls", &url(&job["output"])).await {
            assert_played(&seen, &options.to_string());
        }
    }

    let options = json!({"encryption": {"method": "aes-128", "key_url": format!("{keys}/short")}});
    let body = json!({"input": source.url, "kind": "adaptive_video", "options": options});
    let id = server.post("/jobs", &body).await["id"].as_str().expect("an id").to_owned();
    let failed = eventually("it fails", async || {
        let job = server.get(&format!("/jobs/{id}")).await;
        (job["status"] == "failed").then_some(job)
    });
    let error = &failed.await["error"];
    assert_eq!(error["kind"], "input_unsupported", "{error}");
    assert!(error["message"].as_str().expect("words").contains("key_url"), "{error}");
}

#[tokio::test]
async fn a_package_goes_to_a_users_own_bucket_with_all_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&film_clip(folder.path())).await;
    let bucket = S3Server::start().await;
    let server = Server::start_with(folder.path(), &SEALING).await;
    let connection = connection(&server, &bucket.url, SECRET_ACCESS_KEY).await;
    for (output, main, beside) in [
        ("s3://media/films/film.m3u8", "films/film.m3u8", "films"),
        ("s3://media/packs/", "packs/{id}/master.m3u8", "packs/{id}"),
    ] {
        let body = json!({"connection_id": connection, "output": output});
        let job = made(&server, &source, body).await;
        let id = job["id"].as_str().expect("an id");
        let (main, beside) = (main.replace("{id}", id), beside.replace("{id}", id));
        assert_eq!(job["output"]["url"], format!("s3://media/{main}"));
        for file in job["outputs"].as_array().expect("outputs") {
            let key = file["url"].as_str().and_then(|url| url.strip_prefix("s3://media/"));
            let key = key.expect("an object of the bucket");
            assert_eq!(Path::new(key).parent(), Some(Path::new(&beside)));
            let size = std::fs::metadata(bucket.object(key)).expect("it is there").len();
            assert_eq!(file["filesize"], size, "{key}");
        }
    }
}

#[tokio::test]
async fn a_probe_answers_with_the_facts_of_the_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip: PathBuf = film_clip(folder.path());
    let source = Source::of(&clip).await;
    let receiver = Receiver::start().await;
    let server = Server::start(folder.path()).await;
    let body = json!({"input": source.url, "kind": "probe", "webhook_url": receiver.url});
    let id = server.post("/jobs", &body).await["id"].as_str().expect("an id").to_owned();
    let push = receiver.next().await;
    let job = server.get(&format!("/jobs/{id}")).await;
    let bytes = std::fs::read(&clip).expect("the clip");
    for body in [&push.body, &job] {
        assert_eq!(body["status"], "succeeded", "{body}");
        let output = &body["output"];
        assert_eq!([&output["url"], &body["output_url"]], [&json!(source.url); 2]);
        assert_eq!(
            [&output["kind"], &output["format"], &output["width"], &output["height"]],
            [&json!("video"), &json!("mp4"), &json!(640), &json!(360)]
        );
        assert_eq!(output["codecs"], json!({"video": "h264", "audio": "aac"}));
        assert_eq!(output["fps"], 12.0);
        assert_eq!(output["filesize"], bytes.len() as u64);
        let sum = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
        assert_eq!(output["sha256"], hex::encode(sum));
        let stages: Vec<_> =
            body["tasks"].as_array().expect("tasks").iter().map(|task| &task["kind"]).collect();
        assert_eq!(stages, ["import", "probe"]);
    }
    // Nothing is kept here, and the job goes like any other.
    let file = client().get(format!("{}/files/{id}/1/input", server.url)).send().await;
    assert_eq!(file.expect("an answer").status(), 404);
    let gone = client().delete(format!("{}/jobs/{id}", server.url)).send().await;
    assert_eq!(gone.expect("an answer").status(), 204);
}
