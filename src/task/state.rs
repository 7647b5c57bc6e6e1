//! The life of a task, as a table.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Other tasks must end first.
    Waiting,
    /// May be claimed from `run_at` on.
    Queued {
        /// Not before this moment.
        run_at: Timestamp,
    },
    /// In a worker's hands.
    Processing,
    /// With a provider, which makes it in place of a worker: nobody holds a lease.
    Away,
    /// Done.
    Succeeded,
    /// Given up.
    Failed,
    /// No longer wanted.
    Cancelled,
}

/// What happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// The last task it waited for has ended well.
    Released,
    /// A worker took it.
    Claimed,
    /// A provider took it from the worker.
    HandedOver,
    /// The worker, or the provider, finished it.
    Finished,
    /// The worker failed, or was lost, and it will be tried again.
    Retried {
        /// Not before this moment.
        run_at: Timestamp,
    },
    /// The worker or the provider failed, or was lost, for good.
    Failed,
    /// The worker handed it back untouched.
    HandedBack,
    /// Nobody wants it any more.
    Cancelled,
    /// A person asked to try an ended task again.
    Reopened,
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task cannot be {event:?} while it is {state:?}")]
pub struct InvalidTransition {
    state: TaskState,
    event: TaskEvent,
}

impl TaskState {
    /// The state after `event` at the moment `at`.
    ///
    /// # Errors
    ///
    /// The event cannot happen in this state.
    pub fn on(self, event: TaskEvent, at: Timestamp) -> Result<Self, InvalidTransition> {
        use TaskEvent as E;
        use TaskState as S;
        Ok(match (self, event) {
            (S::Waiting, E::Released)
            | (S::Processing, E::HandedBack)
            | (S::Failed | S::Cancelled, E::Reopened) => S::Queued { run_at: at },
            (S::Processing, E::Retried { run_at }) => S::Queued { run_at },
            (S::Queued { run_at }, E::Claimed) if run_at <= at => S::Processing,
            (S::Processing, E::HandedOver) => S::Away,
            (S::Processing | S::Away, E::Finished) => S::Succeeded,
            (S::Processing | S::Away, E::Failed) => S::Failed,
            (S::Waiting | S::Queued { .. } | S::Processing | S::Away, E::Cancelled) => S::Cancelled,
            (state, event) => return Err(InvalidTransition { state, event }),
        })
    }

    /// The state's name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting | Self::Away => "waiting",
            Self::Queued { .. } => "queued",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_state_meets_every_event() {
        let now = Timestamp::from_millis(100);
        let later = Timestamp::from_millis(200);
        let states = [
            TaskState::Waiting,
            TaskState::Queued { run_at: now },
            TaskState::Queued { run_at: later },
            TaskState::Processing,
            TaskState::Away,
            TaskState::Succeeded,
            TaskState::Failed,
            TaskState::Cancelled,
        ];
        let events = [
            TaskEvent::Released,
            TaskEvent::Claimed,
            TaskEvent::HandedOver,
            TaskEvent::Finished,
            TaskEvent::Retried { run_at: later },
            TaskEvent::Failed,
            TaskEvent::HandedBack,
            TaskEvent::Cancelled,
            TaskEvent::Reopened,
        ];
        let mut table = String::new();
        for state in states {
            for event in events {
                let next = state.on(event, now).map_or("-".to_owned(), |next| format!("{next:?}"));
                writeln!(table, "{state:?} + {event:?} = {next}").expect("a string");
            }
        }
        insta::assert_snapshot!(table);
    }
}
