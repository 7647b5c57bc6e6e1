//! `POST /webhooks/ittybit`: a provider tells of a job that it was given.
//!
//! No key, but a signature; see [`Inbox`](crate::provider::Inbox).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::openapi::NotTaken;
use super::{AppState, Problem, body};
use crate::provider::InboxError;

/// A provider's word about a job, as far as it is read. Older shapes are understood as well:
/// `job_id` or `task_id` in the place of `id`, and all of it inside `data`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what `provider::word` reads by hand")]
pub(super) struct ProviderJob {
    /// What the provider calls the job.
    #[schema(min_length = 1, max_length = 128)]
    id: String,
    /// `succeeded` or `completed`, `failed` or `error`, `cancelled`; with anything else it goes on.
    status: Option<String>,
    /// Per cent.
    progress: Option<f64>,
    /// A URL, a File with its `url`, or a list of either.
    output: Option<Value>,
    /// Every output, when there are several.
    outputs: Option<Vec<Value>>,
    /// The output's URL, when `output` does not say it.
    output_url: Option<String>,
    /// Why it failed: words, or `{kind, message}`.
    error: Option<Value>,
    /// What was sent along with the job.
    metadata: Option<Value>,
    /// When it was so: milliseconds or seconds since 1970, or a date. What is older changes nothing.
    updated_at: Option<Value>,
}

/// The answer to a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Always true: it is on disk.
    received: bool,
}

/// Answers 200 when the webhook is on disk, however little it says.
#[utoipa::path(
    post,
    path = "/webhooks/ittybit",
    tag = "Webhooks",
    operation_id = "takeProviderWebhook",
    summary = "Take a provider's webhook",
    description = "For a server that hands its jobs to an Ittybit-compatible API \
                   (`REELWAY_ENGINE=ittybit`): the provider tells of a job. Signed as Standard \
                   Webhooks or with `Ittybit-Signature` where ITTYBIT_WEBHOOK_SECRET is set.",
    security(()),
    request_body(content = ProviderJob, description = "A job, in any of the shapes that Ittybit has had."),
    responses(
        (status = 200, description = "It is on disk.", body = Taken),
        NotTaken,
    ),
)]
pub(super) async fn take(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    let inbox = state.provider.as_ref().ok_or_else(no_provider)?;
    let (head, sent) = request.into_parts();
    let bytes = body::read(sent, state.limits.max_body_bytes).await?;
    inbox.take(&head.headers, &bytes).await.map_err(problem)?;
    Ok(Json(Taken { received: true }))
}

fn no_provider() -> Problem {
    Problem::not_found("provider_not_configured", "this server hands its jobs to no provider")
        .hint("set ITTYBIT_API_KEY, and REELWAY_ENGINE=ittybit")
}

fn problem(error: InboxError) -> Problem {
    match error {
        InboxError::Unproven(error) => {
            let message = error.to_string();
            Problem::new(StatusCode::UNAUTHORIZED, "signature_invalid", message).hint(
                "sign with the secret in ITTYBIT_WEBHOOK_SECRET, as Standard Webhooks or Ittybit",
            )
        }
        InboxError::NotJson(error) => {
            let message = format!("the body is not JSON: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "invalid_json", message)
        }
        InboxError::Unreadable(error) => {
            let message = format!("the body tells of no job: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "invalid_input", message)
        }
        InboxError::Store(error) => error.into(),
    }
}
