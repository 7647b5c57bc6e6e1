//! The end of a job becomes an event, and the event a delivery: written where the job ends,
//! listed for whoever wants to see what was sent.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use url::Url;

use super::database::Transaction;
use super::row::{corrupt, from_json, number, parse, to_json, unknown};
use super::statement::{Statement, sql};
use super::{SqlStore, batch};
use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::{BatchId, DeliveryId, EventId, JobId, fresh};
use crate::job::view::JobView;
use crate::job::{BatchView, Job, Status};
use crate::store::{
    AttemptRecord, Delivery, DeliveryFilter, DeliveryState, EventBody, EventKind, StoreError,
    StoreResult,
};

/// Writes the event of a job that has just ended, and its delivery when somebody waits for it;
/// then those of its batch when the job was the last of it.
///
/// The job's `seq` grows; the caller writes the job.
pub(super) async fn write(tx: &mut Transaction, job: &mut Job, now: Timestamp) -> StoreResult<()> {
    let Some(kind) = kind(job.state.status()) else { return Ok(()) };
    if let Some(batch) = job.batch_id {
        tx.lock_batch(&batch.to_string()).await?;
    }
    job.seq += 1;
    let body = to_json(&JobView::of(job))?;
    let event = Event { of: Subject::Job(job.id), kind, seq: job.seq, body };
    event.write(tx, job, now).await?;
    batch::tell_end(tx, job, now).await
}

/// What has happened.
pub(super) struct Event {
    pub(super) of: Subject,
    pub(super) kind: EventKind,
    pub(super) seq: u32,
    pub(super) body: String,
}

/// What it has happened to.
pub(super) enum Subject {
    Job(JobId),
    Batch(BatchId),
    Server,
}

impl Event {
    /// Writes it down, with its delivery to where `job` wants it.
    pub(super) async fn write(
        self,
        tx: &mut Transaction,
        job: &Job,
        now: Timestamp,
    ) -> StoreResult<()> {
        let id = self.keep(tx, now).await?;
        match &job.spec.webhook_url {
            Some(url) => post(tx, id, &job.project, url, now).await,
            None => Ok(()),
        }
    }

