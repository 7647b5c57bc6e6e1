//! `GET /metrics`: what was counted here, and what stands in the database.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::may::Reads;
use super::openapi::NoMetrics;
use super::{AppState, Problem};
use crate::access::Project;
use crate::metrics;
use crate::store::Backlog;
use crate::task::{Kind, Lane};

/// How old the backlog on the page may be.
const FRESH: Duration = Duration::from_secs(5);

/// A database that takes longer than this does not hold up the page.
const PATIENCE: Duration = Duration::from_secs(3);

/// The media type of Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// When the backlog was read last. Who comes meanwhile waits for the one who reads it.
#[derive(Clone, Debug, Default)]
pub(super) struct LastLook(Arc<Mutex<Option<Instant>>>);

/// `GET /metrics`.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Server",
    operation_id = "getMetrics",
    summary = "What was counted, for Prometheus",
    description = "Queue, claims, attempts, speed, bytes, webhooks: see docs/metrics.md. They are of \
                   the whole server, so they are there for keys of the project `default` alone.",
    security(("key" = ["jobs:read"])),
    responses((status = 200, description = "Prometheus' text format.", body = String, content_type = "text/plain"), NoMetrics),
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Reads(caller): Reads,
    Extension(LastLook(last_look)): Extension<LastLook>,
) -> Result<Response, Problem> {
    if caller.project != Project::DEFAULT {
        return Err(Problem::not_found("not_found", "there are no metrics of one project").hint(
            "scrape with a key of the project `default`: the numbers are of the whole server",
        ));
    }
    let mut looked_at = last_look.lock().await;
    if looked_at.is_none_or(|at| at.elapsed() >= FRESH) {
        look(&state).await;
        *looked_at = Some(Instant::now());
    }
    drop(looked_at);
    Ok(([(CONTENT_TYPE, TEXT)], metrics::page()).into_response())
}

/// A database that is away is a number on the page, and no reason to have no page.
async fn look(state: &AppState) {
    let backlog = match timeout(PATIENCE, state.store.backlog()).await {
        Ok(Ok(backlog)) => Some(backlog),
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the backlog cannot be read for the metrics");
            None
        }
        Err(_) => None,
    };
    metrics::DATABASE_UP.set(if backlog.is_some() { 1.0 } else { 0.0 }, &[]);
    if let Some(backlog) = backlog {
        tell(&backlog);
    }
}

/// Every lane and kind, also those that have nothing any more.
fn tell(backlog: &Backlog) {
    for (lane, kind) in Lane::ALL.into_iter().flat_map(|lane| Kind::ALL.map(|kind| (lane, kind))) {
        let row = backlog.tasks.iter().find(|row| (row.lane, row.kind) == (lane, kind));
        let labels = [lane.name(), kind.name()];
        metrics::TASKS_QUEUED.set(row.map_or(0.0, |row| row.queued as f64), &labels);
        metrics::TASKS_PROCESSING.set(row.map_or(0.0, |row| row.processing as f64), &labels);
        metrics::TASKS_QUEUED_AGE.set(row.map_or(0.0, |row| row.overdue.as_secs_f64()), &labels);
    }
    metrics::DELIVERIES_PENDING.set(backlog.deliveries_pending as f64, &[]);
    metrics::DELIVERIES_AGE.set(backlog.deliveries_overdue.as_secs_f64(), &[]);
    metrics::DESTINATIONS_DISABLED.set(backlog.destinations_disabled as f64, &[]);
}
