//! A database, a wire to it, a source and a server: what a story of a single fault needs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::database::Database;
use crate::fleet::{Launch, Process};
use crate::proxy::Proxy;
use crate::source::Source;
use crate::support::{client, eventually, eventually_within};

/// What is there before the fault.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) source: Source,
    /// From workers to the database; the server has a way of its own.
    pub(crate) wire: Proxy,
    pub(crate) server: Process,
    pub(crate) database: Database,
}

/// A task as the database has it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct TaskRow {
    pub(crate) state: String,
    pub(crate) attempt: i64,
    pub(crate) lease_owner: Option<String>,
    pub(crate) lease_until: Option<i64>,
}

impl Stage {
    /// None where there is no Postgres.
    pub(crate) async fn open() -> Option<Self> {
        let database = Database::create().await?;
        let folder = tempfile::tempdir().expect("a folder");
        let source = Source::start(folder.path()).await;
        let wire = Proxy::to(&database.address()).await;
        let server = Launch::server(folder.path(), "server", &database.url).start().await;
        Some(Self { folder, source, wire, server, database })
    }

    /// A worker whose way to the database is the wire.
    pub(crate) fn worker(&self, name: &str) -> Launch {
        Launch::worker(self.folder.path(), name, &self.database.by(self.wire.address))
    }

    pub(crate) async fn submit(&self, input: &str, kind: &str, options: Value) -> String {
        submit(&self.server, &json!({"input": input, "kind": kind, "options": options})).await
    }

    /// The task of a job.
    pub(crate) async fn task(&self, job: &str) -> TaskRow {
        let text = "select state, attempt, lease_owner, lease_until from tasks where job_id = $1";
        let mut database = self.database.connect().await;
        sqlx::query_as(text).bind(job).fetch_one(&mut database).await.expect("the task")
    }

    /// Waits until somebody works on the job.
    pub(crate) async fn begun(&self, job: &str) -> TaskRow {
        eventually("somebody works on it", async || {
            Some(self.task(job).await).filter(|task| task.state == "processing")
        })
        .await
    }

    /// Waits until the job has ended.
    pub(crate) async fn ended(&self, job: &str, patience: Duration) -> TaskRow {
        eventually_within(patience, "the job ends", async || {
            let task = self.task(job).await;
            let is_open = matches!(task.state.as_str(), "queued" | "processing");
            (!is_open).then_some(task)
        })
        .await
    }

    /// Waits for the next renewal of a job's lease; returns when that was.
    pub(crate) async fn renewed(&self, job: &str) -> Instant {
        let before = self.task(job).await;
        eventually("the lease is renewed", async || {
            let task = self.task(job).await;
            (task.lease_until > before.lease_until).then(Instant::now)
        })
        .await
    }

    /// When the story has ended well.
    pub(crate) async fn close(mut self) {
        self.server.kill().await;
        self.database.remove().await;
    }
}

/// Submits a job; returns its id.
pub(crate) async fn submit(server: &Process, body: &Value) -> String {
    let url = format!("{}/jobs", server.launch.url());
    let answer = client().post(url).json(body).send().await.expect("an answer");
    let status = answer.status();
    let answer: Value = answer.json().await.expect("JSON");
    assert!(status.is_success(), "{status} {answer}");
    answer["id"].as_str().expect("an id").to_owned()
}
