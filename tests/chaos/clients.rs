//! Clients that ask for things, and write down what they were told.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::history::{EndSeen, Told};
use crate::source::Source;
use crate::support::client;

/// How long a client tries to have one request answered.
const STUBBORN: Duration = Duration::from_mins(3);

/// What all clients share.
pub(crate) struct Surroundings {
    pub(crate) servers: Vec<String>,
    pub(crate) source: Source,
    pub(crate) hooks: Vec<String>,
    pub(crate) told: Mutex<Told>,
}

impl Surroundings {
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("nobody panics here")
    }
}

/// A client with a key of its own.
pub(crate) struct Client {
    surroundings: Arc<Surroundings>,
    key: String,
    rng: StdRng,
    http: reqwest::Client,
    /// Its own jobs.
    jobs: Vec<String>,
    sent: u32,
}

impl Client {
    pub(crate) fn new(surroundings: Arc<Surroundings>, key: &str, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { surroundings, key: key.to_owned(), rng, http: client(), jobs: vec![], sent: 0 }
    }

    /// Asks for this and that until `end`.
    pub(crate) async fn run(mut self, end: Instant) {
        while Instant::now() < end {
            match self.rng.random_range(0..100) {
                0..50 => self.submit_one().await,
                50..65 => self.submit_batch().await,
                65..77 => self.cancel().await,
                77..84 => self.delete().await,
                84..93 => self.retry().await,
                _ => self.look().await,
            }
            let pace = Duration::from_millis(self.rng.random_range(300..1_500));
            sleep(pace).await;
        }
    }

    async fn submit_one(&mut self) {
        let (kind, options) = self.order();
        let body = self.addressed(json!({"kind": kind, "options": options}));
        self.submit("/jobs", &body).await;
    }

    async fn submit_batch(&mut self) {
        let tasks: Vec<Value> = (0..self.rng.random_range(2..=3))
            .map(|_| self.order())
            .map(|(kind, options)| json!({"kind": kind, "options": options}))
            .collect();
        let body = self.addressed(json!({"tasks": tasks}));
        self.submit("/process", &body).await;
    }

    /// What is made: small things, so that many are.
    fn order(&mut self) -> (&'static str, Value) {
        let width = 32 * self.rng.random_range(2..6);
        match self.rng.random_range(0..10) {
            0..4 => ("image", json!({"width": width, "start": 0.5})),
            4..7 => ("video", json!({"width": width, "quality": "very_low"})),
            7..9 => ("audio", json!({"quality": "low"})),
            _ => ("animation", json!({"width": 64, "end": 0.5, "fps": 5})),
        }
    }

    /// With an input, a receiver and a priority.
    fn addressed(&mut self, mut body: Value) -> Value {
        let (clip, query) = (self.rng.random_range(0..3), self.rng.random_range(0..4));
        body["url"] = self.surroundings.source.clip(clip, query).into();
        body["webhook_url"] = self.surroundings.hooks.choose(&mut self.rng).cloned().into();
        body["priority"] = (*[-10, 0, 0, 0, 10].choose(&mut self.rng).unwrap_or(&0)).into();
        body["metadata"] = json!({"client": self.key, "number": self.sent});
        body
    }

    /// Sends a request until it is answered, now and then twice at the same time.
    async fn submit(&mut self, path: &str, body: &Value) {
        self.sent += 1;
        let name = format!("{}-{}", self.key, self.sent);
        let twice = self.rng.random_bool(0.3);
        let servers = [self.server(), self.server()];
        let (first, second) = tokio::join!(self.insist(&servers[0], path, body, &name), async {
            if twice { self.insist(&servers[1], path, body, &name).await } else { None }
        });
        self.jobs.extend(first.or(second).unwrap_or_default());
    }

