//! One download for all tasks of an input on this worker.
//!
//! A task takes a [`Seat`] at a download and keeps it while it waits and while it holds the
//! file. When the last seat of a running download is given up, the download stops; when that of
//! a finished one is, the file is kept for a while, because the next task of a batch may wait
//! for the same slot. Failures are never kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::file::Stored;
use super::gateway::Gateway;
use super::obtain::obtain;
use super::{FetchError, Fetcher, InputFile, Origin};
use crate::clock::{Clock, Timestamp};
use crate::job::InputUrl;
use crate::metrics;
use crate::task::{ErrorKind, Failure};

/// How many bytes of files are kept before those that nobody holds are removed early.
const MAX_KEPT_BYTES: u64 = 20 << 30;

/// The downloads of this worker.
///
/// How many run at once is bounded by who asks: each task asks for one.
#[derive(Debug)]
pub struct Downloads {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fetcher: Fetcher,
    /// Where files are read that are still coming.
    gateway: OnceLock<Gateway>,
    folder: PathBuf,
    keep: Duration,
    max_kept_bytes: u64,
    clock: Arc<dyn Clock>,
    table: Mutex<Table>,
    /// A seat was given up.
    left: Notify,
    /// Nobody can ask any more: nothing is kept from now on.
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    is_swept: bool,
    downloads: Vec<Download>,
}

#[derive(Debug)]
struct Download {
    id: u64,
    origin: Origin,
    started_at: Timestamp,
    seats: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Running { news: watch::Receiver<News>, stop: CancellationToken },
    Done { stored: Arc<Stored>, idle_since: Instant },
}

/// What the waiting are told.
#[derive(Clone, Debug)]
enum News {
    Bytes { received: u64, total: Option<u64> },
    Done(Arc<Stored>),
    Failed(Failure),
}

/// A task's claim on a download: while one is taken, it goes on, and its file stays.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    shared: Arc<Shared>,
}

/// What a task finds when it sits down.
enum Found {
    Running(watch::Receiver<News>),
    Done(Arc<Stored>),
}

impl Downloads {
    /// Downloads into `folder`, which is this value's own; files stay for `keep` after the last
    /// task has let go of them, and no longer than this value and its files.
    ///
    /// A killed process leaves its files in the folder: empty it before the start.
    #[must_use]
    pub fn new(fetcher: Fetcher, folder: PathBuf, keep: Duration, clock: Arc<dyn Clock>) -> Self {
        Self::with_room(fetcher, folder, keep, clock, MAX_KEPT_BYTES)
    }

