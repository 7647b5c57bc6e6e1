//! Removes what nobody refers to any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::output::{Storage, StorageError};
use crate::store::{Store, StoreError, StoreResult};

/// How often is swept.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// How many prefixes are removed in one go.
const BATCH: u32 = 100;

/// How long an idempotency key is kept (wire.md section 2: at least 24 h).
const KEEP_KEYS: Duration = Duration::from_hours(48);

/// How many batches of old jobs are looked at in one go; the next sweep goes on.
const ROUNDS: u32 = 20;

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Jobs that have ended and have no outputs (any more); for ever when not said.
    pub jobs: Option<Duration>,
    /// Outputs after their job has ended; for ever when not said.
    pub outputs: Option<Duration>,
    /// Deliveries that have ended, for replay.
    pub deliveries: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            jobs: Some(Duration::from_hours(90 * 24)),
            outputs: None,
            // wire.md section 4.
            deliveries: Duration::from_hours(30 * 24),
        }
    }
}

/// Removes outputs of deleted jobs and lost attempts, and forgets what has had its time.
#[derive(Debug)]
pub struct Sweeper {
    /// Says what may go.
    pub store: Arc<dyn Store>,
    /// Where it lies.
    pub storage: Storage,
    /// How long things are kept.
    pub retention: Retention,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why a sweep ended early; the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Sweeper {
    /// Sweeps until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.sweep().await {
                tracing::error!(error = &error as &dyn std::error::Error, "the sweep ended early");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(SWEEP_EVERY) => {}
            }
        }
    }

    /// Sweeps once.
    ///
    /// # Errors
    ///
    /// The store or the storage cannot be reached.
    pub async fn sweep(&self) -> Result<(), SweepError> {
        let now = self.clock.now();
        if let Some(keep) = self.retention.outputs {
            let gone = again(|| self.store.expire_outputs(now.minus(keep), BATCH)).await?;
            told(gone, "outputs have had their time");
        }
        let gone = again(|| self.store.expire_uploads(BATCH)).await?;
        told(gone, "uploads have had their time");
        let removed = self.remove_garbage().await;
        self.store.tidy(now.minus(KEEP_KEYS), now.minus(self.retention.deliveries)).await?;
        if let Some(keep) = self.retention.jobs {
            let gone = again(|| self.store.forget_jobs(now.minus(keep), BATCH)).await?;
            told(gone, "jobs have had their time");
        }
        removed
    }

    /// Removes all that can be: one prefix that the storage does not let go of keeps no other.
    async fn remove_garbage(&self) -> Result<(), SweepError> {
        let mut outcome = Ok(());
        for garbage in self.store.garbage(BATCH).await? {
            match self.storage.remove(&garbage.prefix).await {
                Ok(objects) => {
                    self.store.garbage_removed(&garbage).await?;
                    tracing::debug!(prefix = garbage.prefix, objects, "removed garbage");
                }
                Err(error) => outcome = Err(error.into()),
            }
        }
        outcome
    }
}

/// Goes on in small transactions while there is more, so that no other verb waits for long.
async fn again<R>(verb: impl Fn() -> R) -> StoreResult<u64>
where
    R: Future<Output = StoreResult<u64>>,
{
    let mut all = 0;
    for _ in 0..ROUNDS {
        let gone = verb().await?;
        all += gone;
        if gone < u64::from(BATCH) {
            break;
        }
    }
    Ok(all)
}

fn told(count: u64, message: &'static str) {
    if count > 0 {
        tracing::info!(count, "{message}");
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::sql::SqlStore;

    #[tokio::test]
    async fn a_prefix_that_cannot_be_removed_keeps_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let (database, files) = (folder.path().join("reelway.db"), folder.path().join("files"));
        let clock = Arc::new(SystemClock);
        let store = SqlStore::sqlite(&database, clock.clone()).await.expect("a database");
        let storage = Storage::local(&files).expect("a storage");
        std::fs::create_dir_all(files.join("job_1/1")).expect("a folder");
        std::fs::write(files.join("job_1/1/video.mp4"), "left").expect("a file");
        let url = format!("sqlite://{}", database.display());
        let mut connection = SqliteConnection::connect(&url).await.expect("the database");
        // The first is no key of any storage.
        let text = "insert into garbage (prefix, not_before) values ('../etc', 0), ('job_1/1', 1)";
        sqlx::query(text).execute(&mut connection).await.expect("written");

        let sweeper =
            Sweeper { store: Arc::new(store), storage, retention: Retention::default(), clock };
        let swept = sweeper.sweep().await;
        assert!(matches!(swept, Err(SweepError::Storage(_))), "{swept:?}");
        assert!(!files.join("job_1/1/video.mp4").exists());
        let left: Vec<String> = sqlx::query_scalar("select prefix from garbage")
            .fetch_all(&mut connection)
            .await
            .expect("the rest");
        assert_eq!(left, ["../etc"]);
    }
}
