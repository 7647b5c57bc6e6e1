//! A SQLite database as one file beside it, and back: while the server works, and whole or not at
//! all.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Row as _};

use super::examine::last;
use super::sqlite;

/// How long is waited for a lock: a checkpoint of the server's, no more.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its size in bytes.
    pub bytes: u64,
    /// How many jobs are in it, deleted ones not counted.
    pub jobs: u64,
}

/// Why there is no copy, or why it cannot be put back.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BackupError {
    #[error("there is no database at {}", .0.display())]
    NoDatabase(PathBuf),
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    #[error("{} is no whole Reelway database: {found}", .path.display())]
    Damaged { path: PathBuf, found: String },
    #[error("{} is of a newer version of Reelway: its shape is {shape}, and this one knows {known}", .path.display())]
    Newer { path: PathBuf, shape: i64, known: i64 },
    #[error("{} cannot be written or read", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the database did not do it")]
    Database(#[from] sqlx::Error),
}

impl BackupError {
    /// The same, said of the file at `path`.
    fn about(self, path: &Path) -> Self {
        let path = path.to_owned();
        match self {
            Self::Damaged { found, .. } => Self::Damaged { path, found },
            Self::Newer { shape, known, .. } => Self::Newer { path, shape, known },
            other => other,
        }
    }
}

/// Copies the database at `from` to a new file at `to`, as it is at one moment. Readable by its
/// owner alone, for it holds secrets; on disk when this returns.
///
/// # Errors
///
/// See [`BackupError`]; then nothing is at `to`.
pub async fn back_up(from: &Path, to: &Path) -> Result<Copied, BackupError> {
    if !from.is_file() {
        return Err(BackupError::NoDatabase(from.to_owned()));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let partial = beside(to, ".partial");
    remove(&partial)?;
    // It is made here, so that nobody else can read it at any time; SQLite fills an empty file.
    create(&partial)?;
    let copied = fill(from, &partial).await;
    if copied.is_err() {
        remove(&partial)?;
    }
    let copied = copied?;
    put(&partial, to)?;
    Ok(copied)
}

async fn fill(from: &Path, partial: &Path) -> Result<Copied, BackupError> {
    let mut database = open(from).await?;
    let path = partial.to_string_lossy().into_owned();
    sqlx::query("vacuum into $1").bind(path).execute(&mut database).await?;
    database.close().await?;
    look(partial).await
}

/// Puts the copy at `from` in the place of the database at `to`. What is there goes beside it, with
/// `mark` at the end of its name, once the copy was looked at; returns where that is.
///
/// # Errors
///
/// See [`BackupError`]. A copy that is not whole leaves everything as it was.
pub async fn restore(
    from: &Path,
    to: &Path,
    mark: &str,
) -> Result<(Copied, Option<PathBuf>), BackupError> {
    if !from.is_file() {
        return Err(BackupError::NoDatabase(from.to_owned()));
    }
    let partial = beside(to, ".restoring");
    remove(&partial)?;
    let mut file = create(&partial)?;
    let copied = async {
        let mut source = File::open(from).map_err(at(from))?;
        io::copy(&mut source, &mut file).map_err(at(&partial))?;
        // It is the caller's file that is looked at, whatever it is called meanwhile.
        look(&partial).await.map_err(|error| error.about(from))
    };
    let copied = copied.await;
    if copied.is_err() {
        remove(&partial)?;
    }
    let copied = copied?;
    let aside = set_aside(to, mark)?;
    put(&partial, to)?;
    Ok((copied, aside))
}

/// Moves a database and what SQLite keeps beside it out of the way; returns where it is now, if it
/// was there. A log without its file would be taken for the next one's.
fn set_aside(database: &Path, mark: &str) -> Result<Option<PathBuf>, BackupError> {
    let was_there = database.exists();
    let aside = beside(database, mark);
    // The log first: without it the file is an older state, never a broken one.
    for ending in ["-wal", "-shm", ""] {
        let (from, to) = (beside(database, ending), beside(&aside, ending));
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&from)(error)),
        }
    }
    Ok(was_there.then_some(aside))
}

