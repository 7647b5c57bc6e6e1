//! `POST /tasks`, `GET /tasks/{id}`: one step at a time, each fed with what another has made.

use insta::assert_snapshot;
use reelway::connection::Keyring;
use reelway::job::{File, FileKind, Kept, Kind, ObjectUrl};
use reelway::store::{Published, Settled, Store as _, Want};
use reelway::task::Stages;
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

fn light() -> Want {
    Want { light: 1, ..Want::default() }
}

/// A server that keeps connections, and one of them.
async fn with_connection() -> (TestApp, String) {
    let app = TestApp::with(|state| {
        let key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        state.keyring = Keyring::parse([key]).expect("a key");
    })
    .await;
    let body = json!({"kind": "s3", "endpoint": "https://s3.example.com", "access_key_id": "a",
                      "secret_access_key": "b"});
    let id = app.post("/connections", &body).await.json()["id"].as_str().expect("an id").to_owned();
    (app, id)
}

/// Ends a claimed task with this file in the place of a video that was made.
async fn finish_with(app: &TestApp, want: Want, change: impl FnOnce(&mut File)) {
    let claim = app.claim_as(want).await;
    let mut file = File {
        key: format!("{}/1/made", claim.lease.job),
        kind: FileKind::Video,
        format: "mp4".to_owned(),
        content_type: "video/mp4".to_owned(),
        filesize: 10,
        width: None,
        height: None,
        duration: None,
        fps: None,
        bitrate: None,
        codecs: None,
        loudness: None,
        sha256: "0".repeat(64),
        delivered_to: None,
        remote_url: None,
    };
    change(&mut file);
    let published = vec![Published { url: file.key.clone(), file }];
    let settled = app.store.finish(&claim.lease, Stages::default(), published).await;
    assert_eq!(settled.expect("an answer"), Settled::Done);
}

#[tokio::test]
async fn every_kind_of_job_is_a_kind_of_task() {
    let app = TestApp::new().await;
    for kind in Kind::OF_JOBS {
        let body = json!({"kind": kind, "input": {"url": "https://example.com/in.mp4"},
                          "options": if kind == Kind::Animation { json!({"end": 2}) } else { json!({}) }});
        let answer = app.post("/tasks", &body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["kind"]), (201, &json!(kind)));
    }
}

#[tokio::test]
async fn an_import_waits_in_the_light_lane_and_is_shown_as_a_job_too() {
    let app = TestApp::new().await;
    let answer = task(&app, "import", json!({"url": "https://example.com/in.mp4"})).await;
    assert_snapshot!(answer.shown());
    let task = answer.json();
    let job = app.get(&format!("/jobs/{}", task["job_id"].as_str().expect("an id"))).await.json();
    assert_eq!((&job["kind"], &job["status"]), (&json!("import"), &json!("queued")));
    let listed = app.get("/jobs?kind=import").await.json();
    assert_eq!(listed, json!([job]));
    finish_with(&app, light(), |_| {}).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
    assert_eq!(app.get(&path).await.json()["status"], "succeeded");
}

#[tokio::test]
async fn an_export_names_its_bucket_in_its_options_or_beside_them() {
    let (app, id) = with_connection().await;
    let (made, key) = made(&app).await;
    let place = json!({"connection_id": id, "output": "s3://media/out.mp4"});
    let mut beside = place.clone();
    beside["options"] = json!({});
    let mixed = json!({"connection_id": id, "options": {"output": "s3://media/out.mp4"}});
    for mut body in [json!({"options": place}), beside, mixed] {
        body["kind"] = json!("export");
        body["input"] = json!({"task_id": made["id"]});
        let answer = app.post("/tasks", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.json()["options"], body["options"], "as it was sent");
        let claim = app.claim_as(light()).await;
        let spec = &claim.job.spec;
        assert_eq!(spec.input.kept(), Some(&Kept::Output(key.clone())));
        let via = spec.via.clone().expect("a connection");
        assert_eq!(via.connection_id.to_string(), id);
        let output = via.output.as_ref().map(ObjectUrl::to_string);
        assert_eq!(output.as_deref(), Some("s3://media/out.mp4"));
    }
}

