//! The heartbeat of a worker: one statement for all its leases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::hold::{Held, Hold, Interrupt, lock};
use crate::clock::Clock;
use crate::id::TaskId;
use crate::store::{BeatReply, Lease, Store};

/// How often leases are renewed (DESIGN.md section 3, decision 3).
pub const BEAT: Duration = Duration::from_secs(5);

/// How often progress is carried up while there is some; it goes with the heartbeat.
const NEWS: Duration = Duration::from_secs(1);

/// How long after the last renewal a worker stops its own work: well before the store gives the
/// task to another.
pub const FENCE: Duration = Duration::from_secs(20);

/// How long the store may take to answer a beat.
pub(super) const ANSWER: Duration = Duration::from_secs(4);

/// A claim of a task: a worker can get back a task that it lost while its own older attempt at it
/// winds down.
pub(super) type Attempt = (TaskId, u32);

/// Keeps every lease of this process, from a task of its own, also while it drains.
#[derive(Debug)]
pub struct Heart {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    held: Mutex<HashMap<Attempt, Arc<Hold>>>,
    /// Cancelled when this process ends and all work has to stop.
    end: CancellationToken,
}

impl Heart {
    /// A heart that holds nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { store, clock, held: Mutex::default(), end: CancellationToken::new() })
    }

    /// Beats for a lease that was asked for at `since`, until the answer is dropped.
    pub fn hold(self: &Arc<Self>, lease: &Lease, since: Instant) -> Held {
        let hold = Arc::new(Hold::new(lease, since, self.clock.clone()));
        lock(&self.held).insert(hold.attempt(), hold.clone());
        Held { hold, heart: self.clone(), span: Span::none() }
    }

    /// Cancelled when this process ends: for work that has a lease of another kind.
    pub(super) const fn end(&self) -> &CancellationToken {
        &self.end
    }

    pub(super) fn let_go(&self, attempt: Attempt) {
        lock(&self.held).remove(&attempt);
    }

    /// Tells all work to stop.
    pub fn interrupt_all(&self, why: Interrupt) {
        if why == Interrupt::Shutdown {
            self.end.cancel();
        }
        for hold in self.holds() {
            hold.interrupt(why);
        }
    }

    /// Beats until `end`.
    pub async fn run(&self, end: CancellationToken) {
        let mut ticks = interval(NEWS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                () = end.cancelled() => return,
                _ = ticks.tick() => false,
                () = self.store.hints().cancel_asked.notified() => true,
            };
            // By the age of each lease: one that could not be renewed is tried again every
            // second, so that neither the store's return nor the lease's time is missed.
            let is_due = |hold: &Arc<Hold>| hold.has_news() || hold.renewed_at().elapsed() >= BEAT;
            if asked || self.holds().iter().any(is_due) {
                self.beat().await;
            }
        }
    }

    /// Renews every lease once; gives up those that could not be renewed for [`FENCE`].
    pub async fn beat(&self) {
        let holds = self.holds();
        if holds.is_empty() {
            return;
        }
        let sent = Instant::now();
        let beats: Vec<_> = holds.iter().map(|hold| hold.beat()).collect();
        match timeout(ANSWER, self.store.beat(&beats)).await {
            Ok(Ok(replies)) => {
                for (hold, reply) in holds.iter().zip(replies) {
                    heed(hold, reply, sent);
                }
            }
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the heartbeat failed");
            }
            Err(_) => tracing::error!("the store did not answer the heartbeat in time"),
        }
        fence(&holds);
    }

    fn holds(&self) -> Vec<Arc<Hold>> {
        lock(&self.held).values().cloned().collect()
    }
}

fn heed(hold: &Hold, reply: BeatReply, sent: Instant) {
    match reply {
        BeatReply::Held => hold.renewed(sent),
        BeatReply::CancelAsked => {
            hold.renewed(sent);
            hold.interrupt(Interrupt::Cancelled);
        }
        BeatReply::Lost => hold.interrupt(Interrupt::Lost),
    }
}

/// A store that is away must not keep two workers at one task: the old one stops first.
fn fence(holds: &[Arc<Hold>]) {
    for hold in holds {
        if hold.renewed_at().elapsed() >= FENCE && hold.interrupted().is_none() {
            tracing::error!(task.id = %hold.task(), "the lease could not be renewed; the work is stopped");
            hold.interrupt(Interrupt::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::id::fresh;
    use crate::store::sql::SqlStore;

    #[tokio::test]
    async fn the_end_of_an_older_attempt_lets_a_newer_one_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1)));
        let store = SqlStore::sqlite(&folder.path().join("reelway.db"), clock.clone()).await;
        let heart = Heart::new(Arc::new(store.expect("a store")), clock.clone());
        let lease = |attempt| Lease {
            task: "task_01kath67r8e0h8qxqmfqdt2ktq".parse().expect("an id"),
            job: "job_01kath62w0e0s9z2n7h9rj3c0k".parse().expect("an id"),
            worker: fresh(clock.now()),
            attempt,
        };
        let older = heart.hold(&lease(1), Instant::now());
        let newer = heart.hold(&lease(2), Instant::now());
        drop(older);
        let held: Vec<_> = heart.holds().iter().map(|hold| hold.attempt().1).collect();
        assert_eq!(held, [2]);
        drop(newer);
        assert!(heart.holds().is_empty());
    }
}
