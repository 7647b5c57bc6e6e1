//! Finds what dead workers left.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::Store;
use crate::task::RetryPolicy;

/// How often leases that ran out are looked for: with a lease of 30 s, a dead worker's task is
/// in the queue again after 35 s at most.
pub const RESCUE_EVERY: Duration = Duration::from_secs(5);

/// Puts tasks back whose worker was lost, or fails them when that happened too often.
#[derive(Debug)]
pub struct Rescuer {
    /// Where the tasks are.
    pub store: Arc<dyn Store>,
    /// How often a task may be lost.
    pub policy: RetryPolicy,
}

impl Rescuer {
    /// Looks until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(RESCUE_EVERY) => {}
            }
            match self.store.rescue(&self.policy, rand::random()).await {
                Ok(0) => {}
                Ok(tasks) => tracing::warn!(tasks, "tasks of lost workers were found"),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "no rescue");
                }
            }
        }
    }
}
