//! Every process is replaced, one after the other, and no request fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::balancer::Balancer;
use crate::database::Database;
use crate::fleet::{Launch, Process, Role};
use crate::receivers::Receiver;
use crate::source::Source;
use crate::support::{client, eventually, eventually_within, say};

/// How many clients ask all the time.
const CLIENTS: u32 = 3;

/// How long a client thinks between two requests.
const PACE: Duration = Duration::from_millis(120);

/// How many jobs may be open: more would only measure how slow the machine is.
const OPEN: usize = 12;

/// How long jobs may take that were accepted before the load ended.
const REST: Duration = Duration::from_mins(3);

/// What clients were told.
#[derive(Default)]
struct Told {
    accepted: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
    requests: std::sync::atomic::AtomicU32,
    is_over: AtomicBool,
}

impl Told {
    fn count(&self, what: &str, answer: Result<(StatusCode, Value), reqwest::Error>) -> Value {
        self.requests.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok((status, body)) if status.is_success() => return body,
            Ok((status, body)) => self.fails(format!("{what}: {status} {body}")),
            Err(error) => self.fails(format!("{what}: {error:?}")),
        }
        Value::Null
    }

    fn fails(&self, words: String) {
        self.failed.lock().expect("nobody panics here").push(words);
    }
}

async fn ask(request: reqwest::RequestBuilder) -> Result<(StatusCode, Value), reqwest::Error> {
    let answer = request.send().await?;
    Ok((answer.status(), answer.json().await?))
}

/// Submits and lists by turns, over connections that it keeps.
async fn load(
    number: u32,
    base: String,
    source: Arc<Source>,
    hook: Arc<Receiver>,
    told: Arc<Told>,
) {
    let http = client();
    let mut sent = 0;
    while !told.is_over.load(Ordering::Relaxed) {
        let accepted = told.accepted.lock().expect("nobody panics here").len();
        if accepted < hook.pushes().len() + OPEN {
            let body = json!({
                "url": source.clip(sent, number), "kind": "image",
                "options": {"width": 64}, "webhook_url": hook.url
            });
            let answer = ask(http.post(format!("{base}/process")).json(&body)).await;
            let answer = told.count("POST /process", answer);
            if let Some(id) = answer["task_id"].as_str() {
                told.accepted.lock().expect("nobody panics here").push(id.to_owned());
            }
            sent += 1;
        }
        told.count("GET /jobs", ask(http.get(format!("{base}/jobs?limit=5"))).await);
        sleep(PACE).await;
    }
}

/// A fleet behind a balancer.
struct Fleet {
    folder: TempDir,
    database: Database,
    balancer: Balancer,
    made: u32,
}

impl Fleet {
    async fn server(&mut self) -> Process {
        self.made += 1;
        let name = format!("server-{}", self.made);
        let launch = Launch::server(self.folder.path(), &name, &self.database.url);
        let process = launch.with("REELWAY_LINGER", "2s").start().await;
        let Role::Server { port } = process.launch.role else { panic!("a server") };
        self.balancer.add(port);
        let balancer = &self.balancer;
        // By its name: one that has just ended may still be counted among those that are ready.
        eventually("it gets connections", async || balancer.leads_to(port).then_some(())).await;
        process
    }

    async fn worker(&mut self) -> Process {
        self.made += 1;
        let name = format!("worker-{}", self.made);
        let launch = Launch::worker(self.folder.path(), &name, &self.database.url);
        launch.with("REELWAY_DRAIN", "20s").start().await
    }
}

/// SIGTERM: it says that it goes, and answers as long as balancers need to hear it.
async fn drain(server: &mut Process) {
    let url = server.launch.url();
    server.signal(Signal::TERM);
    let body = eventually("it says that it stops", async || {
        let (status, body) = ask(client().get(format!("{url}/readyz"))).await.ok()?;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(body)
    })
    .await;
    assert_eq!(body["reason"], "the server is stopping");
    let listed = ask(client().get(format!("{url}/jobs"))).await.expect("it still answers");
    assert_eq!(listed.0, StatusCode::OK);
    assert!(server.end().await, "it ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_is_replaced_under_load_and_no_request_job_or_webhook_is_lost_or_doubled() {
    let Some(database) = Database::create().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let source = Arc::new(Source::start(folder.path()).await);
    let hook = Arc::new(Receiver::start().await);
    let balancer = Balancer::start().await;
    let mut fleet = Fleet { folder, database, balancer, made: 0 };
    let mut servers = [fleet.server().await, fleet.server().await];
    let mut workers = [fleet.worker().await, fleet.worker().await];

    let told = Arc::<Told>::default();
    let base = fleet.balancer.url.clone();
    let clients: Vec<JoinHandle<()>> = (0..CLIENTS)
        .map(|n| load(n, base.clone(), source.clone(), hook.clone(), told.clone()))
        .map(tokio::spawn)
        .collect();
    for server in &mut servers {
        let new = fleet.server().await;
        drain(server).await;
        *server = new;
    }
    for worker in &mut workers {
        let new = fleet.worker().await;
        assert!(worker.end().await, "it ends well");
        *worker = new;
    }
    told.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no panic");
    }

    let failed = told.failed.lock().expect("nobody panics here").clone();
    assert_eq!(failed, [""; 0], "of {} requests", told.requests.load(Ordering::Relaxed));
    let mut accepted = told.accepted.lock().expect("nobody panics here").clone();
    assert!(accepted.len() > 20, "only {} jobs were accepted", accepted.len());
    let pushes = eventually_within(REST, "every webhook has come", async || {
        Some(hook.pushes()).filter(|pushes| pushes.len() >= accepted.len())
    })
    .await;
    let mut conn = fleet.database.connect().await;
    let text =
        "select jobs.id, jobs.state, tasks.attempt from jobs join tasks on tasks.job_id = jobs.id";
    let jobs: Vec<(String, String, i64)> =
        sqlx::query_as(text).fetch_all(&mut conn).await.expect("rows");
    let mut kept: Vec<String> = jobs.iter().map(|(id, ..)| id.clone()).collect();
    kept.sort();
    accepted.sort();
    assert_eq!(kept, accepted, "every accepted job is there, and no other");
    assert!(jobs.iter().all(|(_, state, _)| state == "succeeded"), "{jobs:?}");
    assert!(jobs.iter().all(|(.., attempt)| *attempt == 1), "no work was done twice: {jobs:?}");
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for push in &pushes {
        assert!(push.is_genuine && push.kind == "job.succeeded");
        *times.entry(&push.job).or_default() += 1;
    }
    assert!(times.len() == accepted.len() && times.values().all(|times| *times == 1), "{times:?}");
    say(&format!(
        "four processes replaced: {} requests, {} jobs, {} webhooks, none failed",
        told.requests.load(Ordering::Relaxed),
        accepted.len(),
        pushes.len()
    ));
    for process in servers.iter_mut().chain(&mut workers) {
        process.kill().await;
    }
    drop(conn);
    fleet.database.remove().await;
}
