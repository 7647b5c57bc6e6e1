//! The batches: jobs that were submitted together, and how they stand as one.

use std::collections::HashMap;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;
use url::form_urlencoded;

use super::desk::{Desk, Visitor};
use super::jobs::told;
use super::live::{COUNTED, Told, answer, full, news, part, told_newer};
use super::page::{Frame, PageError, Section, page};
use super::words::When;
use crate::access::Project;
use crate::id::{BatchId, JobId};
use crate::job::{BatchSummary, Counts};
use crate::request::{AppState, Problem};
use crate::store::{BatchFilter, BatchPage};

/// How many batches a page shows.
const PAGE: u32 = 25;

/// How many parts the whole width of a bar has.
const WIDTH: u32 = 1000;

/// A batch as the page shows it.
struct Row {
    id: String,
    status: &'static str,
    told: String,
    parts: Vec<Part>,
    created: When,
}

/// The jobs of one status, as a part of a bar.
struct Part {
    status: &'static str,
    from: u32,
    width: u32,
}

#[derive(Template)]
#[template(path = "batches.html")]
struct BatchesPage {
    frame: Frame,
    rows: Vec<Row>,
    /// Where the page hears of what happens.
    live: String,
    newer: Option<String>,
    older: Option<String>,
}

/// `GET /ui/batches`.
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let filter = asked(query.as_deref().unwrap_or_default())?;
    let found = state.store.batches(&visitor.caller.project, &filter).await?;
    let (newer, older) = ways(&filter, &found);
    let now = state.clock.now();
    page(&BatchesPage {
        frame: Frame::of(&visitor, Section::Jobs, "Batches"),
        live: live_path(&filter, &found),
        rows: found.batches.iter().map(|batch| Row::of(batch, now)).collect(),
        newer,
        older,
    })
}

/// The page that an address asks for.
fn asked(query: &str) -> Result<BatchFilter, PageError> {
    let mut filter = BatchFilter { limit: PAGE, ..BatchFilter::default() };
    let wrong = || {
        Problem::invalid_input("after", "this address is not one that there is")
            .hint("go to the list of all batches")
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "after" => filter.after = Some(value.parse().map_err(|_| wrong())?),
            "before" => filter.before = Some(value.parse().map_err(|_| wrong())?),
            _ => {}
        }
    }
    Ok(filter)
}

/// Whether the newest batches stand on it.
const fn is_first(filter: &BatchFilter) -> bool {
    filter.after.is_none() && filter.before.is_none()
}

fn live_path(filter: &BatchFilter, found: &BatchPage) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(id) = filter.after {
        query.append_pair("after", &id.to_string());
    }
    if let Some(id) = filter.before {
        query.append_pair("before", &id.to_string());
    }
    // What came after this one was made is new to the page.
    if let Some(batch) = found.batches.first().filter(|_| is_first(filter)) {
        query.append_pair("newest", &batch.id.to_string());
    }
    format!("/ui/live/batches?{}", query.finish())
}

/// The ways to the page before and the page after.
fn ways(filter: &BatchFilter, found: &BatchPage) -> (Option<String>, Option<String>) {
    let came_back = filter.before.is_some() && filter.after.is_none();
    let is_first = is_first(filter);
    let has_older = came_back || found.has_more;
    let has_newer = if came_back { found.has_more } else { !is_first };
    let first = found.batches.first().filter(|_| has_newer);
    let last = found.batches.last().filter(|_| has_older);
    (
        first.map(|batch| format!("/ui/batches?before={}", batch.id)),
        last.map(|batch| format!("/ui/batches?after={}", batch.id)),
    )
}

impl Row {
    fn of(batch: &BatchSummary, now: crate::clock::Timestamp) -> Self {
        Self {
            id: batch.id.to_string(),
            status: batch.counts.status().name(),
            told: told(batch.counts),
            parts: parts(batch.counts),
            created: When::of(batch.created_at, now),
        }
    }
}

