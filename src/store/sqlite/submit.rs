//! Jobs come in: all of a submission, or none.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::SqliteStore;
use super::row::{run_at, to_json};
use crate::clock::Timestamp;
use crate::job::Job;
use crate::store::{Idempotency, StoreResult, Submission, Submitted};
use crate::task::{Task, TaskState};

pub(super) async fn submit(store: &SqliteStore, submission: Submission) -> StoreResult<Submitted> {
    let Submission { jobs, idempotency, max_queued } = submission;
    let mut tx = store.write().await?;
    if let Some(asked) = &idempotency {
        // Before the queue is looked at: an accepted request is answered although it is full now.
        if let Some(known) = known(&mut tx, asked).await? {
            return Ok(known);
        }
    }
    if is_full(&mut tx, &jobs, max_queued).await? {
        return Ok(Submitted::QueueFull);
    }
    insert_batches(&mut tx, &jobs).await?;
    for (position, job) in (0..).zip(&jobs) {
        insert_job(&mut tx, job, position).await?;
        for (position, task) in (0..).zip(&job.tasks) {
            insert_task(&mut tx, task, position).await?;
        }
    }
    if let Some(asked) = idempotency {
        remember(&mut tx, asked, store.now()).await?;
    }
    tx.commit().await?;
    store.hints.task_due.notify_one();
    for job in &jobs {
        store.hints.changed(job.id);
    }
    Ok(Submitted::Accepted)
}

/// What the same key was answered before.
async fn known(conn: &mut SqliteConnection, asked: &Idempotency) -> StoreResult<Option<Submitted>> {
    let before: Option<(String, String)> =
        sqlx::query_as("select body_hash, response from idempotency where key = $1")
            .bind(asked.key.clone())
            .fetch_optional(conn)
            .await?;
    Ok(before.map(|(body_hash, response)| {
        if body_hash == asked.body_hash {
            Submitted::Replayed(response)
        } else {
            Submitted::Conflict
        }
    }))
}

async fn remember(
    conn: &mut SqliteConnection,
    asked: Idempotency,
    now: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "
        insert into idempotency (key, body_hash, response, created_at)
        values ($1, $2, $3, $4)
        ",
    )
    .bind(asked.key)
    .bind(asked.body_hash)
    .bind(asked.response)
    .bind(now.millis())
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether more than `max_queued` tasks would wait. Reads the index of waiting tasks only.
async fn is_full(conn: &mut SqliteConnection, jobs: &[Job], max_queued: u64) -> StoreResult<bool> {
    let waiting: i64 = sqlx::query_scalar("select count(*) from tasks where state = 'queued'")
        .fetch_one(conn)
        .await?;
    let coming = jobs
        .iter()
        .flat_map(|job| &job.tasks)
        .filter(|task| matches!(task.state, TaskState::Queued { .. }))
        .count();
    Ok(waiting.unsigned_abs().saturating_add(coming as u64) > max_queued)
}

async fn insert_batches(conn: &mut SqliteConnection, jobs: &[Job]) -> StoreResult<()> {
    let batches: BTreeSet<_> = jobs.iter().filter_map(|job| job.batch_id).collect();
    let Some(created_at) = jobs.first().map(|job| job.created_at) else { return Ok(()) };
    for batch in batches {
        sqlx::query("insert into batches (id, created_at) values ($1, $2)")
            .bind(batch.to_string())
            .bind(created_at.millis())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

async fn insert_job(conn: &mut SqliteConnection, job: &Job, position: i64) -> StoreResult<()> {
    sqlx::query(
        "
        insert into jobs (
            id, batch_id, batch_position, kind, input, options, metadata, webhook_url,
            state, progress, failure, seq, created_at, updated_at, started_at, finished_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ",
    )
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
    .bind(i64::from(job.seq))
    .bind(job.created_at.millis())
    .bind(job.updated_at.millis())
    .bind(job.state.started_at().map(Timestamp::millis))
    .bind(job.state.finished_at().map(Timestamp::millis))
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_task(conn: &mut SqliteConnection, task: &Task, position: i64) -> StoreResult<()> {
    sqlx::query(
        "
        insert into tasks (
            id, job_id, position, lane, state, run_at, attempt, tries, stages, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ",
    )
    .bind(task.id.to_string())
    .bind(task.job_id.to_string())
    .bind(position)
    .bind(task.lane.name())
    .bind(task.state.name())
    .bind(run_at(task.state).unwrap_or(task.created_at.millis()))
    .bind(i64::from(task.attempt))
    .bind(i64::from(task.tries))
    .bind(to_json(&task.stages)?)
    .bind(task.created_at.millis())
    .execute(conn)
    .await?;
    Ok(())
}