    /// Writes it down.
    pub(super) async fn keep(self, tx: &mut Transaction, now: Timestamp) -> StoreResult<EventId> {
        let id: EventId = fresh(now);
        let (of_job, of_batch) = match self.of {
            Subject::Job(job) => (Some(job.to_string()), None),
            Subject::Batch(batch) => (None, Some(batch.to_string())),
            Subject::Server => (None, None),
        };
        sql("
            insert into events (id, job_id, batch_id, kind, seq, body, created_at)
            values ($1, $2, $3, $4, $5, $6, $7)
            ")
        .bind(id.to_string())
        .bind(of_job)
        .bind(of_batch)
        .bind(self.kind.name())
        .bind(self.seq)
        .bind(self.body)
        .bind(now)
        .execute(tx)
        .await?;
        Ok(id)
    }
}

const fn kind(status: Status) -> Option<EventKind> {
    match status {
        Status::Queued | Status::Processing => None,
        Status::Succeeded => Some(EventKind::JobSucceeded),
        Status::Failed => Some(EventKind::JobFailed),
        Status::Cancelled => Some(EventKind::JobCancelled),
    }
}

/// Writes down that an event goes to `url`.
pub(super) async fn post(
    tx: &mut Transaction,
    event: EventId,
    project: &Project,
    url: &Url,
    now: Timestamp,
) -> StoreResult<()> {
    let destination = destination(project, url);
    for _ in 0..TRIES {
        sql("insert into destinations (id) values ($1) on conflict (id) do nothing")
            .bind(destination.as_str())
            .execute(tx)
            .await?;
        if insert_delivery(tx, event, (project, &destination), url, now).await? {
            return Ok(());
        }
        // The destination was there and was tidied away between the two statements.
    }
    Err(StoreError::Database(sqlx::Error::RowNotFound))
}

/// How often a delivery is tried to be written under a destination that others tidy away.
const TRIES: u32 = 3;

async fn insert_delivery(
    tx: &mut Transaction,
    event: EventId,
    (project, destination): (&Project, &str),
    url: &Url,
    now: Timestamp,
) -> StoreResult<bool> {
    let id: DeliveryId = fresh(now);
    tx.keep_destination(destination).await?;
    let written = sql("
        insert into deliveries (
            id, event_id, destination, url, state, run_at, created_at, finished_at, project
        )
        select
            $1, $2, id, $4,
            case when disabled_at is null then 'pending' else 'held' end,
            $5, $5,
            case when disabled_at is null then null else $5 end,
            $6
        from destinations
        where id = $3
        ")
    .bind(id.to_string())
    .bind(event.to_string())
    .bind(destination)
    .bind(url.to_string())
    .bind(now)
    .bind(project.as_str())
    .execute(tx)
    .await?;
    Ok(written == 1)
}

/// The longest name of a destination in bytes; an index of Postgres takes no more than 2,700.
const MAX_DESTINATION: usize = 1024;

/// Scheme, host, port and path: receivers differ by these, not by their query.
///
/// Each project has its own, with its name in front: no project makes a receiver that refuses it
/// look dead to another.
fn destination(project: &Project, url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let name =
        if *project == Project::DEFAULT { String::from(url) } else { format!("{project} {url}") };
    if name.len() <= MAX_DESTINATION {
        return name;
    }
    let digest = hex::encode(Sha256::digest(&name));
    format!("{}#{digest}", &name[..name.floor_char_boundary(MAX_DESTINATION - digest.len())])
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    id: String,
    event_id: String,
    kind: String,
    job_id: Option<String>,
    batch_id: Option<String>,
    url: String,
    state: String,
    attempt: i64,
    run_at: i64,
    created_at: i64,
    finished_at: Option<i64>,
}

pub(super) async fn deliveries(
    store: &SqlStore,
    project: &Project,
    filter: &DeliveryFilter,
) -> StoreResult<Vec<Delivery>> {
    let mut tx = store.read().await?;
    list(&mut tx, project, filter).await
}

/// The deliveries of a project that a filter leaves, newest first, each with its attempts.
pub(super) async fn list(
    tx: &mut Transaction,
    project: &Project,
    filter: &DeliveryFilter,
) -> StoreResult<Vec<Delivery>> {
    let rows: Vec<DeliveryRow> = select(project, filter).rows(tx).await?;
    let ids = rows.iter().map(|row| row.id.clone()).collect();
    let mut attempts = attempts_of(tx, ids).await?;
    rows.into_iter()
        .map(|row| {
            let attempts = attempts.remove(&row.id).unwrap_or_default();
            row.read(attempts)
        })
        .collect()
}

fn select(project: &Project, filter: &DeliveryFilter) -> Statement {
    // Of one job there are few: they are found by its events, and not among all of the project's,
    // which the databases would look through because those are in the list's order already.
    let is_of_few = filter.job_id.is_some() || filter.batch_id.is_some();
    let select = Statement::begin(
        "
        select
            deliveries.id, deliveries.event_id, events.kind, events.job_id, events.batch_id,
            deliveries.url, deliveries.state, deliveries.attempt, deliveries.run_at, deliveries.created_at,
            deliveries.finished_at
        from deliveries
        join events on events.id = deliveries.event_id
        where true",
    );
    let of =
        if is_of_few { " and deliveries.project || '' = " } else { " and deliveries.project = " };
    let mut select = select.push_bind(of, project.as_str());
    if let Some(id) = filter.id {
        select = select.push_bind(" and deliveries.id = ", id.to_string());
    }
    if let Some(job_id) = filter.job_id {
        select = select.push_bind(" and events.job_id = ", job_id.to_string());
    }
    if let Some(batch_id) = filter.batch_id {
        select = select.push_bind(" and events.batch_id = ", batch_id.to_string());
    }
    if let Some(state) = filter.state {
        select = select.push_bind(" and deliveries.state = ", state.name());
    }
    select.push(" order by deliveries.id desc").push_bind(" limit ", filter.limit)
}

async fn attempts_of(
    tx: &mut Transaction,
    ids: Vec<String>,
) -> StoreResult<HashMap<String, Vec<AttemptRecord>>> {
    let rows: Vec<(String, String)> = sql("
        select delivery_id, record
        from delivery_attempts
        where delivery_id in list($1)
        order by delivery_id, position
        ")
    .bind(ids)
    .rows(tx)
    .await?;
    let mut attempts: HashMap<String, Vec<AttemptRecord>> = HashMap::new();
    for (id, record) in rows {
        let record = from_json(&record, "delivery_attempts", "record", &id)?;
        attempts.entry(id).or_default().push(record);
    }
    Ok(attempts)
}

impl DeliveryRow {
    fn read(self, attempts: Vec<AttemptRecord>) -> StoreResult<Delivery> {
        let row = &self.id;
        let state = DeliveryState::from_name(&self.state)
            .ok_or_else(|| unknown("deliveries", "state", row, &self.state))?;
        let is_pending = state == DeliveryState::Pending;
        let (job_id, batch_id) = (self.job_id.as_deref(), self.batch_id.as_deref());
        Ok(Delivery {
            id: parse(row, "deliveries", "id", row)?,
            event_id: parse(&self.event_id, "deliveries", "event_id", row)?,
            kind: EventKind::from_name(&self.kind)
                .ok_or_else(|| unknown("events", "kind", &self.event_id, &self.kind))?,
            job_id: job_id.map(|id| parse(id, "events", "job_id", &self.event_id)).transpose()?,
            batch_id: batch_id
                .map(|id| parse(id, "events", "batch_id", &self.event_id))
                .transpose()?,
            url: self.url,
            state,
            attempt: number(self.attempt, "deliveries", "attempt", row)?,
            next_attempt_at: is_pending.then(|| Timestamp::from_millis(self.run_at)),
            created_at: Timestamp::from_millis(self.created_at),
            finished_at: self.finished_at.map(Timestamp::from_millis),
            attempts,
        })
    }
}

/// What an event tells, as it is kept: without links.
pub(super) fn body(kind: EventKind, text: &str, event: &str) -> StoreResult<EventBody> {
    let read = match kind {
        EventKind::JobSucceeded | EventKind::JobFailed | EventKind::JobCancelled => {
            serde_json::from_str::<JobView>(text).map(|job| EventBody::Job(Box::new(job)))
        }
        EventKind::BatchFinished => {
            serde_json::from_str::<BatchView>(text).map(|batch| EventBody::Batch(Box::new(batch)))
        }
        EventKind::EndpointDisabled
        | EventKind::WorkerLost
        | EventKind::DiskLow
        | EventKind::JobPoisoned => {
            serde_json::from_str(text).map(|told| EventBody::Condition(Box::new(told)))
        }
    };
    read.map_err(|error| corrupt("events", "body", event, error))
}
