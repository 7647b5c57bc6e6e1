//! The one place where state is kept.
//!
//! [`Store`] has the verbs of a job's life, not of its tables. Every verb is one transaction;
//! what belongs together (the end of a task, of its job, its outputs and its webhook) commits
//! together. `tests/store` runs one conformance suite over every implementation.

mod access;
mod condition;
mod hints;
mod list;
mod model;
mod overview;
mod passing;
mod piece;
mod provider;
pub mod sql;
mod upload;

use std::time::Duration;

use async_trait::async_trait;

use crate::access::{AuditEntry, By, Key, Project};
use crate::clock::Timestamp;
use crate::connection::Connection;
use crate::id::{
    AuditId, BatchId, ConnectionId, DeliveryId, JobId, KeyId, TaskId, UploadId, WorkerId,
};
use crate::job::{Batch, Counts, File, Job, Piece, PieceFile};
use crate::task::{Failure, Next, RetryPolicy, Stages};

pub use access::KEY_USE_GRAIN;
pub use condition::{
    Condition, ConditionView, Disk, DiskLow, EndpointDisabled, JobPoisoned, Room, Told,
    WORKER_SILENCE, WorkerLost,
};
pub use hints::{Hint, Hints};
pub use list::{BatchFilter, BatchPage, JobFilter, JobPage, Newest, Page, Search};
pub use model::{
    AttemptOutcome, AttemptRecord, Backlog, BacklogRow, Beat, BeatReply, CancelOutcome, Claim,
    DeletedJob, Delivery, DeliveryFilter, DeliveryState, DueDelivery, EventBody, EventKind,
    Garbage, Idempotency, Lease, Pressure, Published, Rescued, SettleDelivery, Settled, StoreError,
    StoreResult, Submission, Submitted, Want,
};
pub use overview::{Attempt, COUNTED, Destination, Usage, WorkerReport, WorkerSeen};
pub use piece::{HELPED_TRIES, PIECE_TRIES, PieceClaim, PieceLease, PieceSeen, pieces_prefix};
pub use provider::{Asked, HandOver, Heard, Overdue, Standing, Unwanted, Word};
pub use upload::{AppendUpload, Appended, Upload, UploadPart};

/// How long a claim is held without a heartbeat (DESIGN.md section 3, decision 3).
pub const LEASE: Duration = Duration::from_secs(30);

