//! The life of a job, as a table.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::File;
use crate::clock::Timestamp;
use crate::task::Failure;

/// A job's state by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted, not begun or to be tried again.
    Queued,
    /// In a worker's hands.
    Processing,
    /// Its outputs are there.
    Succeeded,
    /// Given up, with a reason.
    Failed,
    /// No longer wanted.
    Cancelled,
}

impl Status {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Processing, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The status's name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status called `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether a job in it will change no more by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How a job stands, with what is known only then.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the wire's Job")]
pub enum JobState {
    /// Accepted; `started_at` is set when an earlier attempt had begun.
    Queued { started_at: Option<Timestamp> },
    /// In the hands of a worker, or of a provider.
    Processing { started_at: Timestamp },
    /// Its outputs are there, at least one.
    Succeeded { started_at: Timestamp, finished_at: Timestamp, outputs: Vec<File> },
    /// Given up.
    Failed { started_at: Option<Timestamp>, finished_at: Timestamp, failure: Failure },
    /// No longer wanted.
    Cancelled { started_at: Option<Timestamp>, finished_at: Timestamp },
}

/// What happens to a job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobEvent {
    /// A worker claimed one of its tasks.
    Started,
    /// The attempt ended without an end of the job: it will be tried again, or was handed back.
    Requeued,
    /// The last task ended well.
    Succeeded(Vec<File>),
    /// A task failed for good.
    Failed(Failure),
    /// Nobody wants it any more.
    Cancelled,
    /// A person asked to try it again.
    Reopened,
}

/// An event that cannot happen in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {} cannot be {event}", status.name())]
pub struct InvalidTransition {
    /// How the job stands.
    pub status: Status,
    /// What was tried.
    pub event: &'static str,
}

impl JobState {
    /// The state after `event` at the moment `at`.
    ///
    /// # Errors
    ///
    /// The event cannot happen in this state.
    pub fn on(self, event: JobEvent, at: Timestamp) -> Result<Self, InvalidTransition> {
        use JobEvent as E;
        use JobState as S;
        let status = self.status();
        let started_at = self.started_at();
        let finished_at = at;
        Ok(match (self, event) {
            (S::Queued { .. } | S::Processing { .. }, E::Started) => {
                S::Processing { started_at: started_at.unwrap_or(at) }
            }
            (S::Processing { .. }, E::Requeued) => S::Queued { started_at },
            (S::Processing { started_at }, E::Succeeded(outputs)) => {
                S::Succeeded { started_at, finished_at, outputs }
            }
            (S::Queued { .. } | S::Processing { .. }, E::Failed(failure)) => {
                S::Failed { started_at, finished_at, failure }
            }
            (S::Queued { .. } | S::Processing { .. }, E::Cancelled) => {
                S::Cancelled { started_at, finished_at }
            }
            (S::Failed { .. } | S::Cancelled { .. }, E::Reopened) => S::Queued { started_at: None },
            (_, event) => return Err(InvalidTransition { status, event: event.name() }),
        })
    }

    /// The state's name.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Queued { .. } => Status::Queued,
            Self::Processing { .. } => Status::Processing,
            Self::Succeeded { .. } => Status::Succeeded,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// When a worker first took the job.
    #[must_use]
    pub const fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Processing { started_at } | Self::Succeeded { started_at, .. } => {
                Some(*started_at)
            }
            Self::Queued { started_at }
            | Self::Failed { started_at, .. }
            | Self::Cancelled { started_at, .. } => *started_at,
        }
    }

    /// When the job ended.
    #[must_use]
    pub const fn finished_at(&self) -> Option<Timestamp> {
        match self {
            Self::Queued { .. } | Self::Processing { .. } => None,
            Self::Succeeded { finished_at, .. }
            | Self::Failed { finished_at, .. }
            | Self::Cancelled { finished_at, .. } => Some(*finished_at),
        }
    }

    /// The files that were made.
    #[must_use]
    pub fn outputs(&self) -> &[File] {
        match self {
            Self::Succeeded { outputs, .. } => outputs,
            _ => &[],
        }
    }

    /// Why the job failed.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

impl JobEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Requeued => "requeued",
            Self::Succeeded(_) => "finished",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
            Self::Reopened => "retried",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::task::ErrorKind;

    #[test]
    fn every_state_meets_every_event() {
        let (started_at, finished_at) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        let failure = Failure::new(ErrorKind::InputCorrupt, "broken");
        let states = [
            JobState::Queued { started_at: None },
            JobState::Queued { started_at: Some(started_at) },
            JobState::Processing { started_at },
            JobState::Succeeded { started_at, finished_at, outputs: vec![] },
            JobState::Failed { started_at: None, finished_at, failure: failure.clone() },
            JobState::Cancelled { started_at: None, finished_at },
        ];
        let events = [
            JobEvent::Started,
            JobEvent::Requeued,
            JobEvent::Succeeded(vec![]),
            JobEvent::Failed(failure),
            JobEvent::Cancelled,
            JobEvent::Reopened,
        ];
        let mut table = String::new();
        for state in &states {
            for event in &events {
                let next = state
                    .clone()
                    .on(event.clone(), Timestamp::from_millis(9))
                    .map_or_else(|error| error.to_string(), |next| format!("{next:?}"));
                writeln!(table, "{state:?} + {} = {next}", event.name()).expect("a string");
            }
        }
        insta::assert_snapshot!(table);
    }
}
