//! For tests: a server on loopback that answers as the test says, however badly.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Client, Guard, TableResolver};

/// What the server does after it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes again and again until nobody listens.
    SendForever(Vec<u8>),
    /// Does nothing until the token is cancelled.
    Wait(CancellationToken),
    /// Keeps the connection open and silent.
    Hang,
    /// Breaks the connection at once, so that the other end gets a reset.
    Reset,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The request line and the headers, in lower case, but for the body.
    pub(crate) head: String,
    /// The name that the client asked for in the TLS handshake.
    pub(crate) server_name: Option<String>,
    /// The body, as text.
    pub(crate) body: String,
}

impl Request {
    /// The path and the query.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

type Script = dyn Fn(&Request, usize) -> Vec<Act> + Send + Sync;

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A server on an odd port of 127.0.0.2, which stands for the public internet.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    count: watch::Receiver<usize>,
    _stop: tokio_util::sync::DropGuard,
}

impl Server {
    /// Starts a server; the script is given each request and its number from 0.
    pub(crate) async fn start(
        script: impl Fn(&Request, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::listen("127.0.0.2:0", None, Arc::new(script)).await
    }

    /// The same behind TLS.
    pub(crate) async fn start_tls(
        tls: TlsAcceptor,
        script: impl Fn(&Request, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::listen("127.0.0.2:0", Some(tls), Arc::new(script)).await
    }

    /// The same at an address of choice.
    pub(crate) async fn start_at(
        address: &str,
        script: impl Fn(&Request, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(address, None, Arc::new(script)).await
    }

    async fn listen(address: &str, tls: Option<TlsAcceptor>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let counter = Arc::new(counter);
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let seen = requests.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, script) = (tls.clone(), script.clone());
                let (seen, counter, stop) = (seen.clone(), counter.clone(), stop.clone());
                tokio::spawn(stop.run_until_cancelled_owned(async move {
                    let mut stream = match tls {
                        None => Stream::Plain(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Stream::Tls(Box::new(stream)),
                            Err(_) => return,
                        },
                    };
                    let Some(request) = stream.read_request().await else { return };
                    let number = {
                        let mut seen = seen.lock().await;
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    counter.send_modify(|count| *count += 1);
                    stream.play(script(&request, number)).await;
                }));
            }
        }));
        Self { address, requests, count, _stop: guard }
    }

    /// A URL of this server by its address.
    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).expect("a URL")
    }

    /// A URL of this server by a name.
    pub(crate) fn named(&self, scheme: &str, host: &str, path: &str) -> Url {
        let port = self.address.port();
        Url::parse(&format!("{scheme}://{host}:{port}{path}")).expect("a URL")
    }

    /// The port it listens on.
    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far.
    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.requests.lock().await.clone()
    }

    /// Waits until there have been `wanted` requests.
    pub(crate) async fn until_requests(&self, wanted: usize) {
        let mut count = self.count.clone();
        count.wait_for(|count| *count >= wanted).await.expect("a running server");
    }
}

impl Stream {
    async fn read_request(&mut self) -> Option<Request> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.read(&mut bytes).await? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let server_name = match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.server_name().map(str::to_owned),
        };
        let mut request = Request { head, server_name, body: String::new() };
        let length: usize = request.header("content-length").map_or(0, |n| n.parse().expect("n"));
        while bytes.len() < end + length {
            if self.read(&mut bytes).await? == 0 {
                return None;
            }
        }
        request.body = String::from_utf8_lossy(&bytes[end..]).into_owned();
        Some(request)
    }

    async fn read(&mut self, into: &mut Vec<u8>) -> Option<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(into).await.ok(),
            Self::Tls(stream) => stream.read_buf(into).await.ok(),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn play(mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send(bytes) => {
                    if self.write(&bytes).await.is_err() {
                        return;
                    }
                }
                Act::SendForever(bytes) => while self.write(&bytes).await.is_ok() {},
                Act::Wait(token) => token.cancelled().await,
                Act::Hang => std::future::pending().await,
                Act::Reset => {
                    let Self::Plain(stream) = &self else { return };
                    stream.set_zero_linger().expect("an open socket");
                    return;
                }
            }
        }
        // A clean end, so that what was sent is not lost in a reset.
        let _gone = match &mut self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        };
    }
}

/// An answer with these headers (each ending in CRLF) and this body, then the end.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A plain good answer.
pub(crate) fn ok(body: &[u8]) -> Vec<Act> {
    vec![Act::Send(answer("200 OK", &format!("content-length: {}\r\n", body.len()), body))]
}

/// A redirect.
pub(crate) fn redirect(status: &str, location: &str) -> Vec<Act> {
    let headers = format!("location: {location}\r\ncontent-length: 0\r\n");
    vec![Act::Send(answer(status, &headers, b""))]
}

/// A client for which 127.0.0.2 is public, and nothing else of this machine.
pub(crate) fn client(resolver: TableResolver) -> Client {
    client_with(Arc::new(resolver), rustls::RootCertStore::empty())
}

/// The same with a shared resolver and authorities to trust.
pub(crate) fn client_with(resolver: Arc<TableResolver>, roots: rustls::RootCertStore) -> Client {
    let guard = Guard::new(vec!["127.0.0.2/32".parse().expect("a network")]);
    Client::with_roots(guard, resolver, roots)
}

/// The folder that an environment variable names; `None` where the fixtures are not at hand.
pub(crate) fn fixtures(variable: &str) -> Option<std::path::PathBuf> {
    let folder = std::env::var_os(variable);
    if folder.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{variable} is not set");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {variable} is not set");
        }
    }
    folder.map(Into::into)
}
