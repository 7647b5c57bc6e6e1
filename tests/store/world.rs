//! A store with nothing in it, a clock that stands still, and the parts around them played.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reelway::access::Project;
use reelway::clock::{Clock as _, ManualClock, Timestamp};
use reelway::id::{BatchId, DeliveryId, JobId, WorkerId, fresh};
use reelway::job::{InputUrl, Job, JobSpec, Kind, Options, Owner, Priority, Via};
use reelway::store::{
    AttemptOutcome, CancelOutcome, Claim, Delivery, DeliveryFilter, DueDelivery, JobFilter, LEASE,
    Lease, SettleDelivery, Settled, Store, Submitted, Want,
};
use reelway::task::{Lane, Next, RetryPolicy};
use serde_json::{Map, Value, json};
use url::Url;

use crate::backend::{Backend, Database};
use crate::fixture::{answer, broken, encoding, made, together};
use crate::recorder::{Recorder, Verbs};

/// The project that tests are about, when they say nothing else.
pub(crate) const OURS: &Project = &Project::DEFAULT;

/// When every test begins.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

/// A receiver of webhooks.
pub(crate) const RECEIVER: &str = "https://app.example.com/hooks/media";

/// Where operators are told.
pub(crate) const OPERATOR: &str = "https://ops.example.com/reelway?key=1";

/// How long a delivery is leased.
pub(crate) const DELIVERY_LEASE: Duration = Duration::from_mins(1);

/// More than any test has.
pub(crate) const MANY: u32 = 10_000;

/// What a test has at hand.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) database: Database,
    verbs: Verbs,
}

impl World {
    /// An empty database.
    pub(crate) async fn of(backend: Backend) -> Self {
        Self::recorded(backend, &Verbs::default()).await
    }

