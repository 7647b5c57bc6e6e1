//! A server in the test's own process: real routes, a real database, a clock that stands still.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Request};
use axum::response::Response;
use reelway::access::{By, Digest, Key, Project, Rates, Scope, Scopes, fresh_text};
use reelway::clock::{Clock as _, ManualClock, Timestamp};
use reelway::connection::Keyring;
use reelway::id::{WorkerId, fresh};
use reelway::job::{Codecs, File, FileKind};
use reelway::output::{Links, Storage};
use reelway::request::{
    AppParts, Auth, RateLimits, Readiness, RequestLimits, Slots, TrustedProxies, router,
};
use reelway::store::sql::SqlStore;
use reelway::store::{
    AttemptOutcome, AttemptRecord, Claim, Disk, DiskLow, DueDelivery, Published, Room,
    SettleDelivery, Settled, Store as _, Submitted, WORKER_SILENCE, Want, WorkerReport,
};
use reelway::task::{ErrorKind, Failure, Next, RetryPolicy, StageKind, Stages};
use reelway::upload::{UploadLimits, Uploads};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use url::Url;

use crate::answer::Answer;
use crate::contract::Contract;

/// The project that tests are about, when they say nothing else.
pub(crate) const OURS: &Project = &Project::DEFAULT;

/// When every test begins.
pub(crate) const NOW: i64 = 1_764_000_000_000;

/// How long a link lives.
pub(crate) const LINK_LIFE: Duration = Duration::from_hours(1);

/// A server and what a test needs to play the parts around it.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) store: Arc<SqlStore>,
    pub(crate) storage: Storage,
    pub(crate) links: Links,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) shutdown: CancellationToken,
    headers: HeaderMap,
    folder: TempDir,
}

impl TestApp {
    /// A server that is open to everyone.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server whose parts `change` has changed.
    pub(crate) async fn with(change: impl FnOnce(&mut AppParts)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
        let database = folder.path().join("reelway.db");
        let store = SqlStore::sqlite(&database, clock.clone()).await.expect("a database");
        let store = Arc::new(store);
        let storage = Storage::local(&folder.path().join("files")).expect("a storage");
        let public_url = Url::parse("https://media.example.com").expect("a URL");
        let links = Links::new(public_url.clone(), "link secret".into(), LINK_LIFE, clock.clone());
        let shutdown = CancellationToken::new();
        let mut state = AppParts {
            store: store.clone(),
            storage: storage.clone(),
            uploads: Uploads {
                store: store.clone(),
                storage: storage.clone(),
                clock: clock.clone(),
                limits: UploadLimits { part_bytes: 1 << 10, ..UploadLimits::default() },
            },
            public_url: public_url.clone(),
            links: links.clone(),
            clock: clock.clone(),
            auth: Auth::default(),
            rates: rates(Rates::default(), &clock),
            proxies: TrustedProxies::default(),
            provider: None,
            keyring: Keyring::default(),
            limits: RequestLimits::default(),
            default_webhook_url: None,
            cors_origins: Vec::new(),
            may_reach: Arc::new(is_public),
            readiness: Arc::new(readiness),
            shutdown: shutdown.clone(),
        };
        change(&mut state);
        let router = router(state.into());
        let headers = HeaderMap::new();
        Self { router, store, storage, links, clock, shutdown, headers, folder }
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("reelway.db")
    }

    /// Where storage is.
    pub(crate) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// Calls with a key from now on.
    pub(crate) fn key(mut self, key: &str) -> Self {
        let value = HeaderValue::from_str(&format!("Bearer {key}")).expect("a header");
        self.headers.insert(AUTHORIZATION, value);
        self
    }

    /// Lets everything happen that operators are told of, to the receiver of `due` and to the one job
    /// that waits; returns what they are told.
    pub(crate) async fn tell_operators(&self, due: &DueDelivery) -> Vec<DueDelivery> {
        let store = SqlStore::sqlite(&self.database(), self.clock.clone()).await.expect("a store");
        let url = Url::parse("https://ops.example.com/hook").expect("a URL");
        let store = store.telling(Some(url));
        let at = self.clock.now();
        let record =
            AttemptRecord { at, duration_ms: 1, status: Some(410), error: None, response: None };
        let (id, attempt) = (due.id, due.attempt);
        let settle = SettleDelivery { id, attempt, record, outcome: AttemptOutcome::Disable };
        assert_eq!(store.settle_delivery(settle).await.expect("an answer"), Settled::Done);
        let told = DiskLow {
            host: "one".to_owned(),
            folder: "/data".to_owned(),
            free_bytes: 1,
            min_free_bytes: 2,
        };
        store.note_disk(&Disk { device: 1, told }, Room::Low).await.expect("an answer");
        let report = WorkerReport {
            id: fresh(at),
            name: "one".to_owned(),
            version: "0.1.0".to_owned(),
            ffmpeg: None,
            containment: None,
            answers: false,
            heavy_slots: 1,
            light_slots: 1,
            load: None,
            processors: 1,
            started_at: at,
        };
        store.report_worker(&report).await.expect("reported");
        let _lost = self.claim().await;
        self.clock.advance(WORKER_SILENCE);
        let once = RetryPolicy { max_tries: 1, ..RetryPolicy::default() };
        assert_eq!(store.rescue(&once, 0.5).await.expect("an answer").tasks, 1);
        assert_eq!(store.miss_workers().await.expect("an answer").len(), 1);
        let mut told = Vec::new();
        // A receiver gets one delivery at a time once some have failed.
        loop {
            let due = store.claim_deliveries(9, 9, Duration::from_secs(30)).await.expect("due");
            if due.is_empty() {
                break;
            }
            told.extend(due);
        }
        store.close().await;
        told
    }

