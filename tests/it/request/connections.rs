//! `/connections`, and jobs that go through one.

use axum::body::Body;
use axum::http::Method;
use insta::assert_snapshot;
use reelway::connection::Keyring;
use serde_json::{Value, json};

use crate::app::TestApp;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A server that can seal.
async fn sealing() -> TestApp {
    TestApp::with(|state| state.keyring = Keyring::parse([&*"07".repeat(32)]).expect("a key")).await
}

fn bucket() -> Value {
    json!({
        "kind": "s3", "name": "our bucket", "endpoint": "https://s3.example.com/",
        "region": "eu-central-1", "access_key_id": "AKIAEXAMPLE", "secret_access_key": SECRET
    })
}

async fn connection(app: &TestApp) -> String {
    let answer = app.post("/connections", &bucket()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_connection_is_made_shown_and_forgotten() {
    let app = sealing().await;
    let made = app.post("/connections", &bucket()).await;
    assert_snapshot!(made.shown());
    let path = made.header("location").to_owned();
    assert_eq!(app.get(&path).await.json(), made.json());

    let bare = json!({"kind": "s3", "access_key_id": "a", "secret_access_key": "b"});
    app.clock.advance(std::time::Duration::from_secs(1));
    let second = app.post("/connections", &bare).await.json();
    assert_eq!((&second["region"], &second["endpoint"]), (&json!("us-east-1"), &Value::Null));
    assert_eq!(app.get("/connections").await.json(), json!([second, made.json()]));

    assert_eq!(app.delete(&path).await.status, 204);
    for gone in [app.get(&path).await, app.delete(&path).await, app.get("/connections/7").await] {
        assert_eq!((gone.status.as_u16(), gone.kind().as_str()), (404, "connection_not_found"));
    }
    assert_eq!(app.get("/connections").await.json(), json!([second]));
}

#[tokio::test]
async fn the_secret_is_in_no_answer_and_not_in_the_database() {
    let app = sealing().await;
    let named = [("idempotency-key", "bucket-1")];
    let first = app.post_with("/connections", &named, &bucket()).await;
    let again = app.post_with("/connections", &named, &bucket()).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(first.body, again.body);
    let mut other = bucket();
    other["name"] = json!("another");
    let conflict = app.post_with("/connections", &named, &other).await;
    assert_eq!(conflict.kind(), "idempotency_conflict");

    let mut seen = vec![first.body.to_vec(), app.get("/connections").await.body.to_vec()];
    let folder = app.database().parent().expect("a folder").to_owned();
    for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        if entry.path().is_file() {
            seen.push(std::fs::read(entry.path()).expect("a file"));
        }
    }
    assert!(seen.len() > 2, "the database was looked at");
    let holds =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
    assert!(seen.iter().any(|bytes| holds(bytes, "AKIAEXAMPLE")), "and the connection is in it");
    assert!(!seen.iter().any(|bytes| holds(bytes, SECRET)));
}

#[tokio::test]
async fn a_server_without_a_key_says_what_it_needs() {
    let app = TestApp::new().await;
    assert_snapshot!(app.post("/connections", &bucket()).await.shown());
    assert_eq!(app.get("/connections").await.json(), json!([]));
}

#[tokio::test]
async fn a_name_is_measured_in_characters() {
    let app = sealing().await;
    let mut sent = bucket();
    for (length, status) in [(1024, 201), (1025, 400)] {
        sent["name"] = json!("é".repeat(length));
        assert_eq!(app.post("/connections", &sent).await.status, status, "{length}");
    }
}

#[tokio::test]
async fn a_connection_that_is_not_as_it_should_be_is_told_field_by_field() {
    let app = sealing().await;
    let changed = |name: &str, value: Value| {
        let mut sent = bucket();
        sent[name] = value;
        sent
    };
    let mut shown = Vec::new();
    for body in [
        changed("kind", Value::Null),
        changed("kind", json!("gcs")),
        changed("access_key_id", Value::Null),
        changed("secret_access_key", json!("")),
        changed("secret_access_key", json!("a\nb")),
        changed("secret_access_key", json!(7)),
        changed("region", json!("eu central")),
        changed("endpoint", json!("s3.example.com")),
        changed("endpoint", json!("ftp://s3.example.com")),
        changed("endpoint", json!("https://key:secret@s3.example.com")),
        changed("endpoint", json!("https://s3.example.com/?a=b")),
        changed("endpoint", json!("https://a{b.example.com")),
        changed("endpoint", json!("http://127.0.0.1:9000")),
        changed("endpoint", json!("http://2130706433/")),
        changed("endpoint", json!("http://[::1]:9000")),
        changed("acces_key_id", json!("a slip")),
    ] {
        let answer = app.post("/connections", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        let problem = answer.json();
        let part = |name: &str| problem[name].as_str().unwrap_or("-").to_owned();
        shown.push(format!("{}: {} ({})", part("field"), part("message"), part("hint")));
    }
    assert_snapshot!(shown.join("\n"));
    assert_eq!(app.get("/connections").await.json(), json!([]));
}

#[tokio::test]
async fn a_job_goes_through_a_connection_that_is_there() {
    let app = sealing().await;
    let id = connection(&app).await;
    let job = json!({
        "input": "s3://media/in put.mp4", "kind": "video", "output": "s3://media/made/",
        "connection_id": id
    });
    let answer = app.post("/jobs", &job).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["input"], "s3://media/in put.mp4");
    let claim = app.claim().await;
    let via = claim.job.spec.via.clone().expect("it is kept with the job");
    assert_eq!(via.connection_id.to_string(), id);
    assert_eq!(via.output.map(String::from).as_deref(), Some("s3://media/made/"));

    let batch = json!({
        "url": "s3://media/in.mp4", "connection_id": id,
        "tasks": [{"kind": "image"}, {"kind": "audio"}]
    });
    assert_eq!(app.post("/process", &batch).await.status, 200);

    app.delete(&format!("/connections/{id}")).await;
    for (path, body) in [("/jobs", &job), ("/process", &batch)] {
        let answer = app.post(path, body).await;
        assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (400, "invalid_input"));
        assert_eq!(answer.json()["field"], "connection_id", "{path}");
    }
}

#[tokio::test]
async fn connections_are_for_callers_with_a_key() {
    use reelway::request::Auth;
    let app = TestApp::with(|state| state.auth = Auth::new(&["k".into()])).await;
    for (method, path) in [
        (Method::GET, "/connections"),
        (Method::POST, "/connections"),
        (Method::GET, "/connections/conn_01h2xcejqtf2nbrexx3vqjhp41"),
        (Method::DELETE, "/connections/conn_01h2xcejqtf2nbrexx3vqjhp41"),
    ] {
        let answer = app.call(method.clone(), path, &[], Body::empty()).await;
        assert_eq!(answer.kind(), "token_missing", "{method} {path}");
    }
}
