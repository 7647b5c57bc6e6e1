//! The listener: takes connections, and lets go of those whose other end does not take part.
//!
//! A stranger may open connections and say nothing, say it byte by byte, ask and not take the
//! answer, or send headers without end. Each of these costs one connection of a bounded number,
//! for a bounded time. Bodies that come too slowly are the business of whoever reads them.

mod pulse;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::pulse::{Answer, Patience, Pulse, Silence};
use crate::request::Peer;

/// The largest head of a request, request line included.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The largest headers of a request over HTTP/2, as they are unpacked.
const MAX_HEADER_LIST_BYTES: u32 = 32 << 10;

/// How many requests one connection may have open at once over HTTP/2.
const MAX_STREAMS: u32 = 100;

/// How often, and for how long, the other end of a silent HTTP/2 connection is asked whether it
/// is there.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WITHIN: Duration = Duration::from_secs(20);

/// How long nothing is accepted after the system had no room for a connection.
const BREATH: Duration = Duration::from_secs(1);

/// How much a listener takes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    /// The most connections at once; others wait in the system's queue.
    max_connections: usize,
    /// How long the other ends may be silent.
    patience: Patience,
}

impl Listening {
    /// So many connections, or as many as this process may have open beside its own files.
    pub(super) fn up_to(max_connections: usize) -> Self {
        let room = usize::try_from(open_files() / 2).unwrap_or(usize::MAX);
        if room < max_connections {
            tracing::warn!(
                max_connections,
                room,
                "the limit on open files leaves room for fewer connections than the settings say"
            );
        }
        Self { max_connections: max_connections.min(room).max(1), patience: Patience::default() }
    }

    /// Answers from `router` until `stop`; comes back when every answer under way is over.
    /// Dropping the future breaks off those that are left.
    ///
    /// From `leave` on every answer says that its connection ends with it: who comes again may find
    /// another server.
    pub(super) async fn listen(
        self,
        listener: TcpListener,
        router: Router,
        leave: CancellationToken,
        stop: CancellationToken,
    ) {
        let seats = Arc::new(Semaphore::new(self.max_connections));
        let mut conversations = JoinSet::new();
        let taking = async {
            loop {
                // Nobody closes the semaphore.
                let Ok(seat) = seats.clone().acquire_owned().await else { return };
                let (stream, peer) = accept(&listener).await;
                while conversations.try_join_next().is_some() {}
                let (router, ends) = (router.clone(), (leave.clone(), stop.clone()));
                conversations.spawn(async move {
                    converse(stream, peer, router, self.patience, ends).await;
                    drop(seat);
                });
            }
        };
        stop.run_until_cancelled(taking).await;
        drop(listener);
        conversations.join_all().await;
    }
}

/// The limit on open files, raised as far as this process may: the usual one is from a time of
/// fewer connections. (ffmpeg has a lower one of its own.)
fn open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current.unwrap_or(u64::MAX);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

/// The next connection, whatever happens to others before it.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Events are small and wanted at once.
                let _best_effort = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_the_other_ends(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken just now");
                sleep(BREATH).await;
            }
        }
    }
}

/// Whether only the one connection failed.
fn is_the_other_ends(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// One connection, from its first byte to its last.
async fn converse<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    patience: Patience,
    (leave, stop): (CancellationToken, CancellationToken),
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Pulse::new(patience);
    let service = service_fn(|request| {
        let answer = answer(request, peer, router.clone(), pulse.clone());
        let leave = leave.clone();
        async move {
            let mut answer = answer.await?;
            // HTTP/2 has no such header: its connections are told by `graceful_shutdown`.
            if leave.is_cancelled() && answer.version() <= Version::HTTP_11 {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let protocols = protocols();
    let mut connection = pin!(protocols.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => return told(ended),
        () = stop.cancelled() => {}
        silence = pulse.silence() => {
            tracing::debug!(?silence, "a connection is let go of");
            if silence != Silence::Idle {
                return;
            }
        }
    }
    // What is under way comes to its end, the last bytes of an answer included.
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(patience.taking, connection).await {
        told(ended);
    }
}

fn told(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(error = &*error as &dyn std::error::Error, "a connection broke off");
    }
}

/// HTTP/1.1 and HTTP/2 on the same port. Their own clocks for heads and idle connections are off:
/// [`Pulse`] has one for both.
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut protocols = auto::Builder::new(TokioExecutor::new());
    protocols
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES);
    protocols
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN);
    protocols
}

async fn answer(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    pulse: Arc<Pulse>,
) -> Result<Response<Answer>, Infallible> {
    let turn = pulse.turn();
    request.extensions_mut().insert(Peer(peer));
    let response = router.oneshot(request.map(Body::new)).await?;
    Ok(response.map(|body| turn.answer(body)))
}
