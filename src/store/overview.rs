//! What people look at: who works, who listens, and what it takes.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{TaskId, WorkerId};
use crate::task::Stages;

/// One attempt of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The task.
    pub task: TaskId,
    /// The number of the claim.
    pub attempt: u32,
    /// Who made it.
    pub worker: WorkerId,
    /// What that worker is called, while it is remembered.
    pub worker_name: Option<String>,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When it ended; none while it is under way, or when a provider has it.
    pub ended_at: Option<Timestamp>,
    /// What it passed through. Empty until it has ended: until then they are the task's own.
    pub stages: Stages,
}

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// The process.
    pub id: WorkerId,
    /// What people call it: its host.
    pub name: String,
    /// Its version of Reelway.
    pub version: String,
    /// Its version of ffmpeg, where it has one.
    pub ffmpeg: Option<String>,
    /// How well ffmpeg is contained.
    pub containment: Option<String>,
    /// Whether it answers requests too.
    pub answers: bool,
    /// How many tasks of the heavy lane it works on at once.
    pub heavy_slots: u32,
    /// How many tasks of the light lane it works on at once.
    pub light_slots: u32,
    /// How many processes wanted to run on its machine in the last minute.
    pub load: Option<f64>,
    /// How many of them its machine can run at once.
    pub processors: u32,
    /// When it began.
    pub started_at: Timestamp,
}

/// A process that has been seen.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerSeen {
    /// What it said last.
    pub report: WorkerReport,
    /// When it said so.
    pub seen_at: Timestamp,
    /// Whether it is there still, as far as anybody can know: it said so lately, and no goodbye.
    pub is_there: bool,
    /// How many tasks it has in its hands.
    pub running: u32,
}

/// Where webhooks go, and how that has been going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its URL without the query.
    pub url: String,
    /// How many attempts have failed since the last that did not.
    pub failures: u32,
    /// Since when they have.
    pub failing_since: Option<Timestamp>,
    /// Since when nothing is sent there any more.
    pub disabled_at: Option<Timestamp>,
    /// Deliveries that wait, up to [`COUNTED`].
    pub pending: u32,
    /// Deliveries that have failed or are held, up to [`COUNTED`].
    pub undelivered: u32,
}

/// Further than this nothing is counted.
pub const COUNTED: u32 = 1000;

/// What is kept in storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files that jobs have made.
    pub outputs: u64,
    /// Their bytes.
    pub output_bytes: u64,
    /// Files that callers have sent, whole or not.
    pub uploads: u64,
    /// Their bytes.
    pub upload_bytes: u64,
}
