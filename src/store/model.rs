//! What goes into the store's verbs and what comes out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::condition::ConditionView;
use crate::clock::Timestamp;
use crate::id::{
    BatchId, BatchTag, DeliveryId, DeliveryTag, EventId, EventTag, JobId, JobTag, TaskId, WorkerId,
};
use crate::job::view::JobView;
use crate::job::{BatchView, File, InvalidTransition, Job, Kind, Owner, Trace};
use crate::task::{Lane, Stages};

/// What a verb returns.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database did not answer as it should")]
    Database(#[from] sqlx::Error),
    /// The database could not be brought to this version's shape.
    #[error("the database could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database belongs to another application, whose tables have the names of ours.
    #[error(
        "it holds another application's tables ({found}); give Reelway a schema of its own there: \
         DATABASE_URL=postgres://…/name?options[search_path]=reelway"
    )]
    Occupied {
        /// The database's own words about the first of them.
        found: String,
    },
    /// The database's file or folder could not be made.
    #[error("the database file {} cannot be created", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The database did not answer.
    #[error("the database did not answer in time")]
    TimedOut,
    /// A row says something that this version cannot read.
    #[error("{table}.{column} of {row} cannot be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What was wrong with the value.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The job cannot do this in its present state.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
}

// ---- request --------------------------------------------------------------------------------

/// Jobs to be accepted together.
#[derive(Clone, Debug)]
pub struct Submission {
    /// At least one. Shared, because whoever submits them answers with them too.
    pub jobs: Arc<[Job]>,
    /// Set when the client named the request.
    pub idempotency: Option<Idempotency>,
    /// Refuse when more than this many tasks would wait, the new ones included.
    pub max_queued: u64,
}

/// The client's name of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Whose name it is: another owner's is another request.
    pub owner: Owner,
    /// The header's value.
    pub key: String,
    /// SHA-256 of route and body in hex.
    pub body_hash: String,
    /// What to answer: kept, and given again to the same request.
    pub response: String,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// The jobs are on disk.
    Accepted,
    /// The same request was accepted before; this was the answer.
    Replayed(String),
    /// The key was used before with another body.
    Conflict,
    /// Too many tasks wait.
    QueueFull,
}

/// What a wish to cancel came to.
#[derive(Clone, Debug, PartialEq)]
pub enum CancelOutcome {
    /// There is no such job.
    Unknown,
    /// The job is cancelled.
    Cancelled(Box<Job>),
    /// The job runs; its worker will be told at its next heartbeat.
    Asked(Box<Job>),
    /// The job had already ended; nothing was changed.
    AlreadyEnded(Box<Job>),
}

/// A job that was deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletedJob {
    /// The job as it was before.
    pub job: Job,
}

/// How much work waits and runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pressure {
    /// Tasks that wait for a worker.
    pub queued: u64,
    /// Tasks in the hands of a worker or a provider.
    pub processing: u64,
    /// Deliveries that wait for their time or their receiver.
    pub deliveries_pending: u64,
}

/// What waits and what runs, told apart as an operator wants to see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backlog {
    /// Tasks that have not ended, one row for each lane and kind that has any.
    pub tasks: Vec<BacklogRow>,
    /// Deliveries that wait for their time or their receiver.
    pub deliveries_pending: u64,
    /// How long the delivery that is longest overdue could have been on its way.
    pub deliveries_overdue: Duration,
    /// Destinations that get nothing any more.
    pub destinations_disabled: u64,
}

/// The tasks of one lane and kind.
#[derive(Clone, Debug, PartialEq)]
pub struct BacklogRow {
    /// The queue they stand in.
    pub lane: Lane,
    /// What they make.
    pub kind: Kind,
    /// Those that wait for a worker.
    pub queued: u64,
    /// Those in the hands of a worker or a provider.
    pub processing: u64,
    /// How long the one that waits longest could have been at work.
    pub overdue: Duration,
}

// ---- claim ----------------------------------------------------------------------------------

/// What a rescue found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    /// How many tasks had lost their worker.
    pub tasks: usize,
    /// The jobs that failed for it, because it was not the first time.
    pub poisoned: Vec<JobId>,
}

/// What a worker has room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Tasks of the heavy lane.
    pub heavy: u32,
    /// Tasks of the light lane.
    pub light: u32,
    /// Only of these kinds.
    pub kinds: Vec<Kind>,
    /// No more of one owner than this may run at the same time, in all workers together.
    pub per_owner: Option<u32>,
    /// How many more tasks of the same input may come with a task, and be made with it.
    pub companions: u32,
}

