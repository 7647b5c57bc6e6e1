//! Lists: what is asked for, and what comes.

use crate::id::{BatchId, JobId};
use crate::job::{BatchSummary, Job, Kind, Status};

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only these, if any are named.
    pub ids: Vec<JobId>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this status.
    pub status: Option<Status>,
    /// Only jobs whose input has a text in it.
    pub input_has: Option<Search>,
    /// Only jobs of this input, as it was sent.
    pub input: Option<String>,
    /// Only jobs of this batch.
    pub batch_id: Option<BatchId>,
    /// Only jobs that stand after this one in the list's order.
    pub after: Option<JobId>,
    /// Only jobs that stand before this one in the list's order.
    pub before: Option<JobId>,
    /// Oldest first.
    pub ascending: bool,
    /// How many at most.
    pub limit: u32,
}

/// A text that is looked for, the letters from A to Z small or capital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The text.
    pub text: String,
    /// How many jobs are looked through for one page: no index helps here.
    pub at_most: u32,
}

/// A page of jobs in the order asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Whether there are more in the direction of travel.
    pub has_more: bool,
    /// Where a search has ended before its page was full: it goes on after this job.
    pub looked_back_to: Option<JobId>,
}

/// Which batches to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchFilter {
    /// Only batches of this input, as it was sent.
    pub input: Option<String>,
    /// Only batches that stand after this one in the list's order.
    pub after: Option<BatchId>,
    /// Only batches that stand before this one in the list's order.
    pub before: Option<BatchId>,
    /// Oldest first.
    pub ascending: bool,
    /// How many at most.
    pub limit: u32,
}

/// A page of batches in the order asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPage {
    /// The batches.
    pub batches: Vec<BatchSummary>,
    /// Whether there are more in the direction of travel.
    pub has_more: bool,
}

/// Which rows of a list to show, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest<I> {
    /// Only rows older than this one.
    pub after: Option<I>,
    /// Only rows newer than this one.
    pub before: Option<I>,
    /// How many at most.
    pub limit: u32,
}

impl<I> Newest<I> {
    /// The newest of all.
    #[must_use]
    pub const fn up_to(limit: u32) -> Self {
        Self { after: None, before: None, limit }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether there are more in the direction of travel.
    pub has_more: bool,
}
