//! The port: gives the bytes of an input to whoever knows its secret, one range a connection.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::Cache;

/// How many connections there are at most; some for each ffmpeg that a machine can run.
const MOST_CONNECTIONS: usize = 256;

/// How much the system keeps of what a reader has not taken yet. By default it would take
/// megabytes, which would have to be fetched for a reader that is about to jump elsewhere.
const SEND_BUFFER_BYTES: u32 = 64 << 10;

/// How much is handed over at once.
const PIECE_BYTES: u64 = 64 << 10;

/// How many connections may wait to be taken.
const BACKLOG: u32 = 128;

/// How long the head of a request may take from a process on the same machine.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How long nothing is accepted after the system had no room for a connection.
const BREATH: Duration = Duration::from_secs(1);

/// The port from which ffmpeg reads inputs whose bytes are still to come: one a process.
#[derive(Debug)]
pub struct Gateway {
    port: u16,
    table: Arc<Table>,
    _stop: DropGuard,
}

/// What is behind each secret.
#[derive(Debug, Default)]
struct Table(Mutex<HashMap<String, Arc<Cache>>>);

/// An input's place behind the port, for as long as this lives.
#[derive(Debug)]
pub(in crate::input) struct Ticket {
    pub(in crate::input) port: u16,
    pub(in crate::input) secret: String,
    table: Arc<Table>,
}

impl Gateway {
    /// Listens on a free port of the loopback address, until this value is dropped.
    ///
    /// # Errors
    ///
    /// There is no port, or no runtime that this is called within.
    pub fn open() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Those that are taken have it too.
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let port = listener.local_addr()?.port();
        let (table, stop) = (Arc::new(Table::default()), CancellationToken::new());
        let serving = listen(listener, table.clone(), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
        Ok(Self { port, table, _stop: stop.drop_guard() })
    }

    /// Lets an input be read, by whoever is told the secret.
    pub(in crate::input) fn admit(&self, cache: &Arc<Cache>) -> Ticket {
        let secret = hex::encode(rand::random::<[u8; 32]>());
        self.table.lock().insert(secret.clone(), cache.clone());
        Ticket { port: self.port, secret, table: self.table.clone() }
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Cache>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.table.lock().remove(&self.secret);
    }
}

async fn listen(listener: TcpListener, table: Arc<Table>, stop: CancellationToken) {
    let seats = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // Nobody closes the semaphore.
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (table, stop) = (table.clone(), stop.clone());
                tokio::spawn(stop.run_until_cancelled_owned(async move {
                    converse(stream, table).await;
                    drop(seat);
                }));
            }
            Err(error) => {
                tracing::error!(%error, "no reader of an input can be taken just now");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, table: Arc<Table>) {
    let _best_effort = stream.set_nodelay(true);
    let mut protocol = auto::Builder::new(TokioExecutor::new()).http1_only();
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(PIECE_BYTES as usize)
        .keep_alive(false);
    let answer = |request: Request<Incoming>| {
        let answer = answer(&request, &table);
        std::future::ready(Ok::<_, Infallible>(answer))
    };
    let served = protocol.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    if let Err(error) = served {
        // A reader that jumps hangs up.
        tracing::trace!(error = &*error as &dyn std::error::Error, "a reader has gone");
    }
}

fn answer(request: &Request<Incoming>, table: &Table) -> Response<Body> {
    let secret = request.uri().path().strip_prefix('/').unwrap_or_default();
    let Some(cache) = table.lock().get(secret).cloned() else {
        return status(StatusCode::NOT_FOUND);
    };
    let total = cache.total_bytes();
    let part = match request.headers().get(RANGE).map(|range| range.to_str()) {
        None => Some(0..total),
        Some(Ok(range)) => part(range, total),
        Some(Err(_)) => None,
    };
    let Some(part) = part else { return status(StatusCode::RANGE_NOT_SATISFIABLE) };
    let body = match *request.method() {
        Method::GET => Body::from_stream(bytes(&cache, part.clone())),
        Method::HEAD => Body::empty(),
        _ => return status(StatusCode::METHOD_NOT_ALLOWED),
    };
    let whole = request.headers().get(RANGE).is_none();
    let answer = Response::builder()
        .status(if whole { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT })
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_LENGTH, part.end - part.start);
    let last = part.end.saturating_sub(1);
    let answer = if whole {
        answer
    } else {
        answer.header(CONTENT_RANGE, format!("bytes {}-{last}/{total}", part.start))
    };
    answer.body(body).unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

/// The bytes that `bytes=5-` or `bytes=5-9` asks for. ffmpeg asks in no other way.
fn part(range: &str, total: u64) -> Option<Range<u64>> {
    let (from, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    let from: u64 = from.parse().ok()?;
    let end = match last {
        "" => total,
        last => last.parse::<u64>().ok()?.checked_add(1)?.min(total),
    };
    (from < end).then_some(from..end)
}

/// The bytes as they come, piece by piece: for a reader that does not read, nothing more is fetched.
fn bytes(
    cache: &Arc<Cache>,
    part: Range<u64>,
) -> impl futures::Stream<Item = io::Result<bytes::Bytes>> + Send + 'static {
    let reader = Reader::of(cache);
    futures::stream::try_unfold((reader, part), |(reader, part)| async move {
        if part.is_empty() {
            return Ok(None);
        }
        let end = part.end.min(part.start + PIECE_BYTES);
        let read = reader.0.read(part.start, end).await.map_err(io::Error::other)?;
        let next = part.start + read.len() as u64..part.end;
        Ok(Some((read, (reader, next))))
    })
}

/// A reader of an input, while it lives.
struct Reader(Arc<Cache>);

impl Reader {
    fn of(cache: &Arc<Cache>) -> Self {
        cache.comes();
        Self(cache.clone())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.goes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_part_that_is_there_or_nothing() {
        for (range, wanted) in [
            ("bytes=0-", Some(0..10)),
            ("bytes=3-5", Some(3..6)),
            ("bytes=9-", Some(9..10)),
            ("bytes=3-99", Some(3..10)),
            ("bytes=10-", None),
            ("bytes=5-3", None),
            ("bytes=-3", None),
            ("bytes=0-1,3-4", None),
            ("bytes=0-18446744073709551615", None),
            ("items=0-", None),
            ("", None),
        ] {
            assert_eq!(part(range, 10), wanted, "{range}");
        }
    }
}