impl Default for Want {
    fn default() -> Self {
        Self { heavy: 0, light: 0, kinds: Kind::ALL.to_vec(), per_owner: None, companions: 0 }
    }
}

impl Want {
    /// Whether there is no room at all.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.heavy == 0 && self.light == 0
    }

    /// Room in one lane.
    #[must_use]
    pub const fn of(&self, lane: Lane) -> u32 {
        match lane {
            Lane::Heavy => self.heavy,
            Lane::Light => self.light,
        }
    }
}

/// The right to work on a task, until it runs out or is spent.
///
/// Not `Clone`: the verbs that end an attempt consume it. `attempt` fences: a write with an
/// older number than the row's changes nothing.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease must be spent by finish, fail, end_cancelled or hand_back"]
pub struct Lease {
    /// The task.
    pub task: TaskId,
    /// The task's job.
    pub job: JobId,
    /// Who holds it.
    pub worker: WorkerId,
    /// The number of this claim, from 1.
    pub attempt: u32,
}

/// A task taken by a worker.
#[derive(Debug)]
pub struct Claim {
    /// The right to work on it.
    pub lease: Lease,
    /// The job as it was at the claim.
    pub job: Job,
    /// The lane whose slot it takes.
    pub lane: Lane,
    /// How many claims of the task count against its tries, this one included.
    pub tries: u32,
    /// Tasks of the same input that can be made with it and take no slot of their own. They have
    /// none themselves.
    pub companions: Vec<Claim>,
}

/// A sign of life for one task.
#[derive(Clone, Debug, PartialEq)]
pub struct Beat {
    /// The task.
    pub task: TaskId,
    /// The beating worker.
    pub worker: WorkerId,
    /// Its claim's number.
    pub attempt: u32,
    /// How far it is.
    pub stages: Stages,
}

/// What the store says to a [`Beat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeatReply {
    /// The lease is renewed.
    Held,
    /// The lease is renewed, and somebody wants the job to stop.
    CancelAsked,
    /// The task is not this claim's any more: stop, write nothing.
    Lost,
}

/// Whether a write that needed a lease was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    /// It was.
    Done,
    /// The lease had been lost; nothing was changed.
    Lost,
}

/// A file in storage that the end of its task makes visible.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The file.
    pub file: File,
    /// A link for readers of the `media_jobs` relation, valid for as long as links can be.
    pub url: String,
}

/// Objects in storage that nobody refers to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// All objects under it go.
    pub prefix: String,
}

// ---- webhook --------------------------------------------------------------------------------

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum EventKind {
    /// The job's outputs are there.
    #[serde(rename = "job.succeeded")]
    JobSucceeded,
    /// The job has failed.
    #[serde(rename = "job.failed")]
    JobFailed,
    /// The job was cancelled.
    #[serde(rename = "job.cancelled")]
    JobCancelled,
    /// The last job of a batch has ended.
    #[serde(rename = "batch.finished")]
    BatchFinished,
    /// A receiver gets nothing any more.
    #[serde(rename = "endpoint.disabled")]
    EndpointDisabled,
    /// A process went without a word.
    #[serde(rename = "worker.lost")]
    WorkerLost,
    /// The disk of a data folder is nearly full.
    #[serde(rename = "disk.low")]
    DiskLow,
    /// A job was given up because its workers died.
    #[serde(rename = "job.poisoned")]
    JobPoisoned,
}

impl EventKind {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::JobSucceeded,
        Self::JobFailed,
        Self::JobCancelled,
        Self::BatchFinished,
        Self::EndpointDisabled,
        Self::WorkerLost,
        Self::DiskLow,
        Self::JobPoisoned,
    ];

    /// The event's `type` on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JobSucceeded => "job.succeeded",
            Self::JobFailed => "job.failed",
            Self::JobCancelled => "job.cancelled",
            Self::BatchFinished => "batch.finished",
            Self::EndpointDisabled => "endpoint.disabled",
            Self::WorkerLost => "worker.lost",
            Self::DiskLow => "disk.low",
            Self::JobPoisoned => "job.poisoned",
        }
    }

    /// The kind of event called `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What an event tells of, as it was at that moment, unlinked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EventBody {
    /// A job that has ended.
    Job(Box<JobView>),
    /// A batch whose jobs have all ended.
    Batch(Box<BatchView>),
    /// A condition that an operator should see to.
    Condition(Box<ConditionView>),
}