    /// The same with another limit than 20 GiB on the bytes that are kept. Files that are held
    /// count, but only files that nobody holds are removed to get below it.
    #[must_use]
    pub fn with_room(
        fetcher: Fetcher,
        folder: PathBuf,
        keep: Duration,
        clock: Arc<dyn Clock>,
        max_kept_bytes: u64,
    ) -> Self {
        let shared = Shared {
            fetcher,
            gateway: OnceLock::new(),
            folder,
            keep,
            max_kept_bytes,
            clock,
            table: Mutex::default(),
            left: Notify::new(),
            end: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The same with files handed out while they are still coming, where their server gives parts
    /// of them: ffmpeg reads them through `gateway`.
    #[must_use]
    pub fn through(self, gateway: Gateway) -> Self {
        // There is one at most: this takes the value that it is given to.
        let _second = self.shared.gateway.set(gateway);
        self
    }

    /// The few bytes at `url`: a key that an output is encrypted with, never shared or kept.
    ///
    /// # Errors
    ///
    /// The URL cannot be reached or is refused, there are not `N` bytes, or the work was stopped.
    pub async fn key<const N: usize>(
        &self,
        url: &Url,
        stop: &CancellationToken,
    ) -> Result<[u8; N], FetchError> {
        let key = stop.run_until_cancelled(self.shared.fetcher.key(url)).await;
        key.ok_or(FetchError::Stopped)?.map_err(FetchError::Failed)
    }

    /// What fetches for them.
    #[must_use]
    pub fn fetcher(&self) -> &Fetcher {
        &self.shared.fetcher
    }

    /// The file behind `url`: from a download that began after `wanted_since`, or from a new one.
    ///
    /// `wanted_since` is when the job was accepted. A file may be replaced at its URL, and a job
    /// must never be given what was there before it was asked for; so a download serves only
    /// jobs that were accepted before it began. (Both times come from clocks that agree about
    /// as well as those of the machines that take requests and the machines that work.)
    ///
    /// `progress` is told bytes received and, if known, bytes in all. Cancelling `stop` ends
    /// the wait of this caller alone; the download stops when nobody waits for it. Dropping the
    /// future does the same.
    ///
    /// # Errors
    ///
    /// As of [`Fetcher::fetch`].
    pub async fn get(
        &self,
        url: &InputUrl,
        wanted_since: Timestamp,
        progress: impl FnMut(u64, Option<u64>) + Send,
        stop: &CancellationToken,
    ) -> Result<Arc<InputFile>, FetchError> {
        self.get_from(&Origin::of(url), wanted_since, progress, stop).await
    }

    /// The same from an origin of any kind.
    ///
    /// # Errors
    ///
    /// As of [`Fetcher::fetch`].
    pub async fn get_from(
        &self,
        origin: &Origin,
        wanted_since: Timestamp,
        mut progress: impl FnMut(u64, Option<u64>) + Send,
        stop: &CancellationToken,
    ) -> Result<Arc<InputFile>, FetchError> {
        if stop.is_cancelled() {
            return Err(FetchError::Stopped);
        }
        let (found, seat) = self.shared.sit_down(origin, wanted_since);
        let stored = match found {
            Found::Done(stored) => {
                progress(stored.size_bytes, Some(stored.size_bytes));
                stored
            }
            Found::Running(news) => stop
                .run_until_cancelled(wait(news, &mut progress))
                .await
                .ok_or(FetchError::Stopped)??,
        };
        Ok(Arc::new(InputFile::downloaded(stored, seat)))
    }
}

async fn wait(
    mut news: watch::Receiver<News>,
    progress: &mut (impl FnMut(u64, Option<u64>) + Send),
) -> Result<Arc<Stored>, FetchError> {
    loop {
        let latest = news.borrow_and_update().clone();
        match latest {
            News::Bytes { received, total } => progress(received, total),
            News::Done(stored) => return Ok(stored),
            News::Failed(failure) => return Err(failure.into()),
        }
        if news.changed().await.is_err() {
            return Err(lost().into());
        }
    }
}

fn lost() -> Failure {
    Failure::new(ErrorKind::InternalError, "the download ended without a word")
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // No step between two consistent tables can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins a download that will do, or begins one.
    fn sit_down(self: &Arc<Self>, origin: &Origin, wanted_since: Timestamp) -> (Found, Seat) {
        let mut table = self.table();
        self.sweep_in_background(&mut table);
        let is_same = |download: &Download| download.origin.name() == origin.name();
        let fresh = |download: &&mut Download| {
            is_same(download) && wanted_since <= download.started_at && !download.is_lost()
        };
        if let Some(download) = table.downloads.iter_mut().find(fresh) {
            metrics::INPUT_USES.add(1, &["hit"]);
            download.seats += 1;
            let found = match &download.state {
                State::Running { news, .. } => Found::Running(news.clone()),
                State::Done { stored, .. } => {
                    stored.wake();
                    Found::Done(stored.clone())
                }
            };
            return (found, Seat { id: download.id, shared: self.clone() });
        }
        metrics::INPUT_USES.add(1, &["miss"]);
        let (news, seat) = self.begin(&mut table, origin);
        // Whoever could use an older file of this URL can use the new one.
        let stale = table.take(|download| is_same(download) && download.is_idle());
        drop(table);
        drop(stale);
        (Found::Running(news), seat)
    }

    fn begin(
        self: &Arc<Self>,
        table: &mut Table,
        origin: &Origin,
    ) -> (watch::Receiver<News>, Seat) {
        let id = table.next_id;
        table.next_id += 1;
        let stop = CancellationToken::new();
        let (sender, news) = watch::channel(News::Bytes { received: 0, total: None });
        table.downloads.push(Download {
            id,
            origin: origin.clone(),
            started_at: self.clock.now(),
            seats: 1,
            state: State::Running { news: news.clone(), stop: stop.clone() },
        });
        tokio::spawn(self.clone().run(id, origin.clone(), sender, stop));
        (news, Seat { id, shared: self.clone() })
    }

    /// The life of one download.
    async fn run(
        self: Arc<Self>,
        id: u64,
        origin: Origin,
        news: watch::Sender<News>,
        stop: CancellationToken,
    ) {
        let path = self.folder.join(format!("input-{:016x}", rand::random::<u64>()));
        let on_bytes = |received, total| {
            news.send_replace(News::Bytes { received, total });
        };
        let ended = match self.make_folder().await {
            Ok(()) => {
                let (fetcher, gateway) = (&self.fetcher, self.gateway.get());
                obtain(fetcher, gateway, origin, path, on_bytes, &stop).await.map(Arc::new)
            }
            Err(failure) => Err(failure.into()),
        };
        // The table first: whoever sits down from now on must see how it ended.
        let removed = self.settle(id, ended.as_ref().ok());
        drop(removed);
        match ended {
            Ok(stored) => drop(news.send_replace(News::Done(stored))),
            Err(FetchError::Failed(failure)) => drop(news.send_replace(News::Failed(failure))),
            // It is stopped only when nobody listens.
            Err(FetchError::Stopped) => {}
        }
    }

    async fn make_folder(&self) -> Result<(), Failure> {
        let mut options = tokio::fs::DirBuilder::new();
        let made = options.recursive(true).mode(0o700).create(&self.folder).await;
        made.map_err(|error| super::part::disk(&error))
    }

    /// Writes down how a download ended; returns what has to go for it.
    fn settle(&self, id: u64, stored: Option<&Arc<Stored>>) -> Vec<Download> {
        let mut table = self.table();
        let Some(stored) = stored else { return table.take(|download| download.id == id) };
        if let Some(download) = table.downloads.iter_mut().find(|download| download.id == id) {
            download.state = State::Done { stored: stored.clone(), idle_since: Instant::now() };
        }
        table.trim(self.max_kept_bytes)
    }

    fn leave(&self, id: u64) {
        let mut table = self.table();
        let Some(download) = table.downloads.iter_mut().find(|download| download.id == id) else {
            return;
        };
        download.seats -= 1;
        if download.seats > 0 {
            return;
        }
        let is_over = match &mut download.state {
            State::Running { stop, .. } => {
                stop.cancel();
                true
            }
            State::Done { stored, idle_since } => {
                *idle_since = Instant::now();
                stored.rest();
                stored.has_failed() || self.keep.is_zero() || self.end.is_cancelled()
            }
        };
        let mut removed =
            if is_over { table.take(|download| download.id == id) } else { Vec::new() };
        removed.append(&mut table.trim(self.max_kept_bytes));
        drop(table);
        drop(removed);
        self.left.notify_one();
    }

    fn sweep_in_background(self: &Arc<Self>, table: &mut Table) {
        if !std::mem::replace(&mut table.is_swept, true) {
            let sweep = sweep(self.clone());
            tokio::spawn(self.end.clone().run_until_cancelled_owned(sweep));
        }
    }

    /// Removes the files whose time is over; says when the next one's is.
    fn remove_expired(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut table = self.table();
        let expired = table
            .take(|download| download.idle_since().is_some_and(|since| since + self.keep <= now));
        let next = table.downloads.iter().filter_map(Download::idle_since).min();
        drop(table);
        drop(expired);
        next.map(|since| since + self.keep)
    }
}

/// Removes files when their time is over, until it is stopped.
async fn sweep(shared: Arc<Shared>) {
    loop {
        let next = shared.remove_expired();
        let left = shared.left.notified();
        match next {
            Some(next) => {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = left => {}
                }
            }
            None => left.await,
        }
    }
}

impl Table {
    /// Takes out the downloads that match. They are dropped, and their files removed, by the
    /// caller, when the table is free again.
    fn take(&mut self, matches: impl Fn(&Download) -> bool) -> Vec<Download> {
        self.downloads.extract_if(.., |download| matches(download)).collect()
    }

