//! The one error type of the HTTP side: `{kind, message, field?, hint?, request_id}`.
//!
//! A [`Problem`] becomes a response without a body that carries the problem along;
//! [`super::envelope`] writes the body, because only there the request has its id. The cause of
//! a fault of ours is for the log and never for the caller.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::job::OptionError;
use crate::store::StoreError;

/// When to come back after the database did not answer: most are back by then.
const UNAVAILABLE_RETRY_SECS: u32 = 5;

/// Why a request was not done, in words for the person who sent it.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    message: Cow<'static, str>,
    field: Option<String>,
    hint: Option<Cow<'static, str>>,
    retry_after_secs: Option<u32>,
    cause: Option<Arc<anyhow::Error>>,
}

impl Problem {
    /// A problem of a stable `kind`.
    #[must_use]
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            field: None,
            hint: None,
            retry_after_secs: None,
            cause: None,
        }
    }

    /// 400: a `field` of the request is not as it should be.
    #[must_use]
    pub fn invalid_input(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_input", message).field(field)
    }

    /// 400: an option is not as it should be; `prefix` is the path of the options.
    #[must_use]
    pub fn invalid_option(prefix: &str, error: OptionError) -> Self {
        let field = match error.field.as_str() {
            "" | "." => prefix.to_owned(),
            field => format!("{prefix}.{field}"),
        };
        let problem =
            Self::new(StatusCode::BAD_REQUEST, "invalid_option", error.message).field(field);
        match error.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    /// 404: there is no such thing.
    #[must_use]
    pub fn not_found(kind: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, kind, message)
    }

    /// 500: something went wrong here; the cause goes into the log only.
    #[must_use]
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let message = "something went wrong on this server";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
            .hint("try again; if it stays, the server's log has the cause under this request_id");
        problem.cause = Some(Arc::new(cause.into()));
        problem
    }

    /// 503: it can be done in a moment, and perhaps was; the cause goes into the log only.
    #[must_use]
    pub fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        let message = "this server cannot do that just now";
        let hint = "send it again after the time in `Retry-After`; with an `Idempotency-Key` it is \
                    done once";
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_unavailable", message)
            .hint(hint)
            .retry_after(UNAVAILABLE_RETRY_SECS);
        problem.cause = Some(Arc::new(cause.into()));
        problem
    }

    /// The same, naming the field that it is about.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, saying when to try again.
    #[must_use]
    pub const fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The stable name of what is wrong.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The status that it is answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, for a person.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The exact path of what it is about.
    #[must_use]
    pub fn field_name(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What the log says about it: the cause with all that is behind it.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        self.cause.as_ref().map(|cause| format!("{cause:#}"))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_passing() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(secs) = self.retry_after_secs {
            headers.insert(RETRY_AFTER, secs.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Why a request was not done.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Wire<'a> {
    /// The stable name of what is wrong.
    kind: &'a str,
    /// What is wrong, for a person.
    message: &'a str,
    /// The exact path of what it is about, such as `tasks[1].options.width`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// The name of the request, under which the server's log has it.
    request_id: &'a str,
}

/// Writes the body of a response that carries a problem, and gives the problem back for the log.
pub(super) fn render(mut response: Response, request_id: &str) -> (Response, Option<Problem>) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return (response, None);
    };
    let wire = Wire {
        kind: problem.kind,
        message: &problem.message,
        field: problem.field.as_deref(),
        hint: problem.hint.as_deref(),
        request_id,
    };
    // Strings alone are always JSON; an empty object is still one if that should ever change.
    let body = serde_json::to_string(&wire).unwrap_or_else(|_| "{}".to_owned());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, body.len().into());
    *response.body_mut() = Body::from(body);
    (response, Some(problem))
}