/// Whether a file is a whole database of ours, of this version or an older one.
async fn look(path: &Path) -> Result<Copied, BackupError> {
    let damaged = |found: String| BackupError::Damaged { path: path.to_owned(), found };
    let told = |error: sqlx::Error| damaged(error.to_string());
    let mut copy = open(path).await.map_err(told)?;
    let integrity: String =
        sqlx::query_scalar("pragma integrity_check(1)").fetch_one(&mut copy).await.map_err(told)?;
    if integrity != "ok" {
        return Err(damaged(integrity));
    }
    let shape: i64 = sqlx::query_scalar("select max(version) from _sqlx_migrations")
        .fetch_one(&mut copy)
        .await
        .map_err(told)?;
    let known = last(&sqlite::migrator());
    if shape > known {
        return Err(BackupError::Newer { path: path.to_owned(), shape, known });
    }
    let jobs: i64 = sqlx::query("select count(*) from jobs where deleted_at is null")
        .fetch_one(&mut copy)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(told)?;
    copy.close().await.map_err(told)?;
    let bytes = fs::metadata(path).map_err(at(path))?.len();
    Ok(Copied { bytes, jobs: jobs.unsigned_abs() })
}

async fn open(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
    SqliteConnection::connect_with(&options).await
}

fn create(path: &Path) -> Result<File, BackupError> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(at(path))
}

/// To disk, and then to its place.
fn put(partial: &Path, to: &Path) -> Result<(), BackupError> {
    fs::set_permissions(partial, fs::Permissions::from_mode(0o600)).map_err(at(partial))?;
    File::open(partial).and_then(|file| file.sync_all()).map_err(at(partial))?;
    fs::rename(partial, to).map_err(at(to))?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError + '_ {
    |source| BackupError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::Store as _;
    use crate::store::sql::SqlStore;

    #[tokio::test]
    async fn a_file_that_is_no_whole_database_is_not_put_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        let store = SqlStore::sqlite(&place("reelway.db"), Arc::new(SystemClock)).await;
        let store = store.expect("a database");
        let copied = back_up(&place("reelway.db"), &place("good")).await.expect("a copy");
        assert_eq!(copied.jobs, 0);
        let again = back_up(&place("reelway.db"), &place("good")).await;
        assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
        store.close().await;

        let whole = fs::read(place("good")).expect("bytes");
        let mut newer = open(&place("good")).await.expect("a database");
        let update = "update _sqlx_migrations set version = 9999 where version = 1";
        sqlx::query(update).execute(&mut newer).await.expect("written");
        newer.close().await.expect("closed");
        let mut hole = whole.clone();
        hole[8192..12288].fill(0xff);
        for (name, bytes) in [
            ("half", &whole[..whole.len() / 2]),
            ("hole", &hole),
            ("text", b"no database"),
            ("empty", b""),
        ] {
            fs::write(place(name), bytes).expect("written");
            let restored = restore(&place(name), &place("restored.db"), ".before").await;
            let told = restored.expect_err(name).to_string();
            assert!(told.contains(&format!("{name} is no whole")), "{told}");
        }
        let restored = restore(&place("good"), &place("restored.db"), ".before").await;
        assert!(matches!(restored, Err(BackupError::Newer { .. })), "{restored:?}");
        let restored = restore(&place("missing"), &place("restored.db"), ".before").await;
        assert!(matches!(restored, Err(BackupError::NoDatabase(_))), "{restored:?}");
        assert!(!place("restored.db").exists() && !place("restored.db.restoring").exists());

        // A log that is left of a removed database is not of the copy.
        fs::write(place("whole"), &whole).expect("written");
        fs::write(place("restored.db-wal"), b"of another database").expect("written");
        let restored = restore(&place("whole"), &place("restored.db"), ".before").await;
        assert_eq!(restored.expect("it is back"), (copied, None));
        assert!(place("restored.db.before-wal").exists() && !place("restored.db-wal").exists());
    }
}
