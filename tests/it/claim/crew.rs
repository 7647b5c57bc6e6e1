//! One worker process in the test's own: real parts, a source on loopback, tools that obey.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use ffmpeg::{Limits, Tools};
use reelway::claim::{Claimer, Heart, Held, Perform, Slots, Terms};
use reelway::clock::{ManualClock, Timestamp};
use reelway::connection::Keyring;
use reelway::id::{JobId, WorkerId, fresh};
use reelway::input::{Downloads, FetchLimits, Fetcher};
use reelway::job::view::JobView;
use reelway::job::{File, FileKind, InputUrl, Job, JobSpec, Options, Priority, Status};
use reelway::outbound::TableResolver;
use reelway::output::{Links, Storage};
use reelway::store::sql::SqlStore;
use reelway::store::{Claim, Published, Store, Submission, Submitted, Want};
use reelway::task::{Kind, Lane, RetryPolicy};
use reelway::upload::{UploadLimits, Uploads};
use reelway::worker::{
    Admission, Buckets, Cutting, Engine, EngineSettings, Headroom, Processors, Scratch, When,
    Worker,
};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::away::{Away, Beats};
use crate::app::{NOW, OURS};
use crate::fake::{FakeTools, media, processes_in};
use crate::loopback::{Act, Loopback, Request, answer, patiently};
use crate::webhook::client;

/// How a crew is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) heavy: u32,
    pub(crate) light: u32,
    /// How long ffmpeg may make no progress.
    pub(crate) stall: Duration,
    /// The only kind that is taken.
    pub(crate) only: Option<Kind>,
    /// How much must be free on the disk.
    pub(crate) min_disk_bytes: u64,
    /// How much memory ffmpeg may use, where that has a bound.
    pub(crate) memory_bytes: Option<u64>,
}

impl Setup {
    fn admission(self) -> Admission {
        let of = |bytes| Admission::of(bytes, &[Lane::Heavy, Lane::Light]);
        self.memory_bytes.map_or_else(Admission::default, of)
    }
}

impl Default for Setup {
    fn default() -> Self {
        let stall = Duration::from_mins(1);
        Self { heavy: 2, light: 1, stall, only: None, min_disk_bytes: 0, memory_bytes: None }
    }
}

/// The parts of a worker process, running.
pub(crate) struct Crew {
    pub(crate) store: Arc<Away>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) heart: Arc<Heart>,
    pub(crate) worker: WorkerId,
    pub(crate) source: Loopback,
    /// Cancelled, lets the source answer the first request below `/gated/`.
    pub(crate) gate: CancellationToken,
    pub(crate) tracker: TaskTracker,
    pub(crate) folder: TempDir,
    perform: Arc<Worker>,
    stop_claiming: CancellationToken,
    claiming: Option<JoinHandle<()>>,
}

impl Crew {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// A crew that claims and beats.
    pub(crate) async fn start_with(setup: Setup) -> Self {
        let mut crew = Self::idle(setup).await;
        crew.claiming = Some(crew.spawn_claimer(setup));
        crew.start_heart();
        crew
    }

    /// A crew whose claimer and heart stand still: the test claims and beats.
    pub(crate) async fn idle(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
        let database = folder.path().join("reelway.db");
        let store = SqlStore::sqlite(&database, clock.clone()).await.expect("a database");
        let store = Arc::new(Away::new(Arc::new(store)));
        let gate = CancellationToken::new();
        let source = source(gate.clone()).await;
        let worker = fresh(Timestamp::from_millis(NOW));
        let perform = perform(folder.path(), store.clone(), clock.clone(), worker, setup);
        Self {
            heart: Heart::new(store.clone(), clock.clone()),
            perform: Arc::new(perform.await),
            store,
            clock,
            worker,
            source,
            gate,
            tracker: TaskTracker::new(),
            folder,
            stop_claiming: CancellationToken::new(),
            claiming: None,
        }
    }

    fn spawn_claimer(&self, setup: Setup) -> JoinHandle<()> {
        let kinds = setup.only.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
        let claimer = Claimer::<Worker> {
            store: self.store.clone(),
            worker: self.worker,
            slots: Slots::new(setup.heavy, setup.light),
            terms: Terms { kinds, ..Terms::default() },
            heart: self.heart.clone(),
            perform: self.perform.clone(),
            tracker: self.tracker.clone(),
        };
        let stop = self.stop_claiming.clone();
        tokio::spawn(async move { claimer.run(stop).await })
    }

    pub(crate) fn start_heart(&self) {
        let heart = self.heart.clone();
        tokio::spawn(async move { heart.run(CancellationToken::new()).await });
    }

