//! A server whose engine is a provider on loopback that answers as the test says.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use reelway::claim::{Heart, Held, Interrupt, Perform as _};
use reelway::clock::Clock as _;
use reelway::outbound::TableResolver;
use reelway::provider::{Api, Dispatcher, Inbox, Reconciler};
use reelway::store::{Claim, Store as _, Want};
use reelway::task::TaskState;
use reelway::webhook::Secrets;
use reelway::webhook::sign::{ittybit_signature, signatures};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use crate::answer::Answer;
use crate::app::{OURS, TestApp};
use crate::loopback::{Act, Loopback, Request, answer};
use crate::webhook::client;

/// What the provider signs with.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// How long a job may be there without a word.
pub(crate) const ASK_AFTER: Duration = Duration::from_secs(30);

/// Where the outputs of the scripted provider are.
pub(crate) const MADE: &str = "https://cdn.example/made.mp4";

/// The parts of a server that hands over, and the other end.
pub(crate) struct Stage {
    pub(crate) app: TestApp,
    pub(crate) provider: Loopback,
    pub(crate) dispatcher: Arc<Dispatcher>,
    reconciler: Reconciler,
    heart: Arc<Heart>,
}

impl Stage {
    /// A provider that takes every job as `p1` and answers each other request with `answers`.
    pub(crate) async fn that_takes(
        answers: impl Fn(&Request, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |request, number| match request.path.as_str() {
            "/v1/jobs" => said("201 Created", &json!({"id": "p1", "status": "queued"})),
            _ => answers(request, number),
        })
        .await
    }

