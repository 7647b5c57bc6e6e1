//! A sweep made from the API's document: every route that takes an id, with every id of another
//! project. Nothing is told, and nothing is changed.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use reelway::access::{Scope, Scopes};
use reelway::clock::Clock as _;
use reelway::connection::Keyring;
use reelway::request::Auth;
use reelway::store::sql::SqlStore;
use reelway::store::{
    AttemptOutcome, AttemptRecord, Disk, DiskLow, Newest, Room, SettleDelivery, Settled, Store as _,
};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::app::TestApp;
use crate::contract::Contract;

const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// What one project has, one of each kind at least.
struct Owner {
    bearer: String,
    jobs: Vec<String>,
    batch: String,
    task: String,
    connection: String,
    uploads: Vec<String>,
    output: String,
    link: String,
    delivery: String,
    key: String,
}

impl Owner {
    /// What stands for a variable of a path; a path that is not known here has no stand-in.
    fn fill(&self, template: &str) -> Vec<String> {
        let (before, after) = template.split_once('{').expect("a variable");
        let (_, after) = after.split_once('}').expect("its end");
        let ids = match before {
            "/jobs/" => self.jobs.clone(),
            "/batches/" => vec![self.batch.clone()],
            "/tasks/" => vec![self.task.clone()],
            "/connections/" => vec![self.connection.clone()],
            "/uploads/" => self.uploads.clone(),
            "/files/" => vec![self.output.clone()],
            "/webhooks/deliveries/" => vec![self.delivery.clone()],
            "/keys/" => vec![self.key.clone()],
            _ => panic!("{template}: say in this sweep which id belongs there"),
        };
        assert!(!after.contains('{'), "{template}: the sweep fills one variable");
        ids.iter().map(|id| format!("{before}{id}{after}")).collect()
    }
}

async fn server() -> TestApp {
    TestApp::with(|state| {
        state.auth = Auth::new(&["first-key".into()]);
        state.keyring = Keyring::parse([&*"07".repeat(32)]).expect("a key");
    })
    .await
}

/// Headers with which every route would do its work, if the caller might.
fn headers<'a>(bearer: &'a str, method: &Method) -> Vec<(&'static str, &'a str)> {
    let is_piece = method == Method::PATCH;
    let content = if is_piece { "application/offset+octet-stream" } else { "application/json" };
    vec![
        ("authorization", bearer),
        ("content-type", content),
        ("tus-resumable", "1.0.0"),
        ("upload-offset", "0"),
        ("upload-length", "2000"),
    ]
}

async fn send(app: &TestApp, bearer: &str, method: &Method, path: &str, body: &Value) -> Answer {
    let headers = headers(bearer, method);
    app.call(method.clone(), path, &headers, Body::from(body.to_string())).await
}

