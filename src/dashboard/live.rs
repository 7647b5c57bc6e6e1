//! What happens, told to pages that are open: one stream a page, of parts to be put in place.
//!
//! Hints wake a stream up; because another process may do the work it also looks by itself, once
//! for all the jobs of its page.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::desk::{Desk, Visitor};
use super::filters;
use super::job::{Part, job_id, unknown};
use super::jobs::{Asked, told};
use super::page::PageError;
use super::row::{Look, Row, look};
use super::words::count;
use crate::access::Project;
use crate::id::JobId;
use crate::job::Counts;
use crate::request::{AppState, Problem};
use crate::store::{DeliveryState, JobFilter, Pressure};

/// How often a stream looks for itself, and how often at most.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(500);

/// Proxies cut connections that are silent for longer.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// More than so many newer ones are not counted.
pub(super) const COUNTED: u32 = 50;

/// More jobs than a page has are not followed.
const FOLLOWED: usize = 100;

/// What a page is told.
pub(super) enum Told {
    /// Parts of it, anew.
    Part(String),
    /// That there is nothing more: it need not come back.
    End,
}

/// A part of a page, and where it belongs.
pub(super) fn part(target: &str, swap: &str, html: &str) -> String {
    format!("<hx-partial hx-target=\"{target}\" hx-swap=\"{swap}\">{html}</hx-partial>")
}

pub(super) fn full() -> Problem {
    let message = "too many pages are open";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
        .hint("load this page again to see what is new")
        .retry_after(5)
}

/// The stream as an answer; it ends when the server does.
pub(super) fn answer(
    stop: &CancellationToken,
    told: impl Stream<Item = Told> + Send + 'static,
) -> Response {
    let stop = stop.clone().cancelled_owned();
    let events = told.map(|told| {
        Ok::<_, Infallible>(match told {
            Told::Part(html) => Event::default().data(html),
            Told::End => Event::default().event("end").data("end"),
        })
    });
    let sse =
        Sse::new(events.take_until(stop)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY));
    ([("x-accel-buffering", "no")], sse).into_response()
}

