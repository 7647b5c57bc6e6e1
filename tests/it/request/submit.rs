//! `POST /process` and `POST /jobs`.

use std::time::Duration;

use futures::future::join_all;
use insta::assert_snapshot;
use reelway::request::Auth;
use serde_json::json;
use url::Url;

use crate::app::TestApp;

#[tokio::test]
async fn process_takes_one_job() {
    let app = TestApp::new().await;
    let answer = app.post("/process", &json!({"url": "https://example.com/a.mp4"})).await;
    assert_snapshot!(answer.shown());
    let id = answer.json()["task_id"].as_str().expect("an id").to_owned();
    assert_snapshot!(app.get(&format!("/jobs/{id}")).await.shown());
}

#[tokio::test]
async fn process_takes_a_batch_and_keeps_its_order() {
    let app = TestApp::new().await;
    let kinds: Vec<&str> = ["video", "image", "audio", "image"].repeat(5);
    let tasks: Vec<_> = kinds.iter().map(|kind| json!({"kind": kind})).collect();
    let body = json!({"url": "https://example.com/a.mp4", "metadata": {"n": 1}, "tasks": tasks});
    let answer = app.post("/process", &body).await;
    assert_eq!(answer.status, 200);
    let sent = answer.json();
    let ids: Vec<&str> = sent["tasks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|t| t["task_id"].as_str())
        .collect();
    assert_eq!(ids.len(), 20);
    assert!(ids.is_sorted(), "{ids:?}");

    let batch = app.get(&format!("/batches/{}", sent["batch_id"].as_str().expect("an id"))).await;
    let jobs = batch.json()["jobs"].as_array().expect("a list").clone();
    assert!(jobs.iter().zip(&ids).all(|(job, id)| job["id"] == **id));
    assert!(jobs.iter().zip(&kinds).all(|(job, kind)| job["kind"] == **kind));
    assert!(jobs.iter().all(|job| job["metadata"]["n"] == 1));
}

#[tokio::test]
async fn options_are_taken_where_earlier_apis_had_them() {
    let app = TestApp::new().await;
    let input = "https://example.com/a.mp4";
    let both = json!({"input": input, "kind": "image", "width": 640, "start": 2, "format": null,
                      "ref": "thumb", "options": {"width": 320}});
    let answer = app.post("/jobs", &both).await;
    assert_eq!(answer.json()["options"], json!({"width": 320, "start": 2}));

    let many = json!({"url": input, "tasks": [{"kind": "image", "width": 640}]});
    let answer = app.post("/process", &many).await.json();
    let id = answer["tasks"][0]["task_id"].as_str().expect("an id").to_owned();
    let job = app.get(&format!("/jobs/{id}")).await.json();
    assert_eq!(job["options"], json!({"width": 640}));
}

#[tokio::test]
async fn subtitles_at_a_private_address_are_refused_as_an_input_is() {
    let app = TestApp::new().await;
    for url in ["http://127.0.0.1/a.srt", "http://[::1]/a.srt", "http://0x7f.1/a.srt"] {
        let options = json!({ "subtitle_url": url });
        let input = "https://example.com/a.mp4";
        let one = json!({ "input": input, "kind": "video", "options": options });
        let answer = app.post("/jobs", &one).await;
        assert_eq!(answer.status, 400, "{url}");
        assert_eq!(answer.json()["field"], "options.subtitle_url", "{url}");
        assert_eq!(answer.json()["kind"], "invalid_input", "{url}");
        let many = json!({ "url": input, "tasks": [{ "kind": "video", "options": options }] });
        let answer = app.post("/process", &many).await;
        assert_eq!(answer.json()["field"], "tasks[0].options.subtitle_url", "{url}");
    }
    for url in ["file:///etc/passwd", "s3://bucket/a.srt", "ftp://example.com/a.srt", "a.srt"] {
        let options = json!({ "subtitle_url": url });
        let one = json!({
            "input": "https://example.com/a.mp4", "kind": "video", "options": options
        });
        let answer = app.post("/jobs", &one).await;
        assert_eq!(answer.json()["kind"], "invalid_option", "{url}");
    }
    assert_eq!(app.get("/jobs").await.json(), json!([]));
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let app = TestApp::with(|state| state.limits.max_queued = 2).await;
    let batch = |options: serde_json::Value| {
        json!({
            "url": "https://example.com/a.mp4",
            "tasks": [{"kind": "image"}, {"kind": "video", "options": options}, {"kind": "image"}]
        })
    };
    assert_snapshot!(app.post("/process", &batch(json!({"width": "wide"}))).await.shown());
    let full = app.post("/process", &batch(json!({}))).await;
    assert_snapshot!(full.shown());
    assert_eq!(app.get("/jobs").await.json(), json!([]));
}

#[tokio::test]
async fn a_batch_shows_its_jobs_and_how_they_stand() {
    let app = TestApp::new().await;
    let body = json!({
        "url": "https://example.com/a.mp4",
        "tasks": [{"kind": "image"}, {"kind": "audio", "options": {"format": "wav"}}]
    });
    let answer = app.post("/process", &body).await;
    assert_snapshot!(answer.shown());
    let path = format!("/batches/{}", answer.json()["batch_id"].as_str().expect("an id"));
    assert_snapshot!(app.get(&path).await.shown());
}

#[tokio::test]
async fn jobs_takes_a_job_and_says_where_it_is() {
    let app = TestApp::new().await;
    let answer = app
        .post(
            "/jobs",
            &json!({
                "input": "https://example.com/a.mp4?token=1", "kind": "image",
                "options": {"width": "50%", "format": "jpg"},
                "metadata": {"user": 7, "nested": {"z": 1, "a": [null]}},
                "webhook_url": "https://hooks.example.com/reelway",
                "ref": "a field of another generation"
            }),
        )
        .await;
    assert_snapshot!(answer.shown());
    let shown = app.get(answer.header("location")).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.json(), answer.json());
}

