//! What was asked, how it stands, and how it becomes an ffmpeg command.
//!
//! Pure: no clock, no I/O, no database, no HTTP. The request makes a [`JobSpec`]; the worker
//! asks [`plan`] for the commands; everybody shows a job by [`view::JobView`].

mod batch;
mod file;
mod object;
pub mod options;
mod piece;
pub mod plan;
mod remote;
mod spec;
mod state;
mod trace;
mod turn;
pub mod view;

use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::{BatchId, JobId, TaskId, fresh};
use crate::task::{Lane, Stages, Task, TaskState};

pub use crate::task::Kind;
pub use batch::{Batch, BatchSummary, BatchView, Counts};
pub use file::{Codecs, File, FileKind, Loudness};
pub use object::{ObjectError, ObjectUrl, Via};
pub use options::{OptionError, Options};
pub use piece::{Cut, Edge, Piece, PieceFile};
pub use remote::RemoteFile;
pub use spec::{InputError, InputUrl, JobSpec, Kept};
pub use state::{InvalidTransition, JobEvent, JobState, Status};
pub use trace::Trace;
pub use turn::{Owner, Priority};

/// A job: what was asked, and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The job's name; the same in every answer and in the webhook.
    pub id: JobId,
    /// The jobs it was submitted with.
    pub batch_id: Option<BatchId>,
    /// What was asked.
    pub spec: JobSpec,
    /// Who asked.
    pub owner: Owner,
    /// What it belongs to.
    pub project: Project,
    /// The trace that its steps stand in, when there is one.
    pub trace: Option<Trace>,
    /// How it stands.
    pub state: JobState,
    /// Per cent, 0 to 100; never goes back.
    pub progress: f32,
    /// The rows of the queue that belong to it, in the order in which they run.
    pub tasks: Vec<Task>,
    /// How many events it has had: grows with every end.
    pub seq: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
}

impl Job {
    /// A job as it is when it has just been accepted: queued, with its one task.
    #[must_use]
    pub fn accepted(id: JobId, batch_id: Option<BatchId>, spec: JobSpec, at: Timestamp) -> Self {
        let task_id: TaskId = fresh(at);
        let task = Task {
            id: task_id,
            job_id: id,
            lane: spec.lane(),
            state: TaskState::Queued { run_at: at },
            attempt: 0,
            tries: 0,
            stages: Stages::default(),
            created_at: at,
        };
        Self {
            id,
            batch_id,
            spec,
            owner: Owner::default(),
            project: Project::DEFAULT,
            trace: None,
            state: JobState::Queued { started_at: None },
            progress: 0.0,
            tasks: vec![task],
            seq: 0,
            created_at: at,
            updated_at: at,
        }
    }
}

impl JobSpec {
    /// The queue that the job's work stands in.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self.options.kind() {
            Kind::Image | Kind::Probe | Kind::Import | Kind::Export => Lane::Light,
            Kind::Video | Kind::Audio | Kind::Animation | Kind::AdaptiveVideo => Lane::Heavy,
        }
    }
}
