//! Inputs that come as they are read, from servers of every sort.

mod failures;

use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use ffmpeg::{Loopback, Media};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Gateway;
use crate::clock::{ManualClock, Timestamp};
use crate::input::tests::{fetcher, files, input_url, limits, send};
use crate::input::{Downloads, FetchError, FetchLimits, InputFile};
use crate::outbound::loopback::{Act, Request, Server, answer, ok};
use crate::task::{ErrorKind, Failure};

const MIB: usize = 1 << 20;

/// Bytes that begin like a film; no two places in them are alike for long.
fn film(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    b"\0\0\0\x20ftypisom".iter().copied().chain(noise).take(length).collect()
}

/// The part that a request asks for.
fn asked(request: &Request, length: usize) -> Option<Range<usize>> {
    let (from, last) = request.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let end = last.parse().map_or(length, |last: usize| (last + 1).min(length));
    Some(from.parse().ok()?..end)
}

/// What an honest server says to a request for a part.
fn part_of(film: &[u8], part: Range<usize>, etag: &str) -> Vec<u8> {
    let (from, last, total) = (part.start, part.end - 1, film.len());
    let headers = format!(
        "etag: \"{etag}\"\r\ncontent-range: bytes {from}-{last}/{total}\r\ncontent-length: {}\r\n",
        part.len()
    );
    answer("206 Partial Content", &headers, &film[part])
}

fn honest(film: &[u8], request: &Request) -> Vec<Act> {
    let part = asked(request, film.len()).expect("a part is asked for");
    vec![Act::Send(part_of(film, part, "v1"))]
}

/// Downloads that are read while they come.
struct Open {
    folder: tempfile::TempDir,
    downloads: Downloads,
    server: Server,
}

impl Open {
    fn of(server: Server, limits: FetchLimits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1000)));
        let below = folder.path().join("inputs");
        let downloads = Downloads::new(fetcher(limits), below, Duration::ZERO, clock);
        let downloads = downloads.through(Gateway::open().expect("a port"));
        Self { folder, downloads, server }
    }

    /// From a server that gives parts of this film.
    async fn honest(film: &Arc<Vec<u8>>) -> Self {
        let film = film.clone();
        Self::of(Server::start(move |request, _| honest(&film, request)).await, limits())
    }

    async fn get(&self) -> Result<Arc<InputFile>, FetchError> {
        let (since, stop) = (Timestamp::from_millis(0), CancellationToken::new());
        let url = input_url(&self.server, "/film");
        self.downloads.get(&url, since, |_, _| {}, &stop).await
    }

    async fn input(&self) -> Arc<InputFile> {
        self.get().await.expect("an input")
    }

    async fn failure(&self) -> Failure {
        match self.get().await {
            Err(FetchError::Failed(failure)) => failure,
            other => panic!("no failure: {other:?}"),
        }
    }

    fn files(&self) -> usize {
        files(&self.folder.path().join("inputs")).len()
    }
}

fn port(input: &InputFile) -> Loopback {
    match input.media() {
        Media::Loopback(loopback) => loopback,
        Media::File(path) => panic!("it is whole: {}", path.display()),
    }
}

/// What the port says to a request: the head, and as much of the body as came.
async fn said(place: &Loopback, method: &str, path: &str, range: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", place.port)).await.expect("the port");
    let request = format!("{method} /{path} HTTP/1.1\r\nhost: x\r\n{range}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut said = Vec::new();
    let _may_break_off = stream.read_to_end(&mut said).await;
    let end = said.windows(4).position(|it| it == b"\r\n\r\n").map_or(said.len(), |at| at + 4);
    let body = said.split_off(end);
    (String::from_utf8(said).expect("a head").to_lowercase(), body)
}

/// The bytes of a part, as a reader gets them.
async fn read(place: &Loopback, part: Range<usize>) -> Vec<u8> {
    let range = format!("range: bytes={}-{}\r\n", part.start, part.end - 1);
    said(place, "GET", &place.secret, &range).await.1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_reader_reads_the_bytes_of_the_file(
        length in 4 * MIB + 1..9 * MIB,
        parts in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..3 * MIB), 1..8),
        reads_ahead in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let film = Arc::new(film(length));
            let open = Open::honest(&film).await;
            let input = open.input().await;
            let place = port(&input);
            if reads_ahead {
                input.read_ahead();
            }
            let readers = parts.iter().map(|(from, size)| {
                let from = from.index(length);
                let part = from..(from + size).min(length);
                let (place, film) = (place.clone(), film.clone());
                async move { assert!(read(&place, part.clone()).await == film[part], "other bytes") }
            });
            // Half of them at once, half one after the other.
            let (mut at_once, mut then) = (Vec::new(), Vec::new());
            for (number, reader) in readers.enumerate() {
                if number % 2 == 0 { at_once.push(reader) } else { then.push(reader) }
            }
            futures::future::join_all(at_once).await;
            for reader in then {
                reader.await;
            }
            let whole = input.whole(|_, _| {}, &CancellationToken::new()).await.expect("whole");
            assert!(std::fs::read(whole).expect("the file") == *film, "other bytes");
        });
    }
}

