//! Sources that break off, change, lie or fall silent while their file is read.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{MIB, Open, asked, film, honest, part_of, port, read};
use crate::input::FetchLimits;
use crate::input::tests::{limits, send};
use crate::outbound::loopback::{Act, Request, Server, ok, redirect};
use crate::task::{ErrorKind, Failure};

/// What went wrong with the source when a reader has read all that it could.
async fn broken(open: &Open, part: Range<usize>) -> Failure {
    let input = open.input().await;
    let length = part.len();
    let read = read(&port(&input), part).await;
    assert!(read.len() < length, "a reader never gets more than there is");
    tokio::time::timeout(Duration::from_secs(10), input.broke()).await.expect("it has failed");
    let stop = CancellationToken::new();
    assert!(input.whole(|_, _| {}, &stop).await.is_err(), "the whole cannot be had either");
    input.check_source().expect_err("a failure")
}

#[tokio::test]
async fn parts_that_break_off_are_taken_up_where_they_broke() {
    let film = Arc::new(film(9 * MIB));
    let served = film.clone();
    let server = Server::start(move |request, number| {
        let part = asked(request, served.len()).expect("a part");
        let mut all = part_of(&served, part, "v1");
        if number < 3 {
            all.truncate(all.len() - MIB);
        }
        vec![Act::Send(all)]
    })
    .await;
    let open = Open::of(server, limits());
    let input = open.input().await;
    let whole = input.whole(|_, _| {}, &CancellationToken::new()).await.expect("whole");
    assert!(std::fs::read(whole).expect("the file") == *film);
}

#[tokio::test]
async fn a_source_that_breaks_every_time_is_given_up_and_its_readers_with_it() {
    let film = film(9 * MIB);
    let server = Server::start(move |request, number| match number {
        0 => honest(&film, request),
        _ => vec![Act::Reset],
    })
    .await;
    let open = Open::of(server, limits());
    assert_eq!(broken(&open, 5 * MIB..6 * MIB).await.kind, ErrorKind::InputUnavailable);
}

#[tokio::test]
async fn parts_of_two_versions_are_never_joined() {
    let film = Arc::new(film(9 * MIB));
    let longer = Arc::new(super::film(9 * MIB + 1));
    type Later = Arc<dyn Fn(&Request) -> Vec<Act> + Send + Sync>;
    let part = |request: &Request| asked(request, 9 * MIB).expect("a part");
    let (one, two, three) = (film.clone(), longer.clone(), film.clone());
    let later: [(&str, Later); 4] = [
        ("another tag", Arc::new(move |it| vec![Act::Send(part_of(&one, part(it), "v2"))])),
        ("another length", Arc::new(move |it| vec![Act::Send(part_of(&two, part(it), "v1"))])),
        ("all of it", Arc::new(move |_| ok(&three))),
        ("nothing there", Arc::new(|_| send("416 Range", "content-length: 0\r\n", b""))),
    ];
    for (what, later) in later {
        let first = film.clone();
        let server = Server::start(move |request, number| match number {
            0 => honest(&first, request),
            _ => later(request),
        })
        .await;
        let open = Open::of(server, limits());
        let failure = broken(&open, 5 * MIB..6 * MIB).await;
        assert_eq!(failure.kind, ErrorKind::InputUnavailable, "{what}");
        assert_eq!(failure.message, "the file changed while it was downloaded", "{what}");
    }
}

#[tokio::test]
async fn a_server_that_sends_another_part_than_was_asked_for_is_refused() {
    let film = Arc::new(film(9 * MIB));
    for shift in [MIB, 2 * MIB] {
        let served = film.clone();
        let server = Server::start(move |request, number| {
            let part = asked(request, served.len()).expect("a part");
            match number {
                0 => honest(&served, request),
                _ => vec![Act::Send(part_of(&served, part.start - shift..part.end - shift, "v1"))],
            }
        })
        .await;
        let open = Open::of(server, limits());
        assert_eq!(broken(&open, 5 * MIB..6 * MIB).await.kind, ErrorKind::InputRefused);
    }
    let server = Server::start(move |request, number| {
        if number == 0 {
            return honest(&film, request);
        }
        let part = asked(request, film.len()).expect("a part");
        vec![Act::Send(part_of(&film, part.start..part.start + 100, "v1"))]
    })
    .await;
    let open = Open::of(server, limits());
    let failure = broken(&open, 5 * MIB..6 * MIB).await;
    assert_eq!(failure.kind, ErrorKind::InputRefused, "a part in which nothing comes");
}

#[tokio::test]
async fn a_later_part_may_not_lead_to_a_private_address() {
    let film = film(9 * MIB);
    let server = Server::start(move |request, number| match number {
        0 => honest(&film, request),
        _ => redirect("302 Found", "http://10.1.2.3/film"),
    })
    .await;
    let open = Open::of(server, limits());
    assert_eq!(broken(&open, 5 * MIB..6 * MIB).await.kind, ErrorKind::InputForbidden);
}

#[tokio::test]
async fn a_link_that_runs_out_while_it_is_read_is_told_as_such() {
    let film = film(9 * MIB);
    let server = Server::start(move |request, number| match number {
        0 => honest(&film, request),
        _ => send("403 Forbidden", "content-length: 0\r\n", b""),
    })
    .await;
    let open = Open::of(server, limits());
    assert_eq!(broken(&open, 5 * MIB..6 * MIB).await.kind, ErrorKind::InputUnauthorized);
}

#[tokio::test]
async fn a_source_that_has_failed_serves_no_further_task() {
    let film = Arc::new(film(9 * MIB));
    let served = film.clone();
    let server = Server::start(move |request, number| match number {
        1 => send("404 Gone", "content-length: 0\r\n", b""),
        _ => honest(&served, request),
    })
    .await;
    let open = Open::of(server, limits());
    let first = open.input().await;
    let stop = CancellationToken::new();
    assert!(first.whole(|_, _| {}, &stop).await.is_err());
    let second = open.input().await;
    assert!(second.whole(|_, _| {}, &stop).await.is_ok());
    drop((first, second));
    assert_eq!(open.files(), 0);
}

#[tokio::test]
async fn a_source_that_is_too_slow_is_told_as_such_and_its_readers_are_known_to_wait() {
    let film = film(9 * MIB);
    let silent = CancellationToken::new();
    let until = silent.clone();
    let server = Server::start(move |request, number| {
        if number == 0 {
            return honest(&film, request);
        }
        let part = asked(request, film.len()).expect("a part");
        let mut some = part_of(&film, part, "v1");
        some.truncate(1000);
        vec![Act::Send(some), Act::Wait(until.clone())]
    })
    .await;
    let slow = FetchLimits { rate_window: Duration::from_millis(300), ..limits() };
    let open = Open::of(server, slow);
    let input = open.input().await;
    let place = port(&input);
    let reader = tokio::spawn({
        let place = place.clone();
        async move { read(&place, 5 * MIB..6 * MIB).await }
    });
    open.server.until_requests(2).await;
    assert!(place.waiting.is_anybody());
    assert_eq!(reader.await.expect("a reader"), b"");
    assert_eq!(input.check_source().expect_err("too slow").kind, ErrorKind::InputTooSlow);
    assert!(!place.waiting.is_anybody());
}
