//! Who may see a page, and which page a form may come from.

use std::net::IpAddr;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use super::desk::{Desk, Session, Visitor};
use super::page::PageError;
use crate::access::{Caller, KeyName, Scope};
use crate::request::{AppState, Problem};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");

/// The name of the session's cookie. A browser takes the first one from this very host alone, over
/// https alone.
pub(super) fn cookie_name(state: &AppState) -> &'static str {
    if is_https(state) { "__Host-reelway" } else { "reelway" }
}

/// Whether callers reach this server over https, as far as the operator has said.
pub(super) fn is_https(state: &AppState) -> bool {
    state.public_url.scheme() == "https"
}

/// Lets those pass who are signed in, or everyone where there is nothing to sign in with.
pub(super) async fn require(
    State(state): State<AppState>,
    Extension(desk): Extension<Desk>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(refused) = check_site(request.method(), request.headers()) {
        return PageError::from(refused).into_response();
    }
    if !wants_a_page(request.uri(), request.headers()) {
        return no_page().into_response();
    }
    let is_open = state.auth.is_open();
    if is_open && !is_named_rightly(&state, request.headers()) {
        return PageError::from(wrong_name()).into_response();
    }
    let from = state.proxies.client(request.headers(), request.extensions());
    let visitor = match visitor(&state, &desk, request.headers(), from).await {
        Ok(Some(visitor)) => visitor,
        Ok(None) => return to_the_door(&request),
        Err(error) => return PageError::from(error).into_response(),
    };
    if let Err(refused) = check_scope(&visitor.caller, &request) {
        return PageError::from(refused).into_response();
    }
    request.extensions_mut().insert(visitor.caller.clone());
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// Who has come: everyone where nobody signs in.
async fn visitor(
    state: &AppState,
    desk: &Desk,
    headers: &HeaderMap,
    from: Option<IpAddr>,
) -> Result<Option<Visitor>, Problem> {
    let is_open = state.auth.is_open();
    let session = if is_open {
        Some(Session { key: KeyName::default(), token: desk.open_token() })
    } else {
        session(state, desk, headers)
    };
    let Some(Session { key, token }) = session else { return Ok(None) };
    // A key that the server does not know any more, or that is not good any more, has no sessions.
    match state.check_key_again(&key, from).await {
        Ok(caller) => Ok(Some(Visitor { caller, token, is_signed_in: !is_open })),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(_) => Ok(None),
    }
}

/// To look at a page is to read; whatever a form does is to write. Keys ask for more by themselves.
fn check_scope(caller: &Caller, request: &Request) -> Result<(), Problem> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let scope = if is_read { Scope::JobsRead } else { Scope::JobsWrite };
    // Whoever has come in may go.
    if request.uri().path() == "/ui/sign-out" { Ok(()) } else { may(caller, scope) }
}

/// Refuses who may not do this.
pub(super) fn may(caller: &Caller, scope: Scope) -> Result<(), Problem> {
    if caller.may(scope) {
        return Ok(());
    }
    let name = scope.name();
    let message = format!("the key that you are signed in with has no scope `{name}`");
    Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", message)
        .hint(format!("sign out, and in with a key that was made with the scope `{name}`")))
}

/// Refuses forms of other sites' pages where nobody is signed in yet.
pub(super) async fn same_site(request: Request, next: Next) -> Response {
    match check_site(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => PageError::from(refused).into_response(),
    }
}

/// What the cookie says.
fn session(state: &AppState, desk: &Desk, headers: &HeaderMap) -> Option<Session> {
    let name = cookie_name(state);
    let mut sessions = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(cookie::Cookie::split_parse)
        .filter_map(Result::ok)
        .filter(|cookie| cookie.name() == name)
        .filter_map(|cookie| desk.session(cookie.value(), state.clock.now()));
    sessions.next()
}

/// A browser says where a request comes from. One that says nothing is too old to be lied for by
/// another page without the form's token, which is asked for as well.
fn check_site(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_ours = match (text(&FETCH_SITE), text(&ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == text(&HOST))
        }
        (None, None) => true,
    };
    if is_ours { Ok(()) } else { Err(foreign_form()) }
}

/// Where nobody signs in, a page of another site could have its own name lead to this machine. It
/// cannot have it lead here under one of our names.
fn is_named_rightly(state: &AppState, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return true };
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost"
                || name.ends_with(".localhost")
                || Some(name) == state.public_url.host_str()
        }
        Some(Host::Ipv4(address)) => {
            address.is_loopback() || is_public_host(state, IpAddr::V4(address))
        }
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || is_public_host(state, IpAddr::V6(address))
        }
        None => false,
    }
}

fn is_public_host(state: &AppState, address: IpAddr) -> bool {
    match state.public_url.host() {
        Some(Host::Ipv4(public)) => IpAddr::V4(public) == address,
        Some(Host::Ipv6(public)) => IpAddr::V6(public) == address,
        _ => false,
    }
}

/// Programs that ask for JSON at `/` are told where the API is, and get no page.
fn wants_a_page(uri: &Uri, headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    uri.path() != "/" || !accept.contains("json") || accept.contains("text/html")
}

fn no_page() -> Problem {
    Problem::not_found("not_found", "this address is a page for people")
        .hint("programs ask /jobs, /process and the other routes of /openapi.json")
}

/// To the page where one signs in, and back again.
fn to_the_door(request: &Request) -> Response {
    let is_part_of_a_page = request.headers().contains_key(HX_REQUEST);
    if request.method() != Method::GET || is_part_of_a_page {
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", "/ui/sign-in")], "sign in first")
            .into_response();
    }
    let next = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let next = utf8_percent_encode(next, NON_ALPHANUMERIC);
    Redirect::to(&format!("/ui/sign-in?next={next}")).into_response()
}

fn foreign_form() -> Problem {
    let message = "this form was sent from another site";
    Problem::new(StatusCode::FORBIDDEN, "form_refused", message)
        .hint("open the page here and send it from there")
}

/// The form's token is not this visitor's.
pub(super) fn stale_form() -> Problem {
    let message = "this form is of an earlier session";
    Problem::new(StatusCode::FORBIDDEN, "form_refused", message)
        .hint("go back, load the page again and send it once more")
}

fn wrong_name() -> Problem {
    let message = "this server has no API keys and shows its pages under its own names alone";
    Problem::new(StatusCode::FORBIDDEN, "wrong_host", message)
        .hint("open http://localhost and the port, or set REELWAY_API_KEY and REELWAY_PUBLIC_URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        for (sent, is_ours) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "http://localhost:3000"), ("host", "localhost:3000")], true),
            (&[("origin", "http://localhost:3001"), ("host", "localhost:3000")], false),
            (&[("origin", "null"), ("host", "localhost:3000")], false),
            (&[("origin", "https://evil.example"), ("host", "localhost:3000")], false),
            (&[("host", "localhost:3000")], true),
        ] {
            let seen = check_site(&Method::POST, &headers(sent)).is_ok();
            assert_eq!(seen, is_ours, "{sent:?}");
            assert!(check_site(&Method::GET, &headers(sent)).is_ok());
        }
    }

    #[test]
    fn a_program_that_asks_for_json_gets_no_page() {
        for (accept, path, is_page) in [
            ("text/html,application/xhtml+xml", "/", true),
            ("*/*", "/", true),
            ("application/json", "/", false),
            ("application/json", "/ui/new", true),
        ] {
            let path = Uri::from_static(path);
            assert_eq!(wants_a_page(&path, &headers(&[("accept", accept)])), is_page, "{accept}");
        }
    }
}
