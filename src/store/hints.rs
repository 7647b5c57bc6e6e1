//! Wake-up calls: never the truth, only a reason to look now instead of at the next poll.

use std::sync::OnceLock;

use tokio::sync::{Notify, broadcast, mpsc};

use crate::id::JobId;

/// How many changes a slow listener may be behind before it misses some and looks for itself.
const BACKLOG: usize = 1024;

/// A wake-up call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// A task has become due.
    TaskDue,
    /// A delivery has become due.
    DeliveryDue,
    /// Somebody wants a running job to stop: beat now.
    CancelAsked,
    /// Something about a job has changed.
    Changed(JobId),
}

/// Wake-up calls from the store, sent after commit.
#[derive(Debug)]
pub struct Hints {
    /// A task has become due.
    pub task_due: Notify,
    /// A delivery has become due.
    pub delivery_due: Notify,
    /// Somebody wants a running job to stop: beat now.
    pub cancel_asked: Notify,
    changed: broadcast::Sender<JobId>,
    outlet: OnceLock<mpsc::Sender<Hint>>,
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            task_due: Notify::new(),
            delivery_due: Notify::new(),
            cancel_asked: Notify::new(),
            changed: broadcast::Sender::new(BACKLOG),
            outlet: OnceLock::new(),
        }
    }
}

impl Hints {
    /// Changes of jobs from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<JobId> {
        self.changed.subscribe()
    }

    /// Wakes up whoever waits for this in this process.
    pub fn wake(&self, hint: Hint) {
        match hint {
            Hint::TaskDue => self.task_due.notify_one(),
            Hint::DeliveryDue => self.delivery_due.notify_one(),
            Hint::CancelAsked => self.cancel_asked.notify_one(),
            Hint::Changed(id) => {
                // No listener is no error.
                let _listeners = self.changed.send(id);
            }
        }
    }

    /// Wakes up whoever waits for this, in this process and, where several share the database,
    /// in the others.
    pub fn tell(&self, hint: Hint) {
        self.wake(hint);
        if let Some(outlet) = self.outlet.get() {
            // A hint that finds no room is not missed for long: everybody polls.
            let _sent = outlet.try_send(hint);
        }
    }

    /// From now on [`Hints::tell`] also sends to `outlet`; the first outlet stands.
    pub(super) fn forward_to(&self, outlet: mpsc::Sender<Hint>) {
        let _first = self.outlet.set(outlet);
    }
}
