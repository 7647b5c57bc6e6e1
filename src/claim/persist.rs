//! Ends are written for as long as they can still be ours.

use tokio::time::{Instant, sleep};

use super::heart::{BEAT, FENCE};
use crate::store::{Settled, StoreResult};

/// Tries to write an end for as long as the lease can still be ours: a database that restarts
/// must not cost an hour's work.
pub async fn persist<F, R>(write: F) -> StoreResult<Settled>
where
    F: Fn() -> R,
    R: Future<Output = StoreResult<Settled>>,
{
    let give_up = Instant::now() + FENCE;
    loop {
        match write().await {
            Err(error) if Instant::now() < give_up => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an end is written again");
                sleep(BEAT / 5).await;
            }
            settled => return settled,
        }
    }
}
