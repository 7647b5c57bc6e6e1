//! What is said between the store and whoever speaks with a provider.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::RemoteFile;
use crate::task::Failure;

/// A provider's word about one of its jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// What the provider calls the job.
    pub provider_id: String,
    /// Which job of ours it is, when the provider gave back what it was sent along.
    pub of: Option<HandOver>,
    /// When it was so, by the provider's own clock; none when it is so now.
    pub at: Option<Timestamp>,
    /// How the job stands.
    pub standing: Standing,
}

/// One hand-over of a job: a job that is tried again after its end is handed over anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// The job.
    pub job: JobId,
    /// How many events it had had by then.
    pub seq: u32,
}

/// How a job stands with its provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody can tell from this word: the provider has to be asked.
    Unproven,
    /// It waits or is being made.
    UnderWay {
        /// Per cent, when it was told.
        progress: Option<f32>,
    },
    /// Its outputs are there.
    Succeeded {
        /// At least one.
        outputs: Vec<RemoteFile>,
    },
    /// It has failed.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Somebody cancelled it there.
    Cancelled,
}

impl Standing {
    /// Whether it will change no more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Failed { .. } | Self::Cancelled)
    }
}

impl Word {
    /// Whether it says more than `known` does: an end is never taken back, and what was so earlier
    /// does not replace what was so later.
    #[must_use]
    pub fn replaces(&self, known: &Self) -> bool {
        let is_older = self.at.zip(known.at).is_some_and(|(new, old)| new < old);
        !known.standing.is_final() && !is_older
    }
}

/// What became of a [`Word`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is in the job now.
    Noted,
    /// It was known, or older than what is known, or about a job that has ended.
    Stale,
    /// The provider's job is not known, or not yet: the word is kept.
    Kept,
}

/// A job that its provider should be spoken to about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// What the provider calls it.
    pub provider_id: String,
    /// What we call it.
    pub job: JobId,
    /// That nobody wants it any more, when that is what the provider is to be told.
    pub unwanted: Option<Unwanted>,
    /// How often in a row the provider did not know it or could not be told.
    pub missed: u32,
    /// For how long the provider has had it.
    pub away_for: Duration,
}

/// What is to be done with a provider's job that nobody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// It is to be stopped.
    Cancel,
    /// It is to be removed with its outputs.
    Delete,
}

impl Unwanted {
    /// The wish's name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Delete => "delete",
        }
    }

    /// The wish called `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Cancel, Self::Delete].into_iter().find(|unwanted| unwanted.name() == name)
    }
}

/// What follows after a provider was spoken to and no end was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is spoken to again after this long.
    AgainIn(Duration),
    /// The same, and it is counted that this was in vain.
    MissedAgainIn(Duration),
    /// There is nothing more to say.
    Done,
}
