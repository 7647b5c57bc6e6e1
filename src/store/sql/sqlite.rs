//! SQLite: one writer, many readers, one file.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

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
    sqlx::migrate!("migrations/sqlite").run(&writer).await?;
    let readers = pool(READERS).connect_with(common(path).read_only(true)).await?;
    Ok(Database::Sqlite { writer, readers })
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
