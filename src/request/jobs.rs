//! `/jobs`: the media API's way in, and what can be done with a job afterwards.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout, timeout_at};

use super::accept::{Acceptance, accept};
use super::body::Sent;
use super::list::{self, Listing};
use super::may::{Reads, Writes};
use super::openapi::{
    IdempotencyKey, JobQuery, JobRequest, NoJob, NotAccepted, NotRetryable, WrongQuery,
};
use super::segment::Segment;
use super::submit::{self, Rules};
use super::{AppState, Problem, buckets, kept};
use crate::id::{JobId, JobTag, fresh};
use crate::job::Job;
use crate::job::view::JobView;
use crate::store::{CancelOutcome, StoreError};

/// How often a job is looked at beside the hints: another process may do the work.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// `POST /jobs`.
#[utoipa::path(
    post,
    path = "/jobs",
    tag = "Jobs",
    operation_id = "createJob",
    summary = "Create a job",
    description = "Fetches the input, makes what is asked of it, keeps it and pushes the end to \
                   `webhook_url`.",
    security(("key" = ["jobs:write"])),
    params(IdempotencyKey),
    request_body = JobRequest,
    responses(
        (
            status = 201,
            description = "The job, on disk.",
            body = JobView,
            headers(("Location" = String, description = "The path of the job.")),
            links(
                ("job" = (operation_id = "getJob", parameters(("id" = "$response.body#/id")))),
                ("cancel" = (operation_id = "cancelJob", parameters(("id" = "$response.body#/id")))),
                ("retry" = (operation_id = "retryJob", parameters(("id" = "$response.body#/id")))),
                ("delete" = (operation_id = "deleteJob", parameters(("id" = "$response.body#/id")))),
            ),
        ),
        (
            status = 200,
            description = "The job as it was first answered: its `Idempotency-Key` is known.",
            body = JobView,
            headers(("Idempotency-Replayed" = String, description = "Always `true`.")),
        ),
        NotAccepted,
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Writes(caller): Writes,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, Problem> {
    let spec = submit::one(&sent.object, None, &Rules::of(&state, &headers))?;
    buckets::check_connection(&state, &caller, [&spec]).await?;
    kept::check_input(&state, &caller, [&spec]).await?;
    let now = state.clock.now();
    let job = Job::accepted(fresh(now), None, spec, now);
    let acceptance = Acceptance {
        route: "/jobs",
        caller,
        status: StatusCode::CREATED,
        location: Some(format!("/jobs/{}", job.id)),
        answer: serde_json::to_string(&state.view(&job)).map_err(Problem::internal)?,
        jobs: vec![job],
    };
    accept(&state, &headers, &sent.bytes, acceptance).await
}

/// `GET /jobs`: a bare list, with the ways on in the headers.
#[utoipa::path(
    get,
    path = "/jobs",
    tag = "Jobs",
    operation_id = "listJobs",
    summary = "List jobs",
    description = "Newest first, a page at a time. Follow `Link` from page to page: no job that is \
                   there all the while is shown twice or left out.",
    security(("key" = ["jobs:read"])),
    params(JobQuery),
    responses(
        (
            status = 200,
            description = "The jobs.",
            body = [JobView],
            headers(
                ("Has-More" = bool, description = "Whether there are more in the direction of travel."),
                ("Link" = Option<String>, description = "RFC 8288: the `next` and the `prev` page."),
            ),
        ),
        WrongQuery,
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Reads(caller): Reads,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = Listing::parse(query.as_deref().unwrap_or_default())?;
    let page = state.store.jobs(&caller.project, &listing.filter).await?;
    let jobs: Vec<JobView> = page.jobs.iter().map(|job| state.view(job)).collect();
    list::answer(&jobs, page.has_more, listing.links(&page))
}

/// `GET /jobs/{id}`.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    tag = "Jobs",
    operation_id = "getJob",
    summary = "Get a job",
    description = "How it stands, with its stages and fresh links to its files.",
    security(("key" = ["jobs:read"])),
    params(("id" = JobTag, Path, description = "The job.")),
    responses((status = 200, description = "The job.", body = JobView), NoJob),
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Reads(caller): Reads,
    Segment(id): Segment,
) -> Result<Json<JobView>, Problem> {
    let job = state.store.job(&caller.project, job_id(&id)?).await?.ok_or_else(unknown)?;
    Ok(Json(state.view(&job)))
}

