//! Everything that takes part in a run, and what can be done to it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use sqlx::PgConnection;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::clients::Surroundings;
use crate::database::{Cluster, by, connect};
use crate::fleet::{Launch, Process};
use crate::history::History;
use crate::nemesis::{Fault, Planned, Targets};
use crate::proxy::{Mode, Proxy};
use crate::receivers::{Mood, Receiver};
use crate::source::Source;
use crate::storage::Storage;
use crate::support::{eventually, eventually_within, files, processes_of};

/// How many there are of what can be hit.
pub(crate) const TARGETS: Targets = Targets { workers: 3, servers: 2, receivers: 2 };

/// The keys of the clients.
pub(crate) const KEYS: [&str; 3] = ["key-of-one", "key-of-two", "key-of-three"];

/// How long all work may take to end once everything is well again: a lease that has to run out,
/// and what waits behind it.
const SETTLE: Duration = Duration::from_mins(4);

/// A database, a storage, receivers, servers and workers.
pub(crate) struct World {
    folder: TempDir,
    /// As the product sees the database.
    wire: Proxy,
    database_url: String,
    cluster: Mutex<Cluster>,
    storage: Storage,
    receivers: Vec<Receiver>,
    servers: Vec<Mutex<Process>>,
    workers: Vec<Mutex<Process>>,
    deaths: Mutex<Vec<String>>,
    /// One trouble with the network to the database at a time.
    network: Mutex<()>,
}

impl World {
    /// Everything started and well; none where there is no Postgres.
    pub(crate) async fn start() -> Option<(Arc<Self>, Arc<Surroundings>)> {
        let cluster = Cluster::start().await?;
        let folder = tempfile::tempdir().expect("a folder");
        let wire = Proxy::to(&cluster.address()).await;
        let database_url = by(&cluster.url, wire.address);
        let source = Source::start(folder.path()).await;
        let storage = Storage::start().await;
        let mut receivers = Vec::new();
        for _ in 0..TARGETS.receivers {
            receivers.push(Receiver::start().await);
        }
        let launch = |role: fn(&std::path::Path, &str, &str) -> Launch, name: String| {
            let launch = role(folder.path(), &name, &database_url)
                .with("REELWAY_API_KEY", &KEYS.join(","))
                .with("REELWAY_MAX_QUEUED", "30");
            let settings = storage.settings();
            settings.iter().fold(launch, |launch, (name, value)| launch.with(name, value))
        };
        let servers = (0..TARGETS.servers).map(|i| launch(Launch::server, format!("server-{i}")));
        let workers = (0..TARGETS.workers).map(|i| launch(Launch::worker, format!("worker-{i}")));
        let servers = start_all(servers.collect()).await;
        let workers = start_all(workers.collect()).await;
        let mut urls = Vec::new();
        for server in &servers {
            urls.push(server.lock().await.launch.url());
        }
        let surroundings = Surroundings {
            servers: urls,
            source,
            hooks: receivers.iter().map(|receiver| receiver.url.clone()).collect(),
            told: std::sync::Mutex::default(),
        };
        let world = Self {
            wire,
            database_url: cluster.url.clone(),
            cluster: Mutex::new(cluster),
            storage,
            receivers,
            servers,
            workers,
            deaths: Mutex::default(),
            network: Mutex::default(),
            folder,
        };
        Some((Arc::new(world), Arc::new(surroundings)))
    }

    /// Does it, waits for as long as it lasts, and makes it good again.
    pub(crate) async fn suffer(&self, Planned { fault, lasts, .. }: Planned) {
        match fault {
            Fault::KillWorker(target) => self.kill(&self.workers, target, lasts).await,
            Fault::KillServer(target) => self.kill(&self.servers, target, lasts).await,
            Fault::PauseWorker(target) => self.pause(target, lasts).await,
            Fault::ReplaceWorker(target) => self.replace(target).await,
            Fault::RestartDatabase => self.cluster.lock().await.restart_immediately().await,
            Fault::HoldDatabase => self.trouble_network(Mode::Hold, lasts).await,
            Fault::ResetDatabase => self.trouble_network(Mode::Reset, lasts).await,
            Fault::RefuseStorage => self.storage.refuse(lasts).await,
            Fault::HoldStorage => self.storage.hold(lasts).await,
            Fault::CutStorage => self.storage.cut(lasts).await,
            Fault::ReceiverErrors(target) => self.upset(target, Mood::Errors, lasts).await,
            Fault::ReceiverHangs(target) => self.upset(target, Mood::Hangs, lasts).await,
            Fault::ReceiverResets(target) => self.upset(target, Mood::Resets, lasts).await,
        }
    }

    async fn kill(&self, places: &[Mutex<Process>], target: usize, lasts: Duration) {
        let Some(mut process) = self.free(places, target).await else { return };
        process.kill().await;
        sleep(lasts).await;
        *process = process.launch.start().await;
    }

    async fn pause(&self, target: usize, lasts: Duration) {
        let Some(process) = self.free(&self.workers, target).await else { return };
        process.signal(Signal::STOP);
        sleep(lasts).await;
        process.signal(Signal::CONT);
    }

