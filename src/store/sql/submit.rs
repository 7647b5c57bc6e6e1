//! Jobs come in: all of a submission, or none.

use std::collections::BTreeSet;

use super::SqlStore;
use super::database::Transaction;
use super::row::{run_at, to_json};
use super::statement::sql;
use crate::clock::Timestamp;
use crate::job::{Job, Kept};
use crate::store::{Hint, Idempotency, StoreResult, Submission, Submitted};
use crate::task::{Lane, Task, TaskState};

pub(super) async fn submit(store: &SqlStore, submission: Submission) -> StoreResult<Submitted> {
    let Submission { jobs, idempotency, max_queued } = submission;
    let mut tx = store.write().await?;
    // Before the queue is looked at: an accepted request is answered although it is full now.
    if let Some(asked) = idempotency
        && let Some(known) = take_name(store, &mut tx, &asked).await?
    {
        return Ok(known);
    }
    if is_full(&mut tx, &jobs, max_queued).await? {
        return Ok(Submitted::QueueFull);
    }
    insert_batches(&mut tx, &jobs).await?;
    for (position, job) in (0..).zip(&jobs) {
        insert_job(&mut tx, job, position).await?;
        for (position, task) in (0..).zip(&job.tasks) {
            insert_task(&mut tx, job, task, position).await?;
        }
    }
    tx.commit().await?;
    store.hints.tell(Hint::TaskDue);
    for job in &jobs {
        store.hints.tell(Hint::Changed(job.id));
    }
    Ok(Submitted::Accepted)
}

/// Notes a request under the name that its client gave it, or says what it was answered before.
pub(super) async fn take_name(
    store: &SqlStore,
    tx: &mut Transaction,
    asked: &Idempotency,
) -> StoreResult<Option<Submitted>> {
    let now = store.now(tx).await?;
    if remember(tx, asked, now).await? { Ok(None) } else { known(tx, asked).await.map(Some) }
}

