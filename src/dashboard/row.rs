//! A job as a line of a list.

use std::time::Duration;

use super::output::{Thumb, thumb};
use super::words::{When, name_and_place, span};
use crate::clock::Timestamp;
use crate::job::{Job, Status};
use crate::request::AppState;
use crate::task::{StageStatus, TaskState};

/// A line of a list.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    /// The input's file name.
    pub(super) name: String,
    /// The input's host.
    pub(super) place: String,
    pub(super) input: String,
    pub(super) thumb: Thumb,
    pub(super) percent: u8,
    /// What is being done, or what it waits for.
    pub(super) doing: Option<String>,
    /// Why it failed.
    pub(super) trouble: Option<String>,
    pub(super) waited: String,
    /// How long it was or is worked on; none when it was never begun.
    pub(super) worked: Option<String>,
    /// When the clock that still runs began, in milliseconds since 1970.
    pub(super) since: Option<i64>,
    pub(super) created: When,
    pub(super) batch: Option<String>,
}

/// What of a row is looked at to see whether it must be shown anew.
pub(super) type Look = (Status, u8, Option<String>, i64);

impl Row {
    pub(super) fn of(state: &AppState, job: &Job) -> Self {
        let now = state.clock.now();
        let (name, place) = name_and_place(job.spec.input.as_str());
        let (started, finished) = (job.state.started_at(), job.state.finished_at());
        let waited = started.or(finished).unwrap_or(now).since(job.created_at);
        let worked = started.map(|started| finished.unwrap_or(now).since(started));
        Self {
            id: job.id.to_string(),
            kind: job.spec.options.kind().name(),
            status: job.state.status().name(),
            name,
            place,
            input: job.spec.input.as_str().to_owned(),
            thumb: thumb(state, job),
            percent: percent(job),
            doing: doing(job, now),
            trouble: job.state.failure().map(|failure| failure.message.clone()),
            waited: span(waited),
            worked: worked.map(span),
            since: running_since(job),
            created: When::of(job.created_at, now),
            batch: job.batch_id.map(|id| id.to_string()),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, "queued" | "processing")
    }

    pub(super) fn thumb_image(&self) -> Option<&str> {
        if let Thumb::Image(path) = &self.thumb { Some(path) } else { None }
    }

    pub(super) fn thumb_video(&self) -> Option<&str> {
        if let Thumb::Video(path) = &self.thumb { Some(path) } else { None }
    }
}

/// What of the job a row shows, without the time that passes.
pub(super) fn look(job: &Job, now: Timestamp) -> Look {
    (job.state.status(), percent(job), doing(job, now), job.updated_at.millis())
}

fn percent(job: &Job) -> u8 {
    job.progress.clamp(0.0, 100.0) as u8
}

fn running_since(job: &Job) -> Option<i64> {
    match job.state.status() {
        Status::Queued => Some(job.created_at.millis()),
        Status::Processing => job.state.started_at().map(Timestamp::millis),
        _ => None,
    }
}

/// The stage that is open, or why nothing happens.
pub(super) fn doing(job: &Job, now: Timestamp) -> Option<String> {
    let task = job.tasks.first()?;
    match task.state {
        TaskState::Queued { run_at } if run_at > now => {
            let wait = run_at.since(now).max(Duration::from_secs(1));
            Some(format!("next try in {}", super::words::rough(wait)))
        }
        TaskState::Queued { .. } => Some("waits for a worker".to_owned()),
        TaskState::Away => Some("at the provider".to_owned()),
        TaskState::Processing => {
            let open = task.stages.as_slice().last();
            let open = open.filter(|stage| stage.status == StageStatus::Processing);
            Some(open.map_or("starts", |stage| stage.kind.name()).to_owned())
        }
        _ => None,
    }
}
