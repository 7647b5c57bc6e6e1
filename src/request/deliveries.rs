//! `/webhooks/deliveries`: what was pushed, and pushing it again.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Sent;
use super::fields::Fields;
use super::may::{Reads, Writes};
use super::openapi::{DeliveryQuery, NoDelivery, NotAnObject, ReplayRequest, WrongQuery};
use super::segment::Segment;
use super::{AppState, Problem, list, may};
use crate::access::{Project, Scope};
use crate::clock::Timestamp;
use crate::id::DeliveryTag;
use crate::store::Delivery;

/// `GET /webhooks/deliveries`: the log, newest first.
#[utoipa::path(
    get,
    path = "/webhooks/deliveries",
    tag = "Webhooks",
    operation_id = "listDeliveries",
    summary = "List deliveries",
    description = "What was pushed, newest first, with every attempt and the receiver's answer. \
        What was told about the server itself is listed with `operations=true`, for keys with the \
        scope `admin`.",
    security(("key" = ["jobs:read"])),
    params(DeliveryQuery),
    responses((status = 200, description = "The deliveries.", body = [Delivery]), WrongQuery),
)]
pub(super) async fn log(
    State(state): State<AppState>,
    Reads(caller): Reads,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Delivery>>, Problem> {
    let listing = list::deliveries(query.as_deref().unwrap_or_default())?;
    let project = if listing.operations {
        may::check(&caller, &[Scope::Admin])?;
        &Project::OPERATIONS
    } else {
        &caller.project
    };
    Ok(Json(state.store.deliveries(project, &listing.filter).await?))
}

/// `POST /webhooks/deliveries/{id}/replay`: the same event again, from the first attempt on.
#[utoipa::path(
    post,
    path = "/webhooks/deliveries/{id}/replay",
    tag = "Webhooks",
    operation_id = "replayDelivery",
    summary = "Replay a delivery",
    description = "Pushes the same event again, under the same `webhook-id`, with all its attempts.",
    security(("key" = ["jobs:write"])),
    params(("id" = DeliveryTag, Path, description = "The delivery.")),
    responses((status = 200, description = "The delivery, pending.", body = Delivery), NoDelivery),
)]
pub(super) async fn replay(
    State(state): State<AppState>,
    Writes(caller): Writes,
    Segment(id): Segment,
) -> Result<Json<Delivery>, Problem> {
    let id = id.parse().map_err(|_| unknown())?;
    let mut replayed = state.store.replay(&caller.project, id).await?;
    if replayed.is_none() && caller.may(Scope::Admin) {
        replayed = state.store.replay(&Project::OPERATIONS, id).await?;
    }
    replayed.map(Json).ok_or_else(unknown)
}

/// How many deliveries were put back into the queue.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// How many.
    replayed: u64,
}

/// `POST /webhooks/deliveries/replay`: all that failed or are held, since a time.
#[utoipa::path(
    post,
    path = "/webhooks/deliveries/replay",
    tag = "Webhooks",
    operation_id = "replayFailedDeliveries",
    summary = "Replay what failed",
    description = "Pushes again all that failed or are held since a time, as after an outage.",
    security(("key" = ["jobs:write"])),
    request_body = ReplayRequest,
    responses((status = 200, description = "How many there were.", body = Replayed), NotAnObject),
)]
pub(super) async fn replay_failed(
    State(state): State<AppState>,
    Writes(caller): Writes,
    sent: Sent,
) -> Result<Json<Replayed>, Problem> {
    let fields = Fields::new("", &sent.object);
    fields.refuse_slips(&["since"])?;
    let since = fields.count("since")?.ok_or_else(|| {
        fields.missing("since").hint("it is a time in milliseconds since 1970; 0 replays all")
    })?;
    let replayed =
        state.store.replay_failed(&caller.project, Timestamp::from_millis(since)).await?;
    Ok(Json(Replayed { replayed }))
}

fn unknown() -> Problem {
    Problem::not_found("delivery_not_found", "there is no delivery with this id")
        .hint("ids begin with `dlv_`; deliveries are kept for 30 days")
}
