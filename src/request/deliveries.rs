//! `/webhooks/deliveries`: what was pushed, and pushing it again.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;

use super::body::Sent;
use super::fields::Fields;
use super::segment::Segment;
use super::{AppState, Problem, list};
use crate::clock::Timestamp;
use crate::store::Delivery;

/// `GET /webhooks/deliveries`: the log, newest first.
pub(super) async fn log(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Delivery>>, Problem> {
    let filter = list::deliveries(query.as_deref().unwrap_or_default())?;
    Ok(Json(state.store.deliveries(&filter).await?))
}

/// `POST /webhooks/deliveries/{id}/replay`: the same event again, from the first attempt on.
pub(super) async fn replay(
    State(state): State<AppState>,
    Segment(id): Segment,
) -> Result<Json<Delivery>, Problem> {
    let id = id.parse().map_err(|_| unknown())?;
    state.store.replay(id).await?.map(Json).ok_or_else(unknown)
}

/// How many deliveries were put back into the queue.
#[derive(Debug, Serialize)]
pub(super) struct Replayed {
    replayed: u64,
}

/// `POST /webhooks/deliveries/replay`: all that failed or are held, since a time.
pub(super) async fn replay_failed(
    State(state): State<AppState>,
    sent: Sent,
) -> Result<Json<Replayed>, Problem> {
    let fields = Fields::new("", &sent.object);
    fields.refuse_slips(&["since"])?;
    let since = fields.count("since")?.ok_or_else(|| {
        fields.missing("since").hint("it is a time in milliseconds since 1970; 0 replays all")
    })?;
    let replayed = state.store.replay_failed(Timestamp::from_millis(since)).await?;
    Ok(Json(Replayed { replayed }))
}

fn unknown() -> Problem {
    Problem::not_found("delivery_not_found", "there is no delivery with this id")
        .hint("ids begin with `dlv_`; deliveries are kept for 30 days")
}
