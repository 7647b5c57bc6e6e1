//! The client: one connection for one request, to an address that was checked for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    AUTHORIZATION, COOKIE, HeaderMap, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER,
};
use reqwest::{Method, StatusCode, dns};
use url::Url;

use super::{Guard, OutboundError, Pinned, Resolve, Target};

/// How long a connection may take to be made, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many redirects are followed for an input.
pub const MAX_REDIRECTS: usize = 5;

/// How much of a webhook receiver's answer is read.
pub const MAX_ANSWER_BYTES: usize = 16 << 10;

/// How much of the answer to a [`Call`] is read: words about objects, never an object.
pub const MAX_CALL_BYTES: usize = 4 << 20;

/// How many header lines an answer may have.
const MAX_HEADERS: usize = 100;

const USER_AGENT: &str = concat!("reelway/", env!("CARGO_PKG_VERSION"));

/// The one HTTP client that reaches out. Cheap to clone.
///
/// Each request has a connection of its own, which can lead only to the addresses that were
/// checked for that very request: so no kept connection outlives a change of the name, and no
/// second look at the name can answer otherwise. It speaks HTTP/1.1, as one request a
/// connection has nothing to gain from HTTP/2.
#[derive(Clone, Debug)]
pub struct Client {
    guard: Guard,
    resolver: Arc<dyn Resolve>,
    tls: rustls::ClientConfig,
}

/// An answer whose body is still on its way.
#[derive(Debug)]
pub struct Response {
    inner: reqwest::Response,
}

/// What a receiver said to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status; a redirect is not followed and is told like any other.
    pub status: u16,
    /// The header `retry-after` as it was sent: seconds or a date.
    pub retry_after: Option<String>,
    /// The first [`MAX_ANSWER_BYTES`] of the body, or as much of them as came in time.
    pub body: String,
}

/// A request of any method with a whole body, as APIs of storage take them.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// All headers but those of the connection.
    pub headers: HeaderMap,
    /// The body; may be empty.
    pub body: Bytes,
}