/// Waits until one of these jobs has changed or it is time to look anyway, and never hurries.
pub(super) async fn news(
    changes: &mut Receiver<JobId>,
    last: Instant,
    concerns: impl Fn(JobId) -> bool,
) {
    let wait = async {
        loop {
            match changes.recv().await {
                Ok(id) if !concerns(id) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    // Either way it is time to look.
    let _woken = timeout_at(Instant::now() + LOOK_EVERY, wait).await;
    sleep_until(last + LOOK_AT_MOST_EVERY).await;
}

// ---- a list ---------------------------------------------------------------------------------

#[derive(Template)]
#[template(path = "row.html")]
struct RowPart {
    row: Row,
}

#[derive(Template)]
#[template(path = "batch_told.html")]
struct BatchPart {
    status: &'static str,
    told: String,
}

/// A list as it was last told.
struct List {
    state: AppState,
    project: Project,
    ids: Vec<JobId>,
    seen: HashMap<JobId, Look>,
    /// Set where newer jobs would stand above the first.
    newer: Option<JobFilter>,
    told_newer: usize,
    /// How the jobs stood of which the page is, where it is of a batch.
    batch: Option<Counts>,
    pressure: Option<Pressure>,
    changes: Receiver<JobId>,
    last: Instant,
    _seat: OwnedSemaphorePermit,
}

/// `GET /ui/live/jobs`.
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(desk): Extension<Desk>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let seat = desk.seat().ok_or_else(full)?;
    let query = query.unwrap_or_default();
    let asked = Asked::parse(&query)?;
    let pairs: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let ids = pairs.get("ids").map_or("", String::as_str).split(',');
    let ids: Vec<JobId> = ids.filter_map(|id| id.parse().ok()).take(FOLLOWED).collect();
    let newer = pairs.contains_key("first").then(|| JobFilter {
        before: ids.first().copied(),
        after: None,
        limit: COUNTED,
        ..asked.filter
    });
    let changes = state.store.hints().changes();
    let stop = state.shutdown.clone();
    let list = List {
        state,
        project: visitor.caller.project,
        ids,
        seen: HashMap::new(),
        newer,
        told_newer: 0,
        batch: pairs.contains_key("batch").then(Counts::default),
        pressure: None,
        changes,
        last: Instant::now(),
        _seat: seat,
    };
    Ok(answer(&stop, stream::unfold(list, List::next)))
}

impl List {
    async fn next(mut self) -> Option<(Told, Self)> {
        loop {
            let parts = self.look().await?;
            if !parts.is_empty() {
                return Some((Told::Part(parts), self));
            }
            let last = self.last;
            // A new job concerns the first page, and every page has the counts.
            news(&mut self.changes, last, |_| true).await;
            self.last = Instant::now();
        }
    }

    /// What is new since the last look; none when the database does not answer.
    async fn look(&mut self) -> Option<String> {
        match self.parts().await {
            Ok(parts) => Some(parts),
            Err(error) => {
                tracing::warn!(?error, "a live page lost its jobs");
                None
            }
        }
    }

    async fn parts(&mut self) -> Result<String, PageError> {
        let mut parts = String::new();
        if !self.ids.is_empty() {
            let limit = self.ids.len() as u32;
            let filter = JobFilter { ids: self.ids.clone(), limit, ..JobFilter::default() };
            let now = self.state.clock.now();
            let jobs = self.state.store.jobs(&self.project, &filter).await?.jobs;
            let counts = Counts::of(jobs.iter().map(|job| job.state.status()));
            if self.batch.as_mut().is_some_and(|batch| std::mem::replace(batch, counts) != counts) {
                let head = BatchPart { status: counts.status().name(), told: told(counts) };
                let html = head.render().map_err(Problem::internal)?;
                parts += &part("#batch-told", "innerHTML", &html);
            }
            for job in jobs {
                let looks = look(&job, now);
                // The page was made a moment ago, but something may have happened since.
                if self.seen.get(&job.id) != Some(&looks) {
                    let html = RowPart { row: Row::of(&self.state, &job) }.render();
                    let html = html.map_err(Problem::internal)?;
                    parts += &part(&format!("#about-{}", job.id), "outerMorph", &html);
                    self.seen.insert(job.id, looks);
                }
            }
        }
        if let Some(filter) = &self.newer {
            let newer = self.state.store.jobs(&self.project, filter).await?.jobs.len();
            if newer != self.told_newer {
                self.told_newer = newer;
                parts += &part("#newer", "innerHTML", &told_newer(newer, ("job", "jobs")));
            }
        }
        let pressure = self.state.store.pressure().await?;
        if self.pressure.replace(pressure) != Some(pressure) {
            parts += &part("#count-queued", "innerHTML", &count(pressure.queued));
            parts += &part("#count-processing", "innerHTML", &count(pressure.processing));
        }
        Ok(parts)
    }
}

pub(super) fn told_newer(newer: usize, (one, many): (&str, &str)) -> String {
    let told = match newer {
        1 => format!("1 new {one}"),
        newer if newer >= COUNTED as usize => format!("{COUNTED} new {many} or more"),
        newer => format!("{newer} new {many}"),
    };
    format!("<a href=\"\" class=\"newer\">{told} — show</a>")
}

// ---- one job --------------------------------------------------------------------------------

/// A job as it was last told.
struct One {
    state: AppState,
    project: Project,
    id: JobId,
    token: String,
    seen: Option<(Look, Vec<(&'static str, usize)>)>,
    is_over: bool,
    has_ended: bool,
    changes: Receiver<JobId>,
    last: Instant,
    _seat: OwnedSemaphorePermit,
}

/// `GET /ui/live/jobs/{id}`.
pub(super) async fn job(
    State(state): State<AppState>,
    Extension(desk): Extension<Desk>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let seat = desk.seat().ok_or_else(full)?;
    let id = job_id(&id)?;
    let changes = state.store.hints().changes();
    state.store.job(&visitor.caller.project, id).await?.ok_or_else(unknown)?;
    let stop = state.shutdown.clone();
    let one = One {
        state,
        project: visitor.caller.project,
        id,
        token: visitor.token,
        seen: None,
        is_over: false,
        has_ended: false,
        changes,
        last: Instant::now(),
        _seat: seat,
    };
    Ok(answer(&stop, stream::unfold(one, One::next)))
}

impl One {
    async fn next(mut self) -> Option<(Told, Self)> {
        if self.has_ended {
            return None;
        }
        loop {
            if self.is_over {
                self.has_ended = true;
                return Some((Told::End, self));
            }
            match self.part().await {
                Ok(Some(part)) => return Some((Told::Part(part), self)),
                Ok(None) if self.is_over => continue,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(job.id = %self.id, ?error, "a live page lost its job");
                    return None;
                }
            }
            let (id, last) = (self.id, self.last);
            news(&mut self.changes, last, |changed| changed == id).await;
            self.last = Instant::now();
        }
    }

    async fn part(&mut self) -> Result<Option<String>, PageError> {
        let Some(job) = self.state.store.job(&self.project, self.id).await? else {
            self.is_over = true;
            return Ok(None);
        };
        let now = self.state.clock.now();
        let shown = Part::of(&self.state, &job, &self.token).await?;
        let pushes = shown.deliveries.iter();
        let pushes: Vec<_> =
            pushes.map(|delivery| (delivery.state, delivery.attempts.len())).collect();
        let looks = (look(&job, now), pushes);
        if self.seen.as_ref() == Some(&looks) {
            return Ok(None);
        }
        let is_final = job.state.status().is_final();
        let was_open = self.seen.as_ref().is_none_or(|((status, ..), _)| !status.is_final());
        let waits =
            shown.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Pending.name());
        let html = shown.render().map_err(Problem::internal)?;
        let mut told = part("#job-part", "innerMorph", &html);
        if is_final && was_open && self.seen.is_some() {
            // What came of it stands outside of the part: the page loads itself anew.
            told += &part("#job-end", "innerHTML", "<span data-ended></span>");
        }
        self.is_over = is_final && !waits;
        self.seen = Some(looks);
        Ok(Some(told))
    }
}
