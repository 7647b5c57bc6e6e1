//! Finds what dead workers left.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::store::{Hint, Rescued, Store};
use crate::task::RetryPolicy;

/// How often leases that ran out are looked for: with a lease of 30 s, a dead worker's task is
/// in the queue again after 32 s at most, and due 2 s later ([`RetryPolicy::spread`]).
pub const RESCUE_EVERY: Duration = Duration::from_secs(2);

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
        let mut found = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(RESCUE_EVERY) => {}
            }
            if found > 0 {
                // What was lost for the first time is due by now: nobody need wait for a poll.
                self.store.hints().tell(Hint::TaskDue);
            }
            found = self.look().await;
        }
    }

    /// Looks until there are no more; returns how many tasks were found.
    async fn look(&self) -> usize {
        let mut all = 0;
        loop {
            match self.store.rescue(&self.policy, rand::random()).await {
                Ok(Rescued { tasks: 0, .. }) => return all,
                Ok(Rescued { tasks, poisoned }) => {
                    tracing::warn!(
                        tasks,
                        poisoned = poisoned.len(),
                        "tasks of lost workers were found"
                    );
                    metrics::RESCUED.add(tasks as u64, &[]);
                    metrics::POISONED.add(poisoned.len() as u64, &[]);
                    all += tasks;
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "no rescue");
                    return all;
                }
            }
        }
    }
}