    /// The header of a new key of `project` that is good for `scopes`.
    pub(crate) async fn key_of(
        &self,
        project: &str,
        scopes: impl IntoIterator<Item = Scope>,
    ) -> (&'static str, String) {
        let (key, text) = self.some_key();
        let project = project.parse().expect("a project");
        let key = Key { project, scopes: scopes.into_iter().collect(), ..key };
        let added = self.store.add_key(&key, &By::default(), None).await.expect("an answer");
        assert_eq!(added, Submitted::Accepted);
        ("authorization", format!("Bearer {text}"))
    }

    /// A key that is good, and not in the store yet; with its text.
    pub(crate) fn some_key(&self) -> (Key, String) {
        let id = fresh(self.clock.now());
        let text = fresh_text(id).expose_secret().to_owned();
        let key = Key {
            id,
            project: OURS.clone(),
            name: None,
            scopes: Scopes::usual(),
            digest: Digest::of(&text),
            created_at: self.clock.now(),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        };
        (key, text)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], Body::empty()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body).await
    }

    /// A POST of JSON with more headers.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let json = [&[(CONTENT_TYPE.as_str(), "application/json")], headers].concat();
        let answer = self.call(Method::POST, path, &json, body.to_string().into()).await;
        let contract = Contract::of(&self.router).await;
        let operation = contract.operation(&Method::POST, path);
        let schema = operation.as_ref().and_then(|operation| operation.request());
        if let Some(schema) = schema.filter(|_| answer.status.is_success()) {
            let errors = contract.errors(schema, body);
            assert!(
                errors.is_empty(),
                "POST {path} took {body}, which is not allowed: {errors:#?}"
            );
        }
        answer
    }

    /// Any request, answered whole, and as the API's document says.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let call = format!("{method} {path}");
        let answer = Answer::of(self.open(method.clone(), path, headers, body).await).await;
        match Contract::of(&self.router).await.operation(&method, path) {
            Some(operation) => operation.check(&call, &answer),
            None => assert!([404, 405].contains(&answer.status.as_u16()), "{call}: {answer:?}"),
        }
        answer
    }

    /// Any request, with its answer still open.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a request");
        self.router.clone().oneshot(request).await.expect("an answer")
    }

    /// Submits a job of a `kind` and returns its id.
    pub(crate) async fn submit(&self, kind: &str) -> String {
        let body = serde_json::json!({"input": "https://example.com/in.mp4", "kind": kind});
        let answer = self.post("/jobs", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Takes the next task as a worker does.
    pub(crate) async fn claim(&self) -> Claim {
        self.claim_as(Want { heavy: 1, ..Want::default() }).await
    }

    /// The same with what the worker wants.
    pub(crate) async fn claim_as(&self, want: Want) -> Claim {
        let worker: WorkerId = fresh(Timestamp::from_millis(NOW));
        let mut claims = self.store.claim(worker, want).await.expect("a claim");
        claims.pop().expect("a task that waits")
    }

    /// Ends a claimed task well with one video of these bytes; returns its storage key.
    pub(crate) async fn finish(&self, claim: Claim, bytes: &[u8]) -> String {
        let key = format!("{}/{}/video.mp4", claim.lease.job, claim.lease.attempt);
        let source = self.folder.path().join("made");
        std::fs::write(&source, bytes).expect("a file");
        let stored = self.storage.put(&key, &source).await.expect("stored");
        let file = File {
            key: key.clone(),
            kind: FileKind::Video,
            format: "mp4".to_owned(),
            content_type: "video/mp4".to_owned(),
            filesize: stored.size_bytes,
            width: Some(640),
            height: Some(360),
            duration: Some(2.0),
            fps: Some(25.0),
            bitrate: Some(800_000),
            codecs: Some(Codecs { video: Some("h264".to_owned()), audio: None }),
            sha256: stored.sha256,
            loudness: None,
            delivered_to: None,
            remote_url: None,
        };
        let url = self.links.lasting_link(&key);
        let settled =
            self.store.finish(&claim.lease, encoded(), vec![Published { file, url }]).await;
        assert_eq!(settled.expect("an answer"), Settled::Done);
        key
    }

    /// Ends a claimed task for good and badly.
    pub(crate) async fn fail(&self, claim: Claim) {
        let failure = Failure::new(ErrorKind::InputCorrupt, "the file is media but broken")
            .hint("check that it plays")
            .log(vec!["moov atom not found".to_owned()]);
        let mut stages = Stages::default();
        stages.begin(StageKind::Probe, Timestamp::from_millis(NOW));
        stages.fail(&failure, Timestamp::from_millis(NOW));
        let settled = self.store.fail(&claim.lease, stages, failure, Next::End).await;
        assert_eq!(settled.expect("an answer"), Settled::Done);
    }
}

/// Counts by the test's clock.
pub(crate) fn rates(rates: Rates, clock: &Arc<ManualClock>) -> RateLimits {
    let clock = clock.clone();
    RateLimits::by(rates, move || clock.now().since(Timestamp::from_millis(NOW)))
}

fn encoded() -> Stages {
    let at = Timestamp::from_millis(NOW);
    let mut stages = Stages::default();
    stages.begin(StageKind::Import, at);
    stages.begin(StageKind::Encode(reelway::job::Kind::Video), at);
    stages.succeed(at);
    stages
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_private(),
        IpAddr::V6(address) => !address.is_loopback(),
    }
}

fn readiness() -> Readiness {
    Readiness {
        ffmpeg: Some("5.1.9".to_owned()),
        containment: Some("full".to_owned()),
        layers: vec!["landlock".to_owned(), "seccomp".to_owned()],
        slots: Slots { heavy: 2, light: 4 },
    }
}
