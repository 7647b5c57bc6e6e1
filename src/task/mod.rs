//! The unit a worker claims, its stages, its failures and retries.
//!
//! Pure: no clock, no I/O. A job has one task today; a job that is cut into pieces has several.
//! Within one claim a worker passes through [`Stage`]s, which is what a user sees as `tasks`.

mod failure;
mod kind;
mod retry;
mod stage;
mod state;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{JobId, TaskId};

pub use failure::{ErrorKind, Failure, Fault, MAX_LOG_LINES};
pub use kind::Kind;
pub use retry::{MAX_TRIES, Next, RetryPolicy};
pub use stage::{Stage, StageKind, StageStatus, Stages};
pub use state::{InvalidTransition, TaskEvent, TaskState};

/// Which queue a task stands in, so that cheap work never waits behind an hour-long encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Work that takes as long as its input: video, audio, animation.
    Heavy,
    /// Work that takes a moment: images.
    Light,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 2] = [Self::Heavy, Self::Light];

    /// The lane's name in the database and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heavy => "heavy",
            Self::Light => "light",
        }
    }

    /// The lane called `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }
}

/// A row of the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The task's own name.
    pub id: TaskId,
    /// The job it belongs to.
    pub job_id: JobId,
    /// The queue it stands in.
    pub lane: Lane,
    /// Where it is in its life.
    pub state: TaskState,
    /// How often it was claimed; each claim's number fences the writes of all earlier ones.
    pub attempt: u32,
    /// How many of those claims count against [`MAX_TRIES`]; a claim handed back does not.
    pub tries: u32,
    /// What the latest attempt passed through.
    pub stages: Stages,
    /// When it was made.
    pub created_at: Timestamp,
}
