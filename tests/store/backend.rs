//! The databases that the suite runs over: the only file here that knows an implementation.

use std::sync::Arc;

use reelway::clock::{Clock, ManualClock, Timestamp};
use reelway::store::Store;
use reelway::store::sqlite::SqliteStore;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

/// What the pipeline's users ask of their table (wire.md section 7), word for word.
macro_rules! pipeline_select {
    () => {
        "SELECT id, task_id, input_url, status, output_url, created_at, completed_at FROM media_jobs"
    };
}

/// An implementation of [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// One file.
    Sqlite,
}

impl Backend {
    /// A database with nothing in it, that nobody else uses and that goes with its value.
    pub(crate) fn fresh(self, clock: Arc<ManualClock>) -> Database {
        match self {
            Self::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                Database::Sqlite { folder, clock }
            }
        }
    }
}

/// A database of one test.
#[derive(Debug)]
pub(crate) enum Database {
    /// A file in a folder of its own.
    Sqlite { folder: TempDir, clock: Arc<ManualClock> },
}

impl Database {
    /// Opens the database, as a process does when it starts. Each call is another process.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite { folder, clock } => {
                let clock: Arc<dyn Clock> = clock.clone();
                let path = folder.path().join("reelway.db");
                Arc::new(SqliteStore::open(&path, clock).await.expect("a database"))
            }
        }
    }

    /// Whether a process that starts may take all leases for those of its dead predecessor.
    pub(crate) const fn has_one_process(&self) -> bool {
        match self {
            Self::Sqlite { .. } => true,
        }
    }

    /// What the pipeline's own query of `media_jobs` finds, in the order of the ids.
    pub(crate) async fn query_media_jobs(&self) -> Vec<MediaJob> {
        let rows: Vec<MediaJobRow> = match self {
            Self::Sqlite { folder, .. } => {
                let path = folder.path().join("reelway.db");
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let mut conn = SqliteConnection::connect_with(&options).await.expect("a reader");
                sqlx::query_as(concat!(
                    "
                    select
                        id, task_id, input_url, status, output_url,
                        cast(round(unixepoch(created_at, 'subsec') * 1000) as integer)
                            as created_at,
                        cast(round(unixepoch(completed_at, 'subsec') * 1000) as integer)
                            as completed_at
                    from (",
                    pipeline_select!(),
                    ")
                    order by id
                    "
                ))
                .fetch_all(&mut conn)
                .await
                .expect("the pipeline's table")
            }
        };
        rows.into_iter().map(MediaJob::from).collect()
    }
}

/// A row of `media_jobs`, its times as milliseconds.
#[derive(sqlx::FromRow)]
struct MediaJobRow {
    id: String,
    task_id: String,
    input_url: String,
    status: String,
    output_url: Option<String>,
    created_at: i64,
    completed_at: Option<i64>,
}

/// A row of `media_jobs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaJob {
    pub(crate) id: String,
    pub(crate) task_id: String,
    pub(crate) input_url: String,
    pub(crate) status: String,
    pub(crate) output_url: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) completed_at: Option<Timestamp>,
}

impl From<MediaJobRow> for MediaJob {
    fn from(row: MediaJobRow) -> Self {
        Self {
            id: row.id,
            task_id: row.task_id,
            input_url: row.input_url,
            status: row.status,
            output_url: row.output_url,
            created_at: Timestamp::from_millis(row.created_at),
            completed_at: row.completed_at.map(Timestamp::from_millis),
        }
    }
}
