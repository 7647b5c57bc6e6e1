//! The lists: all jobs, those of a batch, and what is done to many of them at once.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use url::form_urlencoded;

use super::desk::Visitor;
use super::filters;
use super::page::{Frame, PageError, Posted, Section, page};
use super::row::Row;
use super::words::{When, count};
use crate::access::Project;
use crate::id::{BatchId, DeliveryId, JobId, TaskId};
use crate::job::{BatchView, Counts, Kind, Status};
use crate::request::{AppState, Problem};
use crate::store::{
    CancelOutcome, DeliveryFilter, JobFilter, JobPage, Pressure, Search, StoreError, StoreResult,
};

/// How many jobs a page shows.
const PAGE: u32 = 25;

/// How many jobs a search looks through for a page.
const SEARCHED: u32 = 10_000;

/// How many jobs are acted on at once.
const MAX_BULK: usize = 200;

/// What the list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) filter: JobFilter,
    /// The text that is looked for.
    pub(super) text: String,
    did: Option<Did>,
}

/// What was done to many jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Did {
    what: &'static str,
    done: u64,
    not: u64,
}

const ACTS: [(&str, &str); 3] =
    [("retry", "queued again"), ("cancel", "cancelled"), ("delete", "deleted")];

impl Asked {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut asked = Self::default();
        asked.filter.limit = PAGE;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let filter = &mut asked.filter;
            match &*name {
                _ if value.is_empty() => {}
                "status" => {
                    let status = Status::from_name(&value);
                    filter.status = Some(status.ok_or_else(|| wrong("status"))?);
                }
                "kind" => filter.kind = Some(Kind::from_name(&value).ok_or_else(|| wrong("kind"))?),
                "after" => filter.after = Some(value.parse().map_err(|_| wrong("after"))?),
                "before" => filter.before = Some(value.parse().map_err(|_| wrong("before"))?),
                "q" => asked.text = value.trim().chars().take(500).collect(),
                "did" => asked.did = Did::read(&value),
                _ => {}
            }
        }
        if !asked.text.is_empty() {
            asked.filter.input_has = Some(Search { text: asked.text.clone(), at_most: SEARCHED });
        }
        Ok(asked)
    }

    /// The way to the same list elsewhere in it.
    fn link(&self, change: impl FnOnce(&mut JobFilter)) -> String {
        let mut filter = JobFilter { after: None, before: None, ..self.filter.clone() };
        change(&mut filter);
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(status) = filter.status {
            query.append_pair("status", status.name());
        }
        if let Some(kind) = filter.kind {
            query.append_pair("kind", kind.name());
        }
        if !self.text.is_empty() {
            query.append_pair("q", &self.text);
        }
        if let Some(after) = filter.after {
            query.append_pair("after", &after.to_string());
        }
        if let Some(before) = filter.before {
            query.append_pair("before", &before.to_string());
        }
        match query.finish() {
            query if query.is_empty() => "/".to_owned(),
            query => format!("/?{query}"),
        }
    }
}

impl Did {
    /// Reads `retry-3-1`.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (_, what) = ACTS.into_iter().find(|(name, _)| parts.clone().next() == Some(*name))?;
        let mut numbers = parts.by_ref().skip(1).map(str::parse);
        Some(Self { what, done: numbers.next()?.ok()?, not: numbers.next()?.ok()? })
    }

    fn told(&self) -> String {
        let jobs = |number: u64| match number {
            1 => "1 job".to_owned(),
            number => format!("{} jobs", count(number)),
        };
        let done = format!("{} {}", jobs(self.done), self.what);
        match self.not {
            0 => done,
            not => format!("{done}; {} could not be: see their state", jobs(not)),
        }
    }
}

fn wrong(name: &'static str) -> Problem {
    Problem::invalid_input(name, format!("`{name}` in this address is not one that there is"))
        .hint("go to the list of all jobs and filter it there")
}

/// A choice of a filter.
struct Choice {
    /// As the query has it.
    value: &'static str,
    /// As people read it.
    name: String,
    href: String,
    is_chosen: bool,
    count: Option<String>,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    rows: Vec<Row>,
    statuses: Vec<Choice>,
    kinds: Vec<Choice>,
    text: String,
    did: Option<String>,
    newer: Option<String>,
    older: Option<String>,
    /// Where the search goes on when it has looked far enough back for one page.
    further: Option<String>,
    /// Where the page hears of changes.
    live: Option<String>,
    is_first_visit: bool,
    curl: String,
    batch: Option<BatchHead>,
}

