//! SQLite: one writer, many readers, one file.
//!
//! Verbs of [`Store`] come in; each is one transaction, and hints go out after its commit. The
//! domain's state machines decide what may happen; SQL guards repeat it. Nothing here holds a
//! transaction while somebody else works, and nothing retries by itself.

mod claim;
mod delivery;
mod ending;
mod event;
mod held;
mod keep;
mod lookup;
mod rescue;
mod row;
mod submit;
mod wish;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use super::{
    BatchView, Beat, BeatReply, CancelOutcome, Claim, DeletedJob, Delivery, DeliveryFilter,
    DueDelivery, Garbage, Hints, JobFilter, JobPage, Lease, Pressure, Published, SettleDelivery,
    Settled, Store, StoreError, StoreResult, Submission, Submitted, Want,
};
use crate::clock::{Clock, Timestamp};
use crate::id::{BatchId, DeliveryId, JobId, WorkerId};
use crate::job::{File, Job};
use crate::task::{Failure, Next, RetryPolicy, Stages};

/// How many readers may read at once, beside the writer.
const READERS: u32 = 4;

/// How long a verb waits for its connection. Writes take milliseconds, so that a longer wait
/// means a sick disk; and it must be shorter than the 20 seconds after which a worker that could
/// not beat kills its ffmpeg, so that a beat can be tried twice.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);

/// How long SQLite itself waits for a lock that another process holds, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the write-ahead log is cut back to after a checkpoint, in bytes.
const LOG_SIZE_LIMIT: &str = "67108864";

/// A [`Store`] in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
    hints: Hints,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it (readable by its owner alone) and its folder when
    /// they are not there, and brings its schema to this version's shape.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> StoreResult<Self> {
        create(path).map_err(|source| StoreError::Create { path: path.to_owned(), source })?;
        let writer = pool(1).connect_with(writing(path)).await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let readers = pool(READERS).connect_with(common(path).read_only(true)).await?;
        Ok(Self { writer, readers, clock, hints: Hints::default() })
    }

    /// The only way to write. `immediate` takes the write lock at once: a transaction that
    /// begins by reading and then writes can be refused in a way that no time-out covers.
    async fn write(&self) -> StoreResult<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("begin immediate").await?)
    }

    /// A view of one moment: a job and its outputs, read by two statements, belong together.
    async fn read(&self) -> StoreResult<Transaction<'static, Sqlite>> {
        Ok(self.readers.begin().await?)
    }

    /// The store's time. Asked for inside a transaction, so that times grow with commits.
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Makes the file before SQLite does: it holds secrets, and SQLite's own files take its mode.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true)
}

fn writing(path: &Path) -> SqliteConnectOptions {
    common(path)
        .journal_mode(SqliteJournalMode::Wal)
        // `normal` may lose the last commits when the power goes: an answered request among them.
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", LOG_SIZE_LIMIT)
}

#[async_trait]
impl Store for SqliteStore {
    async fn submit(&self, submission: Submission) -> StoreResult<Submitted> {
        submit::submit(self, submission).await
    }

    async fn job(&self, id: JobId) -> StoreResult<Option<Job>> {
        lookup::job(self, id).await
    }

    async fn jobs(&self, filter: &JobFilter) -> StoreResult<JobPage> {
        lookup::jobs(self, filter).await
    }

    async fn batch(&self, id: BatchId) -> StoreResult<Option<BatchView>> {
        lookup::batch(self, id).await
    }

    async fn cancel(&self, id: JobId) -> StoreResult<CancelOutcome> {
        wish::cancel(self, id).await
    }

    async fn retry(&self, id: JobId) -> StoreResult<Option<Job>> {
        wish::retry(self, id).await
    }

    async fn delete(&self, id: JobId) -> StoreResult<Option<DeletedJob>> {
        wish::delete(self, id).await
    }

    async fn pressure(&self) -> StoreResult<Pressure> {
        lookup::pressure(self).await
    }

    async fn claim(&self, worker: WorkerId, want: Want) -> StoreResult<Vec<Claim>> {
        claim::claim(self, worker, want).await
    }

    async fn beat(&self, beats: &[Beat]) -> StoreResult<Vec<BeatReply>> {
        claim::beat(self, beats).await
    }

    async fn finish(
        &self,
        lease: &Lease,
        stages: Stages,
        outputs: Vec<Published>,
    ) -> StoreResult<Settled> {
        ending::finish(self, lease, stages, outputs).await
    }

    async fn fail(
        &self,
        lease: &Lease,
        stages: Stages,
        failure: Failure,
        next: Next,
    ) -> StoreResult<Settled> {
        ending::fail(self, lease, stages, failure, next).await
    }

    async fn end_cancelled(&self, lease: &Lease, stages: Stages) -> StoreResult<Settled> {
        ending::end_cancelled(self, lease, stages).await
    }

    async fn hand_back(&self, lease: &Lease) -> StoreResult<Settled> {
        ending::hand_back(self, lease).await
    }

    async fn rescue(&self, policy: &RetryPolicy, chance: f64) -> StoreResult<usize> {
        rescue::rescue(self, policy, chance).await
    }

    async fn recover(&self) -> StoreResult<usize> {
        rescue::recover(self).await
    }

    async fn output(&self, key: &str) -> StoreResult<Option<File>> {
        lookup::output(self, key).await
    }

    async fn garbage(&self, limit: u32) -> StoreResult<Vec<Garbage>> {
        keep::garbage(self, limit).await
    }

    async fn garbage_removed(&self, garbage: &Garbage) -> StoreResult<()> {
        keep::garbage_removed(self, garbage).await
    }

    async fn claim_deliveries(
        &self,
        limit: u32,
        per_destination: u32,
        lease: Duration,
    ) -> StoreResult<Vec<DueDelivery>> {
        delivery::claim(self, limit, per_destination, lease).await
    }

    async fn settle_delivery(&self, settle: SettleDelivery) -> StoreResult<Settled> {
        delivery::settle(self, settle).await
    }

    async fn next_delivery_at(&self) -> StoreResult<Option<Timestamp>> {
        delivery::next_at(self).await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> StoreResult<Vec<Delivery>> {
        event::deliveries(self, filter).await
    }

    async fn replay(&self, id: DeliveryId) -> StoreResult<Option<Delivery>> {
        delivery::replay(self, id).await
    }

    async fn replay_failed(&self, since: Timestamp) -> StoreResult<u64> {
        delivery::replay_failed(self, since).await
    }

    async fn secret(&self, name: &str, fresh: &str) -> StoreResult<String> {
        keep::secret(self, name, fresh).await
    }

    async fn tidy(&self, keys_before: Timestamp, deliveries_before: Timestamp) -> StoreResult<u64> {
        keep::tidy(self, keys_before, deliveries_before).await
    }

    async fn ping(&self) -> StoreResult<()> {
        keep::ping(self).await
    }

    fn hints(&self) -> &Hints {
        &self.hints
    }

    async fn close(&self) {
        // Readers first: the last connection to close folds the log into the file.
        self.readers.close().await;
        self.writer.close().await;
    }
}