/// `POST /jobs/{id}/cancel`: the job as it is when it has stopped, or when patience has run out.
///
/// A job that has ended already is answered unchanged: to ask twice is no error.
#[utoipa::path(
    post,
    path = "/jobs/{id}/cancel",
    tag = "Jobs",
    operation_id = "cancelJob",
    summary = "Cancel a job",
    description = "Stops it, running or not, and waits a moment for it. A job that has ended is \
                   answered unchanged.",
    security(("key" = ["jobs:write"])),
    params(("id" = JobTag, Path, description = "The job.")),
    responses((status = 200, description = "The job as it is now.", body = JobView), NoJob),
)]
pub(super) async fn cancel(
    State(state): State<AppState>,
    Writes(caller): Writes,
    Segment(id): Segment,
) -> Result<Json<JobView>, Problem> {
    let id = job_id(&id)?;
    // Listens before it asks, or the answer could come between.
    let changes = state.store.hints().changes();
    let job = match state.store.cancel(&caller.project, id).await? {
        CancelOutcome::Unknown => return Err(unknown()),
        CancelOutcome::Cancelled(job) | CancelOutcome::AlreadyEnded(job) => *job,
        CancelOutcome::Asked(job) => ended(&state, changes, *job).await?,
    };
    Ok(Json(state.view(&job)))
}

/// The job once it has ended, or as it is after the longest wait.
async fn ended(
    state: &AppState,
    mut changes: Receiver<JobId>,
    mut job: Job,
) -> Result<Job, Problem> {
    let patience = Instant::now() + state.limits.cancel_wait;
    while !job.state.status().is_final() && !state.shutdown.is_cancelled() {
        let look = timeout(LOOK_EVERY, changed(&mut changes, job.id));
        if timeout_at(patience, look).await.is_err() {
            break;
        }
        job = state.store.job(&job.project, job.id).await?.ok_or_else(unknown)?;
    }
    Ok(job)
}

/// Waits for a hint that the job has changed; a hint that was missed counts as one.
pub(super) async fn changed(changes: &mut Receiver<JobId>, id: JobId) {
    loop {
        match changes.recv().await {
            Ok(other) if other != id => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            // The store is gone and will tell nothing more: the caller's own poll has to do.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// `POST /jobs/{id}/retry`: back into the queue with all its tries.
#[utoipa::path(
    post,
    path = "/jobs/{id}/retry",
    tag = "Jobs",
    operation_id = "retryJob",
    summary = "Retry a job",
    description = "Puts a failed or cancelled job back into the queue, with all its tries.",
    security(("key" = ["jobs:write"])),
    params(("id" = JobTag, Path, description = "The job.")),
    responses(
        (status = 200, description = "The job, queued.", body = JobView),
        NoJob,
        NotRetryable,
    ),
)]
pub(super) async fn retry(
    State(state): State<AppState>,
    Writes(caller): Writes,
    Segment(id): Segment,
) -> Result<Json<JobView>, Problem> {
    match state.store.retry(&caller.project, job_id(&id)?).await {
        Ok(Some(job)) => Ok(Json(state.view(&job))),
        Ok(None) => Err(unknown()),
        Err(StoreError::Transition(refused)) => {
            Err(Problem::new(StatusCode::CONFLICT, "job_not_retryable", refused.to_string())
                .hint("only a failed or cancelled job can be retried; submit it again instead"))
        }
        Err(error) => Err(error.into()),
    }
}

/// `DELETE /jobs/{id}`: stops it if it runs, removes its outputs, shows it to nobody any more.
#[utoipa::path(
    delete,
    path = "/jobs/{id}",
    tag = "Jobs",
    operation_id = "deleteJob",
    summary = "Delete a job",
    description = "Stops it if it runs and removes its outputs. Files in a bucket of your own stay.",
    security(("key" = ["jobs:write"])),
    params(("id" = JobTag, Path, description = "The job.")),
    responses((status = 204, description = "It is gone."), NoJob),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    Writes(caller): Writes,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    state.store.delete(&caller.project, job_id(&id)?).await?.ok_or_else(unknown)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is no id of a job is the id of no job.
pub(super) fn job_id(text: &str) -> Result<JobId, Problem> {
    text.parse().map_err(|_| unknown())
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("job_not_found", "there is no job with this id")
        .hint("ids begin with `job_`; a deleted job is no longer shown")
}
