//! What can be done with a job that is there.

use std::time::Duration;

use insta::assert_snapshot;
use reelway::clock::{Clock as _, Timestamp};
use reelway::store::{Settled, Store as _};
use reelway::task::Stages;
use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn a_job_that_succeeded_shows_its_output_by_a_fresh_link() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    let claim = app.claim().await;
    app.clock.advance(Duration::from_secs(5));
    app.finish(claim, b"0123456789").await;
    let answer = app.get(&format!("/jobs/{id}")).await;
    assert_snapshot!(answer.shown());
    let job = answer.json();
    assert_eq!(job["output_url"], job["output"]["url"]);

    app.clock.advance(Duration::from_hours(48));
    let later = app.get(&format!("/jobs/{id}")).await.json();
    assert_ne!(later["output_url"], job["output_url"], "a link is made when it is read");
}

#[tokio::test]
async fn a_job_that_failed_says_why() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    app.fail(app.claim().await).await;
    assert_snapshot!(app.get(&format!("/jobs/{id}")).await.shown());
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_to_ask_again_is_no_error() {
    let app = TestApp::new().await;
    let path = format!("/jobs/{}/cancel", app.submit("video").await);
    let first = app.post(&path, &json!({})).await;
    assert_eq!((first.status.as_u16(), &first.json()["status"]), (200, &json!("cancelled")));
    app.clock.advance(Duration::from_secs(9));
    let again = app.post(&path, &json!({})).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, first.json()));
}

#[tokio::test]
async fn cancel_waits_for_the_worker_of_a_running_job() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    let claim = app.claim().await;
    let store = app.store.clone();
    let worker = tokio::spawn(async move {
        store.hints().cancel_asked.notified().await;
        store.end_cancelled(&claim.lease, Stages::default()).await
    });
    let answer = app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("cancelled")));
    let settled = worker.await.expect("a worker").expect("an answer");
    assert_eq!(settled, Settled::Done);
}

#[tokio::test]
async fn cancel_answers_with_the_running_job_when_its_worker_takes_its_time() {
    let app = TestApp::with(|state| state.limits.cancel_wait = Duration::from_millis(20)).await;
    let id = app.submit("video").await;
    let claim = app.claim().await;
    let answer = app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("processing")));
    let settled = app.store.end_cancelled(&claim.lease, Stages::default()).await;
    assert_eq!(settled.expect("an answer"), Settled::Done);
}

#[tokio::test]
async fn a_failed_job_can_be_retried_and_no_other() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    let path = format!("/jobs/{id}/retry");
    assert_snapshot!(app.post(&path, &json!({})).await.shown());
    app.fail(app.claim().await).await;
    let retried = app.post(&path, &json!({})).await;
    assert_eq!((retried.status.as_u16(), &retried.json()["status"]), (200, &json!("queued")));
    assert_eq!(retried.json()["error"], json!(null));
    app.finish(app.claim().await, b"whole").await;
    assert_eq!(app.post(&path, &json!({})).await.kind(), "job_not_retryable");
}

#[tokio::test]
async fn a_deleted_job_is_gone_with_its_outputs() {
    let app = TestApp::new().await;
    let id = app.submit("video").await;
    let key = app.finish(app.claim().await, b"whole").await;
    let path = format!("/jobs/{id}");
    assert_eq!(app.get(&format!("/files/{key}")).await.status, 200);
    let deleted = app.delete(&path).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    assert_eq!(app.get(&path).await.kind(), "job_not_found");
    assert_eq!(app.delete(&path).await.kind(), "job_not_found");
    assert_eq!(app.get(&format!("/files/{key}")).await.kind(), "file_not_found");
    assert_eq!(app.get("/jobs").await.json(), json!([]));
    let doomed = app.store.garbage(10).await.expect("garbage");
    assert!(doomed.iter().any(|garbage| garbage.prefix.starts_with(&id)), "{doomed:?}");
    assert!(app.clock.now() >= Timestamp::from_millis(crate::app::NOW));
}