/// What stands above the jobs of a batch.
struct BatchHead {
    id: String,
    status: &'static str,
    told: String,
    created: When,
}

/// `GET /`.
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    headers: axum::http::HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let asked = Asked::parse(query.as_deref().unwrap_or_default())?;
    let project = &visitor.caller.project;
    if let Some(path) = named(&state, project, &asked.text).await? {
        return Ok(Redirect::to(&path).into_response());
    }
    let found = state.store.jobs(project, &asked.filter).await?;
    let pressure = state.store.pressure().await?;
    let (newer, older) = ways(&asked, &found);
    let is_filtered = asked.filter.status.is_some()
        || asked.filter.kind.is_some()
        || asked.filter.after.is_some()
        || asked.filter.before.is_some()
        || !asked.text.is_empty();
    let rows: Vec<Row> = found.jobs.iter().map(|job| Row::of(&state, job)).collect();
    page(&JobsPage {
        frame: Frame::of(&visitor, Section::Jobs, "Jobs"),
        statuses: statuses(&asked, pressure),
        kinds: kinds(&asked),
        did: asked.did.as_ref().map(Did::told),
        newer,
        older,
        further: found.looked_back_to.map(|id| asked.link(|filter| filter.after = Some(id))),
        live: live(&found, asked.filter.after.is_none() && asked.filter.before.is_none(), &asked),
        is_first_visit: rows.is_empty() && !is_filtered,
        curl: super::submit::first_curl(&state, &headers),
        text: asked.text,
        rows,
        batch: None,
    })
}

/// `GET /ui/batches/{id}`.
pub(super) async fn batch(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let id: BatchId = id.parse().map_err(|_| no_batch())?;
    let batch = state.store.batch(&visitor.caller.project, id).await?.ok_or_else(no_batch)?;
    let view = BatchView::of(&batch);
    let found = JobPage { jobs: batch.jobs, has_more: false, looked_back_to: None };
    page(&JobsPage {
        frame: Frame::of(&visitor, Section::Jobs, "Batch"),
        rows: found.jobs.iter().map(|job| Row::of(&state, job)).collect(),
        statuses: Vec::new(),
        kinds: Vec::new(),
        text: String::new(),
        did: None,
        newer: None,
        older: None,
        further: None,
        live: live(&found, false, &Asked::default()).map(|path| format!("{path}&batch=1")),
        is_first_visit: false,
        curl: String::new(),
        batch: Some(BatchHead {
            id: id.to_string(),
            status: view.status.name(),
            told: told(view.counts),
            created: When::of(batch.created_at, state.clock.now()),
        }),
    })
}

