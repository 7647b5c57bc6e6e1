//! Who may call what.

use axum::body::Body;
use axum::http::Method;
use insta::assert_snapshot;
use reelway::request::Auth;

use crate::answer::Answer;
use crate::app::TestApp;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

/// Every route that needs a key.
const LOCKED: [(Method, &str); 23] = [
    (POST, "/process"),
    (POST, "/jobs"),
    (GET, "/jobs"),
    (GET, "/jobs/job_1"),
    (DELETE, "/jobs/job_1"),
    (POST, "/jobs/job_1/cancel"),
    (POST, "/jobs/job_1/retry"),
    (GET, "/jobs/job_1/events"),
    (GET, "/batches"),
    (GET, "/batches/batch_1"),
    (POST, "/tasks"),
    (GET, "/tasks/task_1"),
    (POST, "/files"),
    (POST, "/uploads"),
    (GET, "/uploads/upl_1"),
    (Method::HEAD, "/uploads/upl_1"),
    (Method::PATCH, "/uploads/upl_1"),
    (DELETE, "/uploads/upl_1"),
    (GET, "/files/a/b.mp4"),
    (Method::HEAD, "/files/a/b.mp4"),
    (GET, "/webhooks/deliveries"),
    (POST, "/webhooks/deliveries/dlv_1/replay"),
    (POST, "/webhooks/deliveries/replay"),
];

async fn locked() -> TestApp {
    TestApp::with(|state| state.auth = Auth::new(&["one".into(), "two".into()])).await
}

async fn call(app: &TestApp, method: &Method, path: &str) -> Answer {
    app.call(method.clone(), path, &[], Body::empty()).await
}

#[tokio::test]
async fn every_route_but_health_asks_for_a_key() {
    let missing = locked().await;
    let wrong = locked().await.key("three");
    let right = locked().await.key("two");
    for (method, path) in LOCKED {
        let without = call(&missing, &method, path).await;
        assert_eq!(without.status, 401, "{method} {path}");
        assert_eq!(without.header("www-authenticate"), "Bearer", "{method} {path}");
        if method != Method::HEAD {
            assert_eq!(without.kind(), "token_missing", "{method} {path}");
            assert_eq!(call(&wrong, &method, path).await.kind(), "token_invalid", "{path}");
        }
        assert_ne!(call(&right, &method, path).await.status, 401, "{method} {path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(missing.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_missing_and_a_wrong_key_are_told_apart() {
    assert_snapshot!(locked().await.get("/jobs").await.shown());
    assert_snapshot!(locked().await.key("three").get("/jobs").await.shown());
}

#[tokio::test]
async fn without_keys_everyone_may_call() {
    let app = TestApp::new().await;
    for (method, path) in LOCKED {
        assert_ne!(call(&app, &method, path).await.status, 401, "{method} {path}");
    }
}
