//! The verbs of [`Store`] in SQL, once for SQLite and PostgreSQL.
//!
//! Each verb is one transaction, and hints go out after its commit. The domain's state machines
//! decide what may happen; SQL guards repeat it. Nothing here holds a transaction while somebody
//! else works. What differs between the databases is in `database`, `sqlite` and `postgres`, and
//! in the few statements that begin with `Statement::differing`.

mod access;
mod away;
mod backlog;
mod backup;
mod batch;
mod claim;
mod companions;
mod condition;
mod connection;
mod database;
mod delivery;
mod ending;
mod event;
mod examine;
mod held;
mod intake;
mod keep;
mod lookup;
mod overview;
mod piece;
mod postgres;
mod rescue;
mod retention;
mod room;
mod row;
mod rows;
mod sqlite;
mod statement;
mod submit;
mod upload;
mod wish;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use url::Url;

use super::{
    AppendUpload, Appended, Asked, Attempt, Backlog, BatchFilter, BatchPage, Beat, BeatReply,
    CancelOutcome, Claim, DeletedJob, Delivery, DeliveryFilter, Destination, Disk, DueDelivery,
    Garbage, HandOver, Heard, Hints, Idempotency, JobFilter, JobPage, Lease, Newest, Overdue, Page,
    PieceClaim, PieceLease, PieceSeen, Pressure, Published, Rescued, Room, SettleDelivery, Settled,
    Store, StoreError, StoreResult, Submission, Submitted, Upload, UploadPart, Usage, Want, Word,
    WorkerReport, WorkerSeen,
};
use crate::access::{AuditEntry, By, Key, Project};
use crate::clock::{Clock, Timestamp};
use crate::connection::Connection;
use crate::id::{
    AuditId, BatchId, ConnectionId, DeliveryId, JobId, KeyId, TaskId, UploadId, WorkerId,
};
use crate::job::{Batch, Counts, File, Job, Piece, PieceFile};
use crate::task::{Failure, Next, RetryPolicy, Stages};
use database::{Database, StoreClock, Transaction};
use intake::Intake;

pub use backup::{BackupError, Copied, back_up, restore};
pub use examine::{Examined, examine_postgres, examine_sqlite};
pub use postgres::{HintsFrom, PostgresSettings};

/// How long a verb may take before it is given up: a server that was stopped without a word
/// must not hold its callers for ever.
const VERB_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a verb is run again that met another one in the database.
const COLLISIONS: u32 = 8;

/// A [`Store`] in a SQL database. Cheap to copy.
#[derive(Clone, Debug)]
pub struct SqlStore {
    database: Database,
    clock: StoreClock,
    hints: Arc<Hints>,
    intake: Intake,
    carrier: Option<Arc<Carrier>>,
    /// Where conditions are told, if anywhere.
    operations: Option<Url>,
}

/// What carries hints between processes, as long as anybody has the store.
#[derive(Debug)]
struct Carrier(AbortHandle);

impl SqlStore {
    /// Opens the SQLite file at `path`, makes it (readable by its owner alone) and its folder when
    /// they are not there, and brings its schema to this version's shape.
    ///
    /// # Errors
    ///
    /// The file cannot be made, opened or migrated.
    pub async fn sqlite(path: &Path, clock: Arc<dyn Clock>) -> StoreResult<Self> {
        let database = sqlite::open(path).await?;
        Ok(Self {
            database,
            clock: StoreClock::Own(clock),
            hints: Arc::default(),
            intake: Intake::default(),
            carrier: None,
            operations: None,
        })
    }

    /// Connects to PostgreSQL, brings the schema to this version's shape, and begins to carry
    /// hints between the processes that share it. The server's clock counts.
    ///
    /// # Errors
    ///
    /// The server cannot be reached or migrated.
    pub async fn postgres(settings: &PostgresSettings) -> StoreResult<Self> {
        let database = postgres::open(settings).await?;
        let hints = Arc::<Hints>::default();
        let carrier = match &database {
            Database::Postgres { pool, .. } => {
                let carry = postgres::carry_hints(pool.clone(), settings.clone(), hints.clone());
                Some(Arc::new(Carrier(tokio::spawn(carry).abort_handle())))
            }
            Database::Sqlite { .. } => None,
        };
        let intake = Intake::default();
        Ok(Self { database, clock: StoreClock::Server, hints, intake, carrier, operations: None })
    }

    async fn write(&self) -> StoreResult<Transaction> {
        self.database.write().await
    }