/// Notes the request under its key; false when the key is taken. The first of many that come at
/// once takes it, and the others wait here until it is on disk or not.
async fn remember(tx: &mut Transaction, asked: &Idempotency, now: Timestamp) -> StoreResult<bool> {
    let written = sql("
        insert into idempotency (owner, key, body_hash, response, created_at)
        values ($1, $2, $3, $4, $5)
        on conflict (owner, key) do nothing
        ")
    .bind(asked.owner.as_str())
    .bind(asked.key.clone())
    .bind(asked.body_hash.clone())
    .bind(asked.response.clone())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(written == 1)
}

/// What the same key was answered before.
async fn known(tx: &mut Transaction, asked: &Idempotency) -> StoreResult<Submitted> {
    let before = sql("select body_hash, response from idempotency where owner = $1 and key = $2")
        .bind(asked.owner.as_str())
        .bind(asked.key.clone())
        .row::<(String, String)>(tx)
        .await?;
    Ok(match before {
        Some((body_hash, response)) if body_hash == asked.body_hash => {
            Submitted::Replayed(response)
        }
        _ => Submitted::Conflict,
    })
}

/// Whether more than `max_queued` tasks would wait. Counts no further than that. Where many
/// processes submit at the same moment it may be passed by what they submit.
async fn is_full(tx: &mut Transaction, jobs: &[Job], max_queued: u64) -> StoreResult<bool> {
    let text = "
        select count(*) from (select 1 from tasks where state = 'queued' limit $1) as waiting
        ";
    let limit = i64::try_from(max_queued).unwrap_or(i64::MAX);
    let waiting: Option<i64> = sql(text).bind(limit).value(tx).await?;
    let coming = jobs
        .iter()
        .flat_map(|job| &job.tasks)
        .filter(|task| matches!(task.state, TaskState::Queued { .. }))
        .count();
    let waiting = waiting.unwrap_or_default().unsigned_abs();
    Ok(waiting.saturating_add(coming as u64) > max_queued)
}

async fn insert_batches(tx: &mut Transaction, jobs: &[Job]) -> StoreResult<()> {
    let of_job = |job: &Job| job.batch_id.map(|batch| (batch, job.project.clone()));
    let batches: BTreeSet<_> = jobs.iter().filter_map(of_job).collect();
    let Some(created_at) = jobs.first().map(|job| job.created_at) else { return Ok(()) };
    for (batch, project) in batches {
        sql("insert into batches (id, created_at, project) values ($1, $2, $3)")
            .bind(batch.to_string())
            .bind(created_at)
            .bind(project.as_str())
            .execute(tx)
            .await?;
    }
    Ok(())
}

async fn insert_job(tx: &mut Transaction, job: &Job, position: i64) -> StoreResult<()> {
    let (upload, output) = match job.spec.input.kept() {
        Some(Kept::Upload(id)) => (Some(id), None),
        Some(Kept::Output(key)) => (None, Some(key)),
        None => (None, None),
    };
    sql("
        insert into jobs (
            id, batch_id, batch_position, kind, input, options, metadata, webhook_url,
            state, progress, failure, seq, created_at, updated_at, started_at, finished_at,
            owner, priority, via, upload_id, input_key, project
        )
        values (
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22
        )
        ")
    .bind(job.id.to_string())
    .bind(job.batch_id.map(|id| id.to_string()))
    .bind(position)
    .bind(job.spec.options.kind().name())
    .bind(job.spec.input.as_str().to_owned())
    .bind(to_json(&job.spec.raw_options)?)
    .bind(to_json(&job.spec.metadata)?)
    .bind(job.spec.webhook_url.as_ref().map(ToString::to_string))
    .bind(job.state.status().name())
    .bind(f64::from(job.progress))
    .bind(job.state.failure().map(to_json).transpose()?)
    .bind(job.seq)
    .bind(job.created_at.millis())
    .bind(job.updated_at.millis())
    .bind(job.state.started_at())
    .bind(job.state.finished_at())
    .bind(job.owner.as_str())
    .bind(i64::from(job.spec.priority.get()))
    .bind(job.spec.via.as_ref().map(to_json).transpose()?)
    .bind(upload.map(ToString::to_string))
    .bind(output.cloned())
    .bind(job.project.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_task(
    tx: &mut Transaction,
    job: &Job,
    task: &Task,
    position: i64,
) -> StoreResult<()> {
    let urgency = job.spec.priority.urgency();
    let turn = next_turn(tx, task.lane, urgency, job.owner.as_str()).await?;
    sql("
        insert into tasks (
            id, job_id, position, lane, state, run_at, attempt, tries, stages, created_at,
            kind, owner, urgency, turn
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ")
    .bind(task.id.to_string())
    .bind(task.job_id.to_string())
    .bind(position)
    .bind(task.lane.name())
    .bind(task.state.name())
    .bind(run_at(task.state).unwrap_or(task.created_at.millis()))
    .bind(task.attempt)
    .bind(task.tries)
    .bind(to_json(&task.stages)?)
    .bind(task.created_at)
    .bind(job.spec.options.kind().name())
    .bind(job.owner.as_str())
    .bind(urgency)
    .bind(turn)
    .execute(tx)
    .await?;
    Ok(())
}

/// The number by which a task stands in its lane, among those as urgent as it.
///
/// Keys take turns: a task stands one behind the last of its own key, but not before the front of
/// the queue. So a key that comes with one task waits for one task of each other key, however
/// many they have queued. (Start-time fair queueing, Goyal, Vin and Cheng 1996, with every task
/// of length 1 and the front of the queue for the virtual time.)
async fn next_turn(
    tx: &mut Transaction,
    lane: Lane,
    urgency: i64,
    owner: &str,
) -> StoreResult<i64> {
    let turns = sql("
        select
            (
                select min(turn) from tasks
                where state = 'queued' and lane = $1 and urgency = $2
            ),
            (
                select max(turn) from tasks
                where state = 'queued' and lane = $1 and urgency = $2 and owner = $3
            )
        ")
    .bind(lane.name())
    .bind(urgency)
    .bind(owner)
    .row::<(Option<i64>, Option<i64>)>(tx)
    .await?;
    let (front, own) = turns.unwrap_or_default();
    Ok(front.unwrap_or(0).max(own.map_or(0, |turn| turn + 1)))
}
