//! What is here of a file, and its coming: readers wait here for blocks, and runs bring them.
//!
//! The file on the disk has its full length from the start and holes where nothing has come yet;
//! only blocks that are whole are read. The first thing that goes wrong with the source ends
//! everything: readers, runs, and whoever waits for the whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use bytesize::ByteSize;
use ffmpeg::{Demuxer, Waiting};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::blocks::{BLOCK_BYTES, Blocks};
use super::remote::{Body, Remote, another_part};
use super::runs::{Runs, Task, Wish};
use crate::input::fetch::{Break, too_slow};
use crate::input::part;
use crate::metrics;
use crate::task::{ErrorKind, Failure};

/// How many blocks come between two looks at the free space.
const SPACE_CHECK_BLOCKS: u64 = (64 << 20) / BLOCK_BYTES;

/// What is here of a file.
#[derive(Debug)]
pub(in crate::input) struct Cache {
    remote: Remote,
    demuxer: Option<Demuxer>,
    path: PathBuf,
    file: Arc<File>,
    state: Mutex<State>,
    /// Something of the state has changed.
    news: watch::Sender<()>,
    /// Nobody needs it any more.
    end: CancellationToken,
    waiting: Waiting,
}

#[derive(Debug)]
struct State {
    blocks: Blocks,
    runs: Runs,
    fill: Fill,
    /// Whether nobody holds the input, so that nothing is to come.
    rests: bool,
    readers: usize,
    is_whole: bool,
    failure: Option<Failure>,
    breaks: u32,
    /// How long runs have taken.
    spent: Duration,
    received_bytes: u64,
    parts: u32,
}

/// Whether all of it is wanted, and somebody sees to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// Nobody does.
    Off,
    /// Somebody does.
    On,
    /// Somebody does, and will find that it is not wanted any more.
    Ending,
}

/// What is to become of a run after some of its blocks.
enum After {
    GoOn,
    End,
}

