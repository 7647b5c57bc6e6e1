//! What the network to the database can do to a process, seen from within the process.

use std::sync::Arc;
use std::time::Duration;

use reelway::clock::{Clock as _, SystemClock};
use reelway::id::fresh;
use reelway::job::{InputUrl, Job, JobSpec, Kind, Options, Priority};
use reelway::store::sql::{HintsFrom, PostgresSettings, SqlStore};
use reelway::store::{Claim, Store as _, Submission, Want};
use reelway::task::RetryPolicy;
use serde_json::Map;
use tokio::time::{Instant, timeout};

use crate::database::Database;
use crate::proxy::{Mode, Proxy};
use crate::support::say;

/// A process that stands still in the middle of a transaction holds its locks for no longer.
const LOCKED: Duration = Duration::from_secs(14);

/// How soon a store answers again when its server has moved to another machine.
const MOVED: Duration = Duration::from_secs(15);

pub(super) fn settings(url: &str, hints: HintsFrom) -> PostgresSettings {
    PostgresSettings { server: url.parse().expect("a URL"), hints, connections: 4 }
}

async fn store(url: &str) -> Arc<SqlStore> {
    let store = SqlStore::postgres(&settings(url, HintsFrom::PollAlone)).await;
    Arc::new(store.expect("a store"))
}

/// A job that no server has taken.
pub(super) fn job_of_nobody() -> Job {
    let spec = JobSpec {
        input: InputUrl::parse("https://example.com/a.mov").expect("an input"),
        options: Options::decode(Kind::Video, &Map::new()).expect("options"),
        raw_options: Map::new(),
        metadata: Map::new(),
        webhook_url: None,
        priority: Priority::default(),
        via: None,
    };
    let now = SystemClock.now();
    Job::accepted(fresh(now), None, spec, now)
}

pub(super) fn submission(job: Job) -> Submission {
    Submission { jobs: [job].into(), idempotency: None, max_queued: u64::MAX }
}

async fn claim(store: &SqlStore, tasks: u32) -> Vec<Claim> {
    let want = Want { heavy: tasks, ..Want::default() };
    store.claim(fresh(SystemClock.now()), want).await.expect("claims")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_freezes_in_a_transaction_does_not_stop_the_others() {
    let Some(database) = Database::create().await else { return };
    let wire = Proxy::to(&database.address()).await;
    let (frozen, other) = (store(&database.by(wire.address)).await, store(&database.url).await);
    // It has the turn of all processes to take deliveries, and says nothing more.
    wire.set(Mode::Trap("with in_flight"));
    let lease = Duration::from_secs(30);
    let stuck = frozen.clone();
    let stuck = tokio::spawn(async move { stuck.claim_deliveries(1, 1, lease).await });
    wire.trapped().await;

    let asked = Instant::now();
    let answer = timeout(LOCKED, other.claim_deliveries(1, 1, lease)).await;
    assert!(matches!(answer, Ok(Ok(_))), "{answer:?} after {:?}", asked.elapsed());
    say(&format!("a frozen process held its locks for {:.1} s", asked.elapsed().as_secs_f64()));
    stuck.abort();
    drop((frozen, other));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_finds_a_server_that_has_moved_and_left_its_connections_silent() {
    let Some(database) = Database::create().await else { return };
    let wire = Proxy::to(&database.address()).await;
    let store = store(&database.by(wire.address)).await;
    // As many connections as there may be, all of them in use a moment ago.
    futures::future::join_all((0..32).map(|_| store.ping())).await;
    wire.set(Mode::Hold);
    // More callers than connections, who do not wait for ever.
    let callers = (0..8).map(|_| timeout(Duration::from_secs(1), store.ping()));
    let answers = futures::future::join_all(callers).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    wire.strand();
    wire.set(Mode::Pass);

    let moved = Instant::now();
    let answers = timeout(MOVED, async { while store.ping().await.is_err() {} }).await;
    assert!(answers.is_ok(), "no answer after {MOVED:?}");
    say(&format!("a moved server was found after {:.1} s", moved.elapsed().as_secs_f64()));
    drop(store);
    database.remove().await;
}

/// How soon hints come again when the server has moved: silence is found out, LISTEN is said anew.
const HEARD_AGAIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn hints_come_again_when_the_server_has_moved_and_left_the_listener_silent() {
    let Some(database) = Database::create().await else { return };
    let wire = Proxy::to(&database.address()).await;
    let listening = settings(&database.by(wire.address), HintsFrom::Server);
    let store = Arc::new(SqlStore::postgres(&listening).await.expect("a store"));
    let told = || timeout(HEARD_AGAIN, store.hints().task_due.notified());
    // Whoever begins to listen looks once.
    told().await.expect("it listens");
    wire.strand();

    let moved = Instant::now();
    told().await.expect("it listens again");
    say(&format!("hints came again after {:.1} s", moved.elapsed().as_secs_f64()));
    let other = SqlStore::postgres(&settings(&database.url, HintsFrom::Server)).await;
    let other = other.expect("a store");
    other.submit(submission(job_of_nobody())).await.expect("submitted");
    told().await.expect("what the other one tells is heard");
    drop((store, other));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_were_lost_together_do_not_come_back_together() {
    let Some(database) = Database::create().await else { return };
    let store = store(&database.url).await;
    for _ in 0..3 {
        let submitted = store.submit(submission(job_of_nobody())).await;
        submitted.expect("submitted");
    }
    assert_eq!(claim(&store, 3).await.len(), 3);
    let mut connection = database.connect().await;
    let passed = sqlx::query("update tasks set lease_until = 0").execute(&mut connection).await;
    passed.expect("their leases run out");
    assert_eq!(store.rescue(&RetryPolicy::default(), 0.5).await.expect("a rescue").tasks, 3);

    let times: Vec<i64> = sqlx::query_scalar("select run_at from tasks order by run_at")
        .fetch_all(&mut connection)
        .await
        .expect("the tasks");
    // Or one that kills its worker would take the same others with it each time.
    let apart = times.windows(2).map(|pair| pair[1] - pair[0]).min();
    assert!(apart >= Some(300), "{times:?}");
    drop((store, connection));
    database.remove().await;
}