async fn post(app: &TestApp, bearer: &str, path: &str, body: &Value) -> Value {
    let answer = send(app, bearer, &Method::POST, path, body).await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
    answer.json()
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

async fn owner(app: &TestApp) -> Owner {
    let (_, bearer) = app.key_of("ours", Scopes::usual().iter()).await;
    let key = app.store.keys(&Newest::up_to(9)).await.expect("keys").rows[0].id.to_string();
    let body = json!({
        "input": "https://example.com/a.mp4", "kind": "video",
        "webhook_url": "https://hooks.example.com/ours"
    });
    let ended = id(&post(app, &bearer, "/jobs", &body).await);
    let claim = app.claim().await;
    let output = app.finish(claim, b"the bytes of ours").await;
    let due = app.store.claim_deliveries(9, 9, Duration::from_secs(30)).await.expect("due");
    let at = reelway::clock::Timestamp::from_millis(crate::app::NOW);
    let record =
        AttemptRecord { at, duration_ms: 1, status: Some(500), error: None, response: None };
    let (delivery, attempt) = (due[0].id, due[0].attempt);
    let settle = SettleDelivery { id: delivery, attempt, record, outcome: AttemptOutcome::Failed };
    assert_eq!(app.store.settle_delivery(settle).await.expect("an answer"), Settled::Done);
    let shown = send(app, &bearer, &Method::GET, &format!("/jobs/{ended}"), &Value::Null).await;
    let link = shown.json()["output"]["url"].as_str().expect("a link").to_owned();

    let queued = id(&post(
        app,
        &bearer,
        "/jobs",
        &json!({"input": "https://example.com/b.mp4", "kind": "video"}),
    )
    .await);
    let tasks = json!({"url": "https://example.com/c.mp4", "tasks": [{"kind": "image"}]});
    let batch = post(app, &bearer, "/process", &tasks).await["batch_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let task = json!({"input": {"url": "https://example.com/d.mp4"}, "kind": "image"});
    let task = id(&post(app, &bearer, "/tasks", &task).await);
    let bucket = json!({"kind": "s3", "access_key_id": "AKIA", "secret_access_key": "secret"});
    let connection = id(&post(app, &bearer, "/connections", &bucket).await);
    let media = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec();
    let sender = [("authorization", &*bearer)];
    let whole = app.call(Method::POST, "/files", &sender, media.into()).await;
    assert_eq!(whole.status, 201, "{whole:?}");
    let half =
        app.call(Method::POST, "/uploads", &headers(&bearer, &Method::POST), Body::empty()).await;
    let half = half.header("location").rsplit('/').next().expect("an id").to_owned();
    Owner {
        jobs: vec![ended, queued],
        batch,
        task,
        connection,
        uploads: vec![id(&whole.json()), half],
        output,
        link,
        delivery: delivery.to_string(),
        key,
        bearer,
    }
}

/// All that a project can see of itself.
async fn view(app: &TestApp, owner: &Owner) -> Vec<String> {
    let mut paths =
        ["/jobs", "/batches", "/connections", "/webhooks/deliveries"].map(str::to_owned).to_vec();
    paths.extend(owner.jobs.iter().map(|id| format!("/jobs/{id}")));
    paths.extend(owner.uploads.iter().map(|id| format!("/uploads/{id}")));
    paths.push(format!("/batches/{}", owner.batch));
    paths.push(format!("/tasks/{}", owner.task));
    paths.push(format!("/files/{}", owner.output));
    let mut seen = Vec::new();
    for path in paths {
        let answer = send(app, &owner.bearer, &Method::GET, &path, &Value::Null).await;
        assert!(answer.status != 404, "{path}: {answer:?}");
        let is_problem = answer.status.is_client_error();
        let body = if is_problem { answer.kind() } else { format!("{:?}", answer.body) };
        seen.push(format!("{path} {} {body}", answer.status));
    }
    let uploads = owner.uploads.iter().map(|id| format!("/uploads/{id}"));
    for path in uploads {
        let answer = send(app, &owner.bearer, &Method::HEAD, &path, &Value::Null).await;
        seen.push(format!("{path} {}", answer.header("upload-offset")));
    }
    let keys = app.store.keys(&Newest::up_to(9)).await.expect("keys").rows;
    seen.push(format!("{:?}", keys.iter().map(|key| (key.id, key.revoked_at)).collect::<Vec<_>>()));
    seen
}

/// The scope that an operation asks for; none when it asks for no key.
fn scope(operation: &Value) -> Option<String> {
    let ways = operation["security"].as_array()?;
    ways.iter().find_map(|way| way["key"][0].as_str()).map(str::to_owned)
}

#[tokio::test]
async fn every_route_with_an_id_of_another_project_knows_of_nothing_and_changes_nothing() {
    let app = server().await;
    let ours = owner(&app).await;
    let (_, theirs) = app.key_of("theirs", Scopes::usual().iter()).await;
    let (_, their_admin) = app.key_of("theirs", [Scope::Admin]).await;
    let before = view(&app, &ours).await;
    let contract = Contract::of(&app.router).await;
    let mut swept = 0;
    for (template, _, operation) in contract.operations() {
        let Some(scope) = scope(operation.value()).filter(|_| template.contains('{')) else {
            continue;
        };
        for path in ours.fill(template) {
            for method in METHODS {
                let refused = send(&app, &theirs, &method, &path, &json!({})).await.status.as_u16();
                if scope == "admin" {
                    // Keys are managed by administrators, whatever their project; others do not
                    // get to ask.
                    assert!([403, 405].contains(&refused), "{method} {path}: {refused}");
                    continue;
                }
                assert!([404, 405].contains(&refused), "{method} {path}: {refused}");
                let refused = send(&app, &their_admin, &method, &path, &json!({})).await.status;
                assert!([404, 405].contains(&refused.as_u16()), "{method} {path}: {refused}");
                swept += 1;
            }
        }
    }
    assert!(swept > 80, "{swept}");
    assert_eq!(view(&app, &ours).await, before);

    // The same requests are done when their owner sends them: the sweep could have changed things.
    let operations = contract.operations();
    let rank = |method: &Method| METHODS.iter().position(|known| known == method);
    let mut own: Vec<_> = operations
        .iter()
        .filter(|(template, _, operation)| {
            template.contains('{') && scope(operation.value()).is_some_and(|scope| scope != "admin")
        })
        .collect();
    own.sort_by_key(|(_, method, _)| rank(method));
    for (template, method, _) in own {
        for path in ours.fill(template) {
            // A piece without bytes is one.
            let body = if method == Method::PATCH { Body::empty() } else { Body::from("{}") };
            let answer =
                app.open(method.clone(), &path, &headers(&ours.bearer, method), body).await;
            let status = answer.status().as_u16();
            assert!(![401, 403, 404, 405].contains(&status), "{method} {path}: {status}");
        }
    }
    for (path, left) in [("/jobs", 2), ("/connections", 0)] {
        let list = send(&app, &ours.bearer, &Method::GET, path, &Value::Null).await.json();
        assert_eq!(list.as_array().map(Vec::len), Some(left), "{path}: the rest was deleted");
    }
}

#[tokio::test]
async fn every_list_is_empty_for_a_project_that_has_nothing() {
    let app = server().await;
    let ours = owner(&app).await;
    let (_, theirs) = app.key_of("theirs", Scopes::usual().iter()).await;
    let contract = Contract::of(&app.router).await;
    let mut lists = 0;
    for (path, method, operation) in contract.operations() {
        let is_open = scope(operation.value()).is_none_or(|scope| scope == "admin");
        if is_open || method != Method::GET || path.contains('{') {
            continue;
        }
        if path == "/metrics" {
            // They are of the whole server: for its own project alone.
            let told = send(&app, &theirs, &method, path, &Value::Null).await;
            assert_eq!(told.status, 404, "{told:?}");
            continue;
        }
        assert_eq!(
            send(&app, &theirs, &method, path, &Value::Null).await.json(),
            json!([]),
            "{path}"
        );
        assert_ne!(
            send(&app, &ours.bearer, &method, path, &Value::Null).await.json(),
            json!([]),
            "{path}"
        );
        lists += 1;
    }
    assert_eq!(lists, 4);
    for query in [
        format!("/jobs?batch_id={}", ours.batch),
        "/jobs?input=https%3A%2F%2Fexample.com%2Fa.mp4".to_owned(),
        format!("/webhooks/deliveries?job_id={}", ours.jobs[0]),
        format!("/jobs?order=asc&after={}", ours.jobs[0]),
    ] {
        assert_eq!(
            send(&app, &theirs, &Method::GET, &query, &Value::Null).await.json(),
            json!([]),
            "{query}"
        );
    }
    let replayed = post(&app, &theirs, "/webhooks/deliveries/replay", &json!({"since": 0})).await;
    assert_eq!(replayed, json!({"replayed": 0}));
}

#[tokio::test]
async fn what_another_project_has_cannot_be_named_in_a_body() {
    let app = server().await;
    let ours = owner(&app).await;
    let (_, theirs) = app.key_of("theirs", Scopes::usual().iter()).await;
    let before = view(&app, &ours).await;
    let upload = |id: &str| format!("https://media.example.com/uploads/{id}");
    let unknown = "01h2xcejqtf2nbrexx3vqjhp41";
    let through =
        |id: &str| json!({"kind": "video", "input": "s3://media/a.mp4", "connection_id": id});
    let of_task = |id: &str| json!({"kind": "image", "input": {"task_id": id}});
    let of_url = |url: &str| json!({"kind": "image", "input": url});
    let batch_of = |url: &str| json!({"url": url, "tasks": [{"kind": "image"}]});
    for (path, named, nobodys) in [
        ("/jobs", of_url(&upload(&ours.uploads[0])), of_url(&upload(&format!("upl_{unknown}")))),
        (
            "/process",
            batch_of(&upload(&ours.uploads[0])),
            batch_of(&upload(&format!("upl_{unknown}"))),
        ),
        ("/jobs", through(&ours.connection), through(&format!("conn_{unknown}"))),
        ("/tasks", of_task(&ours.task), of_task(&format!("task_{unknown}"))),
        (
            "/tasks",
            json!({"kind": "image", "input": {"url": ours.link}}),
            json!({"kind": "image", "input": {"url": upload(&format!("upl_{unknown}"))}}),
        ),
        ("/jobs", of_url(&ours.link), of_url(&upload(&format!("upl_{unknown}")))),
    ] {
        let told = async |body: &Value| {
            let answer = send(&app, &theirs, &Method::POST, path, body).await;
            assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
            let mut problem = answer.json();
            problem.as_object_mut().expect("an object").remove("request_id");
            problem
        };
        assert_eq!(told(&named).await, told(&nobodys).await, "{path} {named}");
    }
    assert_eq!(view(&app, &ours).await, before);
    // Whoever was given a link may follow it; it is no secret of the project any more.
    let followed =
        ours.link.strip_prefix("https://media.example.com").expect("a link of this server");
    let stranger = [("authorization", &*theirs)];
    assert_eq!(app.call(Method::GET, followed, &stranger, Body::empty()).await.status, 200);
}

/// Tells operators of a disk, in vain; returns the delivery.
async fn tell_operators(app: &TestApp) -> String {
    let store = SqlStore::sqlite(&app.database(), app.clock.clone()).await.expect("a store");
    let store = store.telling(Some("https://ops.example.com/hook".parse().expect("a URL")));
    let told = DiskLow {
        host: "one".to_owned(),
        folder: "/data".to_owned(),
        free_bytes: 1,
        min_free_bytes: 2,
    };
    let is_news = store.note_disk(&Disk { device: 1, told }, Room::Low).await;
    assert!(is_news.expect("an answer"));
    let due = store.claim_deliveries(9, 9, Duration::from_secs(30)).await.expect("due");
    let at = app.clock.now();
    let record =
        AttemptRecord { at, duration_ms: 1, status: Some(500), error: None, response: None };
    let (id, attempt) = (due[0].id, due[0].attempt);
    let settle = SettleDelivery { id, attempt, record, outcome: AttemptOutcome::Failed };
    assert_eq!(store.settle_delivery(settle).await.expect("an answer"), Settled::Done);
    store.close().await;
    id.to_string()
}

/// It tells of every project: of receivers, of jobs, of machines.
#[tokio::test]
async fn what_operators_are_told_is_for_administrators_alone() {
    let app = server().await;
    let due = tell_operators(&app).await;
    let (_, usual) = app.key_of("default", Scopes::usual().iter()).await;
    let (_, theirs) = app.key_of("theirs", Scopes::usual().iter()).await;
    let (_, admin) = app.key_of("theirs", [Scope::Admin]).await;
    let list = "/webhooks/deliveries?operations=true";
    let replay = format!("/webhooks/deliveries/{due}/replay");
    for bearer in [&usual, &theirs] {
        let refused = send(&app, bearer, &Method::GET, list, &Value::Null).await;
        assert_eq!((refused.status.as_u16(), &*refused.kind()), (403, "scope_missing"));
        assert_eq!(send(&app, bearer, &Method::POST, &replay, &json!({})).await.status, 404);
    }
    for bearer in [&usual, &theirs, &admin] {
        let own = send(&app, bearer, &Method::GET, "/webhooks/deliveries", &Value::Null).await;
        assert_eq!(own.json(), json!([]), "it is of no project");
        let replayed =
            post(&app, bearer, "/webhooks/deliveries/replay", &json!({"since": 0})).await;
        assert_eq!(replayed, json!({"replayed": 0}));
    }
    let log = send(&app, &admin, &Method::GET, list, &Value::Null).await.json();
    assert_eq!((&log[0]["id"], &log[0]["type"]), (&json!(due), &json!("disk.low")));
    assert_eq!((&log[0]["job_id"], &log[0]["batch_id"]), (&Value::Null, &Value::Null));
    let replayed = post(&app, &admin, &replay, &json!({})).await;
    assert_eq!(replayed["state"], "pending");
    let (_, maker) = app.key_of("default", [Scope::Admin]).await;
    let named = json!({"name": "x", "project": "~operations"});
    let refused = send(&app, &maker, &Method::POST, "/keys", &named).await;
    assert_eq!(refused.status, 400, "no key can name it: {refused:?}");
}

#[tokio::test]
async fn two_projects_may_name_their_requests_alike() {
    let app = server().await;
    let (name, ours) = app.key_of("ours", Scopes::usual().iter()).await;
    let (_, theirs) = app.key_of("theirs", Scopes::usual().iter()).await;
    let body = json!({"input": "https://example.com/a.mp4", "kind": "video"});
    let mut made = Vec::new();
    for bearer in [&ours, &theirs] {
        let headers = [(name, bearer.as_str()), ("idempotency-key", "k")];
        let first = app.post_with("/jobs", &headers, &body).await;
        let again = app.post_with("/jobs", &headers, &body).await;
        assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
        assert_eq!(first.body, again.body);
        made.push(id(&first.json()));
    }
    assert_ne!(made[0], made[1]);
}