    async fn replace(&self, target: usize) {
        let Some(mut process) = self.free(&self.workers, target).await else { return };
        if !process.end().await {
            let name = process.launch.name.clone();
            self.deaths.lock().await.push(format!("{name}, after SIGTERM,"));
        }
        *process = process.launch.start().await;
    }

    /// A process that no other fault has its hands on, the target first; a process that has
    /// ended by itself is noted.
    async fn free<'a>(
        &self,
        places: &'a [Mutex<Process>],
        target: usize,
    ) -> Option<MutexGuard<'a, Process>> {
        let mut order = places.iter().cycle().skip(target).take(places.len());
        let mut process = order.find_map(|place| place.try_lock().ok())?;
        self.note_death(&mut process).await;
        Some(process)
    }

    async fn note_death(&self, process: &mut Process) {
        if !process.lives() {
            self.deaths.lock().await.push(process.launch.name.clone());
            *process = process.launch.start().await;
        }
    }

    async fn trouble_network(&self, mode: Mode, lasts: Duration) {
        let _one_at_a_time = self.network.lock().await;
        self.wire.set(mode);
        sleep(lasts).await;
        self.wire.set(Mode::Pass);
    }

    async fn upset(&self, target: usize, mood: Mood, lasts: Duration) {
        self.receivers[target].be(mood);
        sleep(lasts).await;
        self.receivers[target].be(Mood::Well);
    }

    /// Waits until all work has come to its end and all webhooks have arrived, sweeps, and ends
    /// every process as an operator does.
    pub(crate) async fn settle(&self) {
        for place in self.workers.iter().chain(&self.servers) {
            self.note_death(&mut *place.lock().await).await;
        }
        let done = async || {
            let mut database = connect(&self.database_url).await.ok()?;
            let left = self.left(&mut database).await.ok()?;
            (left == (0, 0)).then_some(())
        };
        eventually_within(SETTLE, "tasks and deliveries come to their end", done).await;
        let ends = self.workers.iter().map(async |place| place.lock().await.end().await);
        let all_well = futures::future::join_all(ends).await.into_iter().all(|well| well);
        assert!(all_well, "a worker ended badly when it was asked to end:\n{}", self.logs());
        self.sweep().await;
        for server in &self.servers {
            assert!(server.lock().await.end().await, "a server ended badly:\n{}", self.logs());
        }
    }

    /// How many tasks and deliveries have not ended. None of them is left to wait for a later
    /// try: that time would pass without anything to be seen.
    async fn left(&self, database: &mut PgConnection) -> sqlx::Result<(i64, i64)> {
        for text in [
            "update tasks set run_at = 0 where state = 'queued' and run_at > 0",
            "update deliveries set run_at = 0
             where state = 'pending' and run_at > 0 and lease_until is null",
        ] {
            sqlx::query(text).execute(&mut *database).await?;
        }
        let text = "
            select
                (select count(*) from tasks where state in ('waiting', 'queued', 'processing')),
                (select count(*) from deliveries where state = 'pending')
            ";
        sqlx::query_as(text).fetch_one(database).await
    }

    /// Lets the hour pass for which leftovers of lost attempts are kept, and a server sweep.
    async fn sweep(&self) {
        let mut database = connect(&self.database_url).await.expect("the database");
        let passed = sqlx::query("update garbage set not_before = 0").execute(&mut database).await;
        passed.expect("an hour passes");
        let mut server = self.servers[0].lock().await;
        assert!(server.end().await, "a server ended badly:\n{}", self.logs());
        // It sweeps when it starts.
        *server = server.launch.start().await;
        eventually("what nobody refers to is swept", async || {
            let left = sqlx::query_scalar::<_, i64>("select count(*) from garbage");
            (left.fetch_one(&mut database).await.ok()? == 0).then_some(())
        })
        .await;
    }

    /// All that can be known when it is over.
    pub(crate) async fn history(&self, surroundings: &Surroundings) -> History {
        let mut database = connect(&self.database_url).await.expect("the database");
        let mut history = History::read(&mut database).await.expect("the tables");
        history.told = surroundings.told().clone();
        history.pushes = self.receivers.iter().flat_map(Receiver::pushes).collect();
        history.objects = self.storage.objects();
        let left = processes_of(self.folder.path());
        history.processes = left.into_iter().map(|running| running.command).collect();
        for place in &self.workers {
            let scratch = place.lock().await.launch.data_dir().join("scratch");
            let left = files(&scratch).into_iter();
            // The gate between starting processes stays.
            let left = left.filter(|path| path.file_name().is_none_or(|name| name != ".gate"));
            history.scratch.extend(left.map(|path| path.display().to_string()));
        }
        history.deaths.clone_from(&*self.deaths.lock().await);
        history
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        let mut logs = String::new();
        for path in files(self.folder.path()) {
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(30).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                let _infallible = writeln!(logs, "{}:\n{}\n", path.display(), tail.join("\n"));
            }
        }
        logs
    }
}

/// All at the same time, as a platform does.
async fn start_all(launches: Vec<Launch>) -> Vec<Mutex<Process>> {
    let starts = launches.iter().map(async |launch| Mutex::new(launch.start().await));
    futures::future::join_all(starts).await
}