#[tokio::test]
async fn an_import_or_export_that_is_not_as_it_should_be_is_told_field_by_field() {
    let (app, id) = with_connection().await;
    let (url, output) = ("https://example.com/a.mp4", "s3://media/a.mp4");
    let task = json!({"url": url});
    let mut shown = Vec::new();
    for (path, body) in [
        ("/jobs", json!({"kind": "import", "input": url})),
        ("/jobs", json!({"kind": "export", "input": url})),
        ("/tasks", json!({"kind": "import", "input": url})),
        ("/process", json!({"kind": "import", "url": url})),
        ("/process", json!({"url": url, "tasks": [{"kind": "image"}, {"kind": "export"}]})),
        ("/tasks", json!({"kind": "improt", "input": task})),
        ("/tasks", json!({"kind": "import", "input": task, "options": {"width": 2}})),
        ("/tasks", json!({"kind": "import", "input": task, "output": output})),
        ("/tasks", json!({"kind": "import", "input": {"url": output}})),
        ("/tasks", json!({"kind": "import", "input": {"url": "http://127.0.0.1/a.mp4"}})),
        ("/tasks", json!({"kind": "export", "input": task})),
        ("/tasks", json!({"kind": "export", "input": task, "options": {"output": output}})),
        ("/tasks", json!({"kind": "export", "input": task, "output": output})),
        ("/tasks", json!({"kind": "export", "input": task, "connection_id": id})),
        ("/tasks", json!({"kind": "export", "input": task, "options": {"output": "media/a.mp4"}})),
        (
            "/tasks",
            json!({"kind": "export", "input": task, "output": output,
                   "options": {"output": output, "connection_id": id}}),
        ),
        (
            "/tasks",
            json!({"kind": "export", "input": task,
                   "options": {"output": output, "connection_id": "conn_01h2xcejqtf2nbrexx3vqjhp41"}}),
        ),
    ] {
        let answer = app.post(path, &body).await;
        let problem = answer.json();
        let part = |name: &str| problem[name].as_str().unwrap_or("-").to_owned();
        let (kind, field) = (part("kind"), part("field"));
        let body = body.to_string().replace(&id, "conn_…");
        let words = format!("{}\n  {}", part("message"), part("hint"));
        shown.push(format!("{} {path} {body}\n  {kind} at {field}\n  {words}", answer.status));
    }
    assert_eq!(app.get("/jobs").await.json(), json!([]), "nothing was accepted");
    assert_snapshot!(shown.join("\n\n"));
}

#[tokio::test]
async fn a_task_takes_what_a_probe_has_told_of_and_no_list_of_files() {
    let app = TestApp::new().await;
    let url = "https://example.com/in.mp4";
    let probed = task(&app, "probe", json!({"url": url})).await.json();
    let remote = url.parse().expect("a URL");
    finish_with(&app, light(), |file| file.remote_url = Some(remote)).await;
    let next = task(&app, "video", json!({"task_id": probed["id"]})).await;
    assert_eq!((next.status.as_u16(), &next.json()["input"]["url"]), (201, &json!(url)));
    app.fail(app.claim().await).await;

    // What is kept here is taken by a link of now, whatever became of the one that was sent.
    let (film, key) = made(&app).await;
    let probed = task(&app, "probe", json!({"task_id": film["id"]})).await.json();
    let sent = probed["input"]["url"].as_str().expect("a link").parse().expect("a URL");
    finish_with(&app, light(), |file| file.remote_url = Some(sent)).await;
    app.clock.advance(crate::app::LINK_LIFE * 2);
    let next = task(&app, "video", json!({"task_id": probed["id"]})).await;
    assert_eq!(next.status, 201, "{next:?}");
    let claim = app.claim().await;
    assert_eq!(claim.job.spec.input.kept(), Some(&Kept::Output(key)));

    let pack = task(&app, "adaptive_video", json!({"url": url})).await.json();
    let heavy = Want { heavy: 1, ..Want::default() };
    finish_with(&app, heavy, |file| file.kind = FileKind::AdaptiveVideo).await;
    let refused = task(&app, "export", json!({"task_id": pack["id"]})).await;
    assert_snapshot!(refused.shown());
}
