//! Removes what nobody refers to any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::output::{Storage, StorageError};
use crate::store::{Store, StoreError};

/// How often is swept.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// How many prefixes are removed in one go.
const BATCH: u32 = 100;

/// How long an idempotency key is kept (wire.md section 2: at least 24 h).
const KEEP_KEYS: Duration = Duration::from_hours(48);

/// How long a delivery that has ended is kept for replay (wire.md section 4).
const KEEP_DELIVERIES: Duration = Duration::from_hours(30 * 24);

/// Removes outputs of deleted jobs and lost attempts, and forgets what has had its time.
#[derive(Debug)]
pub struct Sweeper {
    /// Says what may go.
    pub store: Arc<dyn Store>,
    /// Where it lies.
    pub storage: Storage,
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
        for garbage in self.store.garbage(BATCH).await? {
            let objects = self.storage.remove(&garbage.prefix).await?;
            self.store.garbage_removed(&garbage).await?;
            tracing::debug!(prefix = garbage.prefix, objects, "removed what nobody refers to");
        }
        let now = self.clock.now();
        self.store.tidy(now.minus(KEEP_KEYS), now.minus(KEEP_DELIVERIES)).await?;
        Ok(())
    }
}
