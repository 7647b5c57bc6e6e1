//! `GET /jobs/{id}/events`: a job's life as Server-Sent Events.
//!
//! The first event is the job as it is; one follows for every change of its state or stages at
//! once, and for its progress at most every second. The stream ends after a final state, when
//! the job is deleted, and when the server stops. Hints wake it up; because another process may
//! do the work, it also looks by itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::jobs::{changed, job_id, unknown};
use super::may::Reads;
use super::openapi::{NoJob, NoSeat};
use super::segment::Segment;
use super::{AppState, Problem};
use crate::access::Project;
use crate::id::{JobId, JobTag, TaskId};
use crate::job::{Job, Status};
use crate::task::StageStatus;

/// How often the stream looks for itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The least time between two events that tell of progress alone.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Proxies cut connections that are silent for longer.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// When to come back after all streams were taken.
const FULL_RETRY_SECS: u32 = 5;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How many streams may be open.
#[derive(Clone, Debug)]
pub(super) struct Seats(Arc<Semaphore>);

impl Seats {
    /// Room for `count` streams.
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }
}

/// One event of the stream.
#[derive(ToSchema)]
#[schema(as = JobEvent)]
#[expect(dead_code, reason = "the schema of what is written as an event")]
struct JobEventView {
    /// Always `job`.
    #[schema(pattern = "^job$")]
    event: String,
    /// What the event shows: sent back as `Last-Event-ID`, it says what has been seen.
    id: String,
    /// The Job, as JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// `GET /jobs/{id}/events`.
#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    tag = "Jobs",
    operation_id = "watchJob",
    summary = "Watch a job",
    description = "Server-sent events named `job`, each with the whole Job as `data`: one as it is, \
                   one at each change of its state or stages, and for its progress at most every \
                   second. The stream ends with the job.",
    security(("key" = ["jobs:read"])),
    params(
        ("id" = JobTag, Path, description = "The job."),
        (
            "Last-Event-ID" = Option<String>, Header,
            description = "The `id` of the last event that was seen: browsers send it by themselves.",
        ),
    ),
    responses(
        (
            status = 200,
            description = "The events.",
            body = JobEventView,
            content_type = "text/event-stream",
        ),
        (status = 204, description = "The job has ended, and you have seen it."),
        NoJob,
        NoSeat,
    ),
)]
pub(super) async fn watch(
    State(state): State<AppState>,
    Reads(caller): Reads,
    Extension(seats): Extension<Seats>,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = job_id(&id)?;
    let seat = seats.0.try_acquire_owned().map_err(|_| full())?;
    // Listens before it looks, or a change could come between.
    let changes = state.store.hints().changes();
    let job = state.store.job(&caller.project, id).await?.ok_or_else(unknown)?;
    if has_seen_the_end(&headers, &job) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let stop = state.shutdown.clone().cancelled_owned();
    let project = caller.project;
    let watch = Watch { state, id, project, changes, shown: None, first: Some(job), _seat: seat };
    let events = stream::unfold(watch, Watch::next).map(Ok::<_, Infallible>).take_until(stop);
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY));
    // nginx would keep the events back until its buffer is full.
    Ok(([("x-accel-buffering", "no")], sse).into_response())
}

/// A browser connects again whenever a stream ends. 204 tells it that there is nothing more.
fn has_seen_the_end(headers: &HeaderMap, job: &Job) -> bool {
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    job.state.status().is_final() && last == Some(&event_id(job))
}

/// Names what the event shows, so that a client that comes back can say what it has seen.
fn event_id(job: &Job) -> String {
    format!("{}-{}", job.updated_at.millis(), job.state.status().name())
}

struct Watch {
    state: AppState,
    id: JobId,
    project: Project,
    changes: Receiver<JobId>,
    shown: Option<Shown>,
    first: Option<Job>,
    _seat: OwnedSemaphorePermit,
}

/// What the client saw last.
struct Shown {
    job: Job,
    at: Instant,
}

impl Watch {
    async fn next(mut self) -> Option<(Event, Self)> {
        let job = match self.first.take() {
            Some(job) => job,
            None => self.change().await?,
        };
        let event =
            match Event::default().event("job").id(event_id(&job)).json_data(self.state.view(&job))
            {
                Ok(event) => event,
                Err(error) => {
                    tracing::error!(job.id = %self.id, %error, "a job cannot be shown as an event");
                    return None;
                }
            };
        self.shown = Some(Shown { job, at: Instant::now() });
        Some((event, self))
    }

    /// Waits until there is something new to show; nothing when there never will be.
    async fn change(&mut self) -> Option<Job> {
        let mut held_back = false;
        loop {
            let shown = self.shown.as_ref()?;
            if shown.job.state.status().is_final() {
                return None;
            }
            let look_at =
                if held_back { shown.at + PROGRESS_EVERY } else { Instant::now() + LOOK_EVERY };
            // Either way it is time to look.
            let _woken = timeout_at(look_at, changed(&mut self.changes, self.id)).await;
            let job = match self.state.store.job(&self.project, self.id).await {
                Ok(job) => job?,
                Err(error) => {
                    tracing::warn!(job.id = %self.id, %error, "an event stream lost its job");
                    return None;
                }
            };
            if landmarks(&job) != landmarks(&shown.job) {
                return Some(job);
            }
            held_back = job != shown.job;
            if held_back && shown.at.elapsed() >= PROGRESS_EVERY {
                return Some(job);
            }
        }
    }
}

/// What is told at once when it changes.
fn landmarks(job: &Job) -> (Status, Vec<(TaskId, StageStatus)>) {
    let stages = job.tasks.iter().flat_map(|task| task.stages.as_slice());
    (job.state.status(), stages.map(|stage| (stage.id, stage.status)).collect())
}

fn full() -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many event streams are open")
        .hint("ask for the job itself instead, or come back later")
        .retry_after(FULL_RETRY_SECS)
}
