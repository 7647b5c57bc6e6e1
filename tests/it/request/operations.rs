//! What those who run the server ask: health, deliveries, replays.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use reelway::clock::Clock as _;
use reelway::request::{Readiness, Slots};
use reelway::store::Store as _;
use reelway::store::{AttemptOutcome, AttemptRecord, SettleDelivery, Settled};
use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn a_server_that_can_work_is_ready() {
    let app = TestApp::new().await;
    app.submit("video").await;
    app.submit("video").await;
    let claim = app.claim().await;
    assert_snapshot!(app.get("/healthz").await.shown());
    assert_snapshot!(app.get("/readyz").await.shown());
    app.fail(claim).await;
}

#[tokio::test]
async fn a_server_that_cannot_work_says_why_and_is_alive_all_the_same() {
    let app = TestApp::with(|state| {
        state.readiness =
            Arc::new(|| Readiness { slots: Slots { heavy: 1, light: 0 }, ..Readiness::default() });
    })
    .await;
    let reason = async || {
        let answer = app.get("/readyz").await;
        assert_eq!(answer.status, 503);
        answer.json()["reason"].as_str().expect("a reason").to_owned()
    };
    assert_snapshot!(app.get("/readyz").await.shown());
    assert_eq!(reason().await, "ffmpeg cannot be started");
    app.store.close().await;
    assert_eq!(reason().await, "the database does not answer");
    app.shutdown.cancel();
    assert_eq!(reason().await, "the server is stopping");
    assert_eq!(app.get("/healthz").await.status, 200);
}

/// A job that ended, and the one attempt to tell its receiver, which went badly for good.
async fn undelivered(app: &TestApp) -> String {
    let body = json!({
        "input": "https://example.com/a.mp4", "kind": "video",
        "webhook_url": "https://hooks.example.com/reelway?token=1"
    });
    let id = app.post("/jobs", &body).await.json()["id"].as_str().expect("an id").to_owned();
    app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    let due = app.store.claim_deliveries(10, 10, Duration::from_secs(30)).await.expect("due");
    let [due] = due.as_slice() else { panic!("one delivery: {due:?}") };
    let record = AttemptRecord {
        at: app.clock.now(),
        duration_ms: 12,
        status: Some(500),
        error: None,
        response: Some("oops".to_owned()),
    };
    let outcome = AttemptOutcome::Failed;
    let settle = SettleDelivery { id: due.id, attempt: due.attempt, record, outcome };
    assert_eq!(app.store.settle_delivery(settle).await.expect("an answer"), Settled::Done);
    id
}

#[tokio::test]
async fn the_delivery_log_shows_attempts_and_one_can_be_replayed() {
    let app = TestApp::new().await;
    let job = undelivered(&app).await;
    let log = app.get("/webhooks/deliveries").await;
    assert_snapshot!(log.shown());
    let id = log.json()[0]["id"].as_str().expect("an id").to_owned();

    let replayed = app.post(&format!("/webhooks/deliveries/{id}/replay"), &json!({})).await;
    assert_eq!((replayed.status.as_u16(), &replayed.json()["state"]), (200, &json!("pending")));
    let of = async |query: &str| {
        let answer = app.get(&format!("/webhooks/deliveries?{query}")).await;
        answer.json().as_array().expect("a list").len()
    };
    assert_eq!(of("state=pending").await, 1);
    assert_eq!(of("state=failed").await, 0);
    assert_eq!(of(&format!("job_id={job}")).await, 1);
    assert_eq!(of("job_id=job_01h2xcejqtf2nbrexx3vqjhp41").await, 0);
    assert_eq!(app.get("/webhooks/deliveries?state=lost").await.json()["field"], "state");
}

#[tokio::test]
async fn all_that_failed_since_a_time_can_be_replayed() {
    let app = TestApp::new().await;
    undelivered(&app).await;
    let since = |ms: i64| json!({"since": ms});
    let path = "/webhooks/deliveries/replay";
    let later = crate::app::NOW + 1;
    assert_eq!(app.post(path, &since(later)).await.json(), json!({"replayed": 0}));
    assert_eq!(app.post(path, &since(0)).await.json(), json!({"replayed": 1}));
    assert_eq!(app.post(path, &since(0)).await.json(), json!({"replayed": 0}));
    for wrong in
        [json!({}), json!({"since": "yesterday"}), json!({"since": -1}), json!({"since": 1.5})]
    {
        let answer = app.post(path, &wrong).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["field"]), (400, &json!("since")));
    }
}
