//! `/batches`: jobs that were submitted together, as one.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::list::{self, BatchListing};
use super::may::Reads;
use super::openapi::{BatchQuery, NoBatch, WrongQuery};
use super::segment::Segment;
use super::{AppState, Problem};
use crate::id::{BatchId, BatchTag};
use crate::job::BatchView;

/// `GET /batches`: a bare list without the jobs, with the ways on in the headers.
#[utoipa::path(
    get,
    path = "/batches",
    tag = "Batches",
    operation_id = "listBatches",
    summary = "List batches",
    description = "Newest first, a page at a time, without their jobs.",
    security(("key" = ["jobs:read"])),
    params(BatchQuery),
    responses(
        (
            status = 200,
            description = "The batches.",
            body = [BatchView],
            headers(
                ("Has-More" = bool, description = "Whether there are more in the direction of travel."),
                ("Link" = Option<String>, description = "RFC 8288: the `next` and the `prev` page."),
            ),
        ),
        WrongQuery,
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Reads(caller): Reads,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = BatchListing::parse(query.as_deref().unwrap_or_default())?;
    let page = state.store.batches(&caller.project, &listing.filter).await?;
    let batches: Vec<BatchView> = page.batches.iter().map(BatchView::brief).collect();
    list::answer(&batches, page.has_more, listing.links(&page))
}

/// `GET /batches/{id}`.
#[utoipa::path(
    get,
    path = "/batches/{id}",
    tag = "Batches",
    operation_id = "getBatch",
    summary = "Get a batch",
    description = "The jobs that were submitted together, and how they stand together.",
    security(("key" = ["jobs:read"])),
    params(("id" = BatchTag, Path, description = "The batch.")),
    responses((status = 200, description = "The batch.", body = BatchView), NoBatch),
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Reads(caller): Reads,
    Segment(id): Segment,
) -> Result<Json<BatchView>, Problem> {
    let id: BatchId = id.parse().map_err(|_| unknown())?;
    let batch = state.store.batch(&caller.project, id).await?.ok_or_else(unknown)?;
    Ok(Json(BatchView::of(&batch).linked(|key| state.links.link(key))))
}

fn unknown() -> Problem {
    Problem::not_found("batch_not_found", "there is no batch with this id")
        .hint("ids begin with `batch_`; a batch whose jobs were all deleted is no longer shown")
}
