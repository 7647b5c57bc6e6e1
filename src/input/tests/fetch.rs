//! One download.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::{FetchError, FetchLimits, Fetched};
use super::{FILM, fetcher, files, input_url, limits, send};
use crate::outbound::loopback::{Act, Server, answer, ok, redirect};
use crate::task::{ErrorKind, Failure};

/// A folder, and what was fetched into it.
struct Try {
    folder: tempfile::TempDir,
    ended: Result<Fetched, FetchError>,
}

impl Try {
    async fn of(server: &Server, limits: FetchLimits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("input");
        let url = input_url(server, "/film");
        let stop = CancellationToken::new();
        let ended = fetcher(limits).fetch(&url, &path, |_, _| {}, &stop).await;
        Self { folder, ended }
    }

    fn bytes(&self) -> Vec<u8> {
        assert!(self.ended.is_ok(), "{:?}", self.ended);
        std::fs::read(self.folder.path().join("input")).expect("the file")
    }

    /// The failure; there must be no file left.
    fn failure(&self) -> &Failure {
        assert_eq!(files(self.folder.path()), Vec::<PathBuf>::new());
        match &self.ended {
            Err(FetchError::Failed(failure)) => failure,
            other => panic!("no failure: {other:?}"),
        }
    }
}

async fn failure_kind(acts: Vec<Act>, limits: FetchLimits) -> ErrorKind {
    let server = Server::start(move |_, _| acts.clone()).await;
    Try::of(&server, limits).await.failure().kind
}

#[tokio::test]
async fn a_file_comes_whole_and_read_only_and_asks_for_no_packing() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let done = Try::of(&server, limits()).await;
    assert_eq!(done.ended, Ok(Fetched { size_bytes: 10 }));
    assert_eq!(done.bytes(), FILM);
    let facts = std::fs::metadata(done.folder.path().join("input")).expect("the file");
    assert!(facts.permissions().readonly());
    let request = &server.requests().await[0];
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert_eq!(request.header("range"), None);
}

#[tokio::test]
async fn progress_is_told_with_the_size_of_the_whole() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (mut told, stop) = (Vec::new(), CancellationToken::new());
    let on_bytes = |received, total| told.push((received, total));
    let url = input_url(&server, "/");
    let done = fetcher(limits()).fetch(&url, &folder.path().join("input"), on_bytes, &stop).await;
    assert!(done.is_ok());
    assert_eq!(told.first(), Some(&(0, Some(10))));
    assert_eq!(told.last(), Some(&(10, Some(10))));
}

#[tokio::test]
async fn each_refusal_of_the_server_has_its_kind() {
    for (status, kind) in [
        ("404 Not Found", ErrorKind::InputNotFound),
        ("410 Gone", ErrorKind::InputNotFound),
        ("401 Unauthorized", ErrorKind::InputUnauthorized),
        ("403 Forbidden", ErrorKind::InputUnauthorized),
        ("429 Too Many Requests", ErrorKind::InputUnavailable),
        ("503 Busy", ErrorKind::InputUnavailable),
        ("402 Payment Required", ErrorKind::InputRefused),
        ("304 Not Modified", ErrorKind::InputRefused),
        ("302 Found", ErrorKind::InputRefused),
    ] {
        let acts = send(status, "content-length: 0\r\n", b"");
        assert_eq!(failure_kind(acts, limits()).await, kind, "{status}");
    }
}

#[tokio::test]
async fn a_private_address_is_forbidden_with_advice_and_without_its_name() {
    let server = Server::start(|_, _| redirect("302 Found", "http://10.1.2.3/film")).await;
    let tried = Try::of(&server, limits()).await;
    let failure = tried.failure();
    assert_eq!(failure.kind, ErrorKind::InputForbidden);
    let hint = failure.hint.as_deref().expect("a hint");
    assert!(hint.contains("REELWAY_ALLOW_NETWORKS"), "{hint}");
    assert!(!failure.message.contains("10.1.2.3"), "{failure}");
}

#[tokio::test]
async fn an_empty_file_is_told_as_such() {
    assert_eq!(failure_kind(ok(b""), limits()).await, ErrorKind::InputEmpty);
    assert_eq!(failure_kind(send("200 OK", "", b""), limits()).await, ErrorKind::InputEmpty);
    assert_eq!(failure_kind(send("204 Nothing", "", b""), limits()).await, ErrorKind::InputEmpty);
}

#[tokio::test]
async fn an_announced_size_over_the_limit_is_refused_before_a_byte_is_read() {
    let acts = vec![Act::Send(answer("200 OK", "content-length: 11\r\n", b"")), Act::Hang];
    let limits = FetchLimits { max_bytes: 10, ..limits() };
    assert_eq!(failure_kind(acts, limits).await, ErrorKind::InputTooLarge);
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_limit() {
    let acts = vec![Act::Send(answer("200 OK", "", FILM)), Act::SendForever(vec![0; 4096])];
    let limits = FetchLimits { max_bytes: 1 << 20, ..limits() };
    assert_eq!(failure_kind(acts, limits).await, ErrorKind::InputTooLarge);
}

#[tokio::test]
async fn a_file_of_exactly_the_limit_passes() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let limits = FetchLimits { max_bytes: 10, ..limits() };
    assert_eq!(Try::of(&server, limits).await.bytes(), FILM);
}

