//! Valid jobs onto the disk, all of a request or none, once however often it is sent.

use std::sync::Arc;

use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tracing::{Instrument as _, info_span};

use super::{AppState, Problem, idempotency};
use crate::access::Caller;
use crate::job::{Job, Owner};
use crate::store::{Idempotency, StoreResult, Submission, Submitted};
use crate::trace;

/// When to come back after the queue was full.
const QUEUE_FULL_RETRY_SECS: u32 = 10;

/// What to write and what to answer when it is written.
pub(super) struct Acceptance {
    /// The route that was called: an `Idempotency-Key` is good for one route.
    pub(super) route: &'static str,
    /// Whose jobs they are.
    pub(super) caller: Caller,
    /// At least one.
    pub(super) jobs: Vec<Job>,
    /// The status of the answer.
    pub(super) status: StatusCode,
    /// The path of what was made.
    pub(super) location: Option<String>,
    /// The answer, JSON.
    pub(super) answer: String,
}

/// Writes the jobs. The answer leaves only when they are on disk.
pub(super) async fn accept(
    state: &AppState,
    headers: &HeaderMap,
    body: &[u8],
    acceptance: Acceptance,
) -> Result<Response, Problem> {
    let Acceptance { route, caller, jobs, status, location, answer } = acceptance;
    let idempotency = idempotency::named(headers, &caller, route, body, &answer)?;
    let (submitted, _) = submit(state, &caller, headers, jobs, idempotency).await?;
    answer_to(submitted, status, location, answer)
}

/// Makes the jobs their caller's, puts them into the trace of the request, and writes them; returns
/// them as they were written.
pub(super) async fn submit(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    mut jobs: Vec<Job>,
    idempotency: Option<Idempotency>,
) -> StoreResult<(Submitted, Arc<[Job]>)> {
    let write = async {
        // Where nobody listens to this server, what its caller began is passed on.
        let trace = trace::here().or_else(|| trace::sent_with(headers));
        for job in &mut jobs {
            job.owner = Owner::from(caller);
            job.project = caller.project.clone();
            job.trace = trace.clone();
        }
        let max_queued = state.limits.max_queued;
        let jobs: Arc<[Job]> = jobs.into();
        let submission = Submission { jobs: jobs.clone(), idempotency, max_queued };
        let submitted = state.store.submit(submission).await?;
        if submitted == Submitted::Accepted {
            for job in jobs.iter() {
                tracing::info!(job.id = %job.id, "job accepted");
            }
        }
        Ok((submitted, jobs))
    };
    write.instrument(info_span!("job")).await
}

/// The answer to something that was to be made: as it is now, or as it was given before.
pub(super) fn answer_to(
    submitted: Submitted,
    status: StatusCode,
    location: Option<String>,
    answer: String,
) -> Result<Response, Problem> {
    match submitted {
        Submitted::Accepted => {
            let mut response = json(status, answer);
            if let Some(location) = location {
                let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
                response.headers_mut().insert(LOCATION, location);
            }
            Ok(response)
        }
        Submitted::Replayed(earlier) => {
            let mut response = json(StatusCode::OK, earlier);
            response.headers_mut().insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Submitted::Conflict => Err(conflict()),
        Submitted::QueueFull => Err(queue_full()),
    }
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

pub(super) fn conflict() -> Problem {
    let message = "this `Idempotency-Key` was used before for another request";
    Problem::new(StatusCode::CONFLICT, "idempotency_conflict", message)
        .hint("use a new key for every new request, and the same body with the same key")
}

pub(super) fn queue_full() -> Problem {
    let message = "too many tasks wait already; nothing of this request was accepted";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
        .hint("send it again after the time in `Retry-After`")
        .retry_after(QUEUE_FULL_RETRY_SECS)
}