#[tokio::test]
async fn a_job_may_be_more_or_less_urgent_than_others() {
    let app = TestApp::new().await;
    for priority in [-10, -1, 0, 10] {
        let body = json!({"input": "https://example.com/a.mp4", "kind": "image",
                          "priority": priority});
        let answer = app.post("/jobs", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
    }
    let body = json!({"input": "https://example.com/a.mp4", "kind": "image", "priority": -11});
    let answer = app.post("/jobs", &body).await;
    assert_eq!((answer.status.as_u16(), answer.json()["field"].as_str()), (400, Some("priority")));
}

#[tokio::test]
async fn a_job_without_a_webhook_url_goes_to_the_configured_one() {
    let default = Url::parse("https://hooks.example.com/").expect("a URL");
    let app = TestApp::with(|state| state.default_webhook_url = Some(default)).await;
    let id = app.submit("video").await;
    app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    let log = app.get("/webhooks/deliveries").await.json();
    assert_eq!(log[0]["url"], "https://hooks.example.com/");
}

#[tokio::test]
async fn a_named_request_is_done_once_and_answered_the_same_again() {
    let app = TestApp::new().await;
    let body = json!({"input": "https://example.com/a.mp4", "kind": "video"});
    let named = [("idempotency-key", "order-17")];
    let first = app.post_with("/jobs", &named, &body).await;
    app.clock.advance(Duration::from_hours(1));
    let again = app.post_with("/jobs", &named, &body).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(again.header("idempotency-replayed"), "true");

    let other = json!({"input": "https://example.com/b.mp4", "kind": "video"});
    assert_snapshot!(app.post_with("/jobs", &named, &other).await.shown());
    let elsewhere = app.post_with("/process", &named, &body).await;
    assert_eq!(elsewhere.kind(), "idempotency_conflict");
    assert_eq!(app.get("/jobs").await.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn two_customers_may_choose_the_same_name() {
    let keys = ["one".into(), "two".into()];
    let app = TestApp::with(|state| state.auth = Auth::new(&keys)).await;
    let body = json!({"input": "https://example.com/a.mp4", "kind": "video"});
    let mut ids = Vec::new();
    for key in ["Bearer one", "Bearer two"] {
        let headers = [("idempotency-key", "order-17"), ("authorization", key)];
        let first = app.post_with("/jobs", &headers, &body).await;
        assert_eq!(first.status, 201, "{first:?}");
        let again = app.post_with("/jobs", &headers, &body).await;
        assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
        ids.push(first.json()["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn an_invalid_request_uses_up_no_name() {
    let app = TestApp::new().await;
    let named = [("idempotency-key", "order-18")];
    let wrong = json!({"input": "https://example.com/a.mp4", "kind": "film"});
    assert_eq!(app.post_with("/jobs", &named, &wrong).await.kind(), "invalid_kind");
    let right = json!({"input": "https://example.com/a.mp4", "kind": "video"});
    assert_eq!(app.post_with("/jobs", &named, &right).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_posts_of_one_name_at_once_make_one_job() {
    let app = TestApp::new().await;
    let body = json!({"url": "https://example.com/a.mp4", "tasks": [{"kind": "image"}, {"kind": "audio"}]});
    let named = [("idempotency-key", "storm")];
    let answers = join_all((0..100).map(|_| app.post_with("/process", &named, &body))).await;
    let fresh = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty());
    assert_eq!(fresh.count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
    assert_eq!(app.get("/jobs").await.json().as_array().map(Vec::len), Some(2));
}
