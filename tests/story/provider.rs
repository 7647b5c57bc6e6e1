//! A server whose engine is another server: the pipeline through both, and what goes wrong between.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::{
    Receiver, Server, Source, WEBHOOK_SECRET, client, eventually, serve, short_clip,
};

/// What happens to a request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrives.
    Arrives,
    /// Its sender believes that it has arrived.
    IsLost,
    /// It arrives twice.
    ComesTwice,
    /// It arrives, and its sender never hears of that.
    IsNotAnswered,
}

/// Stands between two servers and decides over each request by its number from 1.
struct Between {
    url: String,
    road: Arc<Road>,
}

struct Road {
    to: Mutex<String>,
    fate: fn(&Method, usize) -> Fate,
    fates: watch::Sender<Vec<Fate>>,
}

impl Between {
    async fn start(fate: fn(&Method, usize) -> Fate) -> Self {
        let road = Arc::new(Road { to: Mutex::default(), fate, fates: watch::Sender::default() });
        let app = Router::new().fallback(pass).with_state(road.clone());
        Self { url: serve(app).await, road }
    }

    fn leads_to(&self, server: &Server) {
        server.url.clone_into(&mut self.road.to.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn count(&self, fate: Fate) -> usize {
        self.road.fates.borrow().iter().filter(|one| **one == fate).count()
    }

    async fn until(&self, fate: Fate) {
        let mut fates = self.road.fates.subscribe();
        let seen = fates.wait_for(|fates| fates.contains(&fate));
        drop(tokio::time::timeout(crate::harness::PATIENCE, seen).await.expect("in time"));
    }
}

async fn pass(
    State(road): State<Arc<Road>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fate = (road.fate)(&method, road.fates.borrow().len() + 1);
    let to = road.to.lock().unwrap_or_else(PoisonError::into_inner).clone();
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    let send = async || {
        let request = client().request(method.clone(), format!("{to}{uri}"));
        request.headers(headers.clone()).body(body.clone()).send().await
    };
    if fate == Fate::ComesTwice {
        let first = send().await.expect("it arrives");
        assert_eq!(first.status(), 200);
    }
    let answer = if fate == Fate::IsLost { None } else { Some(send().await) };
    road.fates.send_modify(|fates| fates.push(fate));
    match answer {
        None => StatusCode::OK.into_response(),
        Some(_) if fate == Fate::IsNotAnswered => std::future::pending().await,
        // The server behind is down.
        Some(Err(_)) => StatusCode::BAD_GATEWAY.into_response(),
        Some(Ok(answer)) => {
            let status = answer.status();
            let body = answer.bytes().await.expect("a body");
            (status, [(CONTENT_TYPE, "application/json")], body).into_response()
        }
    }
}

/// A server that hands its jobs to the one at `api_url`, which tells of them at `public_url`.
async fn handing_over(data_dir: &Path, api_url: &str, public_url: Option<&str>) -> Server {
    let mut env = vec![
        ("REELWAY_ENGINE", "ittybit"),
        ("ITTYBIT_API_KEY", "a-key-of-this-server"),
        ("ITTYBIT_API_URL", api_url),
        ("ITTYBIT_WEBHOOK_SECRET", WEBHOOK_SECRET),
        ("ITTYBIT_ASK_AFTER", "2s"),
        // There is nothing here that could make a video.
        ("REELWAY_FFMPEG", "/nowhere/ffmpeg"),
    ];
    env.extend(public_url.map(|url| ("REELWAY_PUBLIC_URL", url)));
    Server::start_with(data_dir, &env).await
}

async fn is_reachable(url: &str) -> bool {
    let answer = client().get(url).send().await.expect("an answer");
    let is_there = answer.status() == 200;
    is_there && !answer.bytes().await.expect("the file").is_empty()
}

#[tokio::test]
async fn the_pipeline_goes_through_two_servers_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (maker_dir, here_dir) = (folder.path().join("maker"), folder.path().join("here"));
    std::fs::create_dir_all(&maker_dir).expect("a folder");
    std::fs::create_dir_all(&here_dir).expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let maker =
        Server::start_with(&maker_dir, &[("REELWAY_API_KEY", "a-key-of-this-server")]).await;
    let here = handing_over(&here_dir, &maker.url, None).await;

    let body = json!({
        "url": source.url, "webhook_url": receiver.url, "metadata": {"upload": 7},
        "tasks": [
            {"kind": "video", "options": {"format": "mp4", "width": 1280, "quality": "high"}},
            {"kind": "image", "options": {"format": "webp", "width": 320, "start": 2}},
            {"kind": "video", "options": {"format": "mp4", "width": 240, "quality": "low"}},
        ]
    });
    let batch = here.post("/process", &body).await;
    let mut sent: Vec<&str> = batch["tasks"]
        .as_array()
        .expect("three tasks")
        .iter()
        .map(|task| task["task_id"].as_str().expect("an id"))
        .collect();
    let (mut told, mut batches) = (Vec::new(), 0);
    for _ in 0..4 {
        let push = receiver.next().await;
        assert!(push.is_verified());
        if push.body["type"] == "batch.finished" {
            batches += 1;
            continue;
        }
        assert_eq!(push.body["type"], "job.succeeded", "{}", push.body);
        assert_eq!(push.body["metadata"], json!({"upload": 7}));
        let output = &push.body["output"];
        let url = push.body["output_url"].as_str().expect("a URL");
        assert!(url.starts_with(&maker.url), "the maker keeps it: {url}");
        assert!(is_reachable(url).await, "{url}");
        assert!(output["filesize"].as_u64().is_some_and(|size| size > 0), "{output}");
        assert_eq!(output["sha256"].as_str().map(str::len), Some(64));
        told.push(push.body["id"].as_str().expect("an id").to_owned());
    }
    told.sort();
    sent.sort_unstable();
    assert_eq!(told, sent, "joined by the ids that were given here");
    assert_eq!(batches, 1, "the batch ends here too");

    let id = batch["batch_id"].as_str().expect("an id");
    let batch = here.get(&format!("/batches/{id}")).await;
    assert_eq!(batch["status"], "succeeded");
    let facts = |job: &Value| json!([job["output"]["format"], job["output"]["width"]]);
    let facts: Vec<Value> = batch["jobs"].as_array().expect("jobs").iter().map(facts).collect();
    assert_eq!(facts, [json!(["mp4", 640]), json!(["webp", 320]), json!(["mp4", 240])]);
    assert!(here.scratch_files().is_empty(), "nothing was made here");
    assert_eq!(here.get("/readyz").await["status"], "ok", "no ffmpeg is missed");
}

#[tokio::test]
async fn webhooks_that_are_lost_or_come_twice_end_every_job_once() {
    const JOBS: usize = 40;
    let folder = tempfile::tempdir().expect("a folder");
    let (maker_dir, here_dir) = (folder.path().join("maker"), folder.path().join("here"));
    std::fs::create_dir_all(&maker_dir).expect("a folder");
    std::fs::create_dir_all(&here_dir).expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let maker = Server::start(&maker_dir).await;
    let back = Between::start(|_, number| match number % 10 {
        0 => Fate::IsLost,
        5 => Fate::ComesTwice,
        _ => Fate::Arrives,
    })
    .await;
    let here = handing_over(&here_dir, &maker.url, Some(&back.url)).await;
    back.leads_to(&here);

    let mut sent = HashSet::new();
    for number in 0..JOBS {
        let body = json!({"url": source.url, "kind": "image", "webhook_url": receiver.url,
                          "options": {"format": "webp", "width": 32 + number}});
        let job = here.post("/process", &body).await;
        sent.insert(job["task_id"].as_str().expect("an id").to_owned());
    }
    let mut told = HashSet::new();
    for _ in 0..JOBS {
        let push = receiver.next().await;
        assert_eq!(push.body["type"], "job.succeeded", "{}", push.body);
        assert!(is_reachable(push.body["output_url"].as_str().expect("a URL")).await);
        assert!(told.insert(push.body["id"].as_str().expect("an id").to_owned()), "told once");
    }
    assert_eq!(told, sent);
    eventually("every webhook has been on its way", async || {
        let all = [Fate::Arrives, Fate::IsLost, Fate::ComesTwice].map(|fate| back.count(fate));
        (all.iter().sum::<usize>() >= JOBS).then_some(())
    })
    .await;
    assert!(back.count(Fate::IsLost) >= 3 && back.count(Fate::ComesTwice) >= 3);
    let log = here.get("/webhooks/deliveries?limit=100").await;
    assert_eq!(log.as_array().map(Vec::len), Some(JOBS), "one end is one event");
}

#[tokio::test]
async fn a_server_killed_before_it_hears_the_answer_makes_one_job_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (maker_dir, here_dir) = (folder.path().join("maker"), folder.path().join("here"));
    std::fs::create_dir_all(&maker_dir).expect("a folder");
    std::fs::create_dir_all(&here_dir).expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let maker = Server::start(&maker_dir).await;
    let there =
        Between::start(|_, number| if number == 1 { Fate::IsNotAnswered } else { Fate::Arrives })
            .await;
    there.leads_to(&maker);
    // Its address stays when the server comes back on another port.
    let back = Between::start(|_, _| Fate::Arrives).await;
    let here = handing_over(&here_dir, &there.url, Some(&back.url)).await;
    back.leads_to(&here);