    /// Takes the next task of the heavy lane as a process of its own would.
    pub(crate) async fn claim_as(&self, worker: WorkerId) -> Option<Claim> {
        let want = Want { heavy: 1, ..Want::default() };
        self.store.claim(worker, want).await.expect("an answer").pop()
    }

    /// Works on a claim whose lease nobody renews.
    pub(crate) fn work_without_a_heart(&self, claim: Claim) -> JoinHandle<()> {
        let held = self.heart.hold(&claim.lease, tokio::time::Instant::now());
        let perform = self.perform.clone();
        tokio::spawn(async move { perform.perform(claim, held).await })
    }

    pub(crate) fn hold(&self, claim: &Claim) -> Held {
        self.heart.hold(&claim.lease, tokio::time::Instant::now())
    }

    /// Takes no more tasks, and waits until that is certain.
    pub(crate) async fn stop_claiming(&mut self) {
        self.stop_claiming.cancel();
        if let Some(claiming) = self.claiming.take() {
            patiently("the claimer ends", claiming).await.expect("it ends well");
        }
        self.tracker.close();
    }

    /// Waits for all work that was claimed.
    pub(crate) async fn until_idle(&self) {
        patiently("the work ends", self.tracker.wait()).await;
    }

    /// Submits a video of an input that orders this.
    pub(crate) async fn submit(&self, order: &str) -> JobId {
        self.submit_kind(Kind::Video, order).await
    }

    pub(crate) async fn submit_kind(&self, kind: Kind, order: &str) -> JobId {
        let now = Timestamp::from_millis(NOW);
        let spec = JobSpec {
            input: InputUrl::parse(&self.source.url(&format!("/{order}"))).expect("a URL"),
            options: Options::decode(kind, &Map::new()).expect("options"),
            raw_options: Map::new(),
            metadata: Map::new(),
            priority: Priority::default(),
            webhook_url: Some(Url::parse("http://127.0.0.1:9/hook").expect("a URL")),
            via: None,
        };
        let job = Job::accepted(fresh(now), None, spec, now);
        let id = job.id;
        let submission = Submission { jobs: [job].into(), idempotency: None, max_queued: 1000 };
        let accepted = self.store.submit(submission).await.expect("an answer");
        assert_eq!(accepted, Submitted::Accepted);
        id
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.store.job(OURS, id).await.expect("an answer").expect("the job")
    }

    pub(crate) async fn status(&self, id: JobId) -> Status {
        self.job(id).await.state.status()
    }

    /// The `error` of a job, as it is on the wire.
    pub(crate) async fn error(&self, id: JobId) -> Value {
        serde_json::to_value(JobView::of(&self.job(id).await).error).expect("JSON")
    }

    /// Waits until the store tells that the job `is_so`.
    pub(crate) async fn until(&self, id: JobId, what: &str, is_so: impl Fn(&Job) -> bool) -> Job {
        let mut changes = self.store.hints().changes();
        patiently(what, async {
            loop {
                let job = self.job(id).await;
                if is_so(&job) {
                    return job;
                }
                // A lagging listener looks for itself, as everybody must.
                let _changed = changes.recv().await;
            }
        })
        .await
    }

    pub(crate) async fn until_status(&self, id: JobId, status: Status) -> Job {
        self.until(id, status.name(), |job| job.state.status() == status).await
    }

    /// Waits until ffmpeg itself has told of progress, so that there is a process to stop.
    pub(crate) async fn until_encoding(&self, id: JobId) {
        self.until(id, "progress", |job| job.progress > 11.0).await;
        assert!(!processes_in(self.folder.path()).is_empty(), "an ffmpeg at work");
    }

    /// The same for an ffmpeg that tells nothing.
    pub(crate) async fn until_encode_begins(&self, id: JobId) {
        self.until(id, "the encode", |job| JobView::of(job).tasks.len() == 3).await;
    }

    /// Moves the clock and says that something is due.
    pub(crate) fn let_pass(&self, span: Duration) {
        self.clock.advance(span);
        self.store.hints().task_due.notify_one();
    }

    /// No process is left, no file of work in progress, and no half output.
    pub(crate) fn assert_nothing_is_left(&self) {
        // A child of the fake ffmpeg is killed with it, and may be a moment behind.
        let begun = Instant::now();
        while !processes_in(self.folder.path()).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(5), "a process is left");
            std::thread::yield_now();
        }
        let work_in_progress = files(&self.folder.path().join("scratch"));
        assert!(work_in_progress.is_empty(), "{work_in_progress:?}");
    }

    /// Puts an output of a claim into storage, as a worker elsewhere would.
    pub(crate) async fn publish(&self, claim: &Claim, bytes: &[u8]) -> Published {
        let key = format!("{}/{}/video.mp4", claim.lease.job, claim.lease.attempt);
        let made = self.folder.path().join("made");
        fs::write(&made, bytes).expect("a file");
        let stored = self.perform.storage.put(&key, &made).await.expect("stored");
        let file = File {
            key,
            kind: FileKind::Video,
            format: "mp4".to_owned(),
            content_type: "video/mp4".to_owned(),
            filesize: stored.size_bytes,
            width: None,
            height: None,
            duration: None,
            fps: None,
            bitrate: None,
            codecs: None,
            sha256: stored.sha256,
            loudness: None,
            delivered_to: None,
            remote_url: None,
        };
        Published { url: self.perform.links.lasting_link(&file.key), file }
    }

    /// What lies in storage, by key.
    pub(crate) fn stored(&self) -> Vec<String> {
        let files_folder = self.folder.path().join("files");
        let key = |path: PathBuf| {
            path.strip_prefix(&files_folder).expect("below it").display().to_string()
        };
        files(&files_folder).into_iter().map(key).collect()
    }
}