#[tokio::test]
async fn without_room_on_the_disk_nothing_is_downloaded() {
    let acts = vec![Act::Send(answer("200 OK", "content-length: 10\r\n", b"")), Act::Hang];
    let limits = FetchLimits { reserve_bytes: u64::MAX, ..limits() };
    assert_eq!(failure_kind(acts, limits).await, ErrorKind::DiskFull);
    let acts = vec![Act::Send(answer("200 OK", "content-length: 1000000000000000\r\n", b""))];
    let limits = FetchLimits { max_bytes: u64::MAX, ..self::limits() };
    assert_eq!(failure_kind(acts, limits).await, ErrorKind::DiskFull);
}

#[tokio::test]
async fn slow_headers_are_not_waited_for() {
    let limits = FetchLimits { headers: Duration::from_millis(50), ..limits() };
    assert_eq!(failure_kind(vec![Act::Hang], limits).await, ErrorKind::InputUnavailable);
    let half = vec![Act::Send(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), Act::Hang];
    assert_eq!(failure_kind(half, limits).await, ErrorKind::InputUnavailable);
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let acts = vec![Act::Send(answer("200 OK", "content-length: 99\r\n", FILM)), Act::Hang];
    let limits = FetchLimits {
        rate_window: Duration::from_millis(50),
        min_bytes_per_window: 11,
        ..limits()
    };
    assert_eq!(failure_kind(acts, limits).await, ErrorKind::InputTooSlow);
}

#[tokio::test]
async fn the_whole_download_has_a_deadline() {
    let acts = vec![Act::Send(answer("200 OK", "", FILM)), Act::Hang];
    let limits = FetchLimits { deadline: Duration::from_millis(100), ..limits() };
    assert_eq!(failure_kind(acts, limits).await, ErrorKind::InputTooSlow);
}

