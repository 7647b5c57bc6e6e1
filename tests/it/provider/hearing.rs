//! The provider's webhooks: every shape, early, late, twice, out of order, forged, unknown.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::stage::{ASK_AFTER, MADE, SECRET, Stage, ittybit, said, standard, succeeded};
use crate::app::TestApp;
use crate::loopback::{Act, status};
use reelway::clock::Clock as _;

async fn stage() -> Stage {
    Stage::that_takes(|_, _| status("500 Internal Server Error")).await
}

#[tokio::test]
async fn every_shape_of_a_good_end_ends_the_job_and_tells_its_receiver() {
    for body in [
        json!({"id": "p1", "status": "succeeded", "output": {"url": MADE}}),
        json!({"id": "p1", "status": "completed", "output": MADE}),
        json!({"id": "p1", "status": "succeeded", "output_url": MADE}),
        json!({"id": "p1", "status": "succeeded", "outputs": [{"url": MADE}]}),
        json!({"task_id": "p1", "status": "completed", "output": MADE}),
        json!({"id": "evt_9", "type": "job.succeeded", "data": {"id": "p1", "output": MADE}}),
        json!({"event": "task.completed", "task": {"id": "p1", "output_url": MADE}}),
    ] {
        let stage = stage().await;
        let id = stage.away().await;
        let answer = stage.tell(&body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({"received": true})),
            "{body}"
        );
        let job = stage.job(&id).await;
        assert_eq!(
            (&job["status"], &job["progress"]),
            (&json!("succeeded"), &json!(100.0)),
            "{body}"
        );
        assert_eq!((&job["output"]["url"], &job["output_url"]), (&json!(MADE), &json!(MADE)));
        assert_eq!(
            (&job["output"]["kind"], &job["output"]["format"]),
            (&json!("video"), &json!("mp4"))
        );
        assert_eq!(job["output"].get("filesize"), None, "what was not told is not made up");
        assert_eq!(job["output"].get("sha256"), None);
        assert_eq!(job["tasks"][0]["status"], "succeeded");
        assert_eq!(stage.pushed(&id).await, ["job.succeeded"]);
    }
}

#[tokio::test]
async fn every_shape_of_a_bad_end_fails_the_job_in_the_providers_words() {
    for (body, kind, message) in [
        (
            json!({"status": "failed", "error": {"kind": "input_no_audio", "message": "mute"}}),
            "input_no_audio",
            "mute",
        ),
        (json!({"status": "error", "error": "no sound"}), "provider_failed", "no sound"),
        (json!({"status": "failed", "error_message": "no sound"}), "provider_failed", "no sound"),
        (json!({"status": "failed"}), "provider_failed", "the provider failed and did not say why"),
    ] {
        let stage = stage().await;
        let id = stage.away().await;
        let mut body = body;
        body["id"] = json!("p1");
        assert_eq!(stage.tell(&body).await.status, 200);
        let error = &stage.job(&id).await["error"];
        assert_eq!((&error["kind"], &error["message"]), (&json!(kind), &json!(message)));
        assert_eq!(stage.pushed(&id).await, ["job.failed"]);
    }
    let stage = stage().await;
    let id = stage.away().await;
    stage.tell(&json!({"id": "p1", "status": "canceled"})).await;
    assert_eq!(stage.job(&id).await["status"], "cancelled");
}

#[tokio::test]
async fn all_facts_that_the_provider_tells_are_shown() {
    let stage = stage().await;
    let id = stage.away().await;
    let file = json!({
        "object": "file", "url": MADE, "kind": "video", "format": "webm", "filesize": 4321,
        "width": 640, "height": 360, "duration": 2.5, "fps": 25.0, "bitrate": 13827,
        "codecs": {"video": "vp9"}, "sha256": "ab".repeat(32)
    });
    stage
        .tell(&json!({"id": "p1", "status": "succeeded", "output": file, "outputs": [file, file]}))
        .await;
    let job = stage.job(&id).await;
    assert_eq!(job["output"], file);
    assert_eq!(job["outputs"], json!([file, file]));
    let missing = stage.app.get(&format!("/files/{id}/1/0.webm")).await;
    assert_eq!(missing.status, 404, "it is not kept here");
}

#[tokio::test]
async fn progress_passes_through_and_never_goes_back() {
    let stage = stage().await;
    let id = stage.away().await;
    for (updated_at, progress, shown) in
        [(10, 42.5, 42.5), (30, 60.0, 60.0), (20, 50.0, 60.0), (40, 55.0, 60.0)]
    {
        let told = json!({"id": "p1", "status": "processing", "progress": progress,
                          "updated_at": 1_764_000_000_000_i64 + updated_at});
        assert_eq!(stage.tell(&told).await.status, 200);
        let job = stage.job(&id).await;
        assert_eq!(job["progress"], json!(shown));
        assert_eq!(job["tasks"][0]["progress"], json!(shown));
    }
    assert!(stage.pushed(&id).await.is_empty());
}

