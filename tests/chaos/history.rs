//! What happened in a run, as far as anybody outside can tell.
//!
//! Clients and receivers write down what they were told while it runs; database, storage and
//! processes are looked at when it is over. [`crate::checker`] reads all of it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

/// Everything that is known of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) told: Told,
    pub(crate) pushes: Vec<Push>,
    pub(crate) jobs: Vec<JobRow>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) deliveries: Vec<DeliveryRow>,
    pub(crate) outputs: Vec<OutputRow>,
    /// What lies in storage.
    pub(crate) objects: Vec<Object>,
    /// Prefixes that were still to be swept.
    pub(crate) garbage: Vec<String>,
    /// Processes that are left, by their command lines.
    pub(crate) processes: Vec<String>,
    /// Files of work in progress that are left.
    pub(crate) scratch: Vec<String>,
    /// Processes that ended although nobody ended them.
    pub(crate) deaths: Vec<String>,
}

/// What clients were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The ids in every good answer to a request that makes jobs, by its `Idempotency-Key`.
    pub(crate) accepted: Vec<(String, Vec<String>)>,
    /// Requests that were refused although nothing was wrong with them, or never answered.
    pub(crate) refused: Vec<String>,
    /// By job, how often a retry was asked for.
    pub(crate) retries: BTreeMap<String, Asked>,
    /// Jobs that somebody asked to cancel, with an answer or without.
    pub(crate) cancels: BTreeSet<String>,
    /// Jobs that somebody asked to delete, with an answer or without.
    pub(crate) deletes: BTreeSet<String>,
    /// Ends that clients have seen, in order.
    pub(crate) ends: Vec<EndSeen>,
}

/// How often something was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// With a good answer.
    pub(crate) surely: u32,
    /// With no answer: it may have been done or not.
    pub(crate) perhaps: u32,
}

impl Asked {
    pub(crate) fn at_most(self) -> u32 {
        self.surely + self.perhaps
    }
}

/// A job that a client saw at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndSeen {
    pub(crate) job: String,
    pub(crate) status: String,
    /// How often a retry of it had been asked for by then.
    pub(crate) retries_before: u32,
}

/// A webhook as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) event: String,
    pub(crate) job: String,
    pub(crate) kind: String,
    pub(crate) seq: i64,
    /// Of the outputs in it.
    pub(crate) hashes: Vec<String>,
    /// Whether the reference library accepts its signature.
    pub(crate) is_genuine: bool,
    /// Whether the receiver answered 2xx.
    pub(crate) was_taken: bool,
}

/// A job in the database.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct JobRow {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) seq: i64,
    pub(crate) is_deleted: bool,
    pub(crate) error_kind: Option<String>,
    /// Of its task.
    pub(crate) task_state: String,
    pub(crate) attempt: i64,
}

impl JobRow {
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed" | "cancelled")
    }
}

/// An event in the database.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct EventRow {
    pub(crate) id: String,
    pub(crate) job_id: String,
    pub(crate) kind: String,
    pub(crate) seq: i64,
}

/// A delivery in the database.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct DeliveryRow {
    pub(crate) event_id: String,
    pub(crate) state: String,
}

/// An output in the database.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct OutputRow {
    pub(crate) key: String,
    pub(crate) job_id: String,
    pub(crate) sha256: String,
    pub(crate) size: i64,
}

/// An object in storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) sha256: String,
    pub(crate) size: i64,
}

impl History {
    /// Every job that a client was told of.
    pub(crate) fn accepted(&self) -> BTreeSet<&str> {
        self.told.accepted.iter().flat_map(|(_, ids)| ids.iter().map(String::as_str)).collect()
    }

    /// How often a retry of this job was asked for.
    pub(crate) fn retries(&self, job: &str) -> Asked {
        self.told.retries.get(job).copied().unwrap_or_default()
    }
}

impl History {
    /// What the database says.
    pub(crate) async fn read(database: &mut PgConnection) -> sqlx::Result<Self> {
        let jobs = "
            select
                jobs.id, jobs.state, jobs.seq, jobs.deleted_at is not null as is_deleted,
                jobs.failure::json ->> 'kind' as error_kind, tasks.state as task_state,
                tasks.attempt
            from jobs
            join tasks on tasks.job_id = jobs.id
            order by jobs.id
            ";
        let outputs = "
            select
                key, job_id, file::json ->> 'sha256' as sha256,
                (file::json ->> 'filesize')::bigint as size
            from outputs
            ";
        let events = "
            select id, coalesce(job_id, batch_id) as job_id, kind, seq from events order by id
            ";
        Ok(Self {
            jobs: sqlx::query_as(jobs).fetch_all(&mut *database).await?,
            events: sqlx::query_as(events).fetch_all(&mut *database).await?,
            deliveries: sqlx::query_as("select event_id, state from deliveries")
                .fetch_all(&mut *database)
                .await?,
            outputs: sqlx::query_as(outputs).fetch_all(&mut *database).await?,
            garbage: sqlx::query_scalar("select prefix from garbage").fetch_all(database).await?,
            ..Self::default()
        })
    }
}