/// The statuses beside each other, each as wide as it has jobs.
fn parts(counts: Counts) -> Vec<Part> {
    let of = [
        ("succeeded", counts.succeeded),
        ("failed", counts.failed),
        ("cancelled", counts.cancelled),
        ("processing", counts.processing),
        ("queued", counts.queued),
    ];
    let all: u32 = of.iter().map(|(_, jobs)| jobs).sum();
    let mut before = 0;
    let parts = of.into_iter().filter(|(_, jobs)| *jobs > 0).map(|(status, jobs)| {
        let from = before * WIDTH / all.max(1);
        before += jobs;
        Part { status, from, width: before * WIDTH / all.max(1) - from }
    });
    parts.collect()
}

// ---- live -----------------------------------------------------------------------------------

#[derive(Template)]
#[template(path = "batch_state.html")]
struct StatePart<'a> {
    row: &'a Row,
}

#[derive(Template)]
#[template(path = "batch_share.html")]
struct SharePart<'a> {
    row: &'a Row,
}

/// The list as it was last told.
struct Live {
    state: AppState,
    project: Project,
    filter: BatchFilter,
    newest: Option<BatchId>,
    seen: HashMap<BatchId, Counts>,
    told_newer: usize,
    changes: Receiver<JobId>,
    last: Instant,
    _seat: OwnedSemaphorePermit,
}

/// `GET /ui/live/batches`.
pub(super) async fn live(
    State(state): State<AppState>,
    Extension(desk): Extension<Desk>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let seat = desk.seat().ok_or_else(full)?;
    let query = query.unwrap_or_default();
    let mut filter = asked(&query)?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let newest = pairs.find(|(name, _)| name == "newest").and_then(|(_, id)| id.parse().ok());
    if is_first(&filter) {
        // The batches of the page are still among these when newer ones have come.
        filter.limit = PAGE + COUNTED;
    }
    let (changes, stop) = (state.store.hints().changes(), state.shutdown.clone());
    let live = Live {
        state,
        project: visitor.caller.project,
        filter,
        newest,
        seen: HashMap::new(),
        told_newer: 0,
        changes,
        last: Instant::now(),
        _seat: seat,
    };
    Ok(answer(&stop, stream::unfold(live, Live::next)))
}

impl Live {
    async fn next(mut self) -> Option<(Told, Self)> {
        loop {
            match self.parts().await {
                Ok(parts) if !parts.is_empty() => return Some((Told::Part(parts), self)),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(?error, "a live page lost its batches");
                    return None;
                }
            }
            let last = self.last;
            news(&mut self.changes, last, |_| true).await;
            self.last = Instant::now();
        }
    }

    /// What is new since the last look.
    async fn parts(&mut self) -> Result<String, PageError> {
        let found = self.state.store.batches(&self.project, &self.filter).await?.batches;
        let (mut parts, now) = (String::new(), self.state.clock.now());
        let is_newer = |batch: &&BatchSummary| {
            is_first(&self.filter) && self.newest.is_none_or(|newest| batch.id > newest)
        };
        let newer = found.iter().filter(is_newer).count();
        for batch in found.iter().filter(|batch| !is_newer(batch)) {
            if self.seen.insert(batch.id, batch.counts) != Some(batch.counts) {
                let row = Row::of(batch, now);
                let state = StatePart { row: &row }.render().map_err(Problem::internal)?;
                let share = SharePart { row: &row }.render().map_err(Problem::internal)?;
                parts += &part(&format!("#state-{}", row.id), "innerHTML", &state);
                parts += &part(&format!("#share-{}", row.id), "innerHTML", &share);
            }
        }
        if newer != self.told_newer {
            self.told_newer = newer;
            parts += &part("#newer", "innerHTML", &told_newer(newer, ("batch", "batches")));
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_and_has_no_gaps() {
        let parts = parts(Counts { queued: 1, succeeded: 1, failed: 1, ..Counts::default() });
        let mut end = 0;
        for part in &parts {
            assert_eq!(part.from, end);
            end += part.width;
        }
        assert_eq!((end, parts.len()), (WIDTH, 3));
        assert!(super::parts(Counts::default()).is_empty());
    }
}
