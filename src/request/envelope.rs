//! What every request has around it: an id, a span, a line in the log, a body for its problem.
//!
//! The one place where a failed request is logged, and its cause with it.

use std::any::Any;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, Span, info_span};

use super::problem::render;
use super::{AppState, Problem};
use crate::id::{RequestId, fresh};
use crate::metrics;
use crate::trace;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from the caller.
const MAX_ID_LEN: usize = 64;

/// Wraps a request; the outermost layer.
pub(super) async fn wrap(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(&request, &state);
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    let (route, method) = (route.to_owned(), request.method().clone());
    let span = span(&id, &method, &route);
    trace::join(&span, trace::sent_with(request.headers()).as_ref());
    let response = next.run(request).instrument(span.clone()).await;
    let (mut response, problem) = render(response, &id);
    note(&span, &method, &route, response.status());
    span.in_scope(|| log(response.status(), problem.as_ref(), began.elapsed()));
    count(&method, &route, response.status(), began.elapsed());
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// What is said of the request is said of this span.
fn span(id: &str, method: &Method, route: &str) -> Span {
    match route {
        // Asked every few seconds by whoever watches over the server.
        "/healthz" | "/readyz" | "/metrics" => {
            info_span!(target: trace::UNTRACED, "request", request.id = id, %method, route)
        }
        _ => info_span!("request", request.id = id, %method, route),
    }
}

/// The same for the trace, in the words of OpenTelemetry.
fn note(span: &Span, method: &Method, route: &str, status: StatusCode) {
    trace::note(span, "http.request.method", method.to_string());
    trace::note(span, "http.route", route.to_owned());
    trace::note(span, "http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        trace::failed(span, status.as_str());
    }
}

/// The caller's own id when it is harmless in a log, else a new one.
fn request_id(request: &Request, state: &AppState) -> String {
    let sent = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    sent.filter(|id| is_harmless(id)).map_or_else(
        || {
            let id: RequestId = fresh(state.clock.now());
            id.to_string()
        },
        str::to_owned,
    )
}

fn is_harmless(id: &str) -> bool {
    (1..=MAX_ID_LEN).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Only routes and methods that there are: what a stranger makes up counts as one.
fn count(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => method.as_str(),
        _ => "other",
    };
    metrics::HTTP_REQUESTS.add(1, &[route, method, status.as_str()]);
    metrics::HTTP_SECONDS.observe(took.as_secs_f64(), &[route]);
}

fn log(status: StatusCode, problem: Option<&Problem>, duration: Duration) {
    let duration_ms = duration.as_millis() as u64;
    let status = status.as_u16();
    let kind = problem.map(Problem::kind);
    if let Some(cause) = problem.and_then(Problem::cause) {
        tracing::error!(status, kind, duration_ms, error = cause, "request failed");
    } else {
        tracing::info!(status, kind, duration_ms, "request answered");
    }
}

/// Ends a request whose answer has not begun in time.
pub(super) async fn limit_time(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let limit = state.limits.answer_within;
    timeout(limit, next.run(request)).await.map_err(|_| {
        let message = format!("the request took longer than {} s", limit.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
            .hint("send it again; with an `Idempotency-Key` it is safe to")
    })
}

/// What a handler's panic is for the caller; its words are for the log.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over by value")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words".to_owned());
    Problem::internal(anyhow::anyhow!("a handler panicked: {words}")).into_response()
}

/// There is no such route.
pub(super) async fn no_route() -> Problem {
    Problem::not_found("not_found", "there is no such route")
        .hint("the routes begin with /process, /jobs, /tasks, /batches, /connections, /files, /uploads, /webhooks")
}

/// There is such a route, but not for this method.
pub(super) async fn no_method(method: Method) -> Problem {
    let message = format!("this route does not take {method}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        .hint("the header `Allow` says what it takes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_ids_are_taken_over() {
        for harmless in ["a", "req-1_2.3", &"x".repeat(64)] {
            assert!(is_harmless(harmless), "{harmless}");
        }
        for harmful in ["", "a b", "a\"b", "é", "a/b", &"x".repeat(65)] {
            assert!(!is_harmless(harmful), "{harmful}");
        }
    }
}