/// A server of media that order what its path says.
async fn source(gate: CancellationToken) -> Loopback {
    let gated = std::sync::atomic::AtomicBool::new(false);
    Loopback::start(move |request: &Request, _| {
        let order = request.path.rsplit('/').next().unwrap_or_default();
        let file = match order {
            "missing" => answer("404 Not Found", &[], b""),
            "overloaded" => answer("503 Service Unavailable", &[], b""),
            order => answer("200 OK", &[], &media(order)),
        };
        let waits = request.path.starts_with("/gated/")
            && !gated.swap(true, std::sync::atomic::Ordering::SeqCst);
        let before = waits.then(|| Act::Wait(gate.clone()));
        before.into_iter().chain([Act::Send(file)]).collect()
    })
    .await
}

async fn perform(
    folder: &Path,
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    worker: WorkerId,
    setup: Setup,
) -> Worker {
    let fake = FakeTools::write(folder);
    let limits = Limits { stall: setup.stall, ..Limits::default() };
    let tools = Tools::find(Some(&fake.ffmpeg), Some(&fake.ffprobe), limits).await.expect("tools");
    let scratch = Scratch::open(&folder.join("scratch"), worker).expect("a scratch");
    let client = client(&["127.0.0.0/8"], TableResolver::default());
    let fetcher = Fetcher::new(client.clone(), FetchLimits::default());
    let buckets = Buckets { store: store.clone(), keyring: Keyring::default(), client };
    let inputs = scratch.inputs().expect("a folder");
    let public_url = Url::parse("https://media.example.com").expect("a URL");
    let links = Links::new(public_url, "secret".into(), Duration::from_hours(1), clock.clone());
    let storage = Storage::local(&folder.join("files")).expect("a storage");
    let uploads = Uploads {
        store: store.clone(),
        storage: storage.clone(),
        clock: clock.clone(),
        limits: UploadLimits::default(),
    };
    Worker {
        id: worker,
        store,
        downloads: Downloads::new(fetcher, inputs, Duration::ZERO, clock.clone()),
        engine: Engine::new(tools, EngineSettings::default()),
        storage,
        uploads,
        buckets,
        links,
        scratch: Arc::new(scratch),
        headroom: Headroom::new(folder, setup.min_disk_bytes, 0),
        cutting: Cutting { when: When::Never, wanted_secs: 30.0 },
        admission: setup.admission(),
        processors: Processors::of(2),
        retries: RetryPolicy::default(),
        clock,
    }
}

/// Every file below a folder but for locks.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                folders.push(path);
            } else if name != ".lock" && name != ".gate" {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Time that stands still for timers while processes and sockets go on, and moves when it is
/// told to. It is let go after a minute of real time, so that a wait in vain ends.
pub(crate) struct Frozen(Sender<()>);

impl Frozen {
    /// Freezes the time of this test, from now on.
    pub(crate) fn begin() -> Self {
        tokio::time::pause();
        let (end, ended) = channel();
        // While a blocking task runs, tokio does not move a paused clock by itself.
        tokio::task::spawn_blocking(move || ended.recv_timeout(Duration::from_mins(1)));
        Self(end)
    }

    /// Lets time go on by itself again.
    pub(crate) fn thaw(self) {
        let Self(end) = self;
        tokio::time::resume();
        drop(end);
    }

    /// Lets so many seconds pass, one after the other, each with the beat that it brings: time
    /// must not run away from a database that really works.
    pub(crate) async fn pass(&self, crew: &Crew, secs: u32) {
        // Whoever was just started sets his first timer now.
        tokio::task::yield_now().await;
        for _ in 0..secs {
            // Timers are kept in whole milliseconds, rounded up.
            tokio::time::advance(Duration::from_millis(1001)).await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            let mut beats = crew.store.beats();
            let over = beats.wait_for(Beats::are_over);
            drop(patiently("the beat is over", over).await.expect("a store"));
        }
    }
}
