//! Outputs in a bucket, and jobs of users' own buckets.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{Receiver, Server, Source, client, short_clip};
use crate::s3::{ACCESS_KEY_ID, S3Server, SECRET_ACCESS_KEY};

/// The variables with which a server keeps its outputs in the bucket.
pub(crate) fn outputs_in(bucket: &S3Server) -> [(&'static str, &str); 5] {
    [
        ("REELWAY_STORAGE", "s3://media/made"),
        ("AWS_ENDPOINT_URL", &bucket.url),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
    ]
}

#[tokio::test]
async fn an_output_in_a_bucket_is_fetched_by_its_link_and_goes_with_its_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let bucket = S3Server::start().await;
    let receiver = Receiver::start().await;
    let server = Server::start_with(folder.path(), &outputs_in(&bucket)).await;

    let body = json!({
        "input": source.url, "kind": "image", "options": {"format": "jpeg"},
        "webhook_url": receiver.url,
    });
    let id = server.post("/jobs", &body).await["id"].as_str().expect("an id").to_owned();
    let push = receiver.next().await;
    assert_eq!(push.body["status"], "succeeded", "{}", push.body);
    let job = server.get(&format!("/jobs/{id}")).await;
    for output in [&push.body["output"], &job["output"]] {
        let url = output["url"].as_str().expect("a link");
        assert!(url.starts_with(&format!("{}/media/made/{id}/1/image", bucket.url)), "{url}");
        let answer = client().get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "image/jpeg");
        let bytes = answer.bytes().await.expect("the file");
        assert_eq!(output["filesize"], bytes.len() as u64);
        assert_eq!(output["sha256"], hex::encode(Sha256::digest(&bytes)));
    }
    the_server_hands_it_out_too(&server, &id, &job["output"]).await;

    let gone = client().delete(format!("{}/jobs/{id}", server.url)).send().await;
    assert_eq!(gone.expect("an answer").status(), 204);
    let refused = client().get(format!("{}/files/{id}/1/image.jpg", server.url)).send().await;
    assert_eq!(refused.expect("an answer").status(), 404);
    assert_eq!(bucket.unfinished(), Vec::<std::path::PathBuf>::new());
}

/// For callers with a key, and for links that were made before there was a bucket.
async fn the_server_hands_it_out_too(server: &Server, id: &str, output: &Value) {
    let url = format!("{}/files/{id}/1/image.jpg", server.url);
    let range = client().get(url).header("range", "bytes=0-1").send().await.expect("an answer");
    assert_eq!(range.status(), 206);
    let total = output["filesize"].as_u64().expect("a size");
    assert_eq!(range.headers()["content-range"], format!("bytes 0-1/{total}"));
    assert_eq!(&range.bytes().await.expect("bytes")[..], b"\xff\xd8");
}

pub(crate) async fn connection(server: &Server, endpoint: &str, secret: &str) -> String {
    let body = json!({
        "kind": "s3", "endpoint": endpoint, "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": secret,
    });
    let made = server.post("/connections", &body).await;
    made["id"].as_str().expect("an id").to_owned()
}

pub(crate) const SEALING: [(&str, &str); 1] =
    [("REELWAY_SECRET_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")];

