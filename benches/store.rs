//! How fast tasks go through the store, on both databases, side by side in one run.
//!
//! `cargo bench --bench store` prints one table. Each row is a ratio of two medians measured
//! alternately in the same run, or a time. `REELWAY_TEST_POSTGRES` names a server that may be
//! written to; without it the rows of Postgres are left out, and the table says so.
//! `STORE_TASKS` sets how many tasks a measurement takes, `STORE_FINISHED` and `STORE_WAITING`
//! how many rows lie in the tables of a store that has been used.

#![expect(clippy::expect_used, reason = "a bench that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reelway::clock::{Clock, SystemClock};
use reelway::id::{JobId, WorkerId, fresh};
use reelway::job::{File, FileKind, InputUrl, Job, JobSpec, Kind, Options, Priority};
use reelway::store::sql::{HintsFrom, PostgresSettings, SqlStore};
use reelway::store::{Published, Settled, Store, Submission, Submitted, Want};
use reelway::task::Stages;
use serde_json::Map;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// How often each measurement is repeated.
const ROUNDS: usize = 3;

/// How many workers claim at once.
const WORKERS: [usize; 3] = [1, 4, 16];

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::main]
async fn main() {
    let tasks = number("STORE_TASKS", 400);
    let (finished, waiting) =
        (number("STORE_FINISHED", 1_000_000), number("STORE_WAITING", 100_000));
    println!("claim and finish, {tasks} tasks a round, medians of {ROUNDS} rounds");
    println!("used: {finished} jobs finished and {waiting} waiting\n");
    println!("| database | workers | empty, tasks/s | used, tasks/s | empty / used | target |");
    println!("|---|---|---|---|---|---|");
    for kind in Databases::all() {
        let empty = Place::make(kind).await;
        let used = Place::make(kind).await.fill(finished, waiting).await;
        for workers in WORKERS {
            let mut times: BTreeMap<bool, Vec<Duration>> = BTreeMap::new();
            for _ in 0..ROUNDS {
                for place in [&empty, &used] {
                    let time = place.claim_and_finish(tasks, workers).await;
                    times.entry(place.is_used).or_default().push(time);
                }
            }
            let rate = |times: &[Duration]| tasks as f64 / median(times).as_secs_f64();
            let (empty, used) = (rate(&times[&false]), rate(&times[&true]));
            let ratio = empty / used;
            println!("| {kind:?} | {workers} | {empty:.0} | {used:.0} | {ratio:.2} | ≤ 1.20 |");
        }
    }
    println!("\nfrom the commit of a job to its claim by a waiting worker\n");
    println!("| database | p50 | p99 | target |");
    println!("|---|---|---|---|");
    for kind in Databases::all() {
        let mut waits = Place::make(kind).await.wake_ups(200).await;
        waits.sort();
        let at = |share: f64| waits[(waits.len() as f64 * share) as usize].as_secs_f64() * 1000.0;
        println!("| {kind:?} | {:.2} ms | {:.2} ms | p50 ≤ 5 ms |", at(0.5), at(0.99));
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Databases {
    Sqlite,
    Postgres,
}

impl Databases {
    fn all() -> Vec<Self> {
        if std::env::var_os("REELWAY_TEST_POSTGRES").is_some() {
            vec![Self::Sqlite, Self::Postgres]
        } else {
            println!("(no REELWAY_TEST_POSTGRES: without Postgres)");
            vec![Self::Sqlite]
        }
    }
}

/// A database of its own.
struct Place {
    folder: TempDir,
    url: Option<String>,
    is_used: bool,
}

impl Place {
    async fn make(kind: Databases) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = match kind {
            Databases::Sqlite => None,
            Databases::Postgres => {
                let server = std::env::var("REELWAY_TEST_POSTGRES").expect("a server");
                let id: JobId = fresh(SystemClock.now());
                let name = format!("bench_{id}");
                let mut conn = PgConnection::connect(&server).await.expect("the server");
                let create = AssertSqlSafe(format!("create database {name}"));
                sqlx::query(create).execute(&mut conn).await.expect("a database");
                let (base, _) = server.rsplit_once('/').expect("a URL with a database");
                Some(format!("{base}/{name}"))
            }
        };
        let place = Self { folder, url, is_used: false };
        place.open().await.close().await;
        place
    }

    async fn open(&self) -> Arc<SqlStore> {
        Arc::new(match &self.url {
            None => {
                let path = self.folder.path().join("reelway.db");
                SqlStore::sqlite(&path, Arc::new(SystemClock)).await.expect("a database")
            }
            Some(url) => {
                let server = url.parse().expect("a URL");
                let settings =
                    PostgresSettings { server, hints: HintsFrom::Server, connections: 20 };
                SqlStore::postgres(&settings).await.expect("a database")
            }
        })
    }

    /// Rows as a store has them that has been used for long: written as a server would, copied
    /// as often as needed.
    async fn fill(mut self, finished: usize, waiting: usize) -> Self {
        self.is_used = true;
        let store = self.open().await;
        submit(&*store, 2).await;
        let worker: WorkerId = fresh(SystemClock.now());
        let claim = store.claim(worker, Want { heavy: 1, ..Want::default() }).await;
        let claim = claim.expect("a claim").pop().expect("a task");
        finish(&*store, &claim.lease).await;
        store.close().await;
        for (state, count) in [("succeeded", finished), ("queued", waiting)] {
            for statement in copies(self.url.is_some(), state, count) {
                self.execute(&statement).await;
            }
        }
        // At rest, as tables are that grew over weeks: the work that filling them at once left
        // for later would run beside what is measured.
        let rest: &[&str] = match self.url {
            None => &["analyze", "pragma wal_checkpoint(truncate)"],
            Some(_) => &["vacuum analyze", "checkpoint"],
        };
        for statement in rest {
            self.execute(statement).await;
        }
        self
    }

    async fn execute(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        match &self.url {
            None => {
                let path = format!("sqlite://{}", self.folder.path().join("reelway.db").display());
                let mut conn = SqliteConnection::connect(&path).await.expect("the file");
                sqlx::query(statement).execute(&mut conn).await.expect("written");
            }
            Some(url) => {
                let mut conn = PgConnection::connect(url).await.expect("the server");
                sqlx::query(statement).execute(&mut conn).await.expect("written");
            }
        }
    }

    async fn claim_and_finish(&self, tasks: usize, workers: usize) -> Duration {
        let store = self.open().await;
        submit(&*store, tasks).await;
        let begun = Instant::now();
        join_all((0..workers).map(|_| work(store.clone(), tasks / workers))).await;
        let time = begun.elapsed();
        store.close().await;
        time
    }

    async fn wake_ups(&self, count: usize) -> Vec<Duration> {
        // Two handles, as two processes have them; SQLite has one process.
        let server = self.open().await;
        let worker = if self.url.is_some() { self.open().await } else { server.clone() };
        let (told, mut claimed) = tokio::sync::mpsc::channel(1);
        let waiting = tokio::spawn(async move {
            let id: WorkerId = fresh(SystemClock.now());
            for _ in 0..count {
                loop {
                    let claims = worker.claim(id, Want { heavy: 1, ..Want::default() }).await;
                    if let Some(claim) = claims.expect("an answer").pop() {
                        told.send(Instant::now()).await.expect("the bench listens");
                        finish(&*worker, &claim.lease).await;
                        break;
                    }
                    worker.hints().task_due.notified().await;
                }
            }
        });
        let mut waits = Vec::with_capacity(count);
        for _ in 0..count {
            // Long enough for the worker to be waiting again.
            tokio::time::sleep(Duration::from_millis(10)).await;
            submit(&*server, 1).await;
            let committed = Instant::now();
            waits.push(claimed.recv().await.expect("a claim").duration_since(committed));
        }
        waiting.await.expect("it ends");
        waits
    }
}

async fn work(store: Arc<SqlStore>, tasks: usize) {
    let worker: WorkerId = fresh(SystemClock.now());
    let mut done = 0;
    while done < tasks {
        let claims = store.claim(worker, Want { heavy: 1, ..Want::default() }).await;
        for claim in claims.expect("an answer") {
            finish(&*store, &claim.lease).await;
            done += 1;
        }
    }
}

async fn submit(store: &dyn Store, count: usize) {
    let now = SystemClock.now();
    let jobs: Vec<Job> = (0..count).map(|_| Job::accepted(fresh(now), None, spec(), now)).collect();
    for jobs in jobs.chunks(50) {
        let submission = Submission { jobs: jobs.into(), idempotency: None, max_queued: u64::MAX };
        let submitted = store.submit(submission).await.expect("an answer");
        assert_eq!(submitted, Submitted::Accepted);
    }
}

fn spec() -> JobSpec {
    JobSpec {
        input: InputUrl::parse("https://example.com/in.mp4").expect("a URL"),
        options: Options::decode(Kind::Video, &Map::new()).expect("options"),
        raw_options: Map::new(),
        metadata: Map::new(),
        webhook_url: None,
        priority: Priority::MAX,
        via: None,
    }
}

async fn finish(store: &dyn Store, lease: &reelway::store::Lease) {
    let key = format!("{}/{}/video.mp4", lease.job, lease.attempt);
    let file = File {
        key,
        kind: FileKind::Video,
        format: "mp4".to_owned(),
        content_type: "video/mp4".to_owned(),
        filesize: 1,
        width: None,
        height: None,
        duration: None,
        fps: None,
        bitrate: None,
        codecs: None,
        sha256: "00".repeat(32),
        loudness: None,
        delivered_to: None,
        remote_url: None,
    };
    let published = vec![Published { file, url: String::new() }];
    let settled = store.finish(lease, Stages::default(), published).await;
    assert_eq!(settled.expect("an answer"), Settled::Done);
}

/// Statements that copy the one job in `state`, and its task, `count` times. The copies that wait
/// are less urgent than what is measured.
fn copies(is_postgres: bool, state: &str, count: usize) -> [String; 2] {
    let numbers = if is_postgres {
        format!("(select generate_series(1, {count}) as n)")
    } else {
        format!(
            "(with recursive series (n) as (select 1 union all select n + 1 from series \
             where n < {count}) select n from series)"
        )
    };
    let jobs = "kind, input, options, metadata, state, progress, seq, created_at, updated_at, \
                started_at, finished_at, priority";
    let tasks = "lane, state, run_at, attempt, tries, stages, created_at, kind";
    [
        format!(
            "insert into jobs (id, {jobs}) select 'job_{state}_' || n, {jobs}
             from (select * from jobs where state = '{state}' order by id limit 1) as source
             cross join {numbers} as numbers"
        ),
        format!(
            "insert into tasks (id, job_id, urgency, turn, {tasks})
             select 'task_{state}_' || n, 'job_{state}_' || n, 20, n, {tasks}
             from (select * from tasks where state = '{state}' order by id limit 1) as source
             cross join {numbers} as numbers"
        ),
    ]
}
