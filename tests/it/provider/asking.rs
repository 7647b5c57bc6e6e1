//! Asking about what is overdue, and telling of what is not wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{ASK_AFTER, MADE, Stage, said, succeeded};
use crate::loopback::{Act, answer, status};

/// A provider that answers every question about a job with this.
async fn that_says(body: Value) -> Stage {
    Stage::that_takes(move |_, _| said("200 OK", &body)).await
}

#[tokio::test]
async fn a_lost_webhook_is_only_late() {
    let stage = that_says(succeeded("p1")).await;
    let id = stage.away().await;
    assert_eq!(stage.ask().await, 0, "its webhook may still come");
    stage.pass(ASK_AFTER);
    assert_eq!(stage.ask().await, 1);
    assert_eq!(stage.about_jobs(), ["GET /v1/jobs/p1"]);
    assert_eq!(stage.provider.requests()[1].header("authorization"), "Bearer the-key");
    let job = stage.job(&id).await;
    assert_eq!((&job["status"], &job["output_url"]), (&json!("succeeded"), &json!(MADE)));
    assert_eq!(stage.pushed(&id).await, ["job.succeeded"]);
    stage.pass(Duration::from_hours(1));
    assert_eq!(stage.ask().await, 0);
}

#[tokio::test]
async fn a_job_under_way_is_asked_about_less_and_less_often_and_not_for_ever() {
    let stage = that_says(json!({"id": "p1", "status": "processing", "progress": 5})).await;
    let id = stage.away().await;
    let (mut asked, mut hours) = (Vec::new(), 0.0_f64);
    while stage.job(&id).await["status"] == "processing" && asked.len() < 2000 {
        if stage.ask().await > 0 {
            asked.push(hours);
        }
        let step = Duration::from_secs(if hours < 0.5 { 10 } else { 300 });
        stage.pass(step);
        hours += step.as_secs_f64() / 3600.0;
    }
    let gaps: Vec<f64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] < 60.0 / 3600.0, "{gaps:?}");
    let longest = gaps.iter().copied().fold(0.0, f64::max);
    // Ten minutes, spread by a fifth, seen through a clock that goes on in steps of five.
    assert!((480.0..=720.0 + 300.0).contains(&(longest * 3600.0)), "{longest}");
    assert!((72.0..72.5).contains(&hours), "{hours}");
    assert_eq!(stage.job(&id).await["error"]["kind"], "provider_lost");
}

#[tokio::test]
async fn a_job_that_the_provider_does_not_know_three_times_is_lost() {
    let known = Arc::new(AtomicUsize::new(0));
    let asked = known.clone();
    let stage = Stage::that_takes(move |_, _| match asked.fetch_add(1, Ordering::SeqCst) {
        // Known again in between: only three times in a row count.
        2 => said("200 OK", &json!({"id": "p1", "status": "queued"})),
        _ => status("404 Not Found"),
    })
    .await;
    let id = stage.away().await;
    for expected in 1..=6 {
        assert_eq!(stage.job(&id).await["status"], "processing", "{expected}");
        stage.pass(Duration::from_mins(11));
        assert_eq!(stage.ask().await, 1);
        assert_eq!(known.load(Ordering::SeqCst), expected);
    }
    let job = stage.job(&id).await;
    assert_eq!(
        (&job["status"], &job["error"]["kind"]),
        (&json!("failed"), &json!("provider_lost"))
    );
    assert_eq!(stage.pushed(&id).await, ["job.failed"]);
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_now_is_asked_later() {
    let stage = Stage::that_takes(|_, number| match number {
        1 => status("401 Unauthorized"),
        2 => status("500 Internal Server Error"),
        3 => vec![Act::Reset],
        4 => vec![Act::Send(answer("200 OK", &[], b"<html>"))],
        5 => vec![Act::Send(answer("429 Slow Down", &["retry-after: 3000"], b""))],
        _ => said("200 OK", &succeeded("p1")),
    })
    .await;
    let id = stage.away().await;
    for _ in 0..5 {
        stage.pass(Duration::from_mins(11));
        assert_eq!(stage.ask().await, 1);
        assert_eq!(stage.job(&id).await["status"], "processing");
    }
    stage.pass(Duration::from_secs(2999));
    assert_eq!(stage.ask().await, 0, "it asked for more time");
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.ask().await, 1);
    assert_eq!(stage.job(&id).await["status"], "succeeded");
}

#[tokio::test]
async fn an_end_without_an_output_is_a_failure() {
    let stage = that_says(json!({"id": "p1", "status": "succeeded", "output": null})).await;
    let id = stage.away().await;
    stage.tell(&json!({"id": "p1", "status": "succeeded", "output": null})).await;
    assert_eq!(stage.job(&id).await["status"], "processing", "it is asked first");
    assert_eq!(stage.ask().await, 1);
    assert_eq!(stage.job(&id).await["error"]["kind"], "provider_unreadable");
}

#[tokio::test]
async fn what_is_asked_at_once_is_bounded() {
    let stage = Stage::new(|request, number| match request.path.as_str() {
        "/v1/jobs" => said("201 Created", &json!({"id": format!("p{number}")})),
        _ => said("200 OK", &succeeded("p")),
    })
    .await;
    for _ in 0..40 {
        stage.away().await;
    }
    stage.pass(ASK_AFTER);
    let rounds = [stage.ask().await, stage.ask().await, stage.ask().await, stage.ask().await];
    assert_eq!(rounds, [16, 16, 8, 0]);
}

#[tokio::test]
async fn cancelling_and_deleting_are_passed_on() {
    let stage = Stage::that_takes(|_, _| said("200 OK", &json!({}))).await;
    let id = stage.away().await;
    let cancelled = stage.app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(cancelled.json()["status"], "cancelled", "nobody has to be waited for");
    assert_eq!(stage.pushed(&id).await, ["job.cancelled"]);
    assert_eq!(stage.ask().await, 1);
    let id = {
        stage.app.post(&format!("/jobs/{id}/retry"), &json!({})).await;
        assert!(stage.dispatch().await);
        stage.tell(&succeeded("p1")).await;
        id
    };
    assert_eq!(stage.job(&id).await["status"], "succeeded");
    assert_eq!(stage.app.delete(&format!("/jobs/{id}")).await.status, 204);
    assert_eq!(stage.ask().await, 1);
    assert_eq!(stage.about_jobs(), ["POST /v1/jobs/p1/cancel", "DELETE /v1/jobs/p1"]);
    stage.pass(Duration::from_hours(1));
    assert_eq!(stage.ask().await, 0);
}

#[tokio::test]
async fn a_provider_that_cannot_be_told_is_told_a_few_times() {
    let stage = Stage::that_takes(|_, _| status("503 Service Unavailable")).await;
    let id = stage.away().await;
    stage.app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    let mut told = 0;
    for _ in 0..20 {
        told += stage.ask().await;
        stage.pass(Duration::from_mins(11));
    }
    assert_eq!(told, 5);
    assert_eq!(stage.job(&id).await["status"], "cancelled");
}

#[tokio::test]
async fn a_name_cannot_lead_to_another_path() {
    let stage = Stage::new(|request, _| match request.path.as_str() {
        "/v1/jobs" => said("201 Created", &json!({"id": "../../admin?x=/y#z"})),
        _ => status("404 Not Found"),
    })
    .await;
    stage.away().await;
    stage.pass(ASK_AFTER);
    stage.ask().await;
    assert_eq!(stage.about_jobs(), ["GET /v1/jobs/..%2F..%2Fadmin%3Fx=%2Fy%23z"]);
}
