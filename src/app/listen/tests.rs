//! One connection in virtual time, and a few real ones.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Extension;
use axum::routing::get;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4711);

/// How much lies on the way between the two ends.
const WIRE_BYTES: usize = 1024;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An empty SETTINGS frame of HTTP/2.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// The other end of a connection.
struct Client {
    stream: DuplexStream,
    conversation: JoinHandle<()>,
    stop: CancellationToken,
    began: Instant,
}

impl Client {
    fn of(router: Router) -> Self {
        let (stream, other) = duplex(WIRE_BYTES);
        let stop = CancellationToken::new();
        let served =
            converse(other, PEER, router, Patience::default(), (stop.clone(), stop.clone()));
        Self { stream, conversation: tokio::spawn(served), stop, began: Instant::now() }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("an open connection");
    }

    async fn ask(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    }

    /// The next answer, which is known to end so.
    async fn answer(&mut self, end: &str) -> String {
        let mut said = Vec::new();
        while !said.ends_with(end.as_bytes()) {
            let read = self.stream.read_buf(&mut said).await.expect("an open connection");
            assert_ne!(read, 0, "it ended: {}", String::from_utf8_lossy(&said));
        }
        String::from_utf8(said).expect("text")
    }

    /// What comes until the server lets go, and after how many seconds of the connection it does.
    async fn rest(mut self) -> (String, u64) {
        let mut said = Vec::new();
        let _reset_or_end = self.stream.read_to_end(&mut said).await;
        self.conversation.await.expect("no panic");
        (String::from_utf8_lossy(&said).into_owned(), self.began.elapsed().as_secs())
    }

    /// When the server lets go of a client that reads nothing, in seconds.
    async fn let_go(self) -> u64 {
        self.conversation.await.expect("no panic");
        self.began.elapsed().as_secs()
    }
}

fn routes() -> Router {
    let endless =
        || async { Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(block()))) };
    let large = || async { Body::from(vec![b'x'; LARGE]) };
    let quiet = || async {
        let day_later = stream::once(async {
            sleep(Duration::from_hours(24)).await;
            Ok::<_, Infallible>(Bytes::from_static(b"news"))
        });
        Body::from_stream(day_later)
    };
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/peer",
            get(|Extension(Peer(peer)): Extension<Peer>| async move { peer.to_string() }),
        )
        .route("/endless", get(endless))
        .route("/large", get(large))
        .route("/quiet", get(quiet))
        .route(
            "/soon",
            get(|| async {
                sleep(Duration::from_mins(1)).await;
                "at last"
            }),
        )
        .route(
            "/thinks",
            get(|| async {
                sleep(Duration::from_hours(1)).await;
                "thought"
            }),
        )
}

/// The size of `/large`.
const LARGE: usize = 4 << 20;

fn block() -> Bytes {
    Bytes::from_static(&[b'x'; 4096])
}

