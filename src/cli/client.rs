//! The HTTP client of the commands that talk to a running server.
//!
//! Paths and JSON go in, JSON or a [`ClientError`] with the server's own words comes out. No
//! answer is read beyond [`MAX_ANSWER_BYTES`], no redirect is followed: the key is for one
//! server only.

use std::time::Duration;

use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use super::CliError;

/// The largest answer that is read: a page of 100 jobs is far below it.
const MAX_ANSWER_BYTES: usize = 32 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a stream of events may be silent: servers send a comment every few seconds.
const SILENCE: Duration = Duration::from_mins(1);

/// Which server to talk to, and with which key.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// Where the server is
    #[arg(
        long,
        value_name = "URL",
        env = "REELWAY_SERVER",
        default_value = "http://127.0.0.1:3000",
        value_parser = server_url
    )]
    pub server: Url,
    /// The API key; of a comma-separated list the first
    #[arg(
        long,
        value_name = "KEY",
        env = "REELWAY_API_KEY",
        hide_env_values = true,
        value_parser = first_key
    )]
    pub key: Option<SecretString>,
}

fn server_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err("a server's URL begins with http:// or https://".to_owned()),
    }
}

fn first_key(list: &str) -> Result<SecretString, String> {
    let first = list.split(',').map(str::trim).find(|key| !key.is_empty());
    header_text(first.unwrap_or_default()).map(SecretString::from)
}

/// What can stand in a header.
pub(super) fn header_text(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("it may hold letters, digits and signs of ASCII only, no spaces".to_owned())
    }
}

/// A client of one server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// For bodies that take as long as they take.
    sender: reqwest::Client,
    server: Url,
    key: Option<SecretString>,
}

/// Why the server did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing was heard.
    #[error("cannot reach the server at {server}")]
    Unreachable {
        /// Where it was tried.
        server: Url,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The server refused, in its own words.
    #[error("{}", .problem.message)]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What it said.
        problem: Box<Problem>,
    },
    /// The answer is none of Reelway's.
    #[error("{server} answered {status} with something that is not Reelway's")]
    Foreign {
        /// Who answered.
        server: Url,
        /// The HTTP status.
        status: StatusCode,
        /// Where a redirect leads.
        location: Option<String>,
    },
    /// The answer broke off.
    #[error("the answer of {server} broke off")]
    Broken {
        /// Who answered.
        server: Url,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The answer is larger than [`MAX_ANSWER_BYTES`].
    #[error("the answer of {server} is too large to be right")]
    TooLarge {
        /// Who answered.
        server: Url,
    },
}

/// The server's error, as wire.md section 2 has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Problem {
    pub kind: String,
    pub message: String,
    #[serde(default)]
    pub field: Option<String>,
    #[serde(default)]
    pub hint: Option<String>,
    #[serde(default)]
    pub request_id: Option<String>,
}

impl ClientError {
    /// Whether the same request may be answered a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused { status, .. } | Self::Foreign { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::TooLarge { .. } => false,
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let failed = Self::failed(error.to_string());
        match error {
            ClientError::Unreachable { source, .. } => failed
                .because(&innermost(&source))
                .hint("start one with `reelway serve`, or say where it is with --server URL"),
            ClientError::Broken { source, .. } => failed.because(&innermost(&source)),
            ClientError::Refused { status, problem } => refused(failed, status, &problem),
            ClientError::Foreign { location: Some(location), .. } => {
                failed.hint(format!("it redirects to {location}; say --server with that address"))
            }
            ClientError::Foreign { .. } => {
                failed.hint("is this the address of a Reelway server? Say --server URL")
            }
            ClientError::TooLarge { .. } => failed,
        }
    }
}

fn refused(failed: CliError, status: StatusCode, problem: &Problem) -> CliError {
    let mut detail = format!("the server answered {} {}", status.as_u16(), problem.kind);
    if let Some(field) = &problem.field {
        detail.push_str(&format!(" about `{field}`"));
    }
    if let Some(request) = &problem.request_id {
        detail.push_str(&format!(" (request {request})"));
    }
    let failed = failed.detail(detail);
    match (&problem.hint, status) {
        // The server's own hint speaks of a header, which nobody types here.
        (_, StatusCode::UNAUTHORIZED) => failed.hint("give the key with --key or REELWAY_API_KEY"),
        (Some(hint), _) => failed.hint(hint),
        (None, _) => failed,
    }
}

