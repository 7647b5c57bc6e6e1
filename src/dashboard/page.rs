//! What every page has around it: its frame, its policy, and words for what went wrong.

use askama::Template;
use axum::extract::{FromRequest, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::assets;
use super::desk::Visitor;
use super::filters;
use super::guard::stale_form;
use crate::request::{AppState, Problem};

/// Nothing but what this server itself gives: no inline script or style, no other origin, no frame.
/// Media that a script puts together, as for a playlist, is a `blob:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Where in the site a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Jobs,
    New,
    Webhooks,
    System,
    Nowhere,
}

/// The frame around a page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) section: Section,
    pub(super) token: String,
    pub(super) is_signed_in: bool,
}

impl Frame {
    pub(super) fn of(visitor: &Visitor, section: Section, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            section,
            token: visitor.token.clone(),
            is_signed_in: visitor.is_signed_in,
        }
    }

    /// For whom nothing is known of.
    pub(super) fn bare(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            section: Section::Nowhere,
            token: String::new(),
            is_signed_in: false,
        }
    }

    /// Where an asset is. Of the frame, because templates have nothing else at hand.
    #[expect(clippy::unused_self, reason = "templates call it on what they have")]
    pub(super) fn asset(&self, name: &str) -> String {
        assets::path(name)
    }

    pub(super) fn is(&self, name: &str) -> bool {
        let here = match self.section {
            Section::Jobs => "jobs",
            Section::New => "new",
            Section::Webhooks => "webhooks",
            Section::System => "system",
            Section::Nowhere => "",
        };
        here == name
    }
}

/// A template as an answer, with the policy of all pages.
pub(super) fn page(template: &impl Template) -> Result<Response, PageError> {
    let html = template.render().map_err(Problem::internal)?;
    Ok(answer(StatusCode::OK, html))
}

/// The same with another status than 200.
pub(super) fn page_as(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    let html = template.render().map_err(Problem::internal)?;
    Ok(answer(status, html))
}

fn answer(status: StatusCode, html: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        // What is shown is of this moment and of this visitor.
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    (status, headers, html).into_response()
}

/// A problem as a page.
#[derive(Debug)]
pub(super) struct PageError(Problem);

impl<E: Into<Problem>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    problem: Problem,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        if let Some(cause) = problem.cause() {
            tracing::error!(kind = problem.kind(), error = cause, "a page could not be shown");
        }
        let status = problem.status();
        let frame = Frame::bare(problem.message().to_owned());
        match (ProblemPage { frame, problem }).render() {
            Ok(html) => answer(status, html),
            Err(_) => status.into_response(),
        }
    }
}

/// The fields of a form that this visitor was shown, in their order.
#[derive(Debug)]
pub(super) struct Posted(Vec<(String, String)>);

impl Posted {
    /// The first field with this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every field with this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All fields.
    pub(super) fn fields(&self) -> &[(String, String)] {
        &self.0
    }

    /// Reads a form without a look at its token: where nobody is signed in.
    pub(super) async fn untried(request: Request, state: &AppState) -> Result<Self, PageError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|_| unreadable())?;
        Ok(Self(form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

impl FromRequest<AppState> for Posted {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, PageError> {
        let token = request.extensions().get::<Visitor>().map(|visitor| visitor.token.clone());
        let posted = Self::untried(request, state).await?;
        let given = posted.get("token").unwrap_or_default();
        match token {
            Some(token) if is_same(&token, given) => Ok(posted),
            _ => Err(stale_form().into()),
        }
    }
}

/// Whether the token of a form is the visitor's, in a time that tells nothing about it.
pub(super) fn is_same(token: &str, given: &str) -> bool {
    token.as_bytes().ct_eq(given.as_bytes()).into()
}

fn unreadable() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_input", "the form did not arrive whole")
}