    let body = json!({"url": source.url, "kind": "image", "webhook_url": receiver.url});
    let job = here.post("/process", &body).await;
    let id = job["task_id"].as_str().expect("an id").to_owned();
    there.until(Fate::IsNotAnswered).await;
    here.kill().await;

    let here = handing_over(&here_dir, &there.url, Some(&back.url)).await;
    back.leads_to(&here);
    let push = receiver.next().await;
    assert_eq!(
        (push.body["type"].as_str(), push.body["id"].as_str()),
        (Some("job.succeeded"), Some(&*id))
    );
    assert!(is_reachable(push.body["output_url"].as_str().expect("a URL")).await);
    let jobs = maker.get("/jobs").await;
    assert_eq!(jobs.as_array().map(Vec::len), Some(1), "{jobs}");
    let log = here.get("/webhooks/deliveries").await;
    assert_eq!(log.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn cancelling_here_stops_the_work_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (maker_dir, here_dir) = (folder.path().join("maker"), folder.path().join("here"));
    std::fs::create_dir_all(&maker_dir).expect("a folder");
    std::fs::create_dir_all(&here_dir).expect("a folder");
    let source = Source::of(&crate::harness::long_clip(folder.path())).await;
    let maker = Server::start(&maker_dir).await;
    let here = handing_over(&here_dir, &maker.url, None).await;
    let body = json!({"input": source.url, "kind": "video", "options": {"quality": "very_high"}});
    let job = here.post("/jobs", &body).await;
    let id = job["id"].as_str().expect("an id");
    let there = eventually("it is made there", async || {
        let jobs = maker.get("/jobs?status=processing").await;
        jobs[0]["id"].as_str().map(str::to_owned)
    })
    .await;
    here.job_when(id, |job| job["tasks"][0]["progress"].as_f64().is_some_and(|p| p > 0.0)).await;
    let cancelled = here.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(cancelled["status"], "cancelled");
    maker.job_when(&there, |job| job["status"] == "cancelled").await;
}

#[tokio::test]
async fn a_server_that_a_provider_could_not_tell_refuses_to_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = refusal(folder.path()).await;
    for word in ["REELWAY_PUBLIC_URL", "https://api.ittybit.com", "127.0.0.1"] {
        assert!(told.contains(word), "{told}");
    }
}

/// What `reelway serve` says when it is to hand over to a provider elsewhere and only listens here.
#[expect(clippy::disallowed_methods, reason = "the test starts the product")]
async fn refusal(data_dir: &Path) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_reelway"))
        .args(["serve", "--port", "0"])
        .current_dir(data_dir)
        .env_clear()
        .env("REELWAY_DATA_DIR", data_dir)
        .env("ITTYBIT_API_KEY", "a-key-of-this-server")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(crate::harness::PATIENCE, output).await;
    let output = output.expect("it ends").expect("it starts");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}
