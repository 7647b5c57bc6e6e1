//! `/healthz` and `/readyz`: whether the process lives, and whether it can do its work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::AppState;
use crate::store::{Pressure, StoreResult};

/// A database that is slower than this is not ready to serve anyone.
const PATIENCE: Duration = Duration::from_secs(3);

/// What this process has to work with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The version of ffmpeg, or `None` when it cannot be started.
    pub ffmpeg: Option<String>,
    /// How well ffmpeg is contained, in the words of the self-test.
    pub containment: Option<String>,
    /// The layers that contain it.
    pub layers: Vec<String>,
    /// How many tasks it works on at once.
    pub slots: Slots,
}

/// How many tasks a process works on at once, by lane; none when it only serves requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Slots {
    /// Video, audio, animation.
    pub heavy: u32,
    /// Images.
    pub light: u32,
}

/// What `/healthz` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of an answer that is written as JSON")]
struct Health {
    /// Always `ok`.
    #[schema(pattern = "^ok$")]
    status: String,
}

/// What `/readyz` says.
#[derive(ToSchema)]
#[schema(as = Readiness)]
#[expect(dead_code, reason = "the schema of an answer that is written as JSON")]
struct ReadinessView {
    /// Whether the process can do its work.
    status: ReadinessStatus,
    /// Why it cannot.
    reason: Option<String>,
    /// The version of ffmpeg, when it can be started.
    #[schema(required = true)]
    ffmpeg: Option<String>,
    /// How well ffmpeg is contained.
    #[schema(required = true)]
    containment: Option<String>,
    /// The layers that contain it, such as `landlock`, `seccomp`, `namespaces` and `cgroup`.
    containment_layers: Vec<String>,
    /// How many tasks the process works on at once, by lane.
    slots: Slots,
    /// What waits and what runs, when the database answers.
    #[schema(required = true)]
    queue: Option<Queue>,
}

/// Whether a process can do its work.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "the schema of an answer that is written as JSON")]
enum ReadinessStatus {
    Ok,
    Unavailable,
}

/// What waits and what runs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of an answer that is written as JSON")]
struct Queue {
    /// Tasks that wait for a worker.
    queued: u64,
    /// Tasks in a worker's hands.
    processing: u64,
}

/// `GET /healthz`: asks nobody, so that a slow database gets no process killed.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Server",
    operation_id = "isAlive",
    summary = "Whether the process lives",
    description = "Asks nobody: a slow database is no reason to end the process.",
    security(()),
    responses((status = 200, description = "It lives.", body = Health)),
)]
pub(super) async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: 503 with a reason while the process cannot do its work.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Server",
    operation_id = "isReady",
    summary = "Whether the process can do its work",
    description = "What it has to work with, and what waits.",
    security(()),
    responses(
        (status = 200, description = "It can.", body = ReadinessView),
        (status = 503, description = "It cannot, and `reason` says why.", body = ReadinessView),
    ),
)]
pub(super) async fn ready(State(state): State<AppState>) -> Response {
    let readiness = (state.readiness)();
    let pressure = match timeout(PATIENCE, pressure(&state)).await {
        Ok(Ok(pressure)) => Some(pressure),
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the database does not answer as it should");
            None
        }
        Err(_) => None,
    };
    let reason = reason(state.shutdown.is_cancelled(), pressure, &readiness);
    let queue = pressure.map(|p| json!({"queued": p.queued, "processing": p.processing}));
    let mut body = json!({
        "status": if reason.is_none() { "ok" } else { "unavailable" },
        "ffmpeg": readiness.ffmpeg,
        "containment": readiness.containment,
        "containment_layers": readiness.layers,
        "slots": readiness.slots,
        "queue": queue,
    });
    let Some(reason) = reason else { return Json(body).into_response() };
    body["reason"] = reason.into();
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

async fn pressure(state: &AppState) -> StoreResult<Pressure> {
    state.store.ping().await?;
    state.store.pressure().await
}

fn reason(
    is_stopping: bool,
    pressure: Option<Pressure>,
    readiness: &Readiness,
) -> Option<&'static str> {
    let works = readiness.slots != Slots::default();
    if is_stopping {
        Some("the server is stopping")
    } else if pressure.is_none() {
        Some("the database does not answer")
    } else if works && readiness.ffmpeg.is_none() {
        Some("ffmpeg cannot be started")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_works_needs_ffmpeg() {
        let up = Some(Pressure::default());
        let serving = Readiness::default();
        let working = Readiness { slots: Slots { heavy: 1, light: 1 }, ..serving.clone() };
        let whole = Readiness { ffmpeg: Some("5.1.9".to_owned()), ..working.clone() };
        assert_eq!(reason(false, up, &serving), None);
        assert_eq!(reason(false, up, &whole), None);
        assert_eq!(reason(false, up, &working), Some("ffmpeg cannot be started"));
        assert_eq!(reason(false, None, &whole), Some("the database does not answer"));
        assert_eq!(reason(true, up, &whole), Some("the server is stopping"));
    }
}