/// What was said to a [`Call`].
#[derive(Clone, Debug)]
pub struct CallAnswer {
    /// The status; a redirect is not followed and is told like any other.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Client {
    /// A client behind `guard` that trusts the authorities that the system trusts.
    ///
    /// A system that trusts nobody is told so in the log; then every https request fails.
    #[must_use]
    pub fn new(guard: Guard, resolver: Arc<dyn Resolve>) -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a trusted certificate of the system could not be read");
        }
        let mut roots = rustls::RootCertStore::empty();
        let (trusted, _unreadable) = roots.add_parsable_certificates(found.certs);
        if trusted == 0 {
            tracing::warn!("the system trusts no certificate: https inputs and webhooks will fail");
        }
        Self::with_roots(guard, resolver, roots)
    }

    /// A client behind `guard` that trusts `roots` and nobody else.
    #[must_use]
    pub fn with_roots(
        guard: Guard,
        resolver: Arc<dyn Resolve>,
        roots: rustls::RootCertStore,
    ) -> Self {
        Self { guard, resolver, tls: trusting(roots) }
    }

    /// The guard in front of this client.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Asks for `url`; follows up to [`MAX_REDIRECTS`] redirects, each checked like the first.
    ///
    /// `headers` go along, but for credentials, which stay with the origin they are meant for.
    /// Only the connection has a time limit here; whoever asks sets the others.
    ///
    /// # Errors
    ///
    /// See [`OutboundError`]. Any status is an answer, and no error.
    pub async fn get(&self, url: &Url, mut headers: HeaderMap) -> Result<Response, OutboundError> {
        let mut target = Target::of(url, &self.guard)?;
        for _ in 0..=MAX_REDIRECTS {
            let from = target.url().clone();
            let response = self.send(Method::GET, target, headers.clone(), Bytes::new()).await?;
            let Some(location) = redirect(&response) else {
                return Ok(Response { inner: response });
            };
            target = Target::redirected(&from, location, &self.guard)?;
            if target.url().origin() != from.origin() {
                for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                    headers.remove(name);
                }
            }
        }
        Err(OutboundError::TooManyRedirects)
    }

    /// Sends `body` to `url` and reads what is said to it, all within `timeout`.
    ///
    /// The status decides: once it is there, a body that comes too slowly or breaks off is cut
    /// and is no error.
    ///
    /// # Errors
    ///
    /// See [`OutboundError`]. Any status is an answer, and no error.
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, OutboundError> {
        let end = tokio::time::Instant::now() + timeout;
        let target = Target::of(url, &self.guard)?;
        let sent = self.send(Method::POST, target, headers, body);
        let mut response =
            tokio::time::timeout_at(end, sent).await.map_err(|_| OutboundError::Timeout)??;
        let mut text = Vec::new();
        let read = tokio::time::timeout_at(end, read_some(&mut response, &mut text)).await;
        if let Ok(Err(error)) = read {
            tracing::debug!(%error, "a receiver's answer broke off after its status");
        }
        let retry_after = response.headers().get(RETRY_AFTER);
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned),
            body: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    /// Makes a request and reads the whole answer, all within `timeout`; follows no redirect.
    ///
    /// # Errors
    ///
    /// See [`OutboundError`]; a body larger than [`MAX_CALL_BYTES`] is no answer to a call. Any
    /// status is an answer, and no error.
    pub async fn call(&self, call: Call, timeout: Duration) -> Result<CallAnswer, OutboundError> {
        let Call { method, url, headers, body } = call;
        let target = Target::of(&url, &self.guard)?;
        let answered = async {
            let mut response = self.send(method, target, headers, body).await?;
            let mut bytes = BytesMut::new();
            while let Some(chunk) = response.chunk().await? {
                if bytes.len() + chunk.len() > MAX_CALL_BYTES {
                    return Err(OutboundError::TooLarge);
                }
                bytes.extend_from_slice(&chunk);
            }
            let headers = std::mem::take(response.headers_mut());
            Ok(CallAnswer { status: response.status(), headers, body: bytes.freeze() })
        };
        tokio::time::timeout(timeout, answered).await.map_err(|_| OutboundError::Timeout)?
    }

    async fn send(
        &self,
        method: Method,
        target: Target,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<reqwest::Response, OutboundError> {
        let pinned = target.resolve(&self.guard, self.resolver.as_ref()).await?;
        let mut request = self.connection_to(&pinned)?.request(method.clone(), pinned.url);
        if !matches!(method, Method::GET | Method::HEAD) {
            request = request.body(body);
        }
        Ok(request.headers(headers).send().await?)
    }

    #[expect(clippy::disallowed_methods, reason = "the one home of outgoing HTTP")]
    fn connection_to(&self, pinned: &Pinned) -> Result<reqwest::Client, OutboundError> {
        let host = pinned.url.host_str().unwrap_or_default();
        Ok(reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Arc::new(NoSecondLook))
            .resolve_to_addrs(host, &pinned.addresses)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(0)
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .build()?)
    }
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Where the answer came from in the end.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.inner.url()
    }

    /// The next bytes of the body as they come, never unpacked; `None` at its end.
    ///
    /// # Errors
    ///
    /// The connection broke, or the body ended before the length that was announced.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError> {
        Ok(self.inner.chunk().await?)
    }
}

fn trusting(roots: rustls::RootCertStore) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    #[expect(clippy::expect_used, reason = "the provider's own defaults fit together")]
    let versions = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the default versions");
    let mut tls = versions.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    tls
}

/// Where the answer sends the client instead.
fn redirect(response: &reqwest::Response) -> Option<&[u8]> {
    let location = response.headers().get(LOCATION)?;
    matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308).then_some(location.as_bytes())
}

async fn read_some(
    response: &mut reqwest::Response,
    text: &mut Vec<u8>,
) -> Result<(), OutboundError> {
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER_BYTES - text.len();
        text.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if text.len() == MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok(())
}

/// Answers no name: those that may be reached have been handed over with their addresses.
#[derive(Debug)]
struct NoSecondLook;

impl dns::Resolve for NoSecondLook {
    fn resolve(&self, _name: dns::Name) -> dns::Resolving {
        Box::pin(async { Err("the name was not checked for this request".into()) })
    }
}
