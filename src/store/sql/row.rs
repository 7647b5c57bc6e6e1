//! Rows in, jobs out, and back.
//!
//! A job is read whole: its row, its tasks and its outputs, by three statements for any number
//! of jobs. What this version cannot read is [`StoreError::Corrupt`], with the row's name.

use std::collections::HashMap;
use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::database::Transaction;
use super::statement::sql;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::{
    File, InputUrl, Job, JobSpec, JobState, Kept, Kind, Options, Owner, Priority, Status,
};
use crate::store::{StoreError, StoreResult};
use crate::task::{Lane, Task, TaskState};

/// A job, and what only the store knows of it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) job: Job,
    pub(super) cancel_asked_at: Option<Timestamp>,
    pub(super) deleted_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct JobRow {
    id: String,
    batch_id: Option<String>,
    kind: String,
    input: String,
    options: String,
    metadata: String,
    webhook_url: Option<String>,
    via: Option<String>,
    trace: Option<String>,
    upload_id: Option<String>,
    input_key: Option<String>,
    state: String,
    progress: f64,
    failure: Option<String>,
    seq: i64,
    cancel_asked_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    deleted_at: Option<i64>,
    owner: String,
    project: String,
    priority: i64,
}

#[derive(sqlx::FromRow)]
struct TaskRow {
    id: String,
    job_id: String,
    lane: String,
    state: String,
    provider_id: Option<String>,
    run_at: i64,
    attempt: i64,
    tries: i64,
    stages: String,
    created_at: i64,
}

/// The job with this id, deleted or not.
pub(super) async fn load_one(tx: &mut Transaction, id: JobId) -> StoreResult<Option<Stored>> {
    Ok(load(tx, &[id]).await?.pop())
}

/// The jobs with these ids, in the order of the ids; unknown ids are left out.
pub(super) async fn load(tx: &mut Transaction, ids: &[JobId]) -> StoreResult<Vec<Stored>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut tasks = tasks_of(tx, list.clone()).await?;
    let mut outputs = outputs_of(tx, list.clone()).await?;
    let rows: Vec<JobRow> = sql("
        select
            id, batch_id, kind, input, options, metadata, webhook_url, via, state, progress,
            failure, seq, cancel_asked_at, created_at, updated_at, started_at, finished_at,
            deleted_at, owner, project, priority, upload_id, input_key, trace
        from jobs
        where id in list($1)
        ")
    .bind(list)
    .rows(tx)
    .await?;
    let mut jobs = HashMap::with_capacity(rows.len());
    for row in rows {
        let tasks = tasks.remove(&row.id).unwrap_or_default();
        let outputs = outputs.remove(&row.id).unwrap_or_default();
        let stored = row.read(tasks, outputs)?;
        jobs.insert(stored.job.id, stored);
    }
    Ok(ids.iter().filter_map(|id| jobs.remove(id)).collect())
}