#[tokio::test(start_paused = true)]
async fn who_never_finishes_a_request_is_let_go_of_after_10_seconds() {
    let settled = [PREFACE, SETTINGS].concat();
    for begun in [&b""[..], b"G", b"GET / HTTP/1.1\r\nhost: x\r\n", b"PRI * HTTP/2.0\r\n", &settled]
    {
        let mut client = Client::of(routes());
        client.send(begun).await;
        let (_, secs) = client.rest().await;
        assert_eq!(secs, 10, "{}", begun.escape_ascii());
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_gets_no_more_time() {
    let mut client = Client::of(routes());
    for byte in b"GET / HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'y')) {
        sleep(Duration::from_secs(1)).await;
        if client.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        assert!(client.began.elapsed() < Duration::from_secs(12), "it goes on");
    }
    // It is seen when the next byte is sent.
    assert!((10..=11).contains(&client.let_go().await));
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_is_let_go_of_after_75_seconds_of_nothing() {
    for begun in [&b""[..], b"GET / HT"] {
        let mut client = Client::of(routes());
        client.ask("/").await;
        client.answer("hello").await;
        client.send(begun).await;
        let (_, secs) = client.rest().await;
        let patience = Patience::default();
        let longest = (patience.next_request + patience.taking).as_secs();
        assert!((75..=longest).contains(&secs), "{secs} s");
        assert!(!begun.is_empty() || secs == 75, "{secs} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_is_used_lives_on() {
    let mut client = Client::of(routes());
    for _ in 0..20 {
        sleep(Duration::from_mins(1)).await;
        // The first request came too late by then.
        if client.began.elapsed() == Duration::from_mins(1) {
            client = Client::of(routes());
        }
        client.ask("/").await;
        client.answer("hello").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_broken_off_after_two_minutes() {
    for path in ["/endless", "/large"] {
        let mut client = Client::of(routes());
        client.ask(path).await;
        let mut first = [0; 12];
        client.stream.read_exact(&mut first).await.expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        // One large piece is handed over at once, so that it counts as idle.
        let wanted = if path == "/endless" { 120..=120 } else { 120..=195 };
        let secs = client.let_go().await;
        assert!(wanted.contains(&secs), "{path}: {secs} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_is_taken_slowly_comes_whole() {
    let mut client = Client::of(routes());
    client.ask("/large").await;
    let (mut taken, mut piece) = (0, vec![0; 64 << 10]);
    while taken < LARGE {
        sleep(Duration::from_secs(2)).await;
        let read = client.stream.read_exact(&mut piece[..(LARGE - taken).min(64 << 10)]).await;
        taken += read.expect("it goes on");
    }
    assert!(client.began.elapsed() > Duration::from_mins(2));
}

#[tokio::test(start_paused = true)]
async fn streams_with_nothing_to_tell_and_handlers_that_think_live_on() {
    for (path, end) in [("/quiet", "news"), ("/thinks", "thought")] {
        let mut client = Client::of(routes());
        client.ask(path).await;
        // The last chunk of a stream stands before its end.
        let end = if path == "/quiet" { format!("{end}\r\n0\r\n\r\n") } else { end.to_owned() };
        client.answer(&end).await;
        assert!(client.began.elapsed() >= Duration::from_hours(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_half_closes_is_gone_and_holds_nothing() {
    let mut client = Client::of(routes());
    client.ask("/thinks").await;
    client.stream.shutdown().await.expect("an open connection");
    let (said, secs) = client.rest().await;
    assert_eq!((&*said, secs), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn heads_without_end_are_answered_with_431() {
    let long = format!("x: {}\r\n", "y".repeat(MAX_HEAD_BYTES));
    for headers in [long, "x: y\r\n".repeat(101)] {
        let mut client = Client::of(routes());
        let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        let _cut = client.stream.write_all(head.as_bytes()).await;
        let (said, secs) = client.rest().await;
        assert!(
            said.starts_with("HTTP/1.1 431 "),
            "{} bytes of a head: {said:?} after {secs} s",
            head.len()
        );
        assert_eq!(secs, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_see_who_asks() {
    let mut client = Client::of(routes());
    client.ask("/peer").await;
    client.answer("127.0.0.1:4711").await;
}

#[tokio::test(start_paused = true)]
async fn at_the_end_idle_connections_go_at_once_and_answers_under_way_come_whole() {
    let (mut idle, mut busy) = (Client::of(routes()), Client::of(routes()));
    idle.ask("/").await;
    idle.answer("hello").await;
    busy.ask("/soon").await;
    sleep(Duration::from_secs(1)).await;
    idle.stop.cancel();
    busy.stop.cancel();
    assert_eq!(idle.rest().await.1, 1);
    let (said, secs) = busy.rest().await;
    assert!(said.ends_with("at last") && secs == 60, "{said} after {secs} s");
}

/// A listener of these routes on loopback with so many seats.
async fn listener(max_connections: usize, router: Router) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let patience = Patience { first_request: Duration::from_millis(200), ..Patience::default() };
    let stop = CancellationToken::new();
    let listening = Listening { max_connections, patience };
    tokio::spawn(listening.listen(listener, router, stop.clone(), stop.clone()));
    (address, stop)
}

#[expect(clippy::disallowed_methods, reason = "tests talk to their own server on loopback")]
fn browser(http2: bool) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    let builder = if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
    builder.build().expect("a client")
}

#[tokio::test]
async fn who_comes_when_all_seats_are_taken_is_served_when_a_silent_one_is_let_go_of() {
    let (address, _stop) = listener(4, routes()).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(TcpStream::connect(address).await.expect("a connection"));
    }
    let said = browser(false).get(format!("http://{address}/")).send().await.expect("an answer");
    assert_eq!(said.text().await.expect("a body"), "hello");
}

#[tokio::test]
async fn no_connection_has_more_than_100_requests_open_over_http2() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, seen) = (Arc::new(Semaphore::new(0)), (open.clone(), most.clone()));
    let opened = gate.clone();
    let handler = move || {
        let (gate, (open, most)) = (gate.clone(), seen.clone());
        async move {
            let now = open.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            if now == MAX_STREAMS as usize {
                // As many as there can be are here: all may go.
                gate.add_permits(10_000);
            }
            let _passed = gate.acquire().await;
            open.fetch_sub(1, Ordering::SeqCst);
            "passed"
        }
    };
    let (address, _stop) = listener(4, Router::new().route("/", get(handler))).await;
    let client = browser(true);
    let asked = stream::iter(0..150).map(|_| {
        let request = client.get(format!("http://{address}/"));
        async move { request.send().await.expect("an answer").text().await.expect("a body") }
    });
    let said: Vec<String> = asked.buffer_unordered(150).collect().await;
    assert!(said.iter().all(|said| said == "passed"));
    assert_eq!(most.load(Ordering::SeqCst), MAX_STREAMS as usize);
    drop(opened);
}

#[tokio::test]
async fn a_listener_that_leaves_says_so_and_answers_until_it_stops() {
    let app = Router::new().route("/", get(|| async { "here" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (leave, stop) = (CancellationToken::new(), CancellationToken::new());
    let ended =
        tokio::spawn(Listening::up_to(8).listen(listener, app, leave.clone(), stop.clone()));
    let ask = async |stream: &mut TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
        let mut said = Vec::new();
        while !said.ends_with(b"here") {
            assert_ne!(stream.read_buf(&mut said).await.expect("an answer"), 0, "{said:?}");
        }
        String::from_utf8(said).expect("text")
    };
    let mut old = TcpStream::connect(address).await.expect("a connection");
    assert!(!ask(&mut old).await.contains("connection: close"));
    leave.cancel();
    assert!(ask(&mut old).await.contains("connection: close"), "it was asked once more");
    assert_eq!(old.read(&mut [0; 1]).await.expect("an end"), 0, "and ends with its answer");
    let mut new = TcpStream::connect(address).await.expect("a connection");
    assert!(ask(&mut new).await.contains("connection: close"), "new ones are answered too");
    stop.cancel();
    timeout(Duration::from_secs(20), ended).await.expect("an end").expect("no panic");
}

#[tokio::test]
async fn the_listener_ends_when_its_last_answer_does() {
    let waits = Router::new().route("/", get(|| async { pending::<()>().await }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let ended =
        tokio::spawn(Listening::up_to(8).listen(listener, waits, stop.clone(), stop.clone()));
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    stop.cancel();
    drop(stream);
    timeout(Duration::from_secs(20), ended).await.expect("an end").expect("no panic");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
