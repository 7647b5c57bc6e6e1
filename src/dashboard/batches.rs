//! The batches: jobs that were submitted together, and how they stand as one.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use url::form_urlencoded;

use super::desk::Visitor;
use super::jobs::told;
use super::page::{Frame, PageError, Section, page};
use super::words::When;
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
    newer: Option<String>,
    older: Option<String>,
}

/// `GET /ui/batches`.
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let mut filter = BatchFilter { limit: PAGE, ..BatchFilter::default() };
    let wrong = || {
        Problem::invalid_input("after", "this address is not one that there is")
            .hint("go to the list of all batches")
    };
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "after" => filter.after = Some(value.parse().map_err(|_| wrong())?),
            "before" => filter.before = Some(value.parse().map_err(|_| wrong())?),
            _ => {}
        }
    }
    let found = state.store.batches(&visitor.caller.project, &filter).await?;
    let (newer, older) = ways(&filter, &found);
    let now = state.clock.now();
    page(&BatchesPage {
        frame: Frame::of(&visitor, Section::Jobs, "Batches"),
        rows: found.batches.iter().map(|batch| Row::of(batch, now)).collect(),
        newer,
        older,
    })
}

/// The ways to the page before and the page after.
fn ways(filter: &BatchFilter, found: &BatchPage) -> (Option<String>, Option<String>) {
    let came_back = filter.before.is_some() && filter.after.is_none();
    let is_first = filter.after.is_none() && filter.before.is_none();
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
