//! `/tasks`: one step at a time, each fed with what another has made.
//!
//! A task is a job of one kind under the name of its row in the queue: there is one queue, one
//! life and one webhook for both. `GET /jobs/{job_id}` shows the same work as a Job. Two kinds,
//! `import` and `export`, begin here alone.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::accept::{Acceptance, accept};
use super::body::Sent;
use super::fields::Fields;
use super::may::{Reads, Writes};
use super::openapi::{IdempotencyKey, NoTask, TaskNotAccepted, TaskRequest};
use super::segment::Segment;
use super::submit::{self, Rules};
use super::{AppState, Problem, buckets, jobs, kept};
use crate::access::Caller;
use crate::clock::Timestamp;
use crate::id::{JobId, JobTag, TaskId, TaskTag, fresh};
use crate::job::view::{ErrorView, FileView, JobView};
use crate::job::{File, FileKind, Job, JobSpec, Kept, Kind, Status};

/// What may be in a task's `input`.
const KNOWN_OF_INPUT: &[&str] = &["url", "task_id"];

/// The wire's Task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SingleTask)]
pub(super) struct Task {
    /// The task's name.
    #[schema(value_type = TaskTag)]
    id: TaskId,
    object: &'static str,
    kind: Kind,
    /// Where the input is: `url`.
    #[schema(value_type = Object)]
    input: Value,
    #[schema(value_type = Object)]
    options: Map<String, Value>,
    #[schema(required = true)]
    output: Option<FileView>,
    outputs: Vec<FileView>,
    status: &'static str,
    #[schema(required = true)]
    progress: Option<f32>,
    #[schema(required = true)]
    error: Option<ErrorView>,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// The same work as a Job.
    #[schema(value_type = JobTag)]
    job_id: JobId,
    created_at: Timestamp,
    #[schema(required = true)]
    started_at: Option<Timestamp>,
    #[schema(required = true)]
    finished_at: Option<Timestamp>,
    updated_at: Timestamp,
}

impl Task {
    fn of(id: TaskId, job: JobView) -> Self {
        // What has not begun waits; what is to be tried again is queued.
        let status = match job.status {
            Status::Queued if job.started_at.is_none() => "waiting",
            status => status.name(),
        };
        Self {
            id,
            object: "task",
            kind: job.kind,
            input: json!({"url": job.input}),
            options: job.options,
            output: job.output,
            outputs: job.outputs,
            status,
            progress: job.progress,
            error: job.error,
            metadata: job.metadata,
            job_id: job.id,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            updated_at: job.updated_at,
        }
    }
}

/// `POST /tasks`. A body whose `input` is a text is that of a job, and gets a job.
#[utoipa::path(
    post,
    path = "/tasks",
    tag = "Tasks",
    operation_id = "createTask",
    summary = "Create a task",
    description = "What `POST /jobs` takes, with `input: {\"url\": …}` or `input: {\"task_id\": …}`, the output of \
                   a task that has succeeded. `import` copies the input into this server's storage, and \
                   `export` into a bucket of your own. A text as `input` makes a Job.",
    security(("key" = ["jobs:write"])),
    params(IdempotencyKey),
    request_body = TaskRequest,
    responses(
        (
            status = 201,
            description = "The task (or the job), on disk.",
            body = Object,
            headers(("Location" = String, description = "The path of the task.")),
        ),
        (
            status = 200,
            description = "As it was first answered: its `Idempotency-Key` is known.",
            body = Object,
            headers(("Idempotency-Replayed" = String, description = "Always `true`.")),
        ),
        TaskNotAccepted,
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Writes(caller): Writes,
    headers: HeaderMap,
    mut sent: Sent,
) -> Result<Response, Problem> {
    let Some(Value::Object(input)) = sent.object.get("input") else {
        return jobs::create(State(state), Writes(caller), headers, sent).await;
    };
    let input = input_url(&state, &caller, input).await?;
    sent.object.insert("input".to_owned(), input.into());
    let rules = Rules { kinds: &Kind::ALL, ..Rules::of(&state, &headers) };
    let spec = submit::one(&sent.object, None, &rules)?;
    check_engine(&state, &spec)?;
    buckets::check_connection(&state, &caller, [&spec]).await?;
    kept::check_input(&state, &caller, [&spec]).await?;
    let now = state.clock.now();
    let job = Job::accepted(fresh(now), None, spec, now);
    let id = job.tasks.first().map(|task| task.id).ok_or_else(unknown)?;
    let task = Task::of(id, state.view(&job));
    let acceptance = Acceptance {
        route: "/tasks",
        caller,
        status: StatusCode::CREATED,
        location: Some(format!("/tasks/{id}")),
        answer: serde_json::to_string(&task).map_err(Problem::internal)?,
        jobs: vec![job],
    };
    accept(&state, &headers, &sent.bytes, acceptance).await
}

