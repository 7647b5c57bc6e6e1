//! Jobs that were submitted together, and how they stand as one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::JobView;
use super::{Job, Status};
use crate::clock::Timestamp;
use crate::id::{BatchId, BatchTag};

/// Jobs that were submitted together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// Its jobs, in the order in which they were sent, without those that were deleted.
    pub jobs: Vec<Job>,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// A batch without its jobs: how many there are and how they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSummary {
    /// Its name.
    pub id: BatchId,
    /// How its jobs stand.
    pub counts: Counts,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When the last of its jobs that have ended did.
    pub last_end: Option<Timestamp>,
}

/// How many jobs there are of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "each name says it all")]
pub struct Counts {
    pub queued: u32,
    pub processing: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub cancelled: u32,
}

/// Jobs that were submitted together, and how they stand as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Batch)]
pub struct BatchView {
    /// The batch's name.
    #[schema(value_type = BatchTag)]
    pub id: BatchId,
    /// Always `batch`.
    #[schema(pattern = "^batch$")]
    pub object: String,
    /// It ends when the last job does, and only as well as the worst of them.
    pub status: Status,
    /// How its jobs stand.
    pub counts: Counts,
    /// Its jobs, in the order in which they were sent; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jobs: Option<Vec<JobView>>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When the last of them ended.
    #[schema(required = true)]
    pub finished_at: Option<Timestamp>,
}

impl Counts {
    /// The counts of these.
    #[must_use]
    pub fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        let mut counts = Self::default();
        for status in statuses {
            counts.add(status, 1);
        }
        counts
    }

    /// So many more of a status.
    pub const fn add(&mut self, status: Status, jobs: u32) {
        let count = match status {
            Status::Queued => &mut self.queued,
            Status::Processing => &mut self.processing,
            Status::Succeeded => &mut self.succeeded,
            Status::Failed => &mut self.failed,
            Status::Cancelled => &mut self.cancelled,
        };
        *count = count.saturating_add(jobs);
    }

    /// How a batch of such jobs stands: it has ended when every job has, and well only when every
    /// job has.
    #[must_use]
    pub const fn status(self) -> Status {
        let Self { queued, processing, succeeded, failed, cancelled } = self;
        if processing + succeeded + failed + cancelled == 0 {
            Status::Queued
        } else if queued + processing > 0 {
            Status::Processing
        } else if failed > 0 {
            Status::Failed
        } else if cancelled > 0 {
            Status::Cancelled
        } else {
            Status::Succeeded
        }
    }
}

impl BatchView {
    /// The batch with storage keys in the place of links.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        let counts = Counts::of(batch.jobs.iter().map(|job| job.state.status()));
        let last_end = batch.jobs.iter().filter_map(|job| job.state.finished_at()).max();
        let jobs = batch.jobs.iter().map(JobView::of).collect();
        let summary = BatchSummary { id: batch.id, counts, created_at: batch.created_at, last_end };
        Self { jobs: Some(jobs), ..Self::brief(&summary) }
    }

    /// The batch as a row of a list.
    #[must_use]
    pub fn brief(batch: &BatchSummary) -> Self {
        let status = batch.counts.status();
        Self {
            id: batch.id,
            object: "batch".to_owned(),
            status,
            counts: batch.counts,
            jobs: None,
            created_at: batch.created_at,
            finished_at: batch.last_end.filter(|_| status.is_final()),
        }
    }

    /// The view with every storage key replaced by the link that `link` makes of it.
    #[must_use]
    pub fn linked(mut self, link: impl Fn(&str) -> String) -> Self {
        let linked = |jobs: Vec<JobView>| jobs.into_iter().map(|job| job.linked(&link)).collect();
        self.jobs = self.jobs.map(linked);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_with_its_last_job_and_as_badly_as_the_worst() {
        use Status::{Cancelled, Failed, Processing, Queued, Succeeded};
        for (jobs, expected) in [
            (&[Queued, Queued][..], Queued),
            (&[Queued, Succeeded], Processing),
            (&[Failed, Processing], Processing),
            (&[Succeeded, Succeeded], Succeeded),
            (&[Succeeded, Cancelled], Cancelled),
            (&[Succeeded, Cancelled, Failed], Failed),
        ] {
            assert_eq!(Counts::of(jobs.iter().copied()).status(), expected, "{jobs:?}");
        }
    }
}
