//! One step at a time, from a stranger's URL to a bucket of the user's own.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::buckets::{SEALING, connection, outputs_in};
use crate::harness::{Server, Source, client, eventually, short_clip};
use crate::s3::{S3Server, SECRET_ACCESS_KEY};

/// The task that a body makes, once it has succeeded.
async fn done(server: &Server, body: &Value) -> Value {
    let task = server.post("/tasks", body).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
    eventually("the task ends", async || {
        let task = server.get(&path).await;
        assert!(task["error"].is_null(), "{task}");
        (task["status"] == "succeeded").then_some(task)
    })
    .await
}

fn sum(bytes: &[u8]) -> Value {
    json!(hex::encode(Sha256::digest(bytes)))
}

/// The names of the stages that a task has passed through.
async fn stages(server: &Server, task: &Value) -> Value {
    let job = server.get(&format!("/jobs/{}", task["job_id"].as_str().expect("an id"))).await;
    assert_eq!(job["kind"], task["kind"]);
    job["tasks"].as_array().expect("stages").iter().map(|stage| stage["kind"].clone()).collect()
}

async fn fetched(file: &Value) -> Vec<u8> {
    let url = file["url"].as_str().expect("a link");
    let answer = client().get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    answer.bytes().await.expect("bytes").to_vec()
}

#[tokio::test]
async fn a_file_is_imported_made_smaller_and_exported() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = short_clip(folder.path());
    let source = Source::of(&clip).await;
    let bytes = std::fs::read(&clip).expect("the clip");
    let (own, users) = (S3Server::start().await, S3Server::start().await);
    for env in [&SEALING[..], &[&SEALING[..], &outputs_in(&own)].concat()] {
        let data_dir = tempfile::tempdir().expect("a folder");
        let server = Server::start_with(data_dir.path(), env).await;
        let connection = connection(&server, &users.url, SECRET_ACCESS_KEY).await;

        let import = done(&server, &json!({"kind": "import", "input": {"url": source.url}})).await;
        let copy = &import["output"];
        assert_eq!(
            [&copy["kind"], &copy["format"], &copy["width"], &copy["height"], &copy["fps"]],
            [&json!("video"), &json!("mp4"), &json!(640), &json!(360), &json!(25.0)]
        );
        assert_eq!(copy["codecs"], json!({"video": "h264", "audio": "aac"}));
        assert_eq!((&copy["filesize"], &copy["sha256"]), (&json!(bytes.len()), &sum(&bytes)));
        assert_eq!(fetched(copy).await, bytes);
        assert_eq!(stages(&server, &import).await, json!(["import", "probe", "export"]));

        let small = json!({"kind": "video", "input": {"task_id": import["id"]},
                           "options": {"width": 320}});
        let small = done(&server, &small).await;
        assert_eq!(small["output"]["width"], 320);

        let place = json!({"connection_id": connection, "output": "s3://media/small film.mp4"});
        let export = json!({"kind": "export", "input": {"task_id": small["id"]}, "options": place});
        let export = done(&server, &export).await;
        let object = std::fs::read(users.object("small film.mp4")).expect("an object");
        assert_eq!(export["output"]["url"], "s3://media/small film.mp4");
        for file in [&small["output"], &export["output"]] {
            assert_eq!(file["sha256"], sum(&object));
            assert_eq!(file["width"], 320);
        }
        assert_eq!(object, fetched(&small["output"]).await);

        let from_url = json!({"kind": "export", "input": {"url": copy["url"]},
                              "connection_id": connection, "output": "s3://media/copies/"});
        let export = done(&server, &from_url).await;
        let key = format!("copies/{}/video.mp4", export["job_id"].as_str().expect("an id"));
        assert_eq!(export["output"]["url"], format!("s3://media/{key}"));
        assert_eq!(std::fs::read(users.object(&key)).expect("an object"), bytes);

        // What was exported is its owner's; an import goes with its job.
        for task in [&export, &import] {
            let job = task["job_id"].as_str().expect("an id");
            let gone = client().delete(format!("{}/jobs/{job}", server.url)).send().await;
            assert_eq!(gone.expect("an answer").status(), 204);
        }
        assert!(users.object(&key).exists());
        let body = json!({"kind": "video", "input": {"task_id": import["id"]}});
        let refused = client().post(format!("{}/tasks", server.url)).json(&body).send().await;
        assert_eq!(refused.expect("an answer").status(), 400);
    }
}

#[tokio::test]
async fn an_import_takes_from_a_users_own_bucket_and_stays_when_the_source_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let users = S3Server::start().await;
    let object = users.object("in.mp4");
    std::fs::create_dir_all(object.parent().expect("a folder")).expect("a folder");
    std::fs::copy(short_clip(folder.path()), &object).expect("an object");
    let server = Server::start_with(folder.path(), &SEALING).await;
    let connection = connection(&server, &users.url, SECRET_ACCESS_KEY).await;
    let body = json!({"kind": "import", "input": {"url": "s3://media/in.mp4"},
                      "connection_id": connection});
    let import = done(&server, &body).await;
    let bytes = std::fs::read(&object).expect("an object");
    std::fs::remove_file(&object).expect("it goes");
    assert_eq!(fetched(&import["output"]).await, bytes);
    let image = json!({"kind": "image", "input": {"task_id": import["id"]}});
    assert_eq!(done(&server, &image).await["output"]["kind"], "image");
}

#[tokio::test]
async fn a_film_is_looked_at_and_then_made_into_a_package() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let server = Server::start(folder.path()).await;
    let probe = done(&server, &json!({"kind": "probe", "input": {"url": source.url}})).await;
    assert_eq!(probe["output"]["url"], source.url);
    assert_eq!(probe["output"]["height"], 360);
    for kind in ["video", "adaptive_video"] {
        let body = json!({"kind": kind, "input": {"task_id": probe["id"]},
                          "options": {"height": 240}});
        let made = done(&server, &body).await;
        assert_eq!(made["input"]["url"], source.url);
        assert_eq!(
            (&made["output"]["kind"], &made["output"]["height"]),
            (&json!(kind), &json!(240))
        );
    }
}

#[tokio::test]
async fn what_is_no_media_is_not_imported() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.mp4");
    std::fs::write(&page, "<!doctype html><script>alert(1)</script>").expect("a file");
    let source = Source::of(&page).await;
    let server = Server::start(folder.path()).await;
    let body = json!({"kind": "import", "input": {"url": source.url}});
    let task = server.post("/tasks", &body).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
    let failed = eventually("the task ends", async || {
        let task = server.get(&path).await;
        (task["status"] == "failed").then_some(task)
    })
    .await;
    assert_eq!(failed["error"]["kind"], "input_unsupported", "{failed}");
    assert!(failed["output"].is_null());
}
