//! Clients that do not play along, against the product as a process: each is let go of, and
//! others are served meanwhile.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::harness::{PATIENCE, Server, client};

/// How many do not play along at once.
const CROWD: usize = 200;

/// How long the server waits for the first request of a connection.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// The longest that one who plays along may wait meanwhile, on a machine that is busy.
const SERVED_WITHIN: Duration = Duration::from_secs(3);

async fn connect(server: &Server) -> TcpStream {
    let address = server.url.strip_prefix("http://").expect("a plain URL");
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends `head` at once and `drop` every second, until the server lets go.
async fn drip(mut stream: TcpStream, head: &[u8], drop: &[u8]) -> Duration {
    let begun = Instant::now();
    stream.write_all(head).await.expect("an open connection");
    let (mut reader, mut writer) = stream.split();
    let mut said = Vec::new();
    let let_go = async {
        // A reset is an end as good as any.
        let _end = reader.read_to_end(&mut said).await;
    };
    let dripping = async {
        let mut seconds = interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            if writer.write_all(drop).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! { () = let_go => {}, () = dripping => {} }
    begun.elapsed()
}

/// Asks until `crowd` has gone; returns how often, and the longest that it took.
async fn served_beside(server: &Server, crowd: &mut JoinSet<Duration>) -> (usize, Duration) {
    let (client, url) = (client(), format!("{}/healthz", server.url));
    let (mut asked, mut longest) = (0, Duration::ZERO);
    while !crowd.is_empty() {
        let begun = Instant::now();
        let answer = timeout(PATIENCE, client.get(&url).send()).await.expect("an answer in time");
        assert!(answer.expect("an answer").status().is_success());
        (asked, longest) = (asked + 1, longest.max(begun.elapsed()));
        while let Some(gone) = crowd.try_join_next() {
            let secs = gone.expect("no panic");
            // Counted from the connection, which the server may have taken a little earlier.
            assert!(secs > FIRST_REQUEST * 9 / 10, "let go of after {secs:?}");
            assert!(secs < 3 * FIRST_REQUEST, "let go of after {secs:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (asked, longest)
}

#[tokio::test]
async fn two_hundred_that_never_finish_a_head_are_let_go_of_while_others_are_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path()).await;
    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        let stream = connect(&server).await;
        crowd.spawn(async move {
            match number % 4 {
                0 => drip(stream, b"", b"").await,
                1 => drip(stream, b"GET /jobs HTTP/1.1\r\nhost: x\r\n", b"x: y\r\n").await,
                2 => drip(stream, b"POST /jobs HTTP/1.1\r\nx: ", b"y").await,
                // The first bytes of HTTP/2.
                _ => drip(stream, b"PRI * HTTP/2.0\r\n", b"").await,
            }
        });
    }
    let (asked, longest) = served_beside(&server, &mut crowd).await;
    assert!(asked > 20, "{asked} answers");
    assert!(longest < SERVED_WITHIN, "{longest:?}");
}

#[tokio::test]
async fn more_than_there_are_seats_for_wait_and_are_served_when_the_silent_are_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(folder.path(), &[("REELWAY_MAX_CONNECTIONS", "8")]).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(connect(&server).await);
    }
    let begun = Instant::now();
    server.get("/healthz").await;
    let waited = begun.elapsed();
    assert!(waited > FIRST_REQUEST / 2 && waited < 3 * FIRST_REQUEST, "{waited:?}");
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_answered_with_408() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path()).await;
    let mut stream = connect(&server).await;
    let head = "POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("an open connection");
    let mut seconds = interval(Duration::from_secs(1));
    let mut said = [0; 12];
    let answered = async {
        loop {
            tokio::select! {
                read = stream.read_exact(&mut said) => return read,
                _ = seconds.tick() => {}
            }
            stream.write_all(b" ").await.expect("an open connection");
        }
    };
    timeout(PATIENCE, answered).await.expect("an answer in time").expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 408");
}

#[tokio::test]
async fn those_that_half_close_hold_no_seats() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(folder.path(), &[("REELWAY_MAX_CONNECTIONS", "8")]).await;
    // A job that never begins: nothing listens there, and it is tried again much later.
    let job = json!({"input": "http://127.0.0.1:1/", "kind": "video"});
    let job = server.post("/jobs", &job).await;
    let events = format!(
        "GET /jobs/{}/events HTTP/1.1\r\nhost: x\r\n\r\n",
        job["id"].as_str().expect("an id")
    );
    let begun = Instant::now();
    let mut half_open = Vec::new();
    for _ in 0..32 {
        let mut stream = connect(&server).await;
        stream.write_all(events.as_bytes()).await.expect("an open connection");
        stream.shutdown().await.expect("an open connection");
        half_open.push(stream);
    }
    server.get("/healthz").await;
    assert!(begun.elapsed() < FIRST_REQUEST, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_head_without_end_is_answered_with_431() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path()).await;
    let mut stream = connect(&server).await;
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(65 << 10));
    let _cut = stream.write_all(head.as_bytes()).await;
    let mut said = [0; 12];
    let read = timeout(PATIENCE, stream.read_exact(&mut said)).await.expect("an answer in time");
    read.expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 431");
}