/// How the jobs of a batch stand.
pub(super) fn told(counts: Counts) -> String {
    let told = [
        (counts.queued, "queued"),
        (counts.processing, "processing"),
        (counts.succeeded, "succeeded"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
    ];
    let told = told.into_iter().filter(|(number, _)| *number > 0);
    told.map(|(number, name)| format!("{number} {name}")).collect::<Vec<_>>().join(", ")
}

fn no_batch() -> Problem {
    Problem::not_found("batch_not_found", "there is no batch with this id")
        .hint("a batch whose jobs were all deleted is no longer shown")
}

/// The page of the one thing that the text is the name of.
async fn named(
    state: &AppState,
    project: &Project,
    text: &str,
) -> Result<Option<String>, PageError> {
    if let Ok(id) = text.parse::<JobId>() {
        return Ok(state.store.job(project, id).await?.map(|job| format!("/ui/jobs/{}", job.id)));
    }
    if let Ok(id) = text.parse::<BatchId>() {
        return Ok(state
            .store
            .batch(project, id)
            .await?
            .map(|batch| format!("/ui/batches/{}", batch.id)));
    }
    if let Ok(id) = text.parse::<TaskId>() {
        return Ok(state.store.task(project, id).await?.map(|job| format!("/ui/jobs/{}", job.id)));
    }
    if let Ok(id) = text.parse::<DeliveryId>() {
        let filter = DeliveryFilter { id: Some(id), limit: 1, ..DeliveryFilter::default() };
        let found = state.store.deliveries(project, &filter).await?;
        let job = found.first().and_then(|delivery| delivery.job_id);
        return Ok(job.map(|job| format!("/ui/jobs/{job}")));
    }
    Ok(None)
}

/// The ways to the page before and the page after.
fn ways(asked: &Asked, found: &JobPage) -> (Option<String>, Option<String>) {
    let came_back = asked.filter.before.is_some() && asked.filter.after.is_none();
    let is_first = asked.filter.after.is_none() && asked.filter.before.is_none();
    let has_older = if came_back { true } else { found.has_more };
    let has_newer = if came_back { found.has_more } else { !is_first };
    let first = found.jobs.first().map(|job| job.id).filter(|_| has_newer);
    let last = found.jobs.last().map(|job| job.id).filter(|_| has_older);
    let newer = first.map(|id| asked.link(|filter| filter.before = Some(id)));
    let older = last.map(|id| asked.link(|filter| filter.after = Some(id)));
    (newer, older)
}

/// The address of the page's event stream: which jobs it shows, and whether newer ones would stand
/// above them.
fn live(found: &JobPage, is_first: bool, asked: &Asked) -> Option<String> {
    let ids: Vec<String> = found.jobs.iter().map(|job| job.id.to_string()).collect();
    if ids.is_empty() && !is_first {
        return None;
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("ids", &ids.join(","));
    if is_first {
        query.append_pair("first", "1");
    }
    if let Some(status) = asked.filter.status {
        query.append_pair("status", status.name());
    }
    if let Some(kind) = asked.filter.kind {
        query.append_pair("kind", kind.name());
    }
    if !asked.text.is_empty() {
        query.append_pair("q", &asked.text);
    }
    Some(format!("/ui/live/jobs?{}", query.finish()))
}

fn statuses(asked: &Asked, pressure: Pressure) -> Vec<Choice> {
    let choice = |status: Option<Status>| Choice {
        value: status.map_or("", Status::name),
        name: status.map_or("all", Status::name).to_owned(),
        href: asked.link(|filter| filter.status = status),
        is_chosen: asked.filter.status == status,
        count: match status {
            Some(Status::Queued) => Some(count(pressure.queued)),
            Some(Status::Processing) => Some(count(pressure.processing)),
            _ => None,
        },
    };
    std::iter::once(None).chain(Status::ALL.map(Some)).map(choice).collect()
}

fn kinds(asked: &Asked) -> Vec<Choice> {
    let choice = |kind: Option<Kind>| Choice {
        value: kind.map_or("", Kind::name),
        name: kind.map_or("every kind", Kind::name).replace('_', " "),
        href: asked.link(|filter| filter.kind = kind),
        is_chosen: asked.filter.kind == kind,
        count: None,
    };
    std::iter::once(None).chain(Kind::ALL.map(Some)).map(choice).collect()
}

/// `POST /ui/jobs/bulk`: one thing done to many jobs.
pub(super) async fn bulk(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    posted: Posted,
) -> Result<Response, PageError> {
    let act = posted.get("act").unwrap_or_default();
    let Some((act, _)) = ACTS.into_iter().find(|(name, _)| *name == act) else {
        return Err(Problem::invalid_input("act", "nothing was chosen to be done").into());
    };
    let ids: Vec<JobId> =
        posted.all("id").take(MAX_BULK).filter_map(|id| id.parse().ok()).collect();
    let (mut done, mut not) = (0, 0);
    for id in ids {
        if one(&state, &visitor.caller.project, act, id).await? { done += 1 } else { not += 1 }
    }
    let back = posted.get("back").filter(|back| back.starts_with("/?") || *back == "/");
    let back = back.unwrap_or("/");
    let sign = if back.contains('?') { '&' } else { '?' };
    Ok(Redirect::to(&format!("{back}{sign}did={act}-{done}-{not}")).into_response())
}

/// Does it to one job; returns whether it could be done.
pub(super) async fn one(
    state: &AppState,
    project: &Project,
    act: &str,
    id: JobId,
) -> StoreResult<bool> {
    match act {
        "retry" => match state.store.retry(project, id).await {
            Ok(job) => Ok(job.is_some()),
            Err(StoreError::Transition(_)) => Ok(false),
            Err(error) => Err(error),
        },
        "cancel" => {
            let outcome = state.store.cancel(project, id).await?;
            Ok(matches!(outcome, CancelOutcome::Cancelled(_) | CancelOutcome::Asked(_)))
        }
        _ => Ok(state.store.delete(project, id).await?.is_some()),
    }
}
