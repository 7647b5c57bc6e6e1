//! Handing over: one POST, the same however often it is sent, and what its answers mean.

use std::time::Duration;

use reelway::claim::{Interrupt, Perform as _};
use reelway::clock::{Clock as _, Timestamp};
use reelway::id::fresh;
use reelway::job::{InputUrl, Job, JobSpec, Kind, Options, Priority, Via};
use reelway::store::{Store as _, Submission, Submitted};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::stage::{MADE, Stage, said, succeeded};
use crate::app::{NOW, OURS};
use crate::loopback::{Act, answer, status};

fn taken() -> Vec<Act> {
    said("201 Created", &json!({"id": "p1", "status": "queued"}))
}

#[tokio::test]
async fn a_claim_becomes_one_post_with_all_that_was_asked() {
    let stage = Stage::new(|_, _| taken()).await;
    let id = stage.away().await;
    let posts = stage.posts();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].header("authorization"), "Bearer the-key");
    assert!(posts[0].header("idempotency-key").starts_with("task_"), "{:?}", posts[0]);
    let body: Value = serde_json::from_slice(&posts[0].body).expect("JSON");
    // The caller's own metadata stays here.
    assert_eq!(
        body,
        json!({
            "input": "https://example.com/in.mp4", "kind": "video", "options": {"width": 640},
            "webhook_url": "https://media.example.com/webhooks/ittybit",
            "metadata": {"reelway_job_id": id, "reelway_seq": 0}
        })
    );
    let job = stage.job(&id).await;
    assert_eq!(
        (&job["status"], &job["tasks"][0]["status"]),
        (&json!("processing"), &json!("processing"))
    );
    assert_eq!(job["metadata"], json!({"upload": 7}));
    assert!(!stage.dispatch().await, "it is nobody's turn");
}

#[tokio::test]
async fn the_same_hand_over_is_sent_alike_and_a_new_try_is_another() {
    let stage = Stage::new(|_, number| match number {
        0 => status("503 Service Unavailable"),
        1 => vec![Act::Reset],
        2 => vec![Act::Send(b"HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{".to_vec())],
        _ => taken(),
    })
    .await;
    let id = stage.submit().await;
    for _ in 0..3 {
        assert!(stage.dispatch().await);
        assert_eq!(stage.job(&id).await["status"], "queued");
        stage.until_due(&id).await;
    }
    assert!(stage.dispatch().await);
    stage.tell(&json!({"id": "p1", "status": "failed"})).await;
    assert_eq!(stage.job(&id).await["status"], "failed");
    stage.app.post(&format!("/jobs/{id}/retry"), &json!({})).await;
    assert!(stage.dispatch().await);
    let sent: Vec<(String, Vec<u8>)> = stage
        .posts()
        .into_iter()
        .map(|post| (post.header("idempotency-key").to_owned(), post.body))
        .collect();
    assert_eq!(sent.len(), 5);
    assert!(sent[..4].iter().all(|one| *one == sent[0]), "what may be known there is not new");
    assert_ne!(sent[4].0, sent[0].0);
}

#[tokio::test]
async fn each_refusal_says_whose_fault_it_is() {
    let words = "`width` must be a number";
    let long = "x".repeat(100_000);
    for (line, body, kind, message) in [
        ("401 Unauthorized", json!({"message": "who?"}), "provider_unauthorized", "key (401)"),
        ("403 Forbidden", json!({}), "provider_unauthorized", "key (403)"),
        ("402 Payment Required", json!({}), "provider_no_credit", "credit"),
        ("400 Bad Request", json!({"kind": "x", "message": words}), "provider_refused", words),
        ("422 Unprocessable", json!({"error": {"message": words}}), "provider_refused", words),
        ("409 Conflict", json!({"error": words}), "provider_refused", words),
        ("413 Too Large", json!(7), "provider_refused", "(413)"),
        ("422 Unprocessable", json!({"message": long}), "provider_refused", "xxx"),
    ] {
        let stage = Stage::new(move |_, _| said(line, &body)).await;
        let id = stage.submit().await;
        assert!(stage.dispatch().await);
        let job = stage.job(&id).await;
        assert_eq!(
            (&job["status"], &job["error"]["kind"]),
            (&json!("failed"), &json!(kind)),
            "{line}"
        );
        let said = job["error"]["message"].as_str().expect("words");
        assert!(said.contains(message) && said.len() <= 500, "{line}: {said}");
        if kind != "provider_refused" {
            let hint = job["error"]["hint"].as_str().expect("a hint");
            assert!(hint.contains("whoever runs this server"), "{hint}");
        }
        assert_eq!(stage.pushed(&id).await, ["job.failed"]);
        assert_eq!(stage.posts().len(), 1);
    }
}

