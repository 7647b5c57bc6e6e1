//! Whose pages may call from a browser: none, unless the operator says so.
//!
//! A key is needed all the same. Without any origin named the headers of CORS are never sent, and
//! browsers keep other origins' pages from reading answers. Written here because the usual layer
//! answers every `OPTIONS` itself, and tus has one of its own.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::AppState;

/// What a page may send, beside what it may always.
const SENT: &str = "authorization, content-type, idempotency-key, range, traceparent, tracestate, \
                    tus-resumable, upload-checksum, upload-length, upload-metadata, upload-offset, x-request-id, x-requested-with";

/// What a page may read of an answer, beside what it may always.
const READ: &str = "content-length, content-range, etag, has-more, idempotency-replayed, link, location, retry-after, tus-extension, \
                    tus-max-size, tus-resumable, tus-version, upload-expires, upload-length, \
                    upload-offset, x-request-id";

const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE";

/// How long a browser may remember what it was allowed, in seconds.
const MAX_AGE: &str = "7200";

/// Answers what browsers ask before a page's request, and lets the page read the answer to it.
pub(super) async fn allow(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if state.cors_origins.is_empty() {
        return next.run(request).await;
    }
    let origin = request.headers().get(ORIGIN).cloned();
    let origin = origin.filter(|origin| state.cors_origins.contains(origin));
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&origin, asks) {
        (Some(_), true) => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    let Some(origin) = origin else { return response };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    if asks {
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, SENT),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}