/// The last cause: "error sending request" says less than "connection refused".
fn innermost(error: &reqwest::Error) -> Innermost {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Innermost(cause.to_string())
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Innermost(String);

impl Client {
    /// A client of the server that was typed.
    ///
    /// # Errors
    ///
    /// The machine's certificates cannot be read.
    pub(super) fn new(args: &ServerArgs) -> Result<Self, CliError> {
        let key = args.key.clone().filter(|key| !key.expose_secret().is_empty());
        let cannot = |error| CliError::failed("cannot make an HTTP client").because(&error);
        let local = is_loopback(&args.server);
        let http = build(local).read_timeout(SILENCE).build().map_err(cannot)?;
        let sender = build(local).tcp_user_timeout(SILENCE).build().map_err(cannot)?;
        Ok(Self { http, sender, server: args.server.clone(), key })
    }

    /// Whether it answers as a Reelway does.
    pub(super) async fn is_up(&self) -> bool {
        self.get(&["healthz"], &[]).await.is_ok_and(|answer| answer["status"] == "ok")
    }

    /// `GET` of the path made of `segments`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(super) async fn get(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        let request = self.request(Method::GET, segments, query).timeout(ANSWER_TIMEOUT);
        self.answer(request).await
    }

    /// `POST` of `body` to the path made of `segments`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(super) async fn post(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
        headers: &[(&'static str, String)],
        body: &Value,
    ) -> Result<Value, ClientError> {
        let mut request = self.request(Method::POST, segments, query).timeout(ANSWER_TIMEOUT);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.answer(request.json(body)).await
    }

    /// Any request, with a body that takes as long as it takes; its answer if that is a good one.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(super) async fn raw(
        &self,
        method: Method,
        segments: &[&str],
        headers: &[(&'static str, String)],
        body: Option<reqwest::Body>,
    ) -> Result<Response, ClientError> {
        let mut request = self.authorized(self.sender.request(method, self.url(segments)));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request = match body {
            Some(body) => request.body(body),
            None => request.timeout(ANSWER_TIMEOUT),
        };
        let response = self.send(request).await?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(response).await)
        }
    }

    /// A stream of Server-Sent Events; it breaks off when it is silent for a minute.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(super) async fn events(&self, segments: &[&str]) -> Result<Response, ClientError> {
        let request = self.request(Method::GET, segments, &[]).header(ACCEPT, "text/event-stream");
        let response = self.send(request).await?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(response).await)
        }
    }

    /// The error of a stream that broke off.
    #[must_use]
    pub(super) fn broken(&self, source: reqwest::Error) -> ClientError {
        ClientError::Broken { server: self.server.clone(), source }
    }

    fn request(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> RequestBuilder {
        let mut url = self.url(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.authorized(self.http.request(method, url))
    }

    /// The URL of the path made of `segments`.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.server.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let sent = request.send().await;
        sent.map_err(|source| ClientError::Unreachable {
            server: self.server.clone(),
            source: source.without_url(),
        })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let status = response.status();
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|_| self.foreign(status, None))
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
        match self.body(response).await {
            Ok(body) => match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => ClientError::Refused { status, problem: Box::new(problem) },
                Err(_) => self.foreign(status, location),
            },
            Err(error) => error,
        }
    }

    fn foreign(&self, status: StatusCode, location: Option<String>) -> ClientError {
        ClientError::Foreign { server: self.server.clone(), status, location }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + bytes.len() > MAX_ANSWER_BYTES {
                return Err(ClientError::TooLarge { server: self.server.clone() });
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }
}

#[expect(clippy::disallowed_methods, reason = "the operator's own server, not a stranger's URL")]
fn build(local: bool) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("reelway-cli/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT);
    // A proxy cannot know this machine's loopback.
    if local { builder.no_proxy() } else { builder }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_keys_the_first_is_used() {
        for (list, key) in [("a", "a"), (" a , b", "a"), (",b", "b"), ("", "")] {
            let first = first_key(list).expect("a key");
            assert_eq!(first.expose_secret(), key, "{list}");
        }
    }

    #[test]
    fn a_server_is_local_by_its_address_only() {
        let local =
            ["http://127.0.0.1:3000", "http://[::1]/", "http://localhost", "http://0.0.0.0"];
        for text in local {
            assert!(is_loopback(&server_url(text).expect("a URL")), "{text}");
        }
        for text in ["https://reelway.example.com", "http://10.0.0.1", "http://localhost.evil.com"]
        {
            assert!(!is_loopback(&server_url(text).expect("a URL")), "{text}");
        }
        assert!(first_key("with space").is_err());
        assert!(server_url("ftp://a").is_err() && server_url("3000").is_err());
    }

    #[test]
    fn the_servers_words_are_shown_with_its_field_and_its_hint() {
        let problem = Problem {
            kind: "invalid_option".to_owned(),
            message: "there is no option `widht`; there are width, height".to_owned(),
            field: Some("options.widht".to_owned()),
            hint: Some("did you mean `width`?".to_owned()),
            request_id: Some("r1".to_owned()),
        };
        let status = StatusCode::BAD_REQUEST;
        let error = CliError::from(ClientError::Refused { status, problem: Box::new(problem) });
        insta::assert_snapshot!(error, @r"
        there is no option `widht`; there are width, height
          the server answered 400 invalid_option about `options.widht` (request r1)
        hint: did you mean `width`?
        ");
    }
}