impl Cache {
    /// An empty file at `path`, whose first run has begun and brings so many blocks.
    pub(super) fn create(
        remote: Remote,
        demuxer: Option<Demuxer>,
        path: &Path,
        first_blocks: u64,
        body: Body,
    ) -> Result<Arc<Self>, Failure> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| part::disk(&error))?;
        if let Err(error) = file.set_len(remote.total_bytes) {
            part::remove(path);
            return Err(part::disk(&error));
        }
        let mut state = State {
            blocks: Blocks::new(remote.total_bytes),
            runs: Runs::default(),
            fill: Fill::Off,
            rests: false,
            readers: 0,
            is_whole: false,
            failure: None,
            breaks: 0,
            spent: Duration::ZERO,
            received_bytes: 0,
            parts: 0,
        };
        let first = state.runs.first(0..first_blocks);
        let cache = Arc::new(Self {
            remote,
            demuxer,
            path: path.to_owned(),
            file: Arc::new(file),
            state: Mutex::new(state),
            news: watch::Sender::new(()),
            end: CancellationToken::new(),
            waiting: Waiting::default(),
        });
        tokio::spawn(cache.clone().fetch(first, Some(body)));
        Ok(cache)
    }

    /// What opens the file bit by bit, if anything does.
    pub(in crate::input) const fn demuxer(&self) -> Option<Demuxer> {
        self.demuxer
    }

    /// How many bytes the file has.
    pub(in crate::input) const fn total_bytes(&self) -> u64 {
        self.remote.total_bytes
    }

    /// How many bytes of it are on the disk.
    pub(in crate::input) fn here_bytes(&self) -> u64 {
        self.state().blocks.here_bytes()
    }

    /// Whether its readers wait.
    pub(in crate::input) const fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Whether it is here from its first byte to its last.
    pub(in crate::input) fn is_whole(&self) -> bool {
        self.state().is_whole
    }

    /// What went wrong with the source.
    pub(in crate::input) fn failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }

    /// How much was read of how much, for a person.
    pub(in crate::input) fn told(&self) -> String {
        let (bytes, parts) = {
            let state = self.state();
            (state.received_bytes, state.parts)
        };
        let size = |bytes| ByteSize(bytes).display().si();
        let all = size(self.total_bytes());
        let plural = if parts == 1 { "part" } else { "parts" };
        format!("{} of {all} read, in {parts} {plural}", size(bytes))
    }

    /// Comes back when something has gone wrong with the source.
    pub(in crate::input) async fn broke(&self) {
        let mut news = self.news.subscribe();
        while self.failure().is_none() && news.changed().await.is_ok() {}
    }

    /// Has all of it come, as fast as it does.
    pub(in crate::input) fn fill(self: &Arc<Self>) {
        let before = std::mem::replace(&mut self.state().fill, Fill::On);
        if before == Fill::Off {
            tokio::spawn(self.clone().fill_up());
        }
    }

    /// Waits until all of it is here, which it sees to; tells how much has come.
    pub(in crate::input) async fn whole(
        self: &Arc<Self>,
        mut on_bytes: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<(), Failure> {
        self.fill();
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            let here = {
                let state = self.state();
                if let Some(failure) = &state.failure {
                    return Err(failure.clone());
                }
                if state.is_whole {
                    return Ok(());
                }
                state.blocks.here_bytes()
            };
            on_bytes(here, Some(self.total_bytes()));
            if news.changed().await.is_err() {
                return Err(gone());
            }
        }
    }

    /// Nobody holds the input: nothing comes until somebody does.
    pub(in crate::input) fn rest(&self) {
        let mut state = self.state();
        state.rests = true;
        if state.fill == Fill::On {
            state.fill = Fill::Ending;
        }
        state.runs.stop_all();
        drop(state);
        self.news.send_replace(());
    }

    /// Somebody holds the input again.
    pub(in crate::input) fn wake(&self) {
        self.state().rests = false;
    }

    /// Ends everything.
    pub(in crate::input) fn close(&self) {
        self.end.cancel();
        self.news.send_replace(());
    }

    /// Bytes from `from` on: as many as one block has, and not behind `end`.
    pub(super) async fn read(self: &Arc<Self>, from: u64, end: u64) -> Result<Bytes, Failure> {
        let block = from / BLOCK_BYTES;
        self.block(block).await?;
        let end = end.min((block + 1) * BLOCK_BYTES).min(self.total_bytes());
        let (file, length) = (self.file.clone(), end.saturating_sub(from) as usize);
        let read = spawn_blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, from).map(|()| Bytes::from(bytes))
        });
        let read = read.await.map_err(io::Error::other).flatten();
        read.map_err(|error| {
            let failure = part::disk(&error);
            self.fail(failure.clone());
            failure
        })
    }

    /// A reader has come.
    pub(super) fn comes(&self) {
        self.state().readers += 1;
    }

    /// A reader has gone.
    pub(super) fn goes(&self) {
        let mut state = self.state();
        state.readers -= 1;
        if state.readers == 0 && state.fill != Fill::On {
            state.runs.let_go();
        }
    }

    /// Waits until a block is here.
    async fn block(self: &Arc<Self>, block: u64) -> Result<(), Failure> {
        let mut news = self.news.subscribe();
        let _wished = Wished::of(self, block);
        let mut waits = None;
        loop {
            news.borrow_and_update();
            {
                let mut state = self.state();
                if let Some(failure) = &state.failure {
                    return Err(failure.clone());
                }
                if state.rests || self.end.is_cancelled() {
                    return Err(gone());
                }
                let State { blocks, runs, .. } = &mut *state;
                match runs.wish(block, blocks) {
                    Wish::Here => return Ok(()),
                    Wish::Coming => {}
                    Wish::Fetch(task) => drop(tokio::spawn(self.clone().fetch(task, None))),
                }
            }
            waits.get_or_insert_with(|| self.waiting.begin());
            if news.changed().await.is_err() {
                return Err(gone());
            }
        }
    }

    async fn fill_up(self: Arc<Self>) {
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            let task = {
                let mut state = self.state();
                let is_over = state.failure.is_some() || state.blocks.is_full();
                if is_over || state.fill != Fill::On || self.end.is_cancelled() {
                    state.fill = Fill::Off;
                    return;
                }
                let State { blocks, runs, .. } = &mut *state;
                runs.fill(blocks)
            };
            match task {
                Some(task) => self.clone().fetch(task, None).await,
                // What is missing is under way to readers.
                None => drop(news.changed().await),
            }
        }
    }

    /// The life of one run.
    async fn fetch(self: Arc<Self>, task: Task, begun: Option<Body>) {
        let started = Instant::now();
        let deadline = self.remote.fetcher.limits().deadline;
        let left = deadline.saturating_sub(self.state().spent);
        let ended = tokio::select! {
            biased;
            () = self.end.cancelled() => Ok(()),
            () = task.stop.cancelled() => Ok(()),
            ended = timeout(left, self.fetch_all(&task, begun)) => {
                ended.unwrap_or_else(|_| Err(too_slow("the download took too long")))
            }
        };
        {
            let mut state = self.state();
            state.spent += started.elapsed();
            state.runs.end(task.id);
        }
        match ended {
            Ok(()) => {
                self.news.send_replace(());
            }
            Err(failure) => self.fail(failure),
        }
    }

    async fn fetch_all(&self, task: &Task, mut begun: Option<Body>) -> Result<(), Failure> {
        let limits = *self.remote.fetcher.limits();
        let mut next = task.blocks.start;
        while next < task.blocks.end {
            match self.fetch_part(task, &mut next, begun.take()).await {
                Ok(After::GoOn) => {}
                Ok(After::End) => return Ok(()),
                Err(Break::Final(failure)) => return Err(failure),
                Err(Break::Broken(failure)) => {
                    let breaks = self.breaks_again();
                    if breaks > limits.max_resumes {
                        return Err(failure);
                    }
                    tracing::info!(breaks, at = next * BLOCK_BYTES, %failure, "resuming a part");
                    tokio::time::sleep(limits.resume_pause).await;
                }
            }
        }
        Ok(())
    }

    /// Fetches blocks over one connection.
    async fn fetch_part(
        &self,
        task: &Task,
        next: &mut u64,
        begun: Option<Body>,
    ) -> Result<After, Break> {
        let first = *next;
        let bytes = self.state().blocks.bytes(&(first..task.blocks.end));
        self.check_space(bytes.end - bytes.start)?;
        let mut body = match begun {
            Some(body) => body,
            None => self.remote.ask(&bytes).await?,
        };
        self.state().parts += 1;
        let mut gathered = BytesMut::with_capacity(BLOCK_BYTES as usize);
        while let Some(piece) = body.next().await? {
            self.count(piece.len() as u64);
            gathered.extend_from_slice(&piece);
            while let Some(block) = self.take(*next, &mut gathered) {
                self.write(*next, block).await?;
                *next += 1;
                if self.has_come(task.id, *next)? || *next == task.blocks.end {
                    return Ok(After::End);
                }
            }
        }
        // A part may be shorter than what was asked for, but not so short that nothing comes.
        if *next == first { Err(Break::Final(another_part())) } else { Ok(After::GoOn) }
    }

    /// The bytes of a block, when all of them have been gathered.
    fn take(&self, block: u64, gathered: &mut BytesMut) -> Option<Bytes> {
        let start = block * BLOCK_BYTES;
        let size = self.total_bytes().saturating_sub(start).min(BLOCK_BYTES) as usize;
        (size > 0 && gathered.len() >= size).then(|| gathered.split_to(size).freeze())
    }

    async fn write(&self, block: u64, bytes: Bytes) -> Result<(), Failure> {
        let file = self.file.clone();
        let written = spawn_blocking(move || file.write_all_at(&bytes, block * BLOCK_BYTES)).await;
        written.map_err(io::Error::other).flatten().map_err(|error| part::disk(&error))
    }

    /// The block before `next` has come; whether `next` is here already.
    fn has_come(&self, run: u64, next: u64) -> Result<bool, Failure> {
        let (is_full, is_here) = {
            let mut state = self.state();
            state.blocks.add(next - 1);
            state.runs.advance(run, next);
            (state.blocks.is_full(), state.blocks.has(next))
        };
        if is_full {
            let mode = std::fs::Permissions::from_mode(0o400);
            self.file.set_permissions(mode).map_err(|error| part::disk(&error))?;
            self.state().is_whole = true;
        } else if next.is_multiple_of(SPACE_CHECK_BLOCKS) {
            self.check_space(0)?;
        }
        self.news.send_replace(());
        Ok(is_here)
    }

    fn check_space(&self, coming: u64) -> Result<(), Failure> {
        part::check_space(&self.path, coming, self.remote.fetcher.limits().reserve_bytes)
    }

    fn count(&self, bytes: u64) {
        self.state().received_bytes += bytes;
        metrics::INPUT_BYTES.add(bytes, &[]);
        metrics::INPUT_GATEWAY_BYTES.add(bytes, &[]);
    }

    fn breaks_again(&self) -> u32 {
        let mut state = self.state();
        state.breaks += 1;
        state.breaks
    }

    fn fail(&self, failure: Failure) {
        let mut state = self.state();
        state.failure.get_or_insert(failure);
        state.runs.stop_all();
        drop(state);
        self.news.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step between two consistent states can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A block that a reader waits for.
struct Wished<'a> {
    cache: &'a Cache,
    block: u64,
}

impl<'a> Wished<'a> {
    fn of(cache: &'a Cache, block: u64) -> Self {
        cache.state().runs.waits(block);
        Self { cache, block }
    }
}

impl Drop for Wished<'_> {
    fn drop(&mut self) {
        self.cache.state().runs.waits_no_more(self.block);
    }
}

fn gone() -> Failure {
    Failure::new(ErrorKind::InternalError, "the input is not held any more")
}
