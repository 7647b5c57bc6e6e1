//! `GET /batches/{id}`: the jobs of a batch and how they stand together.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::segment::Segment;
use super::{AppState, Problem};
use crate::clock::Timestamp;
use crate::id::BatchId;
use crate::job::Status;
use crate::job::view::JobView;

/// The wire's Batch.
#[derive(Debug, Serialize)]
pub(super) struct Batch {
    id: BatchId,
    object: &'static str,
    status: Status,
    jobs: Vec<JobView>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// `GET /batches/{id}`.
pub(super) async fn show(
    State(state): State<AppState>,
    Segment(id): Segment,
) -> Result<Json<Batch>, Problem> {
    let id: BatchId = id.parse().map_err(|_| unknown())?;
    let batch = state.store.batch(id).await?.ok_or_else(unknown)?;
    let statuses: Vec<Status> = batch.jobs.iter().map(|job| job.state.status()).collect();
    let status = status(&statuses);
    let last_end = batch.jobs.iter().filter_map(|job| job.state.finished_at()).max();
    Ok(Json(Batch {
        id,
        object: "batch",
        status,
        jobs: batch.jobs.iter().map(|job| state.view(job)).collect(),
        created_at: batch.created_at,
        finished_at: last_end.filter(|_| status.is_final()),
    }))
}

/// How a batch stands: it has ended when every job has, and well only when every job has.
fn status(jobs: &[Status]) -> Status {
    if jobs.iter().all(|status| *status == Status::Queued) {
        Status::Queued
    } else if !jobs.iter().all(|status| status.is_final()) {
        Status::Processing
    } else if jobs.contains(&Status::Failed) {
        Status::Failed
    } else if jobs.contains(&Status::Cancelled) {
        Status::Cancelled
    } else {
        Status::Succeeded
    }
}

fn unknown() -> Problem {
    Problem::not_found("batch_not_found", "there is no batch with this id")
        .hint("ids begin with `batch_`; a batch whose jobs were all deleted is no longer shown")
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
            assert_eq!(status(jobs), expected, "{jobs:?}");
        }
    }
}