impl EventBody {
    /// The body with every storage key replaced by the link that `link` makes of it, and the path
    /// of a page by the URL that `page` makes of it.
    #[must_use]
    pub fn linked(self, link: impl Fn(&str) -> String, page: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Job(job) => Self::Job(Box::new(job.linked(link))),
            Self::Batch(batch) => Self::Batch(Box::new(batch.linked(link))),
            Self::Condition(told) => Self::Condition(Box::new(told.leading_to(page))),
        }
    }
}

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its time.
    Pending,
    /// The receiver answered 2xx.
    Delivered,
    /// All attempts are used up.
    Failed,
    /// The destination is disabled; kept for replay.
    Held,
}

impl DeliveryState {
    /// The state's name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Held => "held",
        }
    }

    /// The state called `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed, Self::Held]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// A delivery whose time has come, on a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct DueDelivery {
    /// Its name.
    pub id: DeliveryId,
    /// The event: the same at every attempt.
    pub event: EventId,
    /// What happened.
    pub kind: EventKind,
    /// Grows with each end of the job, or of the batch.
    pub seq: u32,
    /// What is told.
    pub body: EventBody,
    /// Where it goes.
    pub url: Url,
    /// The number of this attempt, from 1; fences like a task's and grows for ever.
    pub attempt: u32,
    /// How many attempts there were since the delivery was made or last replayed, this one
    /// included: its place in the schedule.
    pub tries: u32,
    /// Since when the destination has failed without a success between.
    pub failing_since: Option<Timestamp>,
    /// The trace of the job, or of the batch's jobs.
    pub trace: Option<Trace>,
}

/// How an attempt went and what follows: one value for [`super::Store::settle_delivery`].
#[derive(Clone, Debug, PartialEq)]
pub struct SettleDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The attempt's number as claimed.
    pub attempt: u32,
    /// What was seen.
    pub record: AttemptRecord,
    /// What follows.
    pub outcome: AttemptOutcome,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver has it.
    Delivered,
    /// Another attempt after this long.
    RetryIn(Duration),
    /// No attempt is left.
    Failed,
    /// The receiver wants no more, now or ever (410, or failing for days): this delivery and all
    /// that wait for the same destination are held.
    Disable,
}

/// One attempt in the delivery log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptRecord {
    /// When it was made.
    pub at: Timestamp,
    /// How long it took in milliseconds.
    pub duration_ms: u64,
    /// The receiver's status code.
    #[schema(required = true)]
    pub status: Option<u16>,
    /// The class of error when there was no status: `dns`, `connect`, `tls`, `timeout`,
    /// `blocked_address`, `reset`, `invalid_url`.
    #[schema(required = true)]
    pub error: Option<String>,
    /// The beginning of the receiver's answer, as text; at most 16 KiB.
    #[schema(required = true)]
    pub response: Option<String>,
}

/// A delivery in the log.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Delivery {
    /// Its name.
    #[schema(value_type = DeliveryTag)]
    pub id: DeliveryId,
    /// The event's name: the receiver's `webhook-id`.
    #[schema(value_type = EventTag)]
    pub event_id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The job, when it is the event of one.
    #[schema(value_type = Option<JobTag>, required = true)]
    pub job_id: Option<JobId>,
    /// The batch, when it is the event of one.
    #[schema(value_type = Option<BatchTag>, required = true)]
    pub batch_id: Option<BatchId>,
    /// Where it goes.
    pub url: String,
    /// Where it is in its life.
    pub state: DeliveryState,
    /// Attempts made.
    pub attempt: u32,
    /// When the next attempt is due.
    #[schema(required = true)]
    pub next_attempt_at: Option<Timestamp>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it ended.
    #[schema(required = true)]
    pub finished_at: Option<Timestamp>,
    /// The attempts, first to last.
    pub attempts: Vec<AttemptRecord>,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only this one.
    pub id: Option<DeliveryId>,
    /// Only of this job.
    pub job_id: Option<JobId>,
    /// Only of the batch itself, not of its jobs.
    pub batch_id: Option<BatchId>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// How many at most.
    pub limit: u32,
}