    /// Takes out idle files, least recently used first, until at most `max_bytes` are kept.
    fn trim(&mut self, max_bytes: u64) -> Vec<Download> {
        let mut kept_bytes: u64 = self.downloads.iter().map(Download::size_bytes).sum();
        let mut idle: Vec<(Instant, u64, u64)> = (self.downloads.iter())
            .filter_map(|download| {
                Some((download.idle_since()?, download.id, download.size_bytes()))
            })
            .collect();
        idle.sort_unstable();
        let mut taken = Vec::new();
        for (_, id, size_bytes) in idle {
            if kept_bytes <= max_bytes {
                break;
            }
            kept_bytes -= size_bytes;
            taken.append(&mut self.take(|download| download.id == id));
        }
        taken
    }
}

impl Download {
    /// Since when nobody has held the file.
    const fn idle_since(&self) -> Option<Instant> {
        match &self.state {
            State::Done { idle_since, .. } if self.seats == 0 => Some(*idle_since),
            _ => None,
        }
    }

    const fn is_idle(&self) -> bool {
        self.idle_since().is_some()
    }

    /// Whether whoever ran it is gone without a word, or its source has failed since.
    fn is_lost(&self) -> bool {
        match &self.state {
            State::Running { news, .. } => news.has_changed().is_err(),
            State::Done { stored, .. } => stored.has_failed(),
        }
    }

    fn size_bytes(&self) -> u64 {
        match &self.state {
            State::Running { .. } => 0,
            State::Done { stored, .. } => stored.kept_bytes(),
        }
    }
}

impl Drop for Downloads {
    /// Removes what nobody holds; what is held goes when it is let go of.
    fn drop(&mut self) {
        self.shared.end.cancel();
        let idle = self.shared.table().take(Download::is_idle);
        drop(idle);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.leave(self.id);
    }
}