    /// Sends a request, by whichever server, until it is accepted; returns the ids.
    async fn insist(
        &self,
        server: &str,
        path: &str,
        body: &Value,
        name: &str,
    ) -> Option<Vec<String>> {
        let give_up = Instant::now() + STUBBORN;
        let mut servers = self.surroundings.servers.iter().map(String::as_str).cycle();
        let mut server = server;
        let mut last = "no answer".to_owned();
        while Instant::now() < give_up {
            match self.ask(Method::POST, server, path, Some((body, name))).await {
                Some((StatusCode::OK | StatusCode::CREATED, answer)) => {
                    let ids = ids(&answer);
                    self.surroundings.told().accepted.push((name.to_owned(), ids.clone()));
                    return Some(ids);
                }
                Some((status, answer)) => {
                    last = format!("{status} {answer}");
                    if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                        break;
                    }
                }
                None => {}
            }
            sleep(Duration::from_millis(300)).await;
            server = servers.next().unwrap_or(server);
        }
        self.surroundings.told().refused.push(format!("POST {path} {name}: {last}"));
        None
    }

    async fn cancel(&mut self) {
        let Some(job) = self.one_of_its_own() else { return };
        self.surroundings.told().cancels.insert(job.clone());
        let answer = self.post(&format!("/jobs/{job}/cancel")).await;
        self.note_end(&job, answer);
    }

    async fn delete(&mut self) {
        let Some(job) = self.one_of_its_own() else { return };
        self.jobs.retain(|own| *own != job);
        self.surroundings.told().deletes.insert(job.clone());
        let (server, path) = (self.server(), format!("/jobs/{job}"));
        self.ask(Method::DELETE, &server, &path, None).await;
    }

    async fn retry(&mut self) {
        let Some(job) = self.one_of_its_own() else { return };
        let answer = self.post(&format!("/jobs/{job}/retry")).await;
        let mut told = self.surroundings.told();
        let asked = told.retries.entry(job).or_default();
        match answer {
            Some((status, _)) if status.is_success() => asked.surely += 1,
            // Not in a state for it, or not there: nothing was done.
            Some((status, _)) if status.is_client_error() => {}
            _ => asked.perhaps += 1,
        }
    }

    async fn look(&mut self) {
        let Some(job) = self.one_of_its_own() else { return };
        let (server, path) = (self.server(), format!("/jobs/{job}"));
        let answer = self.ask(Method::GET, &server, &path, None).await;
        self.note_end(&job, answer);
    }

    /// Writes down a job that has come to its end.
    fn note_end(&self, job: &str, answer: Option<(StatusCode, Value)>) {
        let Some((StatusCode::OK, answer)) = answer else { return };
        let status = answer["status"].as_str().unwrap_or_default().to_owned();
        if matches!(status.as_str(), "succeeded" | "failed" | "cancelled") {
            let mut told = self.surroundings.told();
            let retries = told.retries.get(job).copied().unwrap_or_default();
            let retries_before = retries.at_most();
            told.ends.push(EndSeen { job: job.to_owned(), status, retries_before });
        }
    }

    /// Recent ones, because those are still under way.
    fn one_of_its_own(&mut self) -> Option<String> {
        let recent = self.jobs.len().saturating_sub(6);
        self.jobs[recent..].choose(&mut self.rng).cloned()
    }

    fn server(&mut self) -> String {
        self.surroundings.servers.choose(&mut self.rng).cloned().expect("a server")
    }

    async fn post(&mut self, path: &str) -> Option<(StatusCode, Value)> {
        let server = self.server();
        self.ask(Method::POST, &server, path, None).await
    }

    /// Asks once; none when no whole answer came.
    async fn ask(
        &self,
        method: Method,
        server: &str,
        path: &str,
        body: Option<(&Value, &str)>,
    ) -> Option<(StatusCode, Value)> {
        let request = self.http.request(method, format!("{server}{path}")).bearer_auth(&self.key);
        let request = match body {
            Some((body, name)) => request.header("idempotency-key", name).json(body),
            None => request,
        };
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let bytes = answer.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

/// The jobs in an answer: of `/jobs`, or of `/process` with tasks.
fn ids(answer: &Value) -> Vec<String> {
    let id = |value: &Value| value.as_str().map(str::to_owned);
    match answer["tasks"]
        .as_array()
        .filter(|_| answer["batch_id"].is_string() && answer["id"].is_null())
    {
        Some(tasks) => tasks.iter().filter_map(|task| id(&task["task_id"])).collect(),
        None => id(&answer["id"]).into_iter().collect(),
    }
}
