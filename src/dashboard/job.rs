//! One job: how it stands, what came of it, where its time went, and what was pushed.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Map, Value};

use super::desk::Visitor;
use super::filters;
use super::jobs::one;
use super::output::{Output, Show, is_called, path};
use super::page::{Frame, PageError, Posted, Section, page};
use super::row::Row;
use super::timeline::{Lap, laps};
use super::words::{When, span};
use crate::id::JobId;
use crate::job::{Job, Options};
use crate::request::{AppState, Problem};
use crate::store::{AttemptRecord, Delivery, DeliveryFilter, DeliveryState, JobFilter};

/// How many files are shown, and how many are named.
const SHOWN: usize = 24;
const NAMED: usize = 100;

/// How many deliveries a page shows.
const DELIVERIES: u32 = 20;

/// How many jobs of the same batch are looked through for sheets of thumbnails.
const NEIGHBOURS: u32 = 50;

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: Frame,
    row: Row,
    outputs: Vec<Output>,
    named: Vec<Output>,
    unnamed: usize,
    /// Sheets of thumbnails for the films' time line.
    sprite: Option<String>,
    /// The shape of the sound.
    waveform: Option<String>,
    has_playlist: bool,
    options: Vec<(String, String)>,
    metadata: Option<String>,
    priority: Option<String>,
    webhook_url: Option<String>,
    live: Option<String>,
    part: Part,
}

/// What of the page changes while it is looked at.
#[derive(Template)]
#[template(path = "job_part.html")]
pub(super) struct Part {
    pub(super) row: Row,
    pub(super) token: String,
    pub(super) laps: Vec<Lap>,
    pub(super) trouble: Option<Trouble>,
    pub(super) tries: u32,
    pub(super) started: Option<When>,
    pub(super) finished: Option<When>,
    pub(super) total: String,
    pub(super) deliveries: Vec<Pushed>,
    /// Where a replay leads back to.
    pub(super) back: String,
}

/// Why it failed, in words, and what to do.
pub(super) struct Trouble {
    pub(super) kind: &'static str,
    pub(super) message: String,
    pub(super) advice: String,
    pub(super) log: Vec<String>,
}

/// A delivery and its attempts.
pub(super) struct Pushed {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) url: String,
    pub(super) state: &'static str,
    pub(super) event: String,
    /// The job, where the page is not the job's own.
    pub(super) job: Option<String>,
    pub(super) next: Option<When>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) can_be_replayed: bool,
}

/// One POST and what was answered.
pub(super) struct Attempt {
    pub(super) number: usize,
    pub(super) at: When,
    pub(super) took: String,
    pub(super) is_well: bool,
    /// The status, or why there is none.
    pub(super) answer: String,
    pub(super) response: Option<String>,
}

/// `GET /ui/jobs/{id}`.
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let job = state.store.job(&visitor.caller.project, job_id(&id)?).await?.ok_or_else(unknown)?;
    let part = Part::of(&state, &job, &visitor.token).await?;
    let row = Row::of(&state, &job);
    let files = job.state.outputs();
    let outputs: Vec<Output> = files.iter().map(|file| Output::of(&state, file)).collect();
    let has_playlist = outputs.iter().any(|output| output.show == Show::Playlist);
    // What a playlist is of is played by it, and only named beside.
    let is_shown = |output: &Output| match output.show {
        Show::Playlist => true,
        Show::Link => false,
        _ => !has_playlist,
    };
    let (shown, named): (Vec<Output>, Vec<Output>) = outputs.into_iter().partition(is_shown);
    let spare = shown.len().saturating_sub(SHOWN);
    let unnamed = named.len().saturating_sub(NAMED) + spare;
    let outputs: Vec<Output> = shown.into_iter().take(SHOWN).collect();
    let has_film = outputs.iter().any(|output| output.show == Show::Video);
    let is_live = !job.state.status().is_final()
        || part.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Pending.name());
    page(&JobPage {
        frame: Frame::of(&visitor, Section::Jobs, row.name.clone()),
        sprite: if has_film { sprite(&state, &job).await? } else { None },
        waveform: waveform(&state, &job),
        has_playlist,
        outputs,
        named: named.into_iter().take(NAMED).collect(),
        unnamed,
        options: told(&job.spec.raw_options),
        metadata: (!job.spec.metadata.is_empty())
            .then(|| format!("{:#}", Value::Object(job.spec.metadata.clone()))),
        priority: Some(job.spec.priority.get().to_string()).filter(|priority| priority != "0"),
        webhook_url: job.spec.webhook_url.as_ref().map(ToString::to_string),
        live: is_live.then(|| format!("/ui/live/jobs/{}", job.id)),
        row,
        part,
    })
}

