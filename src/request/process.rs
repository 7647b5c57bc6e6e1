//! `POST /process`: the pipeline's own way in, for one job or several of one input.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::accept::{Acceptance, accept};
use super::body::Sent;
use super::fields::Fields;
use super::may::Writes;
use super::openapi::{IdempotencyKey, NotAccepted, ProcessAnswer, ProcessRequest};
use super::submit::{self, Rules};
use super::{AppState, Problem, buckets, kept};
use crate::id::{BatchId, JobId, fresh};
use crate::job::{Job, Kind};

/// The pipeline's word for a job under way, whether a worker has it already or not.
const UNDER_WAY: &str = "processing";

/// Accepts one job, or a batch when there are `tasks`.
#[utoipa::path(
    post,
    path = "/process",
    tag = "Pipeline",
    operation_id = "process",
    summary = "Process a URL",
    description = "One job when there is a `kind` (or none: then it is a video); with `tasks` \
                   several of one input, which is fetched once. All are accepted or none.",
    security(("key" = ["jobs:write"])),
    params(IdempotencyKey),
    request_body = ProcessRequest,
    responses(
        (
            status = 200,
            description = "It is on disk and will end; the same answer as before when the \
                           `Idempotency-Key` is known.",
            body = ProcessAnswer,
            headers(("Idempotency-Replayed" = String, description = "`true` on an answer given before.")),
            links(
                ("job" = (operation_id = "getJob", parameters(("id" = "$response.body#/task_id")))),
                ("batch" = (
                    operation_id = "getBatch",
                    parameters(("id" = "$response.body#/batch_id")),
                )),
            ),
        ),
        NotAccepted,
    ),
)]
pub(super) async fn process(
    State(state): State<AppState>,
    Writes(caller): Writes,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, Problem> {
    let jobs = asked(&state, &sent.object, &Rules::of(&state, &headers))?;
    let answer = answer(&jobs);
    buckets::check_connection(&state, &caller, jobs.iter().map(|job| &job.spec)).await?;
    kept::check_input(&state, &caller, jobs.iter().map(|job| &job.spec)).await?;
    let acceptance = Acceptance {
        route: "/process",
        caller,
        jobs,
        status: StatusCode::OK,
        location: None,
        answer: answer.to_string(),
    };
    accept(&state, &headers, &sent.bytes, acceptance).await
}

/// The jobs that a request asks for: one, or those of its `tasks`.
pub(super) fn asked(
    state: &AppState,
    object: &Map<String, Value>,
    rules: &Rules<'_>,
) -> Result<Vec<Job>, Problem> {
    if Fields::new("", object).has("tasks") {
        batch(state, object, rules)
    } else {
        let spec = submit::one(object, Some(Kind::Video), rules)?;
        let now = state.clock.now();
        Ok(vec![Job::accepted(fresh(now), None, spec, now)])
    }
}

fn batch(
    state: &AppState,
    object: &Map<String, Value>,
    rules: &Rules<'_>,
) -> Result<Vec<Job>, Problem> {
    let specs = submit::batch(object, rules)?;
    let now = state.clock.now();
    let batch_id: BatchId = fresh(now);
    // Ids made in the same millisecond are in no order, and lists of jobs follow their ids.
    let mut ids: Vec<JobId> = specs.iter().map(|_| fresh(now)).collect();
    ids.sort_by_cached_key(ToString::to_string);
    let accepted = |(id, spec)| Job::accepted(id, Some(batch_id), spec, now);
    Ok(ids.into_iter().zip(specs).map(accepted).collect())
}

/// What is answered: the name of the one job, or those of the batch and its jobs.
fn answer(jobs: &[Job]) -> Value {
    let batch_id = jobs.first().and_then(|job| job.batch_id);
    if let (None, [job]) = (batch_id, jobs) {
        return json!({"task_id": job.id, "status": UNDER_WAY});
    }
    let task = |job: &Job| json!({"task_id": job.id, "kind": job.spec.options.kind(), "status": UNDER_WAY});
    let tasks: Vec<_> = jobs.iter().map(task).collect();
    json!({"batch_id": batch_id, "tasks": tasks})
}