async fn tasks_of(
    tx: &mut Transaction,
    list: Vec<String>,
) -> StoreResult<HashMap<String, Vec<Task>>> {
    let rows: Vec<TaskRow> = sql("
        select
            id, job_id, lane, state, provider_id, run_at, attempt, tries, stages, created_at
        from tasks
        where job_id in list($1)
        order by job_id, position
        ")
    .bind(list)
    .rows(tx)
    .await?;
    let mut tasks: HashMap<String, Vec<Task>> = HashMap::new();
    for row in rows {
        let job_id = row.job_id.clone();
        tasks.entry(job_id).or_default().push(row.read()?);
    }
    Ok(tasks)
}

async fn outputs_of(
    tx: &mut Transaction,
    list: Vec<String>,
) -> StoreResult<HashMap<String, Vec<File>>> {
    let rows: Vec<(String, String, String)> = sql("
        select key, job_id, file
        from outputs
        where job_id in list($1)
        order by job_id, position
        ")
    .bind(list)
    .rows(tx)
    .await?;
    let mut outputs: HashMap<String, Vec<File>> = HashMap::new();
    for (key, job_id, file) in rows {
        outputs.entry(job_id).or_default().push(from_json(&file, "outputs", "file", &key)?);
    }
    Ok(outputs)
}

impl JobRow {
    fn read(self, tasks: Vec<Task>, outputs: Vec<File>) -> StoreResult<Stored> {
        let row = &self.id;
        let batch_id = self.batch_id.as_deref();
        let trace = self.trace.as_deref();
        let job = Job {
            id: parse(row, "jobs", "id", row)?,
            batch_id: batch_id.map(|id| parse(id, "jobs", "batch_id", row)).transpose()?,
            spec: self.spec()?,
            owner: Owner::named(self.owner.clone()),
            project: parse(&self.project, "jobs", "project", row)?,
            trace: trace.map(|trace| from_json(trace, "jobs", "trace", row)).transpose()?,
            state: self.state(outputs)?,
            progress: self.progress as f32,
            tasks,
            seq: number(self.seq, "jobs", "seq", row)?,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        };
        Ok(Stored {
            job,
            cancel_asked_at: self.cancel_asked_at.map(Timestamp::from_millis),
            deleted_at: self.deleted_at.map(Timestamp::from_millis),
        })
    }

    fn spec(&self) -> StoreResult<JobSpec> {
        let kind = Kind::from_name(&self.kind)
            .ok_or_else(|| unknown("jobs", "kind", &self.id, &self.kind))?;
        let raw_options: Map<String, Value> =
            from_json(&self.options, "jobs", "options", &self.id)?;
        let webhook_url = self.webhook_url.as_deref().map(Url::parse).transpose();
        let via = self.via.as_deref().map(|via| from_json(via, "jobs", "via", &self.id));
        Ok(JobSpec {
            input: self.input()?,
            options: Options::decode(kind, &raw_options)
                .map_err(|error| corrupt("jobs", "options", &self.id, error))?,
            raw_options,
            metadata: from_json(&self.metadata, "jobs", "metadata", &self.id)?,
            webhook_url: webhook_url
                .map_err(|error| corrupt("jobs", "webhook_url", &self.id, error))?,
            priority: Priority::try_from(self.priority)
                .map_err(|error| corrupt("jobs", "priority", &self.id, error))?,
            via: via.transpose()?,
        })
    }

    fn input(&self) -> StoreResult<InputUrl> {
        let input = InputUrl::parse(&self.input)
            .map_err(|error| corrupt("jobs", "input", &self.id, error))?;
        Ok(match (self.upload_id.as_deref(), &self.input_key) {
            (Some(upload), _) => {
                input.keeping(Kept::Upload(parse(upload, "jobs", "upload_id", &self.id)?))
            }
            (None, Some(key)) => input.keeping(Kept::Output(key.clone())),
            (None, None) => input,
        })
    }

    fn state(&self, outputs: Vec<File>) -> StoreResult<JobState> {
        let missing = |column| corrupt("jobs", column, &self.id, "it is missing");
        let started_at = self.started_at.map(Timestamp::from_millis);
        let begun = || started_at.ok_or_else(|| missing("started_at"));
        let finished =
            || self.finished_at.map(Timestamp::from_millis).ok_or_else(|| missing("finished_at"));
        let status = Status::from_name(&self.state)
            .ok_or_else(|| unknown("jobs", "state", &self.id, &self.state))?;
        Ok(match status {
            Status::Queued => JobState::Queued { started_at },
            Status::Processing => JobState::Processing { started_at: begun()? },
            Status::Succeeded => {
                JobState::Succeeded { started_at: begun()?, finished_at: finished()?, outputs }
            }
            Status::Failed => {
                let failure = self.failure.as_deref().ok_or_else(|| missing("failure"))?;
                let failure = from_json(failure, "jobs", "failure", &self.id)?;
                JobState::Failed { started_at, finished_at: finished()?, failure }
            }
            Status::Cancelled => JobState::Cancelled { started_at, finished_at: finished()? },
        })
    }
}

impl TaskRow {
    fn read(self) -> StoreResult<Task> {
        let row = &self.id;
        Ok(Task {
            id: parse(row, "tasks", "id", row)?,
            job_id: parse(&self.job_id, "tasks", "job_id", row)?,
            lane: Lane::from_name(&self.lane)
                .ok_or_else(|| unknown("tasks", "lane", row, &self.lane))?,
            state: self.state()?,
            attempt: number(self.attempt, "tasks", "attempt", row)?,
            tries: number(self.tries, "tasks", "tries", row)?,
            stages: from_json(&self.stages, "tasks", "stages", row)?,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }

    fn state(&self) -> StoreResult<TaskState> {
        Ok(match self.state.as_str() {
            "waiting" if self.provider_id.is_some() => TaskState::Away,
            "waiting" => TaskState::Waiting,
            "queued" => TaskState::Queued { run_at: Timestamp::from_millis(self.run_at) },
            "processing" => TaskState::Processing,
            "succeeded" => TaskState::Succeeded,
            "failed" => TaskState::Failed,
            "cancelled" => TaskState::Cancelled,
            name => return Err(unknown("tasks", "state", &self.id, name)),
        })
    }
}

/// Writes everything about a job that can change.
pub(super) async fn save_job(tx: &mut Transaction, stored: &Stored) -> StoreResult<()> {
    let job = &stored.job;
    sql("
        update jobs
        set state = $2, progress = $3, failure = $4, seq = $5, cancel_asked_at = $6,
            updated_at = $7, started_at = $8, finished_at = $9, deleted_at = $10
        where id = $1
        ")
    .bind(job.id.to_string())
    .bind(job.state.status().name())
    .bind(f64::from(job.progress))
    .bind(job.state.failure().map(to_json).transpose()?)
    .bind(job.seq)
    .bind(stored.cancel_asked_at)
    .bind(job.updated_at.millis())
    .bind(job.state.started_at())
    .bind(job.state.finished_at())
    .bind(stored.deleted_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// When a queued task may run.
pub(super) fn run_at(state: TaskState) -> Option<i64> {
    match state {
        TaskState::Queued { run_at } => Some(run_at.millis()),
        _ => None,
    }
}

/// The JSON of a value that Reelway made.
pub(super) fn to_json<T: Serialize>(value: &T) -> StoreResult<String> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Database(sqlx::Error::Encode(error.into())))
}

pub(super) fn from_json<T: DeserializeOwned>(
    text: &str,
    table: &'static str,
    column: &'static str,
    row: &str,
) -> StoreResult<T> {
    serde_json::from_str(text).map_err(|error| corrupt(table, column, row, error))
}

/// An id, or another text with a form.
pub(super) fn parse<T>(
    text: &str,
    table: &'static str,
    column: &'static str,
    row: &str,
) -> StoreResult<T>
where
    T: std::str::FromStr<Err: Into<Box<dyn Error + Send + Sync>>>,
{
    text.parse().map_err(|error: T::Err| corrupt(table, column, row, error))
}

/// A number that is never negative.
pub(super) fn number(
    value: i64,
    table: &'static str,
    column: &'static str,
    row: &str,
) -> StoreResult<u32> {
    value.try_into().map_err(|error: std::num::TryFromIntError| corrupt(table, column, row, error))
}

pub(super) fn unknown(
    table: &'static str,
    column: &'static str,
    row: &str,
    name: &str,
) -> StoreError {
    corrupt(table, column, row, format!("`{name}` is not known here"))
}

pub(super) fn corrupt(
    table: &'static str,
    column: &'static str,
    row: &str,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> StoreError {
    StoreError::Corrupt { table, column, row: row.to_owned(), source: source.into() }
}
