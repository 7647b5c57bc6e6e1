//! `/batches`: jobs that were submitted together, as one.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::list::{self, BatchListing};
use super::segment::Segment;
use super::{AppState, Problem};
use crate::id::BatchId;
use crate::job::BatchView;

/// `GET /batches`: a bare list without the jobs, with the ways on in the headers.
pub(super) async fn list(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = BatchListing::parse(query.as_deref().unwrap_or_default())?;
    let page = state.store.batches(&listing.filter).await?;
    let batches: Vec<BatchView> = page.batches.iter().map(BatchView::brief).collect();
    list::answer(&batches, page.has_more, listing.links(&page))
}

/// `GET /batches/{id}`.
pub(super) async fn show(
    State(state): State<AppState>,
    Segment(id): Segment,
) -> Result<Json<BatchView>, Problem> {
    let id: BatchId = id.parse().map_err(|_| unknown())?;
    let batch = state.store.batch(id).await?.ok_or_else(unknown)?;
    Ok(Json(BatchView::of(&batch).linked(|key| state.links.link(key))))
}

fn unknown() -> Problem {
    Problem::not_found("batch_not_found", "there is no batch with this id")
        .hint("ids begin with `batch_`; a batch whose jobs were all deleted is no longer shown")
}
