//! Downloads that tasks share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::{Downloads, FetchError, InputFile, Origin};
use super::{FILM, fetcher, files, input_url, limits, send};
use crate::clock::{ManualClock, Timestamp};
use crate::job::InputUrl;
use crate::outbound::loopback::{Act, Server, ok};
use crate::task::ErrorKind;

/// Downloads into a folder of its own, at a clock that shows 1000.
struct Shared {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    downloads: Arc<Downloads>,
}

const LONG: Duration = Duration::from_hours(1);

impl Shared {
    fn new(keep: Duration, room_bytes: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1000)));
        let below = folder.path().join("inputs");
        let downloads =
            Downloads::with_room(fetcher(limits()), below, keep, clock.clone(), room_bytes);
        Self { folder, clock, downloads: Arc::new(downloads) }
    }

    fn files(&self) -> usize {
        files(&self.folder.path().join("inputs")).len()
    }

    async fn get(&self, url: &InputUrl, since: i64) -> Result<Arc<InputFile>, FetchError> {
        let stop = CancellationToken::new();
        self.downloads.get(url, Timestamp::from_millis(since), |_, _| {}, &stop).await
    }

    /// A task that waits for the file, and what stops it.
    fn waiter(
        &self,
        url: &InputUrl,
    ) -> (tokio::task::JoinHandle<Result<Arc<InputFile>, FetchError>>, CancellationToken) {
        let (downloads, url, stop) =
            (self.downloads.clone(), url.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let since = Timestamp::from_millis(0);
        let wait = async move { downloads.get(&url, since, |_, _| {}, &stopped).await };
        (tokio::spawn(wait), stop)
    }
}

/// A server that holds its answer back until the token is cancelled.
async fn gated() -> (Server, CancellationToken) {
    let gate = CancellationToken::new();
    let open = gate.clone();
    let server = Server::start(move |_, _| {
        let mut acts = vec![Act::Wait(open.clone())];
        acts.extend(ok(FILM));
        acts
    })
    .await;
    (server, gate)
}

#[tokio::test]
async fn three_tasks_of_one_input_share_one_download() {
    let (server, gate) = gated().await;
    let shared = Shared::new(LONG, u64::MAX);
    let url = input_url(&server, "/film");
    let waiters: Vec<_> = (0..3).map(|_| shared.waiter(&url).0).collect();
    server.until_requests(1).await;
    gate.cancel();
    let mut paths = Vec::new();
    for waiter in waiters {
        let input = waiter.await.expect("a task").expect("an input");
        assert_eq!(input.size_bytes(), 10);
        assert_eq!(input.origin().map(Origin::name), Some(url.as_str()));
        assert_eq!(std::fs::read(input.place()).expect("the file"), FILM);
        paths.push(input.place().to_owned());
    }
    paths.dedup();
    assert_eq!(paths.len(), 1);
    assert_eq!(server.requests().await.len(), 1);
}

#[tokio::test]
async fn one_task_that_is_cancelled_does_not_disturb_the_others() {
    let (server, gate) = gated().await;
    let shared = Shared::new(LONG, u64::MAX);
    let url = input_url(&server, "/film");
    let (first, stop_first) = shared.waiter(&url);
    let (second, _) = shared.waiter(&url);
    server.until_requests(1).await;
    stop_first.cancel();
    assert_eq!(first.await.expect("a task").expect_err("stopped"), FetchError::Stopped);
    gate.cancel();
    assert!(second.await.expect("a task").is_ok());
    assert_eq!(server.requests().await.len(), 1);
}

#[tokio::test]
async fn a_download_that_nobody_waits_for_stops_and_is_not_joined() {
    let (server, gate) = gated().await;
    let shared = Shared::new(LONG, u64::MAX);
    let url = input_url(&server, "/film");
    let (first, stop) = shared.waiter(&url);
    let (second, _) = shared.waiter(&url);
    server.until_requests(1).await;
    stop.cancel();
    second.abort();
    assert!(first.await.expect("a task").is_err());
    assert!(second.await.expect_err("aborted").is_cancelled());
    gate.cancel();
    assert!(shared.get(&url, 0).await.is_ok());
    assert_eq!(server.requests().await.len(), 2);
    assert_eq!(shared.files(), 1);
}

#[tokio::test]
async fn a_file_is_kept_for_the_next_task_of_the_batch() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let shared = Shared::new(LONG, u64::MAX);
    let url = input_url(&server, "/film");
    for _ in 0..3 {
        drop(shared.get(&url, 1000).await.expect("an input"));
    }
    assert_eq!(server.requests().await.len(), 1);
    assert_eq!(shared.files(), 1);
}

