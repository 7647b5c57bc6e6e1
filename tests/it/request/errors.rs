//! Every problem a caller can run into, as the caller sees it.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use futures::stream;
use insta::assert_snapshot;
use reelway::store::Store as _;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::app::TestApp;

/// The problem that a body is answered with, in one paragraph.
async fn problem(app: &TestApp, path: &str, body: &Value) -> String {
    let answer = app.post(path, body).await;
    assert_eq!(answer.status, 400, "{path} {body} {answer:?}");
    let problem = answer.json();
    let part = |name: &str| problem[name].as_str().unwrap_or("-").to_owned();
    format!(
        "{body}\n  {} at {}\n  {}\n  {}",
        part("kind"),
        part("field"),
        part("message"),
        part("hint")
    )
}

async fn problems(path: &str, bodies: &[Value]) -> String {
    let app = TestApp::new().await;
    let mut shown = Vec::new();
    for body in bodies {
        shown.push(problem(&app, path, body).await);
    }
    assert_eq!(app.get("/jobs").await.json(), json!([]), "nothing was accepted");
    shown.join("\n\n")
}

#[tokio::test]
async fn a_job_that_is_not_as_it_should_be_is_told_field_by_field() {
    let input = "https://example.com/a.mp4";
    let bodies = [
        json!({}),
        json!({"input": input}),
        json!({"input": 7, "kind": "video"}),
        json!({"input": "", "kind": "video"}),
        json!({"input": "example.com/a.mp4", "kind": "video"}),
        json!({"input": "ftp://example.com/a.mp4", "kind": "video"}),
        json!({"input": "file:///etc/passwd", "kind": "video"}),
        json!({"input": "S3://bucket/a.mp4", "kind": "video"}),
        json!({"input": "https://u:p@example.com/a.mp4", "kind": "video"}),
        json!({"input": "https://example.com/a b.mp4", "kind": "video"}),
        json!({"input": "http://127.0.0.1/a.mp4", "kind": "video"}),
        json!({"input": "http://[::1]/a.mp4", "kind": "video"}),
        json!({"input": input, "kind": "vidoe"}),
        json!({"input": input, "kind": "hologram"}),
        json!({"input": input, "kind": ["video"]}),
        json!({"input": input, "kind": "video", "options": []}),
        json!({"input": input, "kind": "video", "options": {"widht": 3}}),
        json!({"input": input, "kind": "video", "options": {"width": 0}}),
        json!({"input": input, "kind": "video", "options": {"format": "avi"}}),
        json!({"input": input, "kind": "animation", "options": {}}),
        json!({"input": input, "kind": "video", "options": {"start": 5, "end": 2}}),
        json!({"input": input, "kind": "video", "metadata": "mine"}),
        json!({"input": input, "kind": "video", "metadata": {"a": "x".repeat(17_000)}}),
        json!({"input": input, "kind": "video", "webhook_url": "hooks.example.com"}),
        json!({"input": input, "kind": "video", "webhook_url": "ftp://hooks.example.com"}),
        json!({"input": input, "kind": "video", "webhook_url": "http://10.0.0.1/"}),
        json!({"input": input, "kind": "video", "webhookUrl": "https://hooks.example.com"}),
        json!({"input": input, "kind": "video", "webhook": "https://hooks.example.com"}),
        json!({"input": input, "kind": "video", "width": 0}),
        json!({"input": input, "kind": "video", "connection_id": "conn_1"}),
        json!({"input": input, "kind": "video", "output": "s3://bucket/key"}),
    ];
    let shown = problems("/jobs", &bodies).await.replace(&"x".repeat(17_000), "xxx…");
    assert_snapshot!(shown);
}

#[tokio::test]
async fn a_batch_that_is_not_as_it_should_be_is_told_by_its_path() {
    let url = "https://example.com/a.mp4";
    let bodies = [
        json!({}),
        json!({"tasks": [{"kind": "video"}]}),
        json!({"url": url, "tasks": []}),
        json!({"url": url, "tasks": {"kind": "video"}}),
        json!({"url": url, "tasks": [{"kind": "video"}, "image"]}),
        json!({"url": url, "tasks": [{}]}),
        json!({"url": url, "tasks": [{"kind": "video"}, {"kind": "images"}]}),
        json!({"url": url, "tasks": [{"kind": "image"}, {"kind": "image", "options": {"width": "wide"}}]}),
        json!({"url": url, "tasks": [{"kind": "image", "option": {}}]}),
        json!({"url": url, "tasks": [{"kind": "image", "metadata": {}}]}),
        json!({"url": url, "kind": "video", "tasks": [{"kind": "image"}]}),
        json!({"url": url, "task": [{"kind": "image"}]}),
        json!({"input": "http://10.1.2.3/", "tasks": [{"kind": "image"}]}),
    ];
    assert_snapshot!(problems("/process", &bodies).await);
}

#[tokio::test]
async fn a_batch_has_a_largest_size() {
    let app = TestApp::with(|state| state.limits.max_tasks = 3).await;
    let batch = |tasks: usize| json!({"url": "https://example.com/a.mp4", "tasks": vec![json!({"kind": "image"}); tasks]});
    assert_eq!(app.post("/process", &batch(3)).await.status, 200);
    assert_eq!(app.post("/process", &batch(4)).await.json()["field"], "tasks");
}

async fn post_raw(app: &TestApp, content_type: Option<&str>, body: Body) -> Answer {
    let headers: Vec<_> = content_type.map(|value| ("content-type", value)).into_iter().collect();
    app.call(Method::POST, "/jobs", &headers, body).await
}

