//! Databases of a bench's own, and jobs in them.

use std::sync::Arc;

use reelway::clock::{Clock as _, SystemClock};
use reelway::id::{JobId, fresh};
use reelway::job::{InputUrl, Job, JobSpec, Kind, Options, Priority};
use reelway::store::sql::{HintsFrom, PostgresSettings, SqlStore};
use reelway::store::{Store, Submission, Submitted};
use serde_json::Map;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Databases {
    Sqlite,
    Postgres,
}

impl Databases {
    pub(crate) fn all() -> Vec<Self> {
        if std::env::var_os("REELWAY_TEST_POSTGRES").is_some() {
            vec![Self::Sqlite, Self::Postgres]
        } else {
            println!("(no REELWAY_TEST_POSTGRES: without Postgres)");
            vec![Self::Sqlite]
        }
    }
}

/// A database of its own.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) url: Option<String>,
}

impl Place {
    pub(crate) async fn make(kind: Databases) -> Self {
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
        let place = Self { folder, url };
        place.open().await.close().await;
        place
    }

    pub(crate) async fn open(&self) -> Arc<SqlStore> {
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
}

pub(crate) async fn submit(store: &dyn Store, count: usize) {
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