#[tokio::test]
async fn a_picture_from_the_middle_takes_an_index_and_a_few_blocks() {
    let film = Arc::new(film(200 * MIB));
    let open = Open::honest(&film).await;
    let input = open.input().await;
    let place = port(&input);
    for part in [0..100_000, 200 * MIB - 300_000..200 * MIB, 90 * MIB..92 * MIB] {
        assert!(read(&place, part.clone()).await == film[part]);
    }
    let told = input.how_it_came().expect("it comes");
    let read_mb: f64 = told.split(' ').next().and_then(|it| it.parse().ok()).expect("a number");
    assert!(read_mb < 10.0 && told.contains(" of 209.7 MB read, in "), "{told}");
    assert_eq!(open.server.requests().await[0].header("range"), Some("bytes=0-4194303"));
    for request in &open.server.requests().await[1..] {
        assert_eq!(request.header("if-range"), Some("\"v1\""));
    }
}

#[tokio::test]
async fn a_whole_input_is_a_file_for_reading_only_and_goes_with_its_last_task() {
    let film = Arc::new(film(6 * MIB + 5));
    let open = Open::honest(&film).await;
    let input = open.input().await;
    let mut told = Vec::new();
    let on_bytes = |here, of| told.push((here, of));
    let path = input.whole(on_bytes, &CancellationToken::new()).await.expect("whole").to_owned();
    assert!(
        told.iter().all(|(here, of)| *of == Some(film.len() as u64) && *here <= film.len() as u64)
    );
    assert_eq!(input.media(), Media::from(&path));
    let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    drop(input);
    assert_eq!(open.files(), 0);
}

#[tokio::test]
async fn what_nobody_holds_any_more_is_gone_and_nothing_more_comes() {
    let film = Arc::new(film(6 * MIB));
    let served = film.clone();
    let server = Server::start(move |request, number| match number {
        0 => honest(&served, request),
        _ => vec![Act::Hang],
    })
    .await;
    let open = Open::of(server, limits());
    let input = open.input().await;
    let place = port(&input);
    input.read_ahead();
    open.server.until_requests(2).await;
    drop(input);
    assert_eq!(open.files(), 0);
    let (head, _) = said(&place, "GET", &place.secret, "").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
}

#[tokio::test]
async fn a_reader_must_know_the_secret_and_asks_for_one_part() {
    let film = Arc::new(film(5 * MIB));
    let open = Open::honest(&film).await;
    let input = open.input().await;
    let place = port(&input);
    let (whole, part) = ("", "range: bytes=10-19\r\n");
    for (method, path, range, wanted) in [
        ("GET", "", whole, "404"),
        ("GET", "0000", whole, "404"),
        ("POST", &*place.secret, whole, "405"),
        ("GET", &*place.secret, "range: bytes=5242880-\r\n", "416"),
        ("GET", &*place.secret, "range: bytes=0-1,5-6\r\n", "416"),
        ("HEAD", &*place.secret, part, "206"),
    ] {
        let (head, body) = said(&place, method, path, range).await;
        assert!(head.starts_with(&format!("http/1.1 {wanted}")), "{method} {range}: {head}");
        assert!(body.is_empty(), "{method} {range}");
    }
    let (head, body) = said(&place, "GET", &place.secret, part).await;
    assert!(head.contains("content-range: bytes 10-19/5242880\r\n"), "{head}");
    assert_eq!(body, film[10..20]);
    assert!(!format!("{:?}", input.media()).contains(&place.secret));
}