/// Refuses what the provider does not do, where the work is a provider's.
fn check_engine(state: &AppState, spec: &JobSpec) -> Result<(), Problem> {
    let kind = spec.options.kind();
    if state.provider.is_none() || Kind::OF_JOBS.contains(&kind) {
        return Ok(());
    }
    let message = format!(
        "there is no `{}` on this server: it hands its jobs to a provider, which copies no files",
        kind.name()
    );
    Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_kind", message)
        .field("kind")
        .hint("imports and exports are done by a server whose REELWAY_ENGINE is local"))
}

/// Where the input of a task is: at its own URL, or where another task has put its output.
async fn input_url(
    state: &AppState,
    caller: &Caller,
    input: &Map<String, Value>,
) -> Result<String, Problem> {
    let fields = Fields::new("input.", input);
    fields.refuse_slips(KNOWN_OF_INPUT)?;
    match (fields.text("url")?, fields.text("task_id")?) {
        (Some(url), None) => Ok(url.to_owned()),
        (None, Some(id)) => output_of(state, caller, id).await,
        _ => Err(Problem::invalid_input("input", "`input` must have `url` or `task_id`")
            .hint(r#"for example {"url": "https://example.com/a.mp4"}"#)),
    }
}

async fn output_of(state: &AppState, caller: &Caller, id: &str) -> Result<String, Problem> {
    let wrong = |message: String| Problem::invalid_input("input.task_id", message);
    let job = match id.parse() {
        Ok(id) => state.store.task(&caller.project, id).await?,
        Err(_) => None,
    };
    let job = job.ok_or_else(|| {
        wrong("there is no task with this id".to_owned())
            .hint("ids begin with `task_`, as POST /tasks answers them")
    })?;
    let status = job.state.status();
    let output = job.state.outputs().first();
    match output {
        Some(File { kind: FileKind::AdaptiveVideo | FileKind::Text, .. }) => {
            Err(wrong("this task's output is a list of its other files, and no media".to_owned())
                .hint(
                    "name one of its `outputs` by its URL; to have them all in a bucket, give \
                     `output` and `connection_id` to the task that makes them",
                ))
        }
        Some(File { delivered_to: Some(_), .. }) => Err(wrong(
            "this task's output is in a bucket of its owner's".to_owned(),
        )
        .hint("name the object itself: input {\"url\": \"s3://bucket/key\"} and connection_id")),
        Some(File { remote_url: Some(url), .. }) => Ok(match job.spec.input.kept() {
            // A file that was probed here, whose link may have run out since.
            Some(Kept::Output(key)) => state.links.own_link(key),
            _ => url.to_string(),
        }),
        Some(output) => Ok(state.links.own_link(&output.key)),
        None if status.is_final() => {
            Err(wrong(format!("this task is {} and has no output", status.name()))
                .hint("GET /tasks/{id} says why"))
        }
        None => {
            let message = "this task has no output yet";
            Err(Problem::new(StatusCode::CONFLICT, "task_unfinished", message)
                .field("input.task_id")
                .hint("send the next one when its webhook has come, or GET /tasks/{id} says succeeded"))
        }
    }
}

/// `GET /tasks/{id}`.
#[utoipa::path(
    get,
    path = "/tasks/{id}",
    tag = "Tasks",
    operation_id = "getTask",
    summary = "Get a task",
    description = "How it stands and what it has made.",
    security(("key" = ["jobs:read"])),
    params(("id" = TaskTag, Path, description = "The task.")),
    responses((status = 200, description = "The task.", body = Task), NoTask),
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Reads(caller): Reads,
    Segment(id): Segment,
) -> Result<Json<Task>, Problem> {
    let id: TaskId = id.parse().map_err(|_| unknown())?;
    let job = state.store.task(&caller.project, id).await?.ok_or_else(unknown)?;
    Ok(Json(Task::of(id, state.view(&job))))
}

fn unknown() -> Problem {
    Problem::not_found("task_not_found", "there is no task with this id")
        .hint("ids begin with `task_`; the stages of a job are in GET /jobs/{id}")
}
