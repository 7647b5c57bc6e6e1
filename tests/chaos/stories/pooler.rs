//! A pooler stands before the database and hands out its connections by the transaction.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reelway::store::Store as _;
use reelway::store::sql::{HintsFrom, SqlStore};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::database::{Database, by, connect};
use crate::fleet::Launch;
use crate::receivers::Receiver;
use crate::source::Source;
use crate::stage::submit;
use crate::stories::network::{job_of_nobody, settings, submission};
use crate::support::{PATIENCE, eventually, free_port, run};

/// How many connections to the server all clients of the pooler share: fewer than there are
/// processes, so that one transaction is never where the last one was.
const SHARED: u32 = 2;

/// `PgBouncer` in front of one database.
struct Pooler {
    url: String,
    _process: Child,
    _folder: TempDir,
}

impl Pooler {
    async fn before(database: &Database) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = url::Url::parse(&database.url).expect("a URL");
        let port = free_port();
        let name = server.path().trim_start_matches('/');
        let settings = format!(
            "[databases]\n{name} = host={} port={} dbname={name} user={}\n\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {SHARED}\nmax_client_conn = 200\n",
            server.host_str().expect("a host"),
            server.port().unwrap_or(5432),
            server.username(),
        );
        let ini = folder.path().join("pgbouncer.ini");
        std::fs::write(&ini, settings).expect("a file");
        run(Path::new("chmod"), [Path::new("-R"), Path::new("a+rX"), folder.path()]).await;
        let process = start(&ini);
        let url = by(&database.url, ([127, 0, 0, 1], port).into());
        // The driver of this test asks for something that a pooler must be told to ignore.
        let plain = sqlx::postgres::PgConnectOptions::clone(&url.parse().expect("a URL"))
            .extra_float_digits(None);
        eventually("the pooler answers", async || {
            sqlx::ConnectOptions::connect(&plain).await.ok().map(drop)
        })
        .await;
        Self { url, _process: process, _folder: folder }
    }
}

/// In the foreground, bound to this process, and not as root, which it refuses.
fn start(ini: &Path) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the test starts its own pooler")]
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.arg(program()).arg(ini).stdin(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().expect("the pooler starts")
}

fn program() -> PathBuf {
    let found = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(PathBuf::from);
    let found = found.into_iter().find(|path| path.exists());
    found.expect("PgBouncer is installed (scripts/setup pgbouncer)")
}

/// A server, two workers, a dozen jobs and their webhooks, all by the pooler.
async fn everything_works(direct: impl Fn(&Database) -> String) {
    let Some(database) = Database::create().await else { return };
    let pooler = Pooler::before(&database).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (source, receiver) = (Source::start(folder.path()).await, Receiver::start().await);
    let launch = |role: fn(&Path, &str, &str) -> Launch, name: &str| {
        role(folder.path(), name, &pooler.url)
            .with("REELWAY_DATABASE_DIRECT_URL", &direct(&database))
            .with("REELWAY_LIGHT_SLOTS", "2")
    };
    let server = launch(Launch::server, "server").start().await;
    let workers = [
        launch(Launch::worker, "first").start().await,
        launch(Launch::worker, "second").start().await,
    ];
    let bodies: Vec<_> = (0..12)
        .map(|number| {
            json!({"input": source.clip(0, number), "kind": "image", "options": {"width": 64},
                   "webhook_url": receiver.url})
        })
        .collect();
    let jobs = join_all(bodies.iter().map(|body| submit(&server, body))).await;
    let mut connection = database.connect().await;
    let arrived = tokio::time::timeout(PATIENCE, async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let text = "
            select count(*)
            from jobs
            join events on events.job_id = jobs.id
            join deliveries on deliveries.event_id = events.id
            where jobs.state = 'succeeded' and deliveries.state = 'delivered'
            ";
        loop {
            ticks.tick().await;
            let count = sqlx::query_scalar::<_, i64>(text).fetch_one(&mut connection).await;
            if count.expect("a count") == jobs.len() as i64 {
                return;
            }
        }
    });
    let arrived = arrived.await.is_ok();
    for process in workers.iter().chain([&server]) {
        let log = process.launch.log();
        let is_clean = !log.contains("prepared statement") && !log.contains("ERROR");
        assert!(arrived && is_clean, "all have succeeded and are delivered: {arrived}\n{log}");
    }
    drop((workers, server, connection, pooler));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_behind_a_transaction_pooler_by_polling_alone() {
    everything_works(|_| "none".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_behind_a_transaction_pooler_with_a_way_around_it() {
    everything_works(|database| database.url.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hint_finds_its_way_around_a_busy_pooler() {
    const JOBS: usize = 60;
    let Some(database) = Database::create().await else { return };
    let pooler = Pooler::before(&database).await;
    let hints = HintsFrom::Direct(Box::new(database.url.parse().expect("a URL")));
    let open = async || {
        let store = SqlStore::postgres(&settings(&pooler.url, hints.clone())).await;
        Arc::new(store.expect("a store"))
    };
    let (here, there) = (open().await, open().await);
    let mut listening = connect(&database.url).await.expect("the database");
    eventually("both listen", async || {
        let text = "select count(*) from pg_stat_activity
                    where application_name = 'reelway listen' and datname = current_database()";
        let count: i64 = sqlx::query_scalar(text).fetch_one(&mut listening).await.ok()?;
        (count == 2).then_some(())
    })
    .await;
    let mut changes = there.hints().changes();
    let jobs: Vec<_> = (0..JOBS).map(|_| job_of_nobody()).collect();
    let mut wanted: std::collections::BTreeSet<_> = jobs.iter().map(|job| job.id).collect();
    join_all(jobs.iter().map(|job| here.submit(submission(job.clone())))).await;
    // Of new jobs the others are told together; of what becomes of them, for each.
    join_all(jobs.iter().map(|job| here.cancel(&job.project, job.id))).await;
    let heard = tokio::time::timeout(Duration::from_secs(10), async {
        while !wanted.is_empty() {
            wanted.remove(&changes.recv().await.expect("changes"));
        }
    });
    assert!(heard.await.is_ok(), "{} of {JOBS} hints did not come", wanted.len());
    drop((here, there, listening, pooler));
    database.remove().await;
}