#[tokio::test]
async fn what_cannot_be_had_by_parts_is_downloaded_with_what_has_come_already() {
    let film = Arc::new(film(5 * MIB));
    let total = film.len();
    let told = |tag: &str, has_range: bool| {
        let range = format!("content-range: bytes 0-{}/{total}\r\n", 4 * MIB - 1);
        let length = format!("content-length: {}\r\n", 4 * MIB);
        format!("{tag}{}{length}", if has_range { &*range } else { "" })
    };
    let some = film[..4 * MIB].to_vec();
    let chunk = format!("content-range: bytes 0-{}/*\r\netag: \"v1\"\r\n", 4 * MIB - 1);
    for (what, first, requests) in [
        ("it ignores the range", ok(&film), 1),
        ("no validator", send("206 Partial", &told("", true), &some), 2),
        ("a weak tag", send("206 Partial", &told("etag: W/\"v1\"\r\n", true), &some), 2),
        ("no content-range", send("206 Partial", &told("etag: \"v1\"\r\n", false), &some), 2),
        ("no length", send("206 Partial", &chunk, &some), 2),
        ("it dislikes ranges", send("416 Range", "content-length: 0\r\n", b""), 2),
        ("it knows no ranges", send("501 No", "content-length: 0\r\n", b""), 2),
    ] {
        let served = film.clone();
        let server = Server::start(move |request, number| {
            if number == 0 {
                return first.clone();
            }
            assert_eq!(request.header("range"), None);
            ok(&served)
        })
        .await;
        let open = Open::of(server, limits());
        let input = open.input().await;
        assert!(input.how_it_came().is_none(), "{what}");
        let media = input.media();
        assert!(std::fs::read(media.path().expect(what)).expect("the file") == *film, "{what}");
        assert_eq!(open.server.requests().await.len(), requests, "{what}");
    }
}

#[tokio::test]
async fn a_small_file_comes_whole_by_one_request() {
    let film = Arc::new(film(4 * MIB));
    let open = Open::honest(&film).await;
    let input = open.input().await;
    assert!(std::fs::read(input.media().path().expect("a file")).expect("the file") == *film);
    assert_eq!(open.server.requests().await.len(), 1);
}

#[tokio::test]
async fn what_ffmpeg_does_not_read_bit_by_bit_is_whole_before_it_is_handed_out() {
    let mut picture = film(6 * MIB);
    picture[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
    let picture = Arc::new(picture);
    let open = Open::honest(&picture).await;
    let input = open.input().await;
    assert!(std::fs::read(input.media().path().expect("a file")).expect("the file") == *picture);
    drop(input);
    assert_eq!(open.files(), 0);
}

#[tokio::test]
async fn what_opens_other_files_is_refused_by_its_first_bytes() {
    let mut list = b"#EXTM3U\n".to_vec();
    list.resize(5 * MIB, b'#');
    let open = Open::honest(&Arc::new(list)).await;
    assert_eq!(open.failure().await.kind, ErrorKind::InputUnsupported);
    assert_eq!(open.files(), 0);
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_comes() {
    let film = film(5 * MIB);
    let server = Server::start(move |request, _| honest(&film, request)).await;
    let small = FetchLimits { max_bytes: 4 << 20, ..limits() };
    let open = Open::of(server, small);
    assert_eq!(open.failure().await.kind, ErrorKind::InputTooLarge);
    let film = self::film(5 * MIB);
    let server = Server::start(move |request, _| honest(&film, request)).await;
    let full = FetchLimits { reserve_bytes: u64::MAX, ..limits() };
    let open = Open::of(server, full);
    let input = open.input().await;
    assert!(input.whole(|_, _| {}, &CancellationToken::new()).await.is_err());
    assert_eq!(input.check_source().expect_err("no room").kind, ErrorKind::DiskFull);
}

#[tokio::test]
async fn each_refusal_of_the_server_has_its_kind_at_the_first_question() {
    for (status, kind, requests) in [
        ("404 Not Found", ErrorKind::InputNotFound, 1),
        ("403 Forbidden", ErrorKind::InputUnauthorized, 1),
        ("503 Busy", ErrorKind::InputUnavailable, 1),
        ("402 Payment Required", ErrorKind::InputRefused, 1),
        ("400 Bad", ErrorKind::InputRefused, 2),
    ] {
        let acts = send(status, "content-length: 0\r\n", b"");
        let open = Open::of(Server::start(move |_, _| acts.clone()).await, limits());
        assert_eq!(open.failure().await.kind, kind, "{status}");
        assert_eq!(open.server.requests().await.len(), requests, "{status}");
    }
}
