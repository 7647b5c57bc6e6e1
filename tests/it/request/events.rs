//! `GET /jobs/{id}/events`.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Method;
use futures::StreamExt as _;
use reelway::clock::{Clock as _, Timestamp};
use reelway::store::{Beat, Claim, Store as _};
use reelway::task::{StageKind, Stages};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::app::{OURS, TestApp};

/// An open stream of events.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    async fn of(app: &TestApp, id: &str) -> Self {
        let path = format!("/jobs/{id}/events");
        let response = app.open(Method::GET, &path, &[], Body::empty()).await;
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("x-accel-buffering"), "no");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next job that the stream tells of, or nothing when it has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                let (kind, data) = (line("event: "), line("data: "));
                assert!(line("id: ").is_some(), "{event}");
                self.text = rest.to_owned();
                assert_eq!(kind.as_deref(), Some("job"));
                return Some(serde_json::from_str(&data.expect("data")).expect("JSON"));
            }
            let chunk = timeout(Duration::from_secs(20), self.body.next()).await.expect("an event");
            self.text.push_str(std::str::from_utf8(&chunk?.expect("bytes")).expect("text"));
        }
    }

    async fn status(&mut self) -> Option<String> {
        self.next().await.map(|job| job["status"].as_str().expect("a status").to_owned())
    }
}

async fn beat(app: &TestApp, claim: &Claim, stages: &Stages) {
    let beat = Beat {
        task: claim.lease.task,
        worker: claim.lease.worker,
        attempt: claim.lease.attempt,
        stages: stages.clone(),
    };
    app.store.beat(&[beat]).await.expect("held");
}

fn importing(app: &TestApp) -> Stages {
    let mut stages = Stages::default();
    stages.begin(StageKind::Import, app.clock.now());
    stages
}

#[tokio::test]
async fn a_stream_tells_the_present_every_change_and_the_end() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    let mut events = Events::of(&app, &id).await;
    assert_eq!(events.status().await.as_deref(), Some("queued"));
    let claim = app.claim().await;
    assert_eq!(events.status().await.as_deref(), Some("processing"));
    beat(&app, &claim, &importing(&app)).await;
    assert_eq!(events.next().await.expect("an event")["tasks"][0]["kind"], "import");
    app.finish(claim, b"whole").await;
    let last = events.next().await.expect("an event");
    assert_eq!((&last["id"], &last["status"]), (&json!(id), &json!("succeeded")));
    assert!(last["output_url"].as_str().expect("a link").contains("signature="));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn progress_is_told_but_not_every_step_of_it() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    let claim = app.claim().await;
    let mut stages = importing(&app);
    beat(&app, &claim, &stages).await;
    let mut events = Events::of(&app, &id).await;
    assert_eq!(events.next().await.expect("an event")["progress"], 0.0);
    for percent in 1..=50_u8 {
        stages.advance(f32::from(percent));
        beat(&app, &claim, &stages).await;
    }
    let seen = events.next().await.expect("progress without any change of state");
    assert_eq!(seen["status"], "processing");
    assert_eq!(seen["progress"], 5.0, "what was held back is told as it is at last");
    app.finish(claim, b"whole").await;
    assert_eq!(events.status().await.as_deref(), Some("succeeded"));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_change_that_nobody_hinted_at_is_seen_all_the_same() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    let mut events = Events::of(&app, &id).await;
    assert_eq!(events.status().await.as_deref(), Some("queued"));
    let database = app.database();
    let elsewhere = reelway::store::sql::SqlStore::sqlite(&database, app.clock.clone());
    let elsewhere = elsewhere.await.expect("the same database");
    elsewhere.cancel(OURS, id.parse().expect("an id")).await.expect("cancelled");
    assert_eq!(events.status().await.as_deref(), Some("cancelled"));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_stream_ends_when_the_job_is_deleted_and_when_the_server_stops() {
    let app = TestApp::new().await;
    let (deleted, kept) = (app.submit("video").await, app.submit("video").await);
    let mut of_deleted = Events::of(&app, &deleted).await;
    let mut of_kept = Events::of(&app, &kept).await;
    assert!(of_deleted.next().await.is_some() && of_kept.next().await.is_some());
    app.delete(&format!("/jobs/{deleted}")).await;
    assert_eq!(of_deleted.next().await, None);
    app.shutdown.cancel();
    assert_eq!(of_kept.next().await, None);
}

#[tokio::test]
async fn who_has_seen_the_end_is_told_not_to_come_back() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    app.clock.set(Timestamp::from_millis(crate::app::NOW + 5));
    app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    let path = format!("/jobs/{id}/events");
    let seen = format!("{}-cancelled", crate::app::NOW + 5);
    let ask = async |last: String| {
        app.call(Method::GET, &path, &[("last-event-id", &last)], Body::empty()).await
    };
    assert_eq!(ask(seen).await.status, 204);
    let again = ask(format!("{}-queued", crate::app::NOW)).await;
    assert_eq!(again.status, 200);
    assert!(String::from_utf8_lossy(&again.body).contains("\"cancelled\""));
}

#[tokio::test]
async fn there_are_only_so_many_streams_and_a_closed_one_makes_room() {
    let app = TestApp::with(|state| state.limits.max_event_streams = 1).await;
    let id = app.submit("video").await;
    let path = format!("/jobs/{id}/events");
    let open = Events::of(&app, &id).await;
    let refused = app.get(&path).await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (429, "rate_limited"));
    assert_ne!(refused.header("retry-after"), "");
    drop(open);
    let mut events = Events::of(&app, &id).await;
    assert!(events.next().await.is_some());
}