#[tokio::test]
async fn a_webhook_that_overtakes_the_answer_is_not_lost() {
    let gate = CancellationToken::new();
    let open = gate.clone();
    let stage = Stage::new(move |_, _| {
        let taken = said("201 Created", &json!({"id": "p1", "status": "queued"}));
        [vec![Act::Wait(open.clone())], taken].concat()
    })
    .await;
    let id = stage.submit().await;
    let handing = stage.begin_dispatch().await;
    stage.provider.until_requests(1).await;
    assert_eq!(stage.tell(&succeeded("p1")).await.status, 200);
    assert_eq!(stage.job(&id).await["status"], "processing");
    gate.cancel();
    handing.await.expect("it ends");
    let job = stage.job(&id).await;
    assert_eq!((&job["status"], &job["output_url"]), (&json!("succeeded"), &json!(MADE)));
    assert_eq!(stage.pushed(&id).await, ["job.succeeded"]);
}

#[tokio::test]
async fn a_webhook_that_comes_twice_or_after_the_end_changes_nothing() {
    let stage = stage().await;
    let id = stage.away().await;
    stage.tell(&succeeded("p1")).await;
    let ended = stage.job(&id).await;
    stage.pass(ASK_AFTER);
    for late in [
        succeeded("p1"),
        json!({"id": "p1", "status": "succeeded", "output": "https://cdn.example/other"}),
        json!({"id": "p1", "status": "failed"}),
        json!({"id": "p1", "status": "processing", "progress": 3}),
    ] {
        assert_eq!(stage.tell(&late).await.status, 200, "or it would be sent for days");
        assert_eq!(stage.job(&id).await, ended);
    }
    assert_eq!(stage.pushed(&id).await, ["job.succeeded"]);
}

#[tokio::test]
async fn either_signature_proves_a_webhook() {
    let stage = stage().await;
    let id = stage.away().await;
    let body = succeeded("p1").to_string();
    let answer = stage.post_raw(&ittybit(SECRET, body.as_bytes()), body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(stage.job(&id).await["status"], "succeeded");
}

#[tokio::test]
async fn what_is_forged_is_refused_and_changes_nothing() {
    let stage = stage().await;
    let id = stage.away().await;
    let before = stage.job(&id).await;
    let body = succeeded("p1").to_string();
    let now = stage.app.clock.now().secs();
    let signed = |secret: &str, at| standard(secret, at, body.as_bytes());
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let mut of_another_body = signed(SECRET, now);
    of_another_body[2] = standard(SECRET, now, b"{}")[2].clone();
    let mut half = signed(SECRET, now);
    half.remove(1);
    for headers in [
        vec![],
        signed(other, now),
        ittybit(other, body.as_bytes()),
        signed(SECRET, now - 301),
        signed(SECRET, now + 301),
        of_another_body,
        half,
        vec![("ittybit-signature".to_owned(), "00".repeat(32))],
        [signed(other, now), ittybit(SECRET, body.as_bytes())].concat(),
    ] {
        let answer = stage.post_raw(&headers, body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["kind"].clone()),
            (401, json!("signature_invalid")),
            "{headers:?}"
        );
        assert_eq!(stage.job(&id).await, before);
    }
    for at in [now - 300, now + 300] {
        assert_eq!(stage.post_raw(&signed(SECRET, at), body.clone()).await.status, 200);
    }
}

#[tokio::test]
async fn what_tells_of_no_job_is_refused_and_what_is_unknown_is_kept() {
    let stage = stage().await;
    for (body, kind) in [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[]", "invalid_input"),
        ("{}", "invalid_input"),
        (r#"{"id": 7, "status": "succeeded"}"#, "invalid_input"),
    ] {
        let headers = standard(SECRET, stage.app.clock.now().secs(), body.as_bytes());
        let answer = stage.post_raw(&headers, body.to_owned()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["kind"].clone()),
            (400, json!(kind)),
            "{body}"
        );
    }
    let deep = "[".repeat(100_000);
    let headers = standard(SECRET, stage.app.clock.now().secs(), deep.as_bytes());
    assert_eq!(stage.post_raw(&headers, deep).await.status, 400);
    let huge = format!(r#"{{"id": "p1", "x": "{}"}}"#, "x".repeat(2 << 20));
    let headers = standard(SECRET, stage.app.clock.now().secs(), huge.as_bytes());
    assert_eq!(stage.post_raw(&headers, huge).await.status, 413);
    assert_eq!(stage.tell(&succeeded("never-heard-of")).await.status, 200);
}

#[tokio::test]
async fn without_a_secret_a_webhook_is_only_a_reason_to_ask() {
    let stage = Stage::signing(None, |request, _| match request.path.as_str() {
        "/v1/jobs" => said("201 Created", &json!({"id": "p1", "status": "queued"})),
        _ => said("200 OK", &json!({"id": "p1", "status": "processing", "progress": 12})),
    })
    .await;
    let id = stage.away().await;
    let forged: Value =
        json!({"id": "p1", "status": "succeeded", "output": "https://evil.example/"});
    assert_eq!(stage.post_raw(&[], forged.to_string()).await.status, 200);
    assert_eq!(stage.job(&id).await["status"], "processing");
    assert_eq!(stage.ask().await, 1, "it is asked at once");
    assert_eq!(stage.about_jobs(), ["GET /v1/jobs/p1"]);
    let job = stage.job(&id).await;
    assert_eq!((&job["status"], &job["progress"]), (&json!("processing"), &json!(12.0)));
}

#[tokio::test]
async fn a_server_without_a_provider_takes_no_webhooks() {
    let app = TestApp::new().await;
    let answer = app.call(Method::POST, "/webhooks/ittybit", &[], Body::from("{}")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["kind"].clone()),
        (404, json!("provider_not_configured"))
    );
}
