//! Wake-up calls: never the truth, only a reason to look now instead of at the next poll.

use tokio::sync::{Notify, broadcast};

use crate::id::JobId;

/// How many changes a slow listener may be behind before it misses some and looks for itself.
const BACKLOG: usize = 1024;

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
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            task_due: Notify::new(),
            delivery_due: Notify::new(),
            cancel_asked: Notify::new(),
            changed: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Hints {
    /// Tells that something about a job has changed.
    pub fn changed(&self, id: JobId) {
        // No listener is no error.
        let _listeners = self.changed.send(id);
    }

    /// Changes of jobs from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<JobId> {
        self.changed.subscribe()
    }
}