/// Where jobs, tasks, outputs and events are kept.
///
/// Times are those of the store's own clock, so that workers whose clocks differ agree.
///
/// What is asked for by a caller is asked for within a project, which is an argument: what is
/// another's is as if it were not there.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    // ---- request: jobs come in and are looked at --------------------------------------------

    /// Writes all jobs of a submission, or none.
    async fn submit(&self, submission: Submission) -> StoreResult<Submitted>;

    /// The job, unless it is unknown, deleted or another project's.
    async fn job(&self, project: &Project, id: JobId) -> StoreResult<Option<Job>>;

    /// The job that has the task, unless that is unknown or the job deleted or another project's.
    async fn task(&self, project: &Project, id: TaskId) -> StoreResult<Option<Job>>;

    /// A page of jobs, newest first unless the filter says otherwise.
    async fn jobs(&self, project: &Project, filter: &JobFilter) -> StoreResult<JobPage>;

    /// The jobs submitted together, in the order in which they were sent.
    async fn batch(&self, project: &Project, id: BatchId) -> StoreResult<Option<Batch>>;

    /// A page of batches, newest first unless the filter says otherwise.
    async fn batches(&self, project: &Project, filter: &BatchFilter) -> StoreResult<BatchPage>;

    /// Cancels a job that waits at once, and asks the worker of a running one to stop.
    async fn cancel(&self, project: &Project, id: JobId) -> StoreResult<CancelOutcome>;

    /// Puts a failed or cancelled job back into the queue with all its tries.
    ///
    /// Fails with [`StoreError::Transition`] when the job is in any other state.
    async fn retry(&self, project: &Project, id: JobId) -> StoreResult<Option<Job>>;

    /// Hides the job for good, cancels it if it has not ended, and dooms its outputs.
    async fn delete(&self, project: &Project, id: JobId) -> StoreResult<Option<DeletedJob>>;

    /// How much work waits and runs.
    async fn pressure(&self) -> StoreResult<Pressure>;

    /// What waits and runs, by lane and kind: dearer than [`Self::pressure`], for a look now and
    /// then.
    async fn backlog(&self) -> StoreResult<Backlog>;

    // ---- access: keys, and what was done with them -------------------------------------------

    /// Keeps a key, and logs who made it; the same named request is done once, as with
    /// [`Self::submit`].
    async fn add_key(
        &self,
        key: &Key,
        by: &By,
        idempotency: Option<Idempotency>,
    ) -> StoreResult<Submitted>;

    /// The key, good or not.
    async fn key(&self, id: KeyId) -> StoreResult<Option<Key>>;

    /// A page of the keys of all projects, newest first.
    async fn keys(&self, which: &Newest<KeyId>) -> StoreResult<Page<Key>>;

    /// Takes a key back for good, and logs who did it; returns the key as it is then.
    async fn revoke_key(&self, id: KeyId, by: &By) -> StoreResult<Option<Key>>;

    /// Writes down that a key was used, at most once in [`KEY_USE_GRAIN`].
    async fn note_key_use(&self, id: KeyId) -> StoreResult<()>;

    /// A page of the audit log, newest first.
    async fn audit(&self, which: &Newest<AuditId>) -> StoreResult<Page<AuditEntry>>;

    // ---- connection: buckets of users' own ---------------------------------------------------

    /// Keeps a connection, and logs who made it; the same named request is done once, as with
    /// [`Self::submit`].
    async fn add_connection(
        &self,
        connection: &Connection,
        by: &By,
        idempotency: Option<Idempotency>,
    ) -> StoreResult<Submitted>;

    /// A page of the connections of a project, newest first.
    async fn connections(
        &self,
        project: &Project,
        which: &Newest<ConnectionId>,
    ) -> StoreResult<Page<Connection>>;

    /// The connection, unless it is unknown, deleted or another project's.
    async fn connection(
        &self,
        project: &Project,
        id: ConnectionId,
    ) -> StoreResult<Option<Connection>>;

    /// Forgets a connection and its secret, and logs who did it; returns whether there was one. Jobs
    /// that need it fail.
    async fn delete_connection(
        &self,
        project: &Project,
        id: ConnectionId,
        by: &By,
    ) -> StoreResult<bool>;

    // ---- upload: files that callers send -----------------------------------------------------

    /// Writes down an upload that begins, with nothing in it.
    async fn begin_upload(&self, upload: &Upload) -> StoreResult<()>;

    /// The upload, if it is this project's and its time is not over.
    async fn upload(&self, project: &Project, id: UploadId) -> StoreResult<Option<Upload>>;

    /// The parts of an upload, first to last.
    async fn upload_parts(&self, upload: &Upload) -> StoreResult<Vec<UploadPart>>;

    /// Makes parts count, if the upload ends where they begin: of two who send the same bytes
    /// one does.
    async fn append_upload(&self, append: &AppendUpload) -> StoreResult<Appended>;

    /// The upload, if it is this project's and whole; it is kept for `keep` from now on at least. One
    /// whose time is over is still there while a job waits for it.
    async fn use_upload(
        &self,
        project: &Project,
        id: UploadId,
        keep: Duration,
    ) -> StoreResult<Option<Upload>>;

    /// Forgets an upload and dooms its bytes; returns whether there was one.
    async fn remove_upload(&self, project: &Project, id: UploadId) -> StoreResult<bool>;

    /// Forgets up to `limit` uploads whose time is over and that no job waits for, and dooms
    /// their bytes; returns how many.
    async fn expire_uploads(&self, limit: u32) -> StoreResult<u64>;

    // ---- claim: tasks on leases -------------------------------------------------------------

    /// Takes up to `want` tasks that are due, in the order of their turn, on leases of [`LEASE`].
    ///
    /// A task that is tried for the first time may bring companions, each on a lease of its own:
    /// tasks of its input that wait too ([`Want::companions`]).
    async fn claim(&self, worker: WorkerId, want: Want) -> StoreResult<Vec<Claim>>;

    /// Renews all leases of a worker at once, carrying progress up and cancellation down.
    ///
    /// Answers in the order of `beats`.
    async fn beat(&self, beats: &[Beat]) -> StoreResult<Vec<BeatReply>>;

    /// Ends a task well: its outputs become visible, its job succeeds, its event is written.
    ///
    /// A lost lease changes nothing and is told as [`Settled::Lost`].
    async fn finish(
        &self,
        lease: &Lease,
        stages: Stages,
        outputs: Vec<Published>,
    ) -> StoreResult<Settled>;

    /// Ends an attempt badly: the task is queued again or fails, as `next` says.
    ///
    /// A job whose cancellation was asked for is cancelled instead.
    async fn fail(
        &self,
        lease: &Lease,
        stages: Stages,
        failure: Failure,
        next: Next,
    ) -> StoreResult<Settled>;

    /// Ends a task because its cancellation was asked for.
    async fn end_cancelled(&self, lease: &Lease, stages: Stages) -> StoreResult<Settled>;

    /// Hands a task back untouched: the claim does not count as a try.
    async fn hand_back(&self, lease: &Lease) -> StoreResult<Settled>;

    /// Queues again, or fails as poison, tasks whose lease has run out, a hundred at most; whoever
    /// wants all of them asks until there are none.
    ///
    /// `chance` from 0 to 1 spreads the retries.
    async fn rescue(&self, policy: &RetryPolicy, chance: f64) -> StoreResult<Rescued>;

    /// At start: lets all leases run out that no living process can hold any more.
    ///
    /// A store with one process knows that they are all its dead predecessor's. A store with
    /// many processes cannot know and does nothing.
    async fn recover(&self) -> StoreResult<usize>;

    // ---- pieces: a long video on many workers ------------------------------------------------

    /// Lets a task be made in pieces, in this order, by whoever has room; all of them by `recipe`.
    /// Where an earlier attempt has cut it for the same recipe, those pieces count in the place of
    /// these, with what was made of them; those for another recipe are forgotten.
    async fn cut(&self, lease: &Lease, recipe: &str, pieces: &[Piece]) -> StoreResult<Settled>;

    /// Takes a piece on a lease of [`LEASE`]: of the task of `of`, for whoever holds that, or of any
    /// that needs help.
    async fn claim_piece(
        &self,
        worker: WorkerId,
        of: Option<&Lease>,
    ) -> StoreResult<Option<PieceClaim>>;

    /// Renews the lease on a piece; [`Settled::Lost`] also when nobody wants it any more.
    async fn keep_piece(&self, lease: &PieceLease, percent: f32) -> StoreResult<Settled>;

    /// Ends a piece well.
    async fn finish_piece(&self, lease: &PieceLease, file: &PieceFile) -> StoreResult<Settled>;

    /// Gives a piece back that was not made.
    async fn release_piece(&self, lease: &PieceLease) -> StoreResult<Settled>;

    /// How the pieces of a task stand, in their order; none when the attempt has not cut it.
    async fn pieces(&self, lease: &Lease) -> StoreResult<Vec<PieceSeen>>;

    // ---- provider: tasks that somebody else makes --------------------------------------------

    /// Gives a task to the provider that calls it `provider_id`: it waits there without a lease,
    /// and the provider is asked about it after `ask_in` without a word.
    ///
    /// A word that came earlier counts at once. A job whose cancellation was asked for is
    /// cancelled instead, and the provider told.
    async fn hand_over(
        &self,
        lease: &Lease,
        provider_id: &str,
        ask_in: Duration,
    ) -> StoreResult<Settled>;

    /// Takes a provider's word, once and in any order; after it, the provider is asked about the
    /// job after `ask_in` without another.
    async fn hear(&self, word: &Word, ask_in: Duration) -> StoreResult<Heard>;

    /// What the provider calls the job of this hand-over, when it spoke of it before it answered.
    async fn early_word(&self, of: HandOver) -> StoreResult<Option<String>>;

    /// Takes up to `limit` jobs that their provider should be spoken to about, for `lease`.
    async fn overdue(&self, limit: u32, lease: Duration) -> StoreResult<Vec<Overdue>>;

    /// Writes down what follows after the provider was spoken to and told no end.
    async fn asked(&self, overdue: &Overdue, asked: Asked) -> StoreResult<()>;

    // ---- output: what may be seen -----------------------------------------------------------

    /// The published file of a project with this storage key, if any.
    async fn output(&self, project: &Project, key: &str) -> StoreResult<Option<File>>;

    /// The published file with this storage key, if any: for whoever has a link that is good for
    /// it, whichever project it is of.
    async fn linked_output(&self, key: &str) -> StoreResult<Option<File>>;

    /// Storage prefixes that nobody refers to any more and whose time has come, oldest first.
    async fn garbage(&self, limit: u32) -> StoreResult<Vec<Garbage>>;

    /// Forgets a prefix after its objects are gone.
    async fn garbage_removed(&self, garbage: &Garbage) -> StoreResult<()>;

    // ---- webhook: the outbox ----------------------------------------------------------------

    /// Takes up to `limit` deliveries that are due, on leases of `lease`, fairly: no destination
    /// gets more than `per_destination` at once (counting those already taken), and one that has
    /// been failing no more than one.
    async fn claim_deliveries(
        &self,
        limit: u32,
        per_destination: u32,
        lease: Duration,
    ) -> StoreResult<Vec<DueDelivery>>;

    /// Writes down how an attempt went and what follows.
    async fn settle_delivery(&self, settle: SettleDelivery) -> StoreResult<Settled>;

    /// When the next delivery is due, if any waits.
    async fn next_delivery_at(&self) -> StoreResult<Option<Timestamp>>;

    /// The delivery log of a project, newest first.
    async fn deliveries(
        &self,
        project: &Project,
        filter: &DeliveryFilter,
    ) -> StoreResult<Vec<Delivery>>;

    /// Sends a delivery again from the first attempt on, and trusts its destination again.
    async fn replay(&self, project: &Project, id: DeliveryId) -> StoreResult<Option<Delivery>>;

    /// Sends again every failed or held delivery of a project made since `since`; returns how
    /// many.
    async fn replay_failed(&self, project: &Project, since: Timestamp) -> StoreResult<u64>;

    // ---- overview: what people look at -------------------------------------------------------

    /// The last attempts at a job, first to last.
    async fn attempts(&self, project: &Project, job: JobId) -> StoreResult<Vec<Attempt>>;

    /// Writes down that a process is there; one that says nothing for a day is forgotten.
    async fn report_worker(&self, report: &WorkerReport) -> StoreResult<()>;

    /// Writes down that a process goes: nobody misses it.
    async fn say_goodbye(&self, worker: WorkerId) -> StoreResult<()>;

    /// The processes that have said nothing for [`WORKER_SILENCE`] and no goodbye, each once: operators
    /// are told of them. None where there is no operator.
    async fn miss_workers(&self) -> StoreResult<Vec<WorkerReport>>;

    /// Writes down how a disk is; operators are told when it is low, once until there was room
    /// again. Returns whether that is news; it is none where there is no operator.
    async fn note_disk(&self, disk: &Disk, room: Room) -> StoreResult<bool>;

    /// The processes that have been seen, first to last.
    async fn workers(&self) -> StoreResult<Vec<WorkerSeen>>;

    /// Where webhooks of a project go: first what is disabled, then what fails, a hundred at most.
    async fn destinations(&self, project: &Project) -> StoreResult<Vec<Destination>>;

    /// A delivery with what it tells, as it would be sent now.
    async fn pushed(&self, project: &Project, id: DeliveryId) -> StoreResult<Option<DueDelivery>>;

    /// What is kept in storage, of all projects.
    async fn usage(&self) -> StoreResult<Usage>;

    /// How the jobs of a project made since then stand, each status up to [`COUNTED`].
    async fn tally(&self, project: &Project, since: Timestamp) -> StoreResult<Counts>;

    // ---- housekeeping -----------------------------------------------------------------------

    /// The secret called `name`; keeps `fresh` under that name when there is none yet.
    async fn secret(&self, name: &str, fresh: &str) -> StoreResult<String>;

    /// Forgets idempotency keys and providers' early words older than `keys_before` and deliveries ended before
    /// `deliveries_before`; returns how many rows went.
    async fn tidy(&self, keys_before: Timestamp, deliveries_before: Timestamp) -> StoreResult<u64>;

    /// Dooms the outputs of up to `limit` jobs that ended before `ended_before`; returns of how
    /// many.
    async fn expire_outputs(&self, ended_before: Timestamp, limit: u32) -> StoreResult<u64>;

    /// Forgets up to `limit` jobs that ended before `ended_before`, have no outputs and no event
    /// that could be replayed; returns how many.
    async fn forget_jobs(&self, ended_before: Timestamp, limit: u32) -> StoreResult<u64>;

    /// Whether the store answers.
    async fn ping(&self) -> StoreResult<()>;

    /// Where to wait for something to happen, as a hint beside a poll.
    fn hints(&self) -> &Hints;

    /// Waits for writes under way and closes.
    async fn close(&self);
}