#[tokio::test]
async fn a_job_is_never_given_a_file_from_before_it_was_accepted() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let shared = Shared::new(LONG, u64::MAX);
    let url = input_url(&server, "/film");
    let old = shared.get(&url, 1000).await.expect("an input");
    shared.clock.advance(Duration::from_secs(1));
    let new = shared.get(&url, 1001).await.expect("an input");
    assert_ne!(old.place(), new.place());
    assert_eq!(server.requests().await.len(), 2);
    // Both are held, and an older job may have either.
    assert_eq!(shared.files(), 2);
    drop(shared.get(&url, 900).await.expect("an input"));
    assert_eq!(server.requests().await.len(), 2);
}

#[tokio::test]
async fn a_job_accepted_while_a_download_runs_begins_one_of_its_own() {
    let (server, gate) = gated().await;
    let shared = Shared::new(LONG, u64::MAX);
    let url = input_url(&server, "/film");
    let (first, _) = shared.waiter(&url);
    server.until_requests(1).await;
    shared.clock.advance(Duration::from_secs(1));
    gate.cancel();
    assert!(shared.get(&url, 1500).await.is_ok());
    assert!(first.await.expect("a task").is_ok());
    assert_eq!(server.requests().await.len(), 2);
}

#[tokio::test]
async fn a_newer_download_replaces_an_older_one_that_nobody_holds() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let shared = Shared::new(LONG, u64::MAX);
    let url = input_url(&server, "/film");
    drop(shared.get(&url, 1000).await.expect("an input"));
    shared.clock.advance(Duration::from_secs(1));
    let new = shared.get(&url, 1500).await.expect("an input");
    assert_eq!(shared.files(), 1);
    assert!(new.place().exists());
}

#[tokio::test]
async fn a_file_is_removed_when_its_time_is_over_and_not_while_it_is_held() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let shared = Shared::new(Duration::from_mins(1), u64::MAX);
    let input = shared.get(&input_url(&server, "/film"), 1000).await.expect("an input");
    // No socket is in use from here on.
    drop(server);
    tokio::time::pause();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(input.place().exists());
    drop(input);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(shared.files(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shared.files(), 0);
}

#[tokio::test]
async fn a_file_that_is_not_to_be_kept_goes_with_its_last_user() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let shared = Shared::new(Duration::ZERO, u64::MAX);
    let input = shared.get(&input_url(&server, "/film"), 1000).await.expect("an input");
    let other = input.clone();
    drop(input);
    assert!(other.place().exists());
    drop(other);
    assert_eq!(shared.files(), 0);
}

#[tokio::test]
async fn over_the_limit_the_file_that_was_idle_longest_goes_first() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let shared = Shared::new(LONG, 25);
    let urls: Vec<_> = (0..4).map(|n| input_url(&server, &format!("/{n}"))).collect();
    let held = shared.get(&urls[0], 0).await.expect("an input");
    drop(shared.get(&urls[1], 0).await.expect("an input"));
    let second = shared.get(&urls[2], 0).await.expect("an input");
    assert_eq!(shared.files(), 2, "30 bytes are over 25: the idle one went");
    drop(second);
    let third = shared.get(&urls[3], 0).await.expect("an input");
    assert_eq!(shared.files(), 2);
    assert!(held.place().exists() && third.place().exists());
    drop((held, third));
    let before = server.requests().await.len();
    drop(shared.get(&urls[0], 0).await.expect("an input"));
    drop(shared.get(&urls[3], 0).await.expect("an input"));
    assert_eq!(server.requests().await.len(), before, "what fits is kept");
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_wait_and_not_kept() {
    let gate = CancellationToken::new();
    let open = gate.clone();
    let server = Server::start(move |_, number| match number {
        0 => {
            let mut acts = vec![Act::Wait(open.clone())];
            acts.extend(send("503 Busy", "content-length: 0\r\n", b""));
            acts
        }
        _ => ok(FILM),
    })
    .await;
    let shared = Shared::new(LONG, u64::MAX);
    let url = input_url(&server, "/film");
    let waiters: Vec<_> = (0..3).map(|_| shared.waiter(&url).0).collect();
    server.until_requests(1).await;
    gate.cancel();
    for waiter in waiters {
        let ended = waiter.await.expect("a task").expect_err("a failure");
        let FetchError::Failed(failure) = ended else { panic!("{ended}") };
        assert_eq!(failure.kind, ErrorKind::InputUnavailable);
    }
    assert_eq!(shared.files(), 0);
    assert!(shared.get(&url, 0).await.is_ok(), "the next one tries again");
}

#[tokio::test]
async fn nothing_is_left_when_the_worker_ends() {
    let server = Server::start(|_, _| ok(FILM)).await;
    let shared = Shared::new(LONG, u64::MAX);
    drop(shared.get(&input_url(&server, "/idle"), 0).await.expect("an input"));
    let held = shared.get(&input_url(&server, "/held"), 0).await.expect("an input");
    let Shared { folder, downloads, .. } = shared;
    let below = folder.path().join("inputs");
    drop(downloads);
    assert_eq!(files(&below), [held.place()]);
    drop(held);
    assert_eq!(files(&below), Vec::<PathBuf>::new());
}
