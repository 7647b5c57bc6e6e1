//! Subtitles: small texts, fetched as inputs are.

use std::path::PathBuf;

use ffmpeg::subtitles::Subtitles;
use tokio_util::sync::CancellationToken;

use super::super::FetchError;
use super::{fetcher, files, input_url, limits, send};
use crate::job::InputUrl;
use crate::outbound::loopback::{Act, Server, ok};
use crate::task::{ErrorKind, Failure};

const SRT: &[u8] = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n";

/// What became of the subtitles at `url`; nothing of them is left on the disk.
async fn fetched(url: &InputUrl) -> Result<Subtitles, Failure> {
    let folder = tempfile::tempdir().expect("a folder");
    let stop = CancellationToken::new();
    let read = fetcher(limits()).subtitles(url, folder.path(), &stop).await;
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    read.map_err(|error| match error {
        FetchError::Failed(failure) => failure,
        FetchError::Stopped => panic!("nobody stopped it"),
    })
}

async fn answered(acts: Vec<Act>) -> Result<Subtitles, Failure> {
    let server = Server::start(move |_, _| acts.clone()).await;
    fetched(&input_url(&server, "/a.srt")).await
}

#[tokio::test]
async fn subtitles_are_fetched_and_read() {
    let wanted = Subtitles::parse(SRT).expect("subtitles");
    assert_eq!(answered(ok(SRT)).await, Ok(wanted));
}

#[tokio::test]
async fn what_cannot_be_fetched_or_read_names_the_option() {
    let huge = vec![b'x'; (1 << 20) + 1];
    let cases = [
        (send("404 Not Found", "", b""), ErrorKind::InputNotFound),
        (send("503 Service Unavailable", "", b""), ErrorKind::InputUnavailable),
        (ok(b""), ErrorKind::InputEmpty),
        (ok(&huge), ErrorKind::InputTooLarge),
        (ok(b"<!doctype html>"), ErrorKind::InputUnsupported),
        (ok(b"#EXTM3U\nfile:///etc/passwd"), ErrorKind::InputUnsupported),
        (ok(b"[Script Info]\n"), ErrorKind::InputUnsupported),
        (ok(b"1\n00:00:01,000 --> x\n"), ErrorKind::InputUnsupported),
    ];
    for (acts, kind) in cases {
        let failure = answered(acts).await.expect_err("no subtitles");
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.starts_with("`subtitle_url`: "), "{failure:?}");
    }
}

#[tokio::test]
async fn a_private_address_is_never_asked() {
    let private = Server::start_at("127.0.0.1:0", |_, _| ok(SRT)).await;
    let url =
        InputUrl::parse(private.named("http", "127.0.0.1", "/a.srt").as_str()).expect("a URL");
    let failure = fetched(&url).await.expect_err("forbidden");
    assert_eq!(failure.kind, ErrorKind::InputForbidden);
    assert!(failure.message.starts_with("`subtitle_url`: "), "{failure:?}");
    assert!(private.requests().await.is_empty());
}