impl Part {
    /// The part of a job's page that changes.
    pub(super) async fn of(state: &AppState, job: &Job, token: &str) -> Result<Self, PageError> {
        let now = state.clock.now();
        let filter =
            DeliveryFilter { job_id: Some(job.id), limit: DELIVERIES, ..DeliveryFilter::default() };
        let deliveries = state.store.deliveries(&job.project, &filter).await?;
        let finished_at = job.state.finished_at();
        Ok(Self {
            row: Row::of(state, job),
            token: token.to_owned(),
            laps: laps(job, &state.store.attempts(&job.project, job.id).await?, now),
            trouble: trouble(job),
            tries: job.tasks.first().map_or(0, |task| task.tries),
            started: job.state.started_at().map(|at| When::of(at, now)),
            finished: finished_at.map(|at| When::of(at, now)),
            total: span(finished_at.unwrap_or(now).since(job.created_at)),
            deliveries: deliveries.iter().map(|delivery| Pushed::of(delivery, now)).collect(),
            back: format!("/ui/jobs/{}#webhooks", job.id),
        })
    }
}

impl Pushed {
    pub(super) fn of(delivery: &Delivery, now: crate::clock::Timestamp) -> Self {
        let attempt = |(at, record): (usize, &AttemptRecord)| Attempt {
            number: at + 1,
            at: When::of(record.at, now),
            took: span(std::time::Duration::from_millis(record.duration_ms)),
            is_well: record.status.is_some_and(|status| (200..300).contains(&status)),
            answer: match (record.status, &record.error) {
                (Some(status), _) => status.to_string(),
                (None, Some(error)) => error.replace('_', " "),
                (None, None) => "no answer".to_owned(),
            },
            response: record.response.clone(),
        };
        Self {
            id: delivery.id.to_string(),
            kind: delivery.kind.name(),
            url: delivery.url.clone(),
            state: delivery.state.name(),
            event: delivery.event_id.to_string(),
            job: None,
            next: delivery.next_attempt_at.map(|at| When::of(at, now)),
            attempts: delivery.attempts.iter().enumerate().map(attempt).collect(),
            can_be_replayed: delivery.state != DeliveryState::Pending,
        }
    }
}

/// Why a job failed, or why its last attempt did.
fn trouble(job: &Job) -> Option<Trouble> {
    let of_stage = || {
        let stages = job.tasks.iter().flat_map(|task| task.stages.as_slice());
        stages.filter_map(|stage| stage.failure.as_ref()).next_back()
    };
    let is_over = job.state.status().is_final();
    let failure = job.state.failure().or_else(|| if is_over { None } else { of_stage() })?;
    Some(Trouble {
        kind: failure.kind.name(),
        message: failure.message.clone(),
        advice: failure.advice(),
        log: failure.log.clone(),
    })
}

/// Options as they were sent, a line each.
fn told(options: &Map<String, Value>) -> Vec<(String, String)> {
    fn text(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Object(fields) => {
                let told = fields.iter().map(|(name, value)| format!("{name} {}", text(value)));
                told.collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        }
    }
    options.iter().map(|(name, value)| (name.replace('_', " "), text(value))).collect()
}

/// The list of thumbnails that a job has made which was submitted together with this one.
async fn sprite(state: &AppState, job: &Job) -> Result<Option<String>, PageError> {
    let Some(batch) = job.batch_id else { return Ok(None) };
    let filter = JobFilter { batch_id: Some(batch), limit: NEIGHBOURS, ..JobFilter::default() };
    let found = state.store.jobs(&job.project, &filter).await?;
    let sheets = found.jobs.iter().filter(
        |job| matches!(&job.spec.options, Options::Image(options) if options.sprite.is_some()),
    );
    let mut lists = sheets.flat_map(|job| job.state.outputs());
    let list = lists.find(|file| is_called(file, "vtt"));
    Ok(list.and_then(|file| path(state, file)))
}

/// The shape of the sound, where it was asked for.
fn waveform(state: &AppState, job: &Job) -> Option<String> {
    let shape = job.state.outputs().iter().find(|file| is_called(file, "json"));
    let is_sound = matches!(job.spec.options, Options::Audio(_));
    shape.filter(|_| is_sound).and_then(|file| path(state, file))
}

/// `POST /ui/jobs/{id}/{act}`.
pub(super) async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path((id, act)): Path<(String, String)>,
    _posted: Posted,
) -> Result<Response, PageError> {
    let id = job_id(&id)?;
    if !["retry", "cancel", "delete"].contains(&act.as_str()) {
        return Err(unknown().into());
    }
    let _done = one(&state, &visitor.caller.project, &act, id).await?;
    let to = if act == "delete" { "/?did=delete-1-0".to_owned() } else { format!("/ui/jobs/{id}") };
    Ok(Redirect::to(&to).into_response())
}

/// What is no id of a job is the id of no job.
pub(super) fn job_id(text: &str) -> Result<JobId, Problem> {
    text.parse().map_err(|_| unknown())
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("job_not_found", "there is no job with this id")
        .hint("a deleted job is no longer shown")
}