    async fn read(&self) -> StoreResult<Transaction> {
        self.database.read().await
    }

    async fn now(&self, tx: &mut Transaction) -> StoreResult<Timestamp> {
        self.clock.now(tx).await
    }

    /// Runs a verb; again, a moment later, when the database ended its transaction because it
    /// met another one.
    async fn run<T, V, R>(&self, verb: V) -> StoreResult<T>
    where
        V: Fn() -> R,
        R: Future<Output = StoreResult<T>>,
    {
        let mut collisions = 0;
        loop {
            let ended = timeout(VERB_TIMEOUT, verb()).await.map_err(|_| StoreError::TimedOut)?;
            match ended {
                Err(error) if collisions < COLLISIONS && postgres::is_collision(&error) => {
                    collisions += 1;
                    sleep(Duration::from_millis(5 << collisions).mul_f64(rand::random())).await;
                }
                ended => return ended,
            }
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn submit(&self, submission: Submission) -> StoreResult<Submitted> {
        intake::submit(self, submission).await
    }

    async fn job(&self, project: &Project, id: JobId) -> StoreResult<Option<Job>> {
        self.run(|| lookup::job(self, project, id)).await
    }

    async fn task(&self, project: &Project, id: TaskId) -> StoreResult<Option<Job>> {
        self.run(|| lookup::task(self, project, id)).await
    }

    async fn jobs(&self, project: &Project, filter: &JobFilter) -> StoreResult<JobPage> {
        self.run(|| lookup::jobs(self, project, filter)).await
    }

    async fn batch(&self, project: &Project, id: BatchId) -> StoreResult<Option<Batch>> {
        self.run(|| batch::batch(self, project, id)).await
    }

    async fn batches(&self, project: &Project, filter: &BatchFilter) -> StoreResult<BatchPage> {
        self.run(|| batch::batches(self, project, filter)).await
    }

    async fn cancel(&self, project: &Project, id: JobId) -> StoreResult<CancelOutcome> {
        self.run(|| wish::cancel(self, project, id)).await
    }

    async fn retry(&self, project: &Project, id: JobId) -> StoreResult<Option<Job>> {
        self.run(|| wish::retry(self, project, id)).await
    }

    async fn delete(&self, project: &Project, id: JobId) -> StoreResult<Option<DeletedJob>> {
        self.run(|| wish::delete(self, project, id)).await
    }

    async fn pressure(&self) -> StoreResult<Pressure> {
        self.run(|| lookup::pressure(self)).await
    }

    async fn backlog(&self) -> StoreResult<Backlog> {
        self.run(|| backlog::backlog(self)).await
    }

    async fn add_key(
        &self,
        key: &Key,
        by: &By,
        idempotency: Option<Idempotency>,
    ) -> StoreResult<Submitted> {
        self.run(|| access::add(self, key, by, idempotency.as_ref())).await
    }

    async fn key(&self, id: KeyId) -> StoreResult<Option<Key>> {
        self.run(|| access::one(self, id)).await
    }

    async fn keys(&self, which: &Newest<KeyId>) -> StoreResult<Page<Key>> {
        self.run(|| access::keys(self, which)).await
    }

    async fn revoke_key(&self, id: KeyId, by: &By) -> StoreResult<Option<Key>> {
        self.run(|| access::revoke(self, id, by)).await
    }

    async fn note_key_use(&self, id: KeyId) -> StoreResult<()> {
        self.run(|| access::note_use(self, id)).await
    }

    async fn audit(&self, which: &Newest<AuditId>) -> StoreResult<Page<AuditEntry>> {
        self.run(|| access::audit(self, which)).await
    }

    async fn add_connection(
        &self,
        connection: &Connection,
        by: &By,
        idempotency: Option<Idempotency>,
    ) -> StoreResult<Submitted> {
        self.run(|| connection::add(self, connection, by, idempotency.as_ref())).await
    }

    async fn connections(
        &self,
        project: &Project,
        which: &Newest<ConnectionId>,
    ) -> StoreResult<Page<Connection>> {
        self.run(|| connection::of_project(self, project, which)).await
    }

    async fn connection(
        &self,
        project: &Project,
        id: ConnectionId,
    ) -> StoreResult<Option<Connection>> {
        self.run(|| connection::one(self, project, id)).await
    }

    async fn delete_connection(
        &self,
        project: &Project,
        id: ConnectionId,
        by: &By,
    ) -> StoreResult<bool> {
        self.run(|| connection::delete(self, project, id, by)).await
    }

    async fn begin_upload(&self, upload: &Upload) -> StoreResult<()> {
        self.run(|| upload::begin(self, upload)).await
    }

    async fn upload(&self, project: &Project, id: UploadId) -> StoreResult<Option<Upload>> {
        self.run(|| upload::one(self, project, id)).await
    }

    async fn upload_parts(&self, upload: &Upload) -> StoreResult<Vec<UploadPart>> {
        self.run(|| upload::parts(self, upload.id)).await
    }

    async fn append_upload(&self, append: &AppendUpload) -> StoreResult<Appended> {
        self.run(|| upload::append(self, append)).await
    }

    async fn use_upload(
        &self,
        project: &Project,
        id: UploadId,
        keep: Duration,
    ) -> StoreResult<Option<Upload>> {
        self.run(|| upload::make_use_of(self, project, id, keep)).await
    }

    async fn remove_upload(&self, project: &Project, id: UploadId) -> StoreResult<bool> {
        self.run(|| upload::remove(self, project, id)).await
    }

    async fn expire_uploads(&self, limit: u32) -> StoreResult<u64> {
        self.run(|| upload::expire(self, limit)).await
    }

    async fn claim(&self, worker: WorkerId, want: Want) -> StoreResult<Vec<Claim>> {
        self.run(|| claim::claim(self, worker, &want)).await
    }

    async fn beat(&self, beats: &[Beat]) -> StoreResult<Vec<BeatReply>> {
        self.run(|| claim::beat(self, beats)).await
    }

    async fn finish(
        &self,
        lease: &Lease,
        stages: Stages,
        outputs: Vec<Published>,
    ) -> StoreResult<Settled> {
        self.run(|| ending::finish(self, lease, stages.clone(), outputs.clone())).await
    }

    async fn fail(
        &self,
        lease: &Lease,
        stages: Stages,
        failure: Failure,
        next: Next,
    ) -> StoreResult<Settled> {
        self.run(|| ending::fail(self, lease, stages.clone(), failure.clone(), next)).await
    }

    async fn end_cancelled(&self, lease: &Lease, stages: Stages) -> StoreResult<Settled> {
        self.run(|| ending::end_cancelled(self, lease, stages.clone())).await
    }

    async fn hand_back(&self, lease: &Lease) -> StoreResult<Settled> {
        self.run(|| ending::hand_back(self, lease)).await
    }

    async fn rescue(&self, policy: &RetryPolicy, chance: f64) -> StoreResult<Rescued> {
        self.run(|| rescue::rescue(self, policy, chance)).await
    }

    async fn recover(&self) -> StoreResult<usize> {
        self.run(|| rescue::recover(self)).await
    }

    async fn cut(&self, lease: &Lease, recipe: &str, pieces: &[Piece]) -> StoreResult<Settled> {
        self.run(|| piece::cut(self, lease, recipe, pieces)).await
    }

    async fn claim_piece(
        &self,
        worker: WorkerId,
        of: Option<&Lease>,
    ) -> StoreResult<Option<PieceClaim>> {
        self.run(|| piece::claim(self, worker, of)).await
    }

    async fn keep_piece(&self, lease: &PieceLease, percent: f32) -> StoreResult<Settled> {
        self.run(|| piece::keep(self, lease, percent)).await
    }

    async fn finish_piece(&self, lease: &PieceLease, file: &PieceFile) -> StoreResult<Settled> {
        self.run(|| piece::finish(self, lease, file)).await
    }

    async fn release_piece(&self, lease: &PieceLease) -> StoreResult<Settled> {
        self.run(|| piece::release(self, lease)).await
    }

    async fn pieces(&self, lease: &Lease) -> StoreResult<Vec<PieceSeen>> {
        self.run(|| piece::of_task(self, lease)).await
    }

    async fn hand_over(
        &self,
        lease: &Lease,
        provider_id: &str,
        ask_in: Duration,
    ) -> StoreResult<Settled> {
        self.run(|| away::hand_over(self, lease, provider_id, ask_in)).await
    }

    async fn hear(&self, word: &Word, ask_in: Duration) -> StoreResult<Heard> {
        self.run(|| away::hear(self, word, ask_in)).await
    }

    async fn early_word(&self, of: HandOver) -> StoreResult<Option<String>> {
        self.run(|| away::early_word(self, of)).await
    }

    async fn overdue(&self, limit: u32, lease: Duration) -> StoreResult<Vec<Overdue>> {
        self.run(|| away::overdue(self, limit, lease)).await
    }

    async fn asked(&self, overdue: &Overdue, asked: Asked) -> StoreResult<()> {
        self.run(|| away::asked(self, overdue, asked)).await
    }

    async fn output(&self, project: &Project, key: &str) -> StoreResult<Option<File>> {
        self.run(|| lookup::output(self, project, key)).await
    }

    async fn linked_output(&self, key: &str) -> StoreResult<Option<File>> {
        self.run(|| lookup::linked_output(self, key)).await
    }

    async fn garbage(&self, limit: u32) -> StoreResult<Vec<Garbage>> {
        self.run(|| keep::garbage(self, limit)).await
    }

    async fn garbage_removed(&self, garbage: &Garbage) -> StoreResult<()> {
        self.run(|| keep::garbage_removed(self, garbage)).await
    }

    async fn claim_deliveries(
        &self,
        limit: u32,
        per_destination: u32,
        lease: Duration,
    ) -> StoreResult<Vec<DueDelivery>> {
        self.run(|| delivery::claim(self, limit, per_destination, lease)).await
    }

    async fn settle_delivery(&self, settle: SettleDelivery) -> StoreResult<Settled> {
        self.run(|| delivery::settle(self, settle.clone())).await
    }

    async fn next_delivery_at(&self) -> StoreResult<Option<Timestamp>> {
        self.run(|| delivery::next_at(self)).await
    }

    async fn deliveries(
        &self,
        project: &Project,
        filter: &DeliveryFilter,
    ) -> StoreResult<Vec<Delivery>> {
        self.run(|| event::deliveries(self, project, filter)).await
    }

    async fn replay(&self, project: &Project, id: DeliveryId) -> StoreResult<Option<Delivery>> {
        self.run(|| delivery::replay(self, project, id)).await
    }

    async fn replay_failed(&self, project: &Project, since: Timestamp) -> StoreResult<u64> {
        self.run(|| delivery::replay_failed(self, project, since)).await
    }

    async fn attempts(&self, project: &Project, job: JobId) -> StoreResult<Vec<Attempt>> {
        self.run(|| overview::attempts(self, project, job)).await
    }

    async fn report_worker(&self, report: &WorkerReport) -> StoreResult<()> {
        self.run(|| overview::report_worker(self, report)).await
    }

    async fn say_goodbye(&self, worker: WorkerId) -> StoreResult<()> {
        self.run(|| overview::say_goodbye(self, worker)).await
    }

    async fn miss_workers(&self) -> StoreResult<Vec<WorkerReport>> {
        self.run(|| condition::miss_workers(self)).await
    }

    async fn note_disk(&self, disk: &Disk, room: Room) -> StoreResult<bool> {
        self.run(|| condition::note_disk(self, disk, room)).await
    }

    async fn workers(&self) -> StoreResult<Vec<WorkerSeen>> {
        self.run(|| overview::workers(self)).await
    }

    async fn destinations(&self, project: &Project) -> StoreResult<Vec<Destination>> {
        self.run(|| overview::destinations(self, project)).await
    }

    async fn pushed(&self, project: &Project, id: DeliveryId) -> StoreResult<Option<DueDelivery>> {
        self.run(|| delivery::pushed(self, project, id)).await
    }

    async fn usage(&self) -> StoreResult<Usage> {
        self.run(|| overview::usage(self)).await
    }

    async fn tally(&self, project: &Project, since: Timestamp) -> StoreResult<Counts> {
        self.run(|| overview::tally(self, project, since)).await
    }

    async fn secret(&self, name: &str, fresh: &str) -> StoreResult<String> {
        self.run(|| keep::secret(self, name, fresh)).await
    }

    async fn tidy(&self, keys_before: Timestamp, deliveries_before: Timestamp) -> StoreResult<u64> {
        self.run(|| keep::tidy(self, keys_before, deliveries_before)).await
    }

    async fn expire_outputs(&self, ended_before: Timestamp, limit: u32) -> StoreResult<u64> {
        self.run(|| retention::expire_outputs(self, ended_before, limit)).await
    }

    async fn forget_jobs(&self, ended_before: Timestamp, limit: u32) -> StoreResult<u64> {
        self.run(|| retention::forget_jobs(self, ended_before, limit)).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.run(|| keep::ping(self)).await
    }

    fn hints(&self) -> &Hints {
        &self.hints
    }

    async fn close(&self) {
        if let Some(carrier) = &self.carrier {
            carrier.0.abort();
        }
        self.database.close().await;
    }
}
