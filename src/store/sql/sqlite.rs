//! SQLite: one writer, many readers, one file.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::database::{ACQUIRE_TIMEOUT, Database};
use crate::store::{StoreError, StoreResult};

/// How many readers may read at once, beside the writer.
const READERS: u32 = 4;

/// How long SQLite itself waits for a lock that another process holds, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the write-ahead log is cut back to after a checkpoint, in bytes.
const LOG_SIZE_LIMIT: &str = "67108864";

/// Opens the file at `path`; makes it (readable by its owner alone) and its folder when they are
/// not there, and brings its schema to this version's shape.
pub(super) async fn open(path: &Path) -> StoreResult<Database> {
    create(path).map_err(|source| StoreError::Create { path: path.to_owned(), source })?;
    let writer = pool(1).connect_with(writing(path)).await?;
    migrator().run(&writer).await?;
    let readers = pool(READERS).connect_with(common(path).read_only(true)).await?;
    Ok(Database::Sqlite { writer, readers })
}

/// Every change of shape that this version knows. A later version may have made more: they only add
/// (docs/decisions/0022), so that this one goes on with the database after a rollback.
pub(super) fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/sqlite");
    migrator.set_ignore_missing(true);
    migrator
}

/// Makes the file before SQLite does: it holds secrets, and SQLite's own files take its mode.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true)
}

fn writing(path: &Path) -> SqliteConnectOptions {
    common(path)
        .journal_mode(SqliteJournalMode::Wal)
        // `normal` may lose the last commits when the power goes: an answered request among them.
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", LOG_SIZE_LIMIT)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sqlx::SqliteConnection;

    use super::*;
    use crate::access::Project;
    use crate::clock::SystemClock;
    use crate::id::{BatchId, DeliveryId, EventId, JobId, fresh};
    use crate::store::sql::SqlStore;
    use crate::store::{DeliveryFilter, Store as _};

    /// The shape before batches had events and requests had owners.
    const BEFORE: i64 = 10;

    async fn run(conn: &mut SqliteConnection, text: String) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(conn).await.expect("a statement");
    }

    #[tokio::test]
    async fn what_was_written_before_a_change_of_shape_is_there_after_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("reelway.db");
        create(&path).expect("a file");
        let writer = pool(1).connect_with(writing(&path)).await.expect("a database");
        let mut migrator = migrator();
        migrator.migrations.to_mut().retain(|migration| migration.version < BEFORE);
        migrator.run(&writer).await.expect("the shape before");
        let now = crate::clock::Timestamp::from_millis(1_764_000_000_000);
        let (job, batch): (JobId, BatchId) = (fresh(now), fresh(now));
        let (event, delivery): (EventId, DeliveryId) = (fresh(now), fresh(now));
        let mut conn = writer.acquire().await.expect("a connection");
        let rows = format!(
            r#"
            insert into batches values ('{batch}', 1);
            insert into jobs (id, batch_id, kind, input, options, metadata, state, owner,
                seq, created_at, updated_at, finished_at)
            values ('{job}', '{batch}', 'video', 'https://a.example/', '{{}}', '{{}}', 'cancelled',
                'key_a', 1, 1, 1, 1);
            insert into events values ('{event}', '{job}', 'job.cancelled', 1, '{{}}', 1);
            insert into destinations (id) values ('https://b.example/');
            insert into deliveries (id, event_id, destination, url, state, run_at, created_at)
            values ('{delivery}', '{event}', 'https://b.example/', 'https://b.example/', 'pending',
                1, 1);
            insert into idempotency values
                ('single', 'h', '{{"task_id": "{job}"}}', 1),
                ('several', 'h', '{{"tasks": [{{"task_id": "{job}"}}]}}', 1),
                ('connection', 'h', '{{"id": "conn_1"}}', 1);
            "#
        );
        run(&mut conn, rows).await;
        drop(conn);
        writer.close().await;

        let store = SqlStore::sqlite(&path, Arc::new(SystemClock)).await.expect("a store");
        let filter = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
        let log = store.deliveries(&Project::DEFAULT, &filter).await.expect("a log");
        assert_eq!((log.len(), log[0].event_id, log[0].job_id), (1, event, Some(job)));
        assert!(store.batch(&Project::DEFAULT, batch).await.expect("an answer").is_some());
        store.close().await;
        let reader = pool(1).connect_with(common(&path)).await.expect("a database");
        let owners: Vec<(String, String)> =
            sqlx::query_as("select key, owner from idempotency order by key")
                .fetch_all(&reader)
                .await
                .expect("rows");
        let owners: Vec<_> = owners.iter().map(|(key, owner)| (&**key, &**owner)).collect();
        assert_eq!(owners, [("connection", ""), ("several", "key_a"), ("single", "key_a")]);
        let broken = sqlx::query("pragma foreign_key_check").fetch_all(&reader).await;
        assert!(broken.expect("an answer").is_empty());
    }
}