#[tokio::test]
async fn a_stop_ends_the_download_and_leaves_no_file() {
    let server = Server::start(|_, _| {
        vec![Act::Send(answer("200 OK", "content-length: 99\r\n", FILM)), Act::Hang]
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let stop = CancellationToken::new();
    let on_bytes = |received, _| {
        if received == 10 {
            stop.cancel();
        }
    };
    let url = input_url(&server, "/");
    let ended = fetcher(limits()).fetch(&url, &folder.path().join("input"), on_bytes, &stop).await;
    assert_eq!(ended, Err(FetchError::Stopped));
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_broken_download_is_taken_up_where_it_broke() {
    let server = Server::start(|request, number| {
        if number == 0 {
            return send("200 OK", "etag: \"v1\"\r\ncontent-length: 10\r\n", &FILM[..4]);
        }
        let from: usize = request
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
            .expect("a range");
        let headers = format!(
            "etag: \"v1\"\r\ncontent-range: bytes {from}-9/10\r\ncontent-length: {}\r\n",
            10 - from
        );
        send("206 Partial", &headers, &FILM[from..])
    })
    .await;
    assert_eq!(Try::of(&server, limits()).await.bytes(), FILM);
    let requests = server.requests().await;
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("range"), Some("bytes=4-"));
    assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
}

#[tokio::test]
async fn without_a_validator_a_broken_download_begins_anew() {
    let server = Server::start(|request, number| {
        assert_eq!(request.header("range"), None);
        match number {
            0 => send("200 OK", "content-length: 10\r\n", b"\0\0\0\x01old"),
            _ => ok(FILM),
        }
    })
    .await;
    assert_eq!(Try::of(&server, limits()).await.bytes(), FILM);
}

#[tokio::test]
async fn a_server_that_ignores_the_range_sends_the_whole_file_again() {
    let server = Server::start(|_, number| match number {
        0 => send("200 OK", "etag: \"v1\"\r\ncontent-length: 10\r\n", b"\0\0\0\x01old"),
        _ => send("200 OK", "etag: \"v2\"\r\ncontent-length: 10\r\n", FILM),
    })
    .await;
    assert_eq!(Try::of(&server, limits()).await.bytes(), FILM);
}

#[tokio::test]
async fn parts_of_two_versions_are_never_joined() {
    let bad_parts = [
        "etag: \"v2\"\r\ncontent-range: bytes 4-9/10\r\n",
        "etag: \"v1\"\r\ncontent-range: bytes 3-9/10\r\n",
        "etag: \"v1\"\r\ncontent-range: bytes 4-10/11\r\n",
        "etag: \"v1\"\r\n",
    ];
    for headers in bad_parts {
        let server = Server::start(move |_, number| match number {
            0 => send("200 OK", "etag: \"v1\"\r\ncontent-length: 10\r\n", b"\0\0\0\x01"),
            1 => send("206 Partial", headers, b"other!"),
            _ => send("200 OK", "etag: \"v2\"\r\ncontent-length: 10\r\n", FILM),
        })
        .await;
        assert_eq!(Try::of(&server, limits()).await.bytes(), FILM, "{headers}");
        assert_eq!(server.requests().await[2].header("range"), None);
    }
}

#[tokio::test]
async fn a_range_that_no_longer_exists_begins_the_download_anew() {
    let server = Server::start(|_, number| match number {
        0 => send("200 OK", "etag: \"v1\"\r\ncontent-length: 10\r\n", b"\0\0\0\x01old"),
        1 => send("416 Range", "content-length: 0\r\n", b""),
        _ => ok(FILM),
    })
    .await;
    assert_eq!(Try::of(&server, limits()).await.bytes(), FILM);
}

#[tokio::test]
async fn a_server_that_breaks_every_time_is_given_up_after_three_resumes() {
    let server = Server::start(|_, _| {
        vec![
            Act::Send(answer("200 OK", "etag: \"v1\"\r\ncontent-length: 10\r\n", &FILM[..4])),
            Act::Reset,
        ]
    })
    .await;
    let tried = Try::of(&server, limits()).await;
    assert_eq!(tried.failure().kind, ErrorKind::InputUnavailable);
    assert_eq!(server.requests().await.len(), 4);
}

#[tokio::test]
async fn a_link_that_runs_out_in_the_middle_is_told_as_such() {
    let server = Server::start(|_, number| match number {
        0 => send("200 OK", "etag: \"v1\"\r\ncontent-length: 10\r\n", &FILM[..4]),
        _ => send("403 Forbidden", "content-length: 0\r\n", b""),
    })
    .await;
    assert_eq!(Try::of(&server, limits()).await.failure().kind, ErrorKind::InputUnauthorized);
}

#[tokio::test]
async fn a_part_that_nobody_asked_for_is_refused() {
    let acts = send("206 Partial", "content-range: bytes 0-9/10\r\ncontent-length: 10\r\n", FILM);
    assert_eq!(failure_kind(acts, limits()).await, ErrorKind::InputRefused);
}

#[tokio::test]
async fn a_packed_file_is_refused() {
    let acts = send("200 OK", "content-encoding: gzip\r\ncontent-length: 2\r\n", b"\x1f\x8b");
    assert_eq!(failure_kind(acts, limits()).await, ErrorKind::InputRefused);
}

#[tokio::test]
async fn a_playlist_is_refused_by_its_first_bytes_and_not_read_to_its_end() {
    let mut list = b"#EXTM3U\n".to_vec();
    list.resize(600, b'#');
    let endless = vec![Act::Send(answer("200 OK", "", &list)), Act::Hang];
    assert_eq!(failure_kind(endless, limits()).await, ErrorKind::InputUnsupported);
    assert_eq!(failure_kind(ok(b"#EXTM3U\n"), limits()).await, ErrorKind::InputUnsupported);
}

#[tokio::test]
async fn a_web_page_is_told_as_such() {
    let server = Server::start(|_, _| ok(b"<!doctype html><title>Log in</title>")).await;
    let tried = Try::of(&server, limits()).await;
    assert_eq!(tried.failure().message, "the input is a web page, not a media file");
}

#[tokio::test]
async fn a_file_that_is_there_already_is_left_alone() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input");
    std::fs::write(&path, b"mine").expect("a file");
    let (url, stop) = (input_url(&server, "/"), CancellationToken::new());
    assert!(fetcher(limits()).fetch(&url, &path, |_, _| {}, &stop).await.is_err());
    assert_eq!(std::fs::read(&path).expect("the file"), b"mine");
}

#[tokio::test]
async fn a_key_is_sixteen_bytes_behind_the_guard_and_nothing_else() {
    let key = |bytes: &'static [u8]| async move {
        let server = Server::start(move |_, _| ok(bytes)).await;
        fetcher(limits()).key::<16>(input_url(&server, "/key").url()).await
    };
    assert_eq!(key(b"sixteen bytes...").await, Ok(*b"sixteen bytes..."));
    for wrong in [&b""[..], b"fifteen bytes..", b"seventeen bytes..", b"<html>no key</html>"] {
        let failure = key(wrong).await.expect_err("no key");
        assert_eq!(failure.kind, ErrorKind::InputUnsupported, "{failure:?}");
        assert!(failure.message.contains("encryption.key_url"), "{failure:?}");
    }
    let gone = Server::start(|_, _| vec![Act::Send(answer("404 Not Found", "", b""))]).await;
    let failure = fetcher(limits()).key::<16>(input_url(&gone, "/key").url()).await;
    assert_eq!(failure.expect_err("no key").kind, ErrorKind::InputNotFound);
    let private = Server::start_at("127.0.0.1:0", |_, _| ok(b"sixteen bytes...")).await;
    let failure = fetcher(limits()).key::<16>(&private.named("http", "127.0.0.1", "/key")).await;
    assert_eq!(failure.expect_err("no key").kind, ErrorKind::InputForbidden);
    assert!(private.requests().await.is_empty());
}
