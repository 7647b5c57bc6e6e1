//! `POST /tasks`, `GET /tasks/{id}`: one step at a time, each fed with what another has made.

use insta::assert_snapshot;
use reelway::job::Kept;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::app::TestApp;

async fn task(app: &TestApp, kind: &str, input: Value) -> Answer {
    app.post("/tasks", &json!({"kind": kind, "input": input})).await
}

/// A task that has made a video; the task, and the output's key.
async fn made(app: &TestApp) -> (Value, String) {
    let task = task(app, "video", json!({"url": "https://example.com/in.mp4"})).await.json();
    let key = app.finish(app.claim().await, b"0123456789").await;
    (app.get(&format!("/tasks/{}", task["id"].as_str().expect("an id"))).await.json(), key)
}

#[tokio::test]
async fn a_task_waits_and_comes_to_its_end() {
    let app = TestApp::new().await;
    let body = json!({"kind": "video", "input": {"url": "https://example.com/in.mp4"},
                      "options": {"width": 640}, "metadata": {"n": 1}});
    let answer = app.post("/tasks", &body).await;
    assert_snapshot!(answer.shown());
    let path = answer.header("location").to_owned();
    assert_eq!(app.get(&path).await.json(), answer.json());
    let claim = app.claim().await;
    assert_eq!(app.get(&path).await.json()["status"], "processing");
    app.finish(claim, b"0123456789").await;
    let ended = app.get(&path).await.json();
    assert_eq!((&ended["status"], &ended["output"]["filesize"]), (&json!("succeeded"), &json!(10)));
    let job = app.get(&format!("/jobs/{}", ended["job_id"].as_str().expect("an id"))).await.json();
    assert_eq!((&job["status"], &job["metadata"]), (&json!("succeeded"), &json!({"n": 1})));
}

#[tokio::test]
async fn a_task_takes_what_another_has_made_by_its_id_or_by_its_url() {
    let app = TestApp::new().await;
    let (first, key) = made(&app).await;
    for input in [json!({"task_id": first["id"]}), json!({"url": first["output"]["url"]})] {
        let answer = task(&app, "audio", input).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let claim = app.claim().await;
        assert_eq!(claim.job.spec.input.kept(), Some(&Kept::Output(key.clone())));
    }
    let job = json!({"kind": "audio", "input": first["output"]["url"]});
    assert_eq!(app.post("/jobs", &job).await.status, 201, "a job takes it too");
}

#[tokio::test]
async fn a_task_takes_nothing_that_is_not_there() {
    let app = TestApp::new().await;
    let waiting = task(&app, "video", json!({"url": "https://example.com/in.mp4"})).await.json();
    let early = task(&app, "audio", json!({"task_id": waiting["id"]})).await;
    assert_snapshot!(early.shown());
    app.fail(app.claim().await).await;
    let (done, key) = made(&app).await;
    let forged = format!("https://media.example.com/files/{key}?expires=1&signature=00");
    let unsigned = format!("https://media.example.com/files/{key}");
    for (input, field) in [
        (json!({"task_id": waiting["id"]}), "input.task_id"),
        (json!({"task_id": "task_01h2xcejqtf2nbrexx3vqjhp41"}), "input.task_id"),
        (json!({"task_id": "job_1"}), "input.task_id"),
        (json!({"task_id": done["id"], "url": "https://example.com/"}), "input"),
        (json!({"taskid": done["id"]}), "input.taskid"),
        (json!({}), "input"),
        (json!({"url": forged}), "input"),
        (json!({"url": unsigned}), "input"),
    ] {
        let answer = task(&app, "audio", input.clone()).await;
        let problem = answer.json();
        assert_eq!((answer.status.as_u16(), &problem["field"]), (400, &json!(field)), "{input}");
        assert!(problem["hint"].is_string(), "{problem}");
    }
    app.delete(&format!("/jobs/{}", done["job_id"].as_str().expect("an id"))).await;
    assert_eq!(task(&app, "audio", json!({"url": done["output"]["url"]})).await.status, 400);
    assert_eq!(
        task(&app, "film", json!({"url": "https://example.com/"})).await.kind(),
        "invalid_kind"
    );
    let unknown = app.get("/tasks/task_01h2xcejqtf2nbrexx3vqjhp41").await;
    assert_eq!((unknown.status.as_u16(), unknown.kind().as_str()), (404, "task_not_found"));
}

#[tokio::test]
async fn a_body_of_a_job_gets_a_job_and_a_named_one_gets_it_once() {
    let app = TestApp::new().await;
    let job = task(&app, "video", json!("https://example.com/in.mp4")).await;
    assert_eq!((job.status.as_u16(), &job.json()["object"]), (201, &json!("job")));
    let body = json!({"kind": "video", "input": {"url": "https://example.com/in.mp4"}});
    let named = [("idempotency-key", "k")];
    let first = app.post_with("/tasks", &named, &body).await;
    let again = app.post_with("/tasks", &named, &body).await;
    assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
}