    /// The same, with the used verbs written down.
    pub(crate) async fn recorded(backend: Backend, verbs: &Verbs) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let database = backend.fresh(clock.clone()).await;
        let verbs = verbs.clone();
        let store = Arc::new(Recorder { store: database.open().await, verbs: verbs.clone() });
        Self { store, clock, database, verbs }
    }

    /// Another process on the same data.
    pub(crate) async fn again(&self) -> Arc<dyn Store> {
        Arc::new(Recorder { store: self.database.open().await, verbs: self.verbs.clone() })
    }

    /// The same, with an operator who is told of conditions at [`OPERATOR`].
    pub(crate) async fn watched(&self) -> Arc<dyn Store> {
        let url = Url::parse(OPERATOR).expect("a URL");
        let store = self.database.open_telling(Some(url)).await;
        Arc::new(Recorder { store, verbs: self.verbs.clone() })
    }

    /// This process and another one.
    pub(crate) async fn two(&self) -> [Arc<dyn Store>; 2] {
        [self.store.clone(), self.again().await]
    }

    // ---- time -------------------------------------------------------------------------------

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// Stops a millisecond before `span` has passed.
    pub(crate) fn pass_almost(&self, span: Duration) {
        self.clock.advance(span.saturating_sub(Duration::from_millis(1)));
    }

    // ---- request ----------------------------------------------------------------------------

    /// A video job with nothing special, to be made special.
    pub(crate) fn job(&self) -> JobBuilder<'_> {
        JobBuilder {
            world: self,
            kind: Kind::Video,
            input: "https://cdn.example.com/in.mp4".to_owned(),
            options: Map::new(),
            metadata: Map::new(),
            webhook_url: None,
            batch_id: None,
            owner: Owner::default(),
            project: OURS.clone(),
            priority: Priority::default(),
            via: None,
        }
    }

    pub(crate) async fn read(&self, id: JobId) -> Job {
        self.store.job(OURS, id).await.expect("an answer").expect("the job")
    }

    pub(crate) async fn is_there(&self, id: JobId) -> bool {
        self.store.job(OURS, id).await.expect("an answer").is_some()
    }

    pub(crate) async fn count(&self) -> usize {
        let filter = JobFilter { limit: MANY, ..JobFilter::default() };
        self.store.jobs(OURS, &filter).await.expect("a page").jobs.len()
    }

    pub(crate) async fn cancel(&self, id: JobId) -> CancelOutcome {
        self.store.cancel(OURS, id).await.expect("an answer")
    }

    pub(crate) async fn delete(&self, id: JobId) {
        self.store.delete(OURS, id).await.expect("an answer").expect("the job");
    }

    pub(crate) async fn retry(&self, id: JobId) -> Job {
        self.store.retry(OURS, id).await.expect("an answer").expect("the job")
    }

    // ---- claim ------------------------------------------------------------------------------

    /// A worker that has not been seen before.
    pub(crate) fn worker(&self) -> WorkerId {
        fresh(self.now())
    }

    /// What a new worker gets that has room for so much.
    pub(crate) async fn claim(&self, heavy: u32, light: u32) -> Vec<Claim> {
        let want = Want { heavy, light, ..Want::default() };
        self.store.claim(self.worker(), want).await.expect("claims")
    }

    /// The task of this job, which must be the next of its lane.
    pub(crate) async fn take(&self, job: &Job) -> Claim {
        let mut claims = match job.spec.lane() {
            Lane::Heavy => self.claim(1, 0).await,
            Lane::Light => self.claim(0, 1).await,
        };
        let claim = claims.pop().expect("a task that waits");
        assert_eq!(claim.lease.job, job.id, "another job's turn");
        claim
    }

    pub(crate) async fn finish(&self, lease: &Lease) -> Settled {
        let outputs = vec![made(lease, "video.mp4")];
        self.store.finish(lease, encoding(100.0), outputs).await.expect("an answer")
    }

    pub(crate) async fn fail(&self, lease: &Lease, next: Next) -> Settled {
        self.store.fail(lease, encoding(40.0), broken(), next).await.expect("an answer")
    }

    pub(crate) async fn end_cancelled(&self, lease: &Lease) -> Settled {
        self.store.end_cancelled(lease, encoding(40.0)).await.expect("an answer")
    }

    pub(crate) async fn hand_back(&self, lease: &Lease) -> Settled {
        self.store.hand_back(lease).await.expect("an answer")
    }

    pub(crate) async fn rescue(&self) -> usize {
        self.store.rescue(&RetryPolicy::default(), 0.5).await.expect("an answer").tasks
    }

    /// Lets all leases run out and the tasks be found.
    pub(crate) async fn lose_workers(&self) -> usize {
        self.pass(LEASE);
        self.rescue().await
    }

    // ---- output -----------------------------------------------------------------------------

    /// Whether a key can be read.
    pub(crate) async fn shows(&self, key: &str) -> bool {
        self.store.output(OURS, key).await.expect("an answer").is_some()
    }

    /// The prefixes that may go now.
    pub(crate) async fn garbage(&self) -> Vec<String> {
        let garbage = self.store.garbage(MANY).await.expect("a list");
        garbage.into_iter().map(|garbage| garbage.prefix).collect()
    }

    /// Whether a sweep would remove what is at this key now.
    pub(crate) async fn dooms(&self, key: &str) -> bool {
        self.garbage().await.iter().any(|prefix| is_under(key, prefix))
    }

    // ---- webhook ----------------------------------------------------------------------------

    /// Takes what is due.
    pub(crate) async fn due(&self, limit: u32, per_destination: u32) -> Vec<DueDelivery> {
        self.store
            .claim_deliveries(limit, per_destination, DELIVERY_LEASE)
            .await
            .expect("deliveries")
    }

    /// Takes the one delivery that is due.
    pub(crate) async fn due_one(&self) -> DueDelivery {
        let mut due = self.due(1, 1).await;
        due.pop().expect("a delivery that is due")
    }

    /// Writes down how an attempt went: answered 200 if it is delivered, 503 if not.
    pub(crate) async fn settle(&self, due: &DueDelivery, outcome: AttemptOutcome) -> Settled {
        let status = if outcome == AttemptOutcome::Delivered { 200 } else { 503 };
        let record = answer(status, self.now());
        let settle = SettleDelivery { id: due.id, attempt: due.attempt, record, outcome };
        self.store.settle_delivery(settle).await.expect("an answer")
    }

    /// The log of a job's deliveries, newest first.
    pub(crate) async fn log(&self, job: JobId) -> Vec<Delivery> {
        let filter = DeliveryFilter { job_id: Some(job), limit: MANY, ..DeliveryFilter::default() };
        self.store.deliveries(OURS, &filter).await.expect("a log")
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> Delivery {
        let filter = DeliveryFilter { id: Some(id), limit: 1, ..DeliveryFilter::default() };
        let mut log = self.store.deliveries(OURS, &filter).await.expect("a log");
        log.pop().expect("the delivery")
    }

    /// Ends `count` jobs at once, each with a push to `webhook_url`: their worker is lost.
    pub(crate) async fn end_many(&self, count: usize, webhook_url: &str) -> Vec<Job> {
        let jobs: Vec<Job> = (0..count).map(|_| self.job().webhook(webhook_url).build()).collect();
        let submitted = self.store.submit(together(jobs.clone())).await.expect("an answer");
        assert_eq!(submitted, Submitted::Accepted);
        assert_eq!(self.claim(MANY, 0).await.len(), count);
        self.pass(LEASE);
        let once = RetryPolicy { max_tries: 1, ..RetryPolicy::default() };
        let mut found = 0;
        while found < count {
            let more = self.store.rescue(&once, 0.0).await.expect("an answer").tasks;
            assert!((1..=100).contains(&more), "{more} in one transaction");
            found += more;
        }
        assert_eq!(self.rescue().await, 0);
        jobs
    }
}