#[tokio::test]
async fn a_job_reads_and_writes_a_users_own_bucket() {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = S3Server::start().await;
    std::fs::create_dir_all(bucket.object("up loads")).expect("a folder");
    std::fs::copy(short_clip(folder.path()), bucket.object("up loads/é.mp4")).expect("an object");
    let receiver = Receiver::start().await;
    let server = Server::start_with(folder.path(), &SEALING).await;
    let id = connection(&server, &bucket.url, SECRET_ACCESS_KEY).await;

    let mut body = json!({
        "input": "s3://media/up loads/é.mp4", "kind": "video", "options": {"width": 320},
        "connection_id": id, "output": "s3://media/made/film 1.mp4", "webhook_url": receiver.url,
    });
    server.post("/jobs", &body).await;
    let push = receiver.next().await;
    assert_eq!(push.body["status"], "succeeded", "{}", push.body);
    let output = &push.body["output"];
    assert_eq!(output["url"], "s3://media/made/film 1.mp4");
    assert_eq!(push.body["output_url"], output["url"]);
    assert_eq!(output["width"], 320);
    let bytes = std::fs::read(bucket.object("made/film 1.mp4")).expect("an object");
    assert_eq!(output["sha256"], hex::encode(Sha256::digest(&bytes)));

    body["kind"] = json!("image");
    body["options"] = json!({"format": "webp"});
    body["output"] = json!("s3://media/thumbnails/");
    let job = server.post("/jobs", &body).await;
    let job = job["id"].as_str().expect("an id");
    let push = receiver.next().await;
    assert_eq!(push.body["output"]["url"], format!("s3://media/thumbnails/{job}/image.webp"));
    assert!(bucket.object(&format!("thumbnails/{job}/image.webp")).exists());

    // What was delivered is its owner's: deleting the job leaves it.
    let deleted = client().delete(format!("{}/jobs/{job}", server.url)).send().await;
    assert_eq!(deleted.expect("an answer").status(), 204);
    assert!(bucket.object(&format!("thumbnails/{job}/image.webp")).exists());
}

#[tokio::test]
async fn a_bucket_that_says_no_fails_the_job_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let bucket = S3Server::start().await;
    let receiver = Receiver::start().await;
    let server = Server::start_with(folder.path(), &SEALING).await;
    let wrong = connection(&server, &bucket.url, "another-secret-access-key").await;
    let right = connection(&server, &bucket.url, SECRET_ACCESS_KEY).await;

    let input = json!("s3://media/in.mp4");
    let output = json!("s3://media/out.jpg");
    for (id, input, output, kind) in [
        (&wrong, &input, &Value::Null, "input_unauthorized"),
        (&right, &input, &Value::Null, "input_not_found"),
        (&wrong, &json!(source.url), &output, "output_refused"),
    ] {
        let body = json!({
            "input": input, "kind": "image", "connection_id": id, "output": output,
            "webhook_url": receiver.url,
        });
        server.post("/jobs", &body).await;
        let push = receiver.next().await;
        assert_eq!(push.body["error"]["kind"], kind, "{}", push.body);
        let told = push.body.to_string();
        for private in [SECRET_ACCESS_KEY, "another-secret", "X-Amz-", "Signature"] {
            assert!(!told.contains(private), "{private}: {told}");
        }
    }
    assert!(!bucket.object("out.jpg").exists());
}

#[expect(clippy::disallowed_methods, reason = "the test starts the product")]
async fn doctor(folder: &std::path::Path, env: &[(&str, &str)]) -> Vec<Value> {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_reelway"))
        .args(["doctor", "--port", "0"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("REELWAY_DATA_DIR", folder)
        .envs(env.iter().copied())
        .output()
        .await
        .expect("the binary starts");
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn doctor_tries_the_bucket_out_and_leaves_nothing_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = S3Server::start().await;
    let mut env = outputs_in(&bucket);
    let of_storage = |checks: Vec<Value>| {
        checks.into_iter().find(|check| check["check"] == "storage").expect("a check")
    };
    let check = of_storage(doctor(folder.path(), &env).await);
    // This server lists no unfinished uploads, and is told to have a rule for them.
    assert_eq!(check["verdict"], "doubtful", "{check}");
    assert!(check["fix"].as_str().expect("advice").contains("lifecycle rule"), "{check}");
    let left = crate::s3::files(&bucket.object("made"));
    assert!(left.is_empty(), "{left:?}");

    env[4].1 = "another-secret-access-key";
    let check = of_storage(doctor(folder.path(), &env).await);
    assert_eq!(check["verdict"], "bad", "{check}");
    assert!(!check.to_string().contains("another-secret"), "{check}");
}