#[tokio::test]
async fn a_provider_that_asks_for_patience_gets_it_from_everybody() {
    let stage = Stage::new(|_, number| match number {
        0 => vec![Act::Send(answer("429 Too Many Requests", &["retry-after: 90"], b""))],
        _ => taken(),
    })
    .await;
    let id = stage.submit().await;
    assert!(stage.dispatch().await);
    assert!(!stage.dispatcher.has_room(), "no other job is sent either");
    assert_eq!(stage.until_due(&id).await, Duration::from_secs(90));
    assert!(stage.dispatcher.has_room());
    assert!(stage.dispatch().await);
    assert_eq!(stage.job(&id).await["status"], "processing");
}

#[tokio::test]
async fn a_provider_cannot_ask_for_patience_without_end() {
    let asks = vec![Act::Send(answer("503 Away", &["retry-after: 99999999999"], b""))];
    let stage = Stage::new(move |_, _| asks.clone()).await;
    let id = stage.submit().await;
    stage.dispatch().await;
    assert_eq!(stage.until_due(&id).await, Duration::from_hours(1));
}

#[tokio::test]
async fn a_provider_that_is_away_is_tried_for_a_day_less_and_less_often() {
    let stage = Stage::new(|_, _| status("502 Bad Gateway")).await;
    let id = stage.submit().await;
    let (mut waits, mut all) = (Vec::new(), Duration::ZERO);
    while stage.dispatch().await {
        if stage.job(&id).await["status"] == "failed" {
            break;
        }
        let wait = stage.until_due(&id).await;
        all += wait;
        waits.push(wait);
    }
    assert!(waits.is_sorted(), "{waits:?}");
    let (first, last) = (waits[0], waits[waits.len() - 1]);
    assert_eq!((first, last), (Duration::from_secs(5), Duration::from_mins(5)));
    assert!((Duration::from_hours(24)..Duration::from_hours(25)).contains(&all), "{all:?}");
    let job = stage.job(&id).await;
    assert_eq!(job["error"]["kind"], "provider_unavailable");
    assert_eq!(stage.pushed(&id).await, ["job.failed"], "nobody was told before");
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_asked_for_three_times() {
    for body in ["", "<html>", "[]", "{}", r#"{"id": 7}"#, r#"{"id": "a b"}"#, "\u{0}"] {
        let stage =
            Stage::new(move |_, _| vec![Act::Send(answer("200 OK", &[], body.as_bytes()))]).await;
        let id = stage.submit().await;
        for _ in 0..2 {
            stage.dispatch().await;
            assert_eq!(stage.job(&id).await["status"], "queued", "{body}");
            stage.until_due(&id).await;
        }
        stage.dispatch().await;
        let job = stage.job(&id).await;
        assert_eq!(job["error"]["kind"], "provider_unreadable", "{body}");
        let keys: Vec<String> =
            stage.posts().iter().map(|post| post.header("idempotency-key").to_owned()).collect();
        assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_wrong_address_is_said_to_be_one() {
    for line in ["302 Found\r\nlocation: http://127.0.0.1:1/jobs", "404 Not Found"] {
        let stage = Stage::new(move |_, _| status(line)).await;
        let id = stage.submit().await;
        for _ in 0..3 {
            stage.dispatch().await;
            if stage.job(&id).await["status"] == "queued" {
                stage.until_due(&id).await;
            }
        }
        let job = stage.job(&id).await;
        assert_eq!(job["error"]["kind"], "provider_unreadable", "{line}");
        let hint = job["error"]["hint"].as_str().expect("a hint");
        assert!(hint.contains("ITTYBIT_API_URL"), "{hint}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_and_the_job_is_sent_again() {
    let stage = Stage::new(|_, number| match number {
        0 => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec()),
            Act::SendForever(vec![b' '; 1 << 16]),
        ],
        _ => taken(),
    })
    .await;
    let id = stage.submit().await;
    stage.dispatch().await;
    assert_eq!(stage.job(&id).await["status"], "queued");
    stage.until_due(&id).await;
    stage.dispatch().await;
    assert_eq!(stage.job(&id).await["status"], "processing");
}

#[tokio::test]
async fn an_answer_that_is_the_end_already_ends_the_job() {
    let stage = Stage::new(|_, _| said("200 OK", &succeeded("p1"))).await;
    let id = stage.submit().await;
    stage.dispatch().await;
    let job = stage.job(&id).await;
    assert_eq!((&job["status"], &job["output_url"]), (&json!("succeeded"), &json!(MADE)));
}

#[tokio::test]
async fn a_server_that_ends_takes_back_what_the_provider_did_not_answer() {
    let stage = Stage::new(|_, number| if number == 0 { vec![Act::Hang] } else { taken() }).await;
    let id = stage.submit().await;
    let handing = stage.begin_dispatch().await;
    stage.provider.until_requests(1).await;
    stage.interrupt(Interrupt::Shutdown);
    handing.await.expect("it ends");
    assert_eq!(stage.job(&id).await["status"], "queued");
    assert!(stage.dispatch().await, "it is due at once");
    assert_eq!(stage.job(&id).await["status"], "processing");
}

#[tokio::test]
async fn a_job_that_is_cancelled_on_its_way_is_cancelled_there_too() {
    let gate = CancellationToken::new();
    let open = gate.clone();
    let stage = Stage::new(move |request, _| match request.path.as_str() {
        "/v1/jobs" => [vec![Act::Wait(open.clone())], taken()].concat(),
        _ => said("200 OK", &json!({"id": "p1", "status": "cancelled"})),
    })
    .await;
    let id = stage.submit().await;
    let handing = stage.begin_dispatch().await;
    stage.provider.until_requests(1).await;
    let job = id.parse().expect("an id");
    stage.app.store.cancel(OURS, job).await.expect("an answer");
    stage.beat().await;
    gate.cancel();
    handing.await.expect("it ends");
    assert_eq!(stage.job(&id).await["status"], "cancelled");
    assert_eq!(stage.ask().await, 1);
    assert_eq!(stage.about_jobs(), ["POST /v1/jobs/p1/cancel"]);
    assert_eq!(stage.pushed(&id).await, ["job.cancelled"]);
}

#[tokio::test]
async fn what_the_provider_has_told_of_is_not_sent_a_second_time() {
    let stage = Stage::new(|_, _| vec![Act::Reset]).await;
    let id = stage.submit().await;
    stage.dispatch().await;
    stage
        .tell(&json!({
            "id": "p9", "status": "processing", "progress": 30,
            "metadata": {"reelway_job_id": id, "reelway_seq": 0}
        }))
        .await;
    stage.until_due(&id).await;
    assert!(stage.dispatch().await);
    let job = stage.job(&id).await;
    assert_eq!((&job["status"], &job["progress"]), (&json!("processing"), &json!(30.0)));
    assert_eq!(stage.posts().len(), 1, "the answer that was lost is not needed any more");
    stage.tell(&succeeded("p9")).await;
    assert_eq!(stage.job(&id).await["status"], "succeeded");
}

#[tokio::test]
async fn a_job_through_a_connection_is_refused_in_words() {
    let stage = Stage::new(|_, _| taken()).await;
    let at = Timestamp::from_millis(NOW);
    let spec = JobSpec {
        input: InputUrl::parse("https://example.com/in.mp4").expect("an input"),
        options: Options::decode(Kind::Video, &Map::new()).expect("options"),
        raw_options: Map::new(),
        metadata: Map::new(),
        webhook_url: None,
        priority: Priority::default(),
        via: Some(Via {
            connection_id: fresh(at),
            output: Some("s3://media/out.mp4".parse().expect("an object")),
        }),
    };
    let job = Job::accepted(fresh(at), None, spec, stage.app.clock.now());
    let id = job.id.to_string();
    let submission = Submission { jobs: [job].into(), idempotency: None, max_queued: 9 };
    let submitted = stage.app.store.submit(submission).await.expect("an answer");
    assert_eq!(submitted, Submitted::Accepted);
    stage.dispatch().await;
    let job = stage.job(&id).await;
    assert_eq!(job["error"]["kind"], "provider_refused");
    assert!(stage.posts().is_empty());
}

#[tokio::test]
async fn a_copy_is_refused_where_it_is_asked_for_and_where_it_waits() {
    let stage = Stage::new(|_, _| taken()).await;
    let url = "https://example.com/in.mp4";
    let body = json!({"kind": "import", "input": {"url": url}});
    let refused = stage.app.post("/tasks", &body).await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (400, "invalid_kind"));
    assert_eq!(refused.json()["field"], "kind");

    // Accepted while this server did the work itself.
    let at = Timestamp::from_millis(NOW);
    let spec = JobSpec {
        input: InputUrl::parse(url).expect("an input"),
        options: Options::decode(Kind::Import, &Map::new()).expect("options"),
        raw_options: Map::new(),
        metadata: Map::new(),
        webhook_url: None,
        priority: Priority::default(),
        via: None,
    };
    let job = Job::accepted(fresh(at), None, spec, stage.app.clock.now());
    let id = job.id.to_string();
    let submission = Submission { jobs: [job].into(), idempotency: None, max_queued: 9 };
    let submitted = stage.app.store.submit(submission).await.expect("an answer");
    assert_eq!(submitted, Submitted::Accepted);
    stage.dispatch().await;
    let job = stage.job(&id).await;
    assert_eq!(job["error"]["kind"], "provider_refused");
    assert!(stage.posts().is_empty());
}