/// Whether an object is removed with a prefix.
pub(crate) fn is_under(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Runs everything at once.
pub(crate) async fn at_once<F>(all: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let running: Vec<_> = all.into_iter().map(tokio::spawn).collect();
    join_all(running).await.into_iter().map(|done| done.expect("no panic")).collect()
}

/// A job in the making.
#[derive(Clone, Debug)]
pub(crate) struct JobBuilder<'a> {
    world: &'a World,
    kind: Kind,
    input: String,
    options: Map<String, Value>,
    metadata: Map<String, Value>,
    webhook_url: Option<Url>,
    batch_id: Option<BatchId>,
    owner: Owner,
    project: Project,
    priority: Priority,
    via: Option<Via>,
}

impl JobBuilder<'_> {
    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        if kind == Kind::Animation {
            self.options.insert("end".to_owned(), json!(3));
        }
        self
    }

    pub(crate) fn input(mut self, input: &str) -> Self {
        self.input = input.to_owned();
        self
    }

    pub(crate) fn options(mut self, options: Value) -> Self {
        self.options = object(options);
        self
    }

    pub(crate) fn metadata(mut self, metadata: Value) -> Self {
        self.metadata = object(metadata);
        self
    }

    pub(crate) fn webhook(mut self, url: &str) -> Self {
        self.webhook_url = Some(Url::parse(url).expect("a URL"));
        self
    }

    pub(crate) fn owner(mut self, name: &str) -> Self {
        self.owner = Owner::named(name);
        self
    }

    pub(crate) fn project(mut self, project: &Project) -> Self {
        self.project = project.clone();
        self
    }

    pub(crate) fn via(mut self, via: Via) -> Self {
        self.via = Some(via);
        self
    }

    pub(crate) fn priority(mut self, priority: i64) -> Self {
        self.priority = priority.try_into().expect("a priority");
        self
    }

    pub(crate) fn batch(mut self, id: BatchId) -> Self {
        self.batch_id = Some(id);
        self
    }

    /// The job, a millisecond later than the one before, so that ids sort as they were made.
    pub(crate) fn build(self) -> Job {
        self.world.pass(Duration::from_millis(1));
        let at = self.world.now();
        let spec = JobSpec {
            input: InputUrl::parse(&self.input).expect("an input"),
            options: Options::decode(self.kind, &self.options).expect("options"),
            raw_options: self.options,
            metadata: self.metadata,
            webhook_url: self.webhook_url,
            priority: self.priority,
            via: self.via,
        };
        let job = Job::accepted(fresh(at), self.batch_id, spec, at);
        Job { owner: self.owner, project: self.project, ..job }
    }

    /// In the queue.
    pub(crate) async fn submit(self) -> Job {
        let world = self.world;
        let job = self.build();
        let submitted = world.store.submit(together([job.clone()])).await.expect("an answer");
        assert_eq!(submitted, Submitted::Accepted);
        job
    }

    /// In a worker's hands.
    pub(crate) async fn running(self) -> Claim {
        let world = self.world;
        let job = self.submit().await;
        world.take(&job).await
    }

    /// In the queue again, for its second try in `wait`.
    pub(crate) async fn failed_once(self, wait: Duration) -> Job {
        let world = self.world;
        let claim = self.running().await;
        assert_eq!(world.fail(&claim.lease, Next::RetryIn(wait)).await, Settled::Done);
        world.read(claim.lease.job).await
    }

    /// Ended well.
    pub(crate) async fn succeeded(self) -> Job {
        let world = self.world;
        let claim = self.running().await;
        assert_eq!(world.finish(&claim.lease).await, Settled::Done);
        world.read(claim.lease.job).await
    }

    /// Ended badly.
    pub(crate) async fn failed(self) -> Job {
        let world = self.world;
        let claim = self.running().await;
        assert_eq!(world.fail(&claim.lease, Next::End).await, Settled::Done);
        world.read(claim.lease.job).await
    }

    /// Cancelled before it began.
    pub(crate) async fn cancelled(self) -> Job {
        let world = self.world;
        let job = self.submit().await;
        assert!(matches!(world.cancel(job.id).await, CancelOutcome::Cancelled(_)));
        world.read(job.id).await
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}
