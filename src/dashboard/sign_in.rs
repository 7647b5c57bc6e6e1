//! Signing in with an API key, and out again.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse as _, Redirect, Response};
use cookie::{Cookie, SameSite};
use url::form_urlencoded;

use super::desk::{Desk, SESSION_LIFE};
use super::filters;
use super::guard::{cookie_name, is_https};
use super::page::{Frame, PageError, Posted, page, page_as};
use crate::request::AppState;

/// The field that a password manager fills: the name is what it looks for.
const KEY_FIELD: &str = "password";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    refused: Option<String>,
}

/// `GET /ui/sign-in`.
pub(super) async fn form(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let next = next(query.as_deref().unwrap_or_default());
    if state.auth.is_open() {
        return Ok(Redirect::to(&next).into_response());
    }
    page(&SignInPage { frame: Frame::bare("Sign in"), next, refused: None })
}

/// `POST /ui/sign-in`.
pub(super) async fn enter(
    State(state): State<AppState>,
    Extension(desk): Extension<Desk>,
    request: Request,
) -> Result<Response, PageError> {
    let from = state.proxies.client(request.headers(), request.extensions());
    let posted = Posted::untried(request, &state).await?;
    let next = here(posted.get("next").unwrap_or("/")).to_owned();
    let refuse = |status, refused: &str| {
        let frame = Frame::bare("Sign in");
        page_as(
            status,
            &SignInPage { frame, next: next.clone(), refused: Some(refused.to_owned()) },
        )
    };
    if !desk.throttle().lets_try(from) {
        tracing::warn!("too many tries to sign in");
        let words = "Too many tries. Wait a minute and try again.";
        return refuse(StatusCode::TOO_MANY_REQUESTS, words);
    }
    let key = posted.get(KEY_FIELD).unwrap_or_default().trim();
    let caller = match state.check_key(key, from).await {
        Ok(caller) => caller,
        Err(problem) if problem.status().is_server_error() => return Err(problem.into()),
        Err(problem) => return refuse(problem.status(), problem.message()),
    };
    let session = desk.begin(&caller.key, state.clock.now());
    let cookie = cookie(&state, session)
        .max_age(SESSION_LIFE.try_into().unwrap_or(cookie::time::Duration::DAY))
        .build();
    Ok(([(SET_COOKIE, cookie.to_string())], Redirect::to(&next)).into_response())
}

/// `POST /ui/sign-out`.
pub(super) async fn leave(
    State(state): State<AppState>,
    _posted: Posted,
) -> Result<Response, PageError> {
    let gone = cookie(&state, String::new()).max_age(cookie::time::Duration::ZERO).build();
    Ok(([(SET_COOKIE, gone.to_string())], Redirect::to("/ui/sign-in")).into_response())
}

fn cookie(state: &AppState, value: String) -> cookie::CookieBuilder<'static> {
    Cookie::build((cookie_name(state), value))
        .path("/")
        .http_only(true)
        .secure(is_https(state))
        .same_site(SameSite::Lax)
}

/// Where to go after the door.
fn next(query: &str) -> String {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let next = pairs.find(|(name, _)| name == "next").map(|(_, value)| value.into_owned());
    next.as_deref().map_or("/", here).to_owned()
}

/// A path of this server, whatever was sent: nobody is led to another one.
fn here(path: &str) -> &str {
    let is_here = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(['\\', '\n', '\r', '\t'])
        && !path.starts_with("/ui/sign-");
    if is_here { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for (sent, goes) in [
            ("next=%2Fui%2Fnew%3Fa%3D1", "/ui/new?a=1"),
            ("", "/"),
            ("next=https%3A%2F%2Fevil.example", "/"),
            ("next=%2F%2Fevil.example", "/"),
            ("next=%2F%5Cevil.example", "/"),
            ("next=%2Fui%2Fsign-in", "/"),
        ] {
            assert_eq!(next(sent), goes, "{sent}");
        }
    }
}
