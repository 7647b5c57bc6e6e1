//! A server on loopback that answers as the test says, however badly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a test waits for anything real before it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

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
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

type Script = dyn Fn(&Request, usize) -> Vec<Act> + Send + Sync;

/// A server on a free port of 127.0.0.1; it and its connections end when it is dropped.
pub(crate) struct Loopback {
    address: SocketAddr,
    requests: watch::Receiver<Vec<Request>>,
    _stop: DropGuard,
}

impl Loopback {
    /// Starts a server; the script is given each request and its number from 0.
    pub(crate) async fn start(
        script: impl Fn(&Request, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, requests) = watch::channel(Vec::new());
        let (seen, script): (_, Arc<Script>) = (Arc::new(seen), Arc::new(script));
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer_one(stream, seen.clone(), script.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(answer));
            }
        }));
        Self { address, requests, _stop: guard }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// Waits until there have been `wanted` requests.
    pub(crate) async fn until_requests(&self, wanted: usize) {
        let mut requests = self.requests.clone();
        let wait = requests.wait_for(|requests| requests.len() >= wanted);
        drop(patiently("the requests come", wait).await.expect("a running server"));
    }
}

/// Waits for something real, but not for ever.
pub(crate) async fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, wait).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

async fn answer_one(
    mut stream: TcpStream,
    seen: Arc<watch::Sender<Vec<Request>>>,
    script: Arc<Script>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let mut number = 0;
    seen.send_modify(|requests| {
        number = requests.len();
        requests.push(request.clone());
    });
    play(stream, script(&request, number)).await;
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut request_line = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (request_line.next()?, request_line.next()?);
    let headers: HeaderMap = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            (name, HeaderValue::from_str(value).expect("a header's value"))
        })
        .collect();
    let length = headers.get("content-length").map_or("0", |n| n.to_str().expect("text"));
    let length: usize = length.parse().expect("a number");
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { method, path, headers, body: bytes[end..].to_vec() })
}

async fn play(mut stream: TcpStream, acts: Vec<Act>) {
    for act in acts {
        match act {
            Act::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::SendForever(bytes) => while stream.write_all(&bytes).await.is_ok() {},
            Act::Wait(token) => token.cancelled().await,
            Act::Hang => std::future::pending().await,
            Act::Reset => {
                stream.set_zero_linger().expect("an open socket");
                return;
            }
        }
    }
    // A clean end, so that what was sent is not lost in a reset.
    let _gone = stream.shutdown().await;
}

/// The bytes of an answer with these header lines and this body.
pub(crate) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
    [head.as_bytes(), b"\r\n", body].concat()
}

/// A status and nothing else.
pub(crate) fn status(line: &str) -> Vec<Act> {
    vec![Act::Send(answer(line, &[], b""))]
}