#[tokio::test]
async fn a_body_that_is_not_json_is_told_where_it_goes_wrong() {
    let app = TestApp::new().await;
    let json = Some("application/json; charset=utf-8");
    let mut shown = Vec::new();
    for body in ["", "{\"input\": \n  oops}", "[]", "null", &"[".repeat(33)] {
        let answer = post_raw(&app, json, Body::from(body.to_owned())).await;
        shown.push(format!("{body}\n{}", answer.shown()));
    }
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let answer = post_raw(&app, content_type, Body::from("{}")).await;
        shown.push(format!("{content_type:?}\n{}", answer.shown()));
    }
    assert_snapshot!(shown.join("\n\n"));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_or_without_its_length() {
    let app = TestApp::with(|state| state.limits.max_body_bytes = 1000).await;
    let json = Some("application/json");
    let whole = post_raw(&app, json, Body::from(vec![b' '; 1001])).await;
    assert_snapshot!(whole.shown());
    let chunks = stream::iter((0..11).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100])));
    let chunked = post_raw(&app, json, Body::from_stream(chunks)).await;
    assert_eq!((chunked.status.as_u16(), chunked.kind().as_str()), (413, "body_too_large"));
    let fits = post_raw(&app, json, Body::from(vec![b' '; 1000])).await;
    assert_eq!(fits.kind(), "invalid_json");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_senders_trouble() {
    let app = TestApp::new().await;
    let broken = stream::iter([
        Ok(b"{\"input\":".to_vec()),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    let answer = post_raw(&app, Some("application/json"), Body::from_stream(broken)).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (400, "invalid_input"));
}

#[tokio::test]
async fn an_idempotency_key_that_is_no_name_is_refused() {
    let app = TestApp::new().await;
    let body = json!({"input": "https://example.com/a.mp4", "kind": "video"});
    for key in ["", "two words", &"x".repeat(256)] {
        let answer = app.post_with("/jobs", &[("idempotency-key", key)], &body).await;
        assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (400, "invalid_input"));
        assert_eq!(answer.json()["field"], "Idempotency-Key");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_as_json() {
    let app = TestApp::new().await;
    let id = "01h2xcejqtf2nbrexx3vqjhp41";
    let mut shown = Vec::new();
    for path in [
        "/nothing".to_owned(),
        format!("/jobs/job_{id}"),
        "/jobs/7".to_owned(),
        "/jobs/%ff".to_owned(),
        format!("/batches/batch_{id}"),
        "/files/a/b.mp4".to_owned(),
        "/files/../../etc/passwd".to_owned(),
        format!("/jobs/job_{id}/events"),
    ] {
        shown.push(format!("GET {path}\n{}", app.get(&path).await.shown()));
    }
    for path in [
        format!("/jobs/job_{id}/cancel"),
        format!("/jobs/job_{id}/retry"),
        format!("/webhooks/deliveries/dlv_{id}/replay"),
    ] {
        shown.push(format!("POST {path}\n{}", app.post(&path, &json!({})).await.shown()));
    }
    let path = format!("/jobs/job_{id}");
    shown.push(format!("DELETE {path}\n{}", app.delete(&path).await.shown()));
    assert_snapshot!(shown.join("\n\n"));
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_ones() {
    let app = TestApp::new().await;
    let answer = app.call(Method::PUT, "/jobs", &[], Body::empty()).await;
    assert_snapshot!(answer.shown());
    for (method, path) in [(Method::GET, "/process"), (Method::POST, "/healthz")] {
        let answer = app.call(method, path, &[], Body::empty()).await;
        assert_eq!(answer.kind(), "method_not_allowed", "{path}");
        assert_ne!(answer.header("allow"), "", "{path}");
    }
}

#[tokio::test]
async fn a_broken_database_is_told_to_nobody_but_the_log() {
    let app = TestApp::new().await;
    app.store.close().await;
    let answer = app.get("/jobs").await;
    assert_snapshot!(answer.shown());
    let text = String::from_utf8_lossy(&answer.body).to_lowercase();
    for word in ["sql", "pool", "database"] {
        assert!(!text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_like_any_other() {
    let app = TestApp::with(|state| {
        state.readiness = std::sync::Arc::new(|| panic!("secret words"));
    })
    .await;
    let answer = app.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (500, "internal_error"));
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    assert_eq!(app.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let limit = Duration::from_millis(50);
    let app = TestApp::with(|state| state.limits.answer_within = limit).await;
    let endless = Body::from_stream(stream::pending::<Result<String, std::io::Error>>());
    let json = [("content-type", "application/json")];
    let answer = app.call(Method::POST, "/jobs", &json, endless).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (408, "request_timeout"));
}

#[tokio::test]
async fn every_answer_has_the_callers_request_id_or_a_new_one() {
    let app = TestApp::new().await;
    let get = async |id: &str| {
        app.call(Method::GET, "/nothing", &[("x-request-id", id)], Body::empty()).await
    };
    let taken_over = get("trace-1.a_B").await;
    assert_eq!(taken_over.header("x-request-id"), "trace-1.a_B");
    assert_eq!(taken_over.json()["request_id"], "trace-1.a_B");
    let replaced = get("a\"b").await;
    assert!(replaced.header("x-request-id").starts_with("req_"), "{replaced:?}");
    assert_eq!(replaced.json()["request_id"], replaced.header("x-request-id"));
    assert!(app.get("/healthz").await.header("x-request-id").starts_with("req_"));
}