    /// A provider that does as `script` says.
    pub(crate) async fn new(
        script: impl Fn(&Request, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::signing(Some(SECRET), script).await
    }

    /// The same, believed by this secret or by none.
    pub(crate) async fn signing(
        secret: Option<&str>,
        script: impl Fn(&Request, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let provider = Loopback::start(script).await;
        let secrets = secret.map(|secret| Secrets::parse([secret]).expect("a secret"));
        let app = TestApp::with(|state| {
            let (store, clock) = (state.store.clone(), state.clock.clone());
            state.may_reach = Arc::new(|_| true);
            state.provider = Some(Inbox::new(store, secrets, ASK_AFTER, clock));
        })
        .await;
        let url = Url::parse(&provider.url("/v1/")).expect("a URL");
        let back = Url::parse("https://media.example.com/webhooks/ittybit").expect("a URL");
        let client = client(&["127.0.0.0/8"], TableResolver::default());
        let api = Api::new(client, url, back, "the-key".into(), app.clock.clone());
        let (store, clock) = (app.store.clone(), app.clock.clone());
        Self {
            dispatcher: Arc::new(Dispatcher::new(
                store.clone(),
                api.clone(),
                ASK_AFTER,
                clock.clone(),
                || 0.5,
            )),
            reconciler: Reconciler::new(store.clone(), api, ASK_AFTER, || 0.5),
            heart: Heart::new(store, clock),
            app,
            provider,
        }
    }

    // ---- a job ------------------------------------------------------------------------------

    /// A job whose end somebody wants to be told.
    pub(crate) async fn submit(&self) -> String {
        let body = json!({
            "input": "https://example.com/in.mp4", "kind": "video", "options": {"width": 640},
            "metadata": {"upload": 7}, "webhook_url": "https://app.example.com/hook"
        });
        let answer = self.app.post("/jobs", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn job(&self, id: &str) -> Value {
        self.app.get(&format!("/jobs/{id}")).await.json()
    }

    /// What the job's own receiver is going to be told.
    pub(crate) async fn pushed(&self, id: &str) -> Vec<String> {
        let log = self.app.get(&format!("/webhooks/deliveries?job_id={id}")).await.json();
        let log = log.as_array().expect("a list");
        log.iter().map(|push| push["type"].as_str().expect("a type").to_owned()).collect()
    }

    // ---- handing over -----------------------------------------------------------------------

    async fn claim(&self) -> Option<(Claim, Held)> {
        let worker = reelway::id::fresh(self.app.clock.now());
        for want in [Want { heavy: 1, ..Want::default() }, Want { light: 1, ..Want::default() }] {
            let claims = self.app.store.claim(worker, want).await.expect("an answer");
            if let Some(claim) = claims.into_iter().next() {
                let held = self.heart.hold(&claim.lease, Instant::now());
                return Some((claim, held));
            }
        }
        None
    }

    /// Hands over what is due; returns whether anything was.
    pub(crate) async fn dispatch(&self) -> bool {
        let Some((claim, held)) = self.claim().await else { return false };
        self.dispatcher.perform(claim, held).await;
        true
    }

    /// Begins to hand over.
    pub(crate) async fn begin_dispatch(&self) -> JoinHandle<()> {
        let (claim, held) = self.claim().await.expect("a task that is due");
        let dispatcher = self.dispatcher.clone();
        tokio::spawn(async move { dispatcher.perform(claim, held).await })
    }

    pub(crate) fn interrupt(&self, why: Interrupt) {
        self.heart.interrupt_all(why);
    }

    pub(crate) async fn beat(&self) {
        self.heart.beat().await;
    }

    /// Submits and hands over.
    pub(crate) async fn away(&self) -> String {
        let id = self.submit().await;
        assert!(self.dispatch().await);
        assert_eq!(self.job(&id).await["status"], "processing");
        id
    }

    /// Moves the clock to when the job's task is due again; returns how far that was.
    pub(crate) async fn until_due(&self, id: &str) -> Duration {
        let job = self.app.store.job(OURS, id.parse().expect("an id")).await.expect("an answer");
        let TaskState::Queued { run_at } = job.expect("the job").tasks[0].state else {
            panic!("it is not queued")
        };
        let wait = run_at.since(self.app.clock.now());
        self.app.clock.advance(wait);
        wait
    }

    /// The requests to hand over.
    pub(crate) fn posts(&self) -> Vec<Request> {
        let requests = self.provider.requests().into_iter();
        requests.filter(|request| request.path == "/v1/jobs").collect()
    }

    /// The requests about jobs that are there.
    pub(crate) fn about_jobs(&self) -> Vec<String> {
        let requests = self.provider.requests().into_iter();
        let others = requests.filter(|request| request.path != "/v1/jobs");
        others.map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    // ---- asking and hearing -----------------------------------------------------------------

    /// Speaks about what is due now; returns about how much.
    pub(crate) async fn ask(&self) -> usize {
        self.reconciler.round().await.expect("an answer")
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.app.clock.advance(span);
    }

    /// A webhook of the provider, signed as Standard Webhooks says.
    pub(crate) async fn tell(&self, body: &Value) -> Answer {
        let body = body.to_string();
        let now = self.app.clock.now().secs();
        self.post_raw(&standard(SECRET, now, body.as_bytes()), body).await
    }

    /// A webhook with these headers.
    pub(crate) async fn post_raw(&self, headers: &[(String, String)], body: String) -> Answer {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.app.call(Method::POST, "/webhooks/ittybit", &headers, Body::from(body)).await
    }
}

/// The headers of Standard Webhooks.
pub(crate) fn standard(secret: &str, at_secs: i64, body: &[u8]) -> Vec<(String, String)> {
    let secrets = Secrets::parse([secret]).expect("a secret");
    let signature = signatures(secrets.as_slice(), "evt_1", at_secs, body);
    vec![
        ("webhook-id".to_owned(), "evt_1".to_owned()),
        ("webhook-timestamp".to_owned(), at_secs.to_string()),
        ("webhook-signature".to_owned(), signature.to_str().expect("text").to_owned()),
    ]
}

/// The header of Ittybit.
pub(crate) fn ittybit(secret: &str, body: &[u8]) -> Vec<(String, String)> {
    let secrets = Secrets::parse([secret]).expect("a secret");
    let signature = ittybit_signature(secrets.newest(), body);
    vec![("ittybit-signature".to_owned(), signature.to_str().expect("text").to_owned())]
}

/// An answer in JSON.
pub(crate) fn said(status: &str, body: &Value) -> Vec<Act> {
    let body = body.to_string();
    vec![Act::Send(answer(status, &["content-type: application/json"], body.as_bytes()))]
}

/// A job that has come out well.
pub(crate) fn succeeded(id: &str) -> Value {
    json!({"id": id, "status": "succeeded", "output": {"url": MADE, "format": "mp4"}})
}
