//! What people ask of a job that is there: cancel it, try it again, delete it.

use super::database::Transaction;
use super::ending::hint;
use super::keep::doom;
use super::lookup::load_visible;
use super::rescue::ZOMBIE;
use super::row::{Stored, corrupt, run_at, save_job, to_json};
use super::statement::sql;
use super::{SqlStore, away, event, piece};
use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::{Job, JobEvent, Status};
use crate::store::{CancelOutcome, DeletedJob, Hint, Hints, StoreResult, Unwanted};
use crate::task::{Stages, Task, TaskEvent, TaskState};

pub(super) async fn cancel(
    store: &SqlStore,
    project: &Project,
    id: JobId,
) -> StoreResult<CancelOutcome> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let Some(mut stored) = load_alone(&mut tx, project, id).await? else {
        tx.abandon().await?;
        return Ok(CancelOutcome::Unknown);
    };
    let outcome = match stored.job.state.status() {
        Status::Succeeded | Status::Failed | Status::Cancelled => {
            tx.abandon().await?;
            return Ok(CancelOutcome::AlreadyEnded(Box::new(stored.job)));
        }
        Status::Queued => {
            end_unclaimed(&mut tx, &mut stored, now).await?;
            CancelOutcome::Cancelled(Box::new(stored.job.clone()))
        }
        Status::Processing if is_away(&stored) => {
            end_unclaimed(&mut tx, &mut stored, now).await?;
            away::unwant(&mut tx, id, Unwanted::Cancel, now).await?;
            CancelOutcome::Cancelled(Box::new(stored.job.clone()))
        }
        Status::Processing => {
            ask(&mut stored, now);
            CancelOutcome::Asked(Box::new(stored.job.clone()))
        }
    };
    save_job(&mut tx, &stored).await?;
    tx.commit().await?;
    hint(&store.hints, &stored.job);
    hint_worker(&store.hints, &stored);
    Ok(outcome)
}

pub(super) async fn retry(
    store: &SqlStore,
    project: &Project,
    id: JobId,
) -> StoreResult<Option<Job>> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let Some(mut stored) = load_alone(&mut tx, project, id).await? else {
        tx.abandon().await?;
        return Ok(None);
    };
    let job = &mut stored.job;
    match job.state.clone().on(JobEvent::Reopened, now) {
        Ok(state) => job.state = state,
        Err(refused) => {
            tx.abandon().await?;
            return Err(refused.into());
        }
    }
    job.progress = 0.0;
    job.updated_at = now;
    for task in &mut job.tasks {
        on_task(task, TaskEvent::Reopened, now)?;
        task.tries = 0;
        task.stages = Stages::default();
        save_free_task(&mut tx, task).await?;
    }
    stored.cancel_asked_at = None;
    save_job(&mut tx, &stored).await?;
    tx.commit().await?;
    hint(&store.hints, &stored.job);
    Ok(Some(stored.job))
}

pub(super) async fn delete(
    store: &SqlStore,
    project: &Project,
    id: JobId,
) -> StoreResult<Option<DeletedJob>> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let Some(mut stored) = load_alone(&mut tx, project, id).await? else {
        tx.abandon().await?;
        return Ok(None);
    };
    let before = stored.job.clone();
    let mut doomed_at = now;
    match before.state.status() {
        Status::Queued => end_unclaimed(&mut tx, &mut stored, now).await?,
        Status::Processing if is_away(&stored) => {
            end_unclaimed(&mut tx, &mut stored, now).await?;
        }
        Status::Processing => {
            ask(&mut stored, now);
            doomed_at = now.plus(ZOMBIE);
        }
        Status::Succeeded | Status::Failed | Status::Cancelled => {}
    }
    stored.deleted_at = Some(now);
    stored.job.updated_at = now;
    save_job(&mut tx, &stored).await?;
    sql("delete from outputs where job_id = $1").bind(id.to_string()).execute(&mut tx).await?;
    doom(&mut tx, &id.to_string(), doomed_at).await?;
    away::unwant(&mut tx, id, Unwanted::Delete, now).await?;
    tx.commit().await?;
    hint(&store.hints, &stored.job);
    hint_worker(&store.hints, &stored);
    Ok(Some(DeletedJob { job: before }))
}

/// The job for this transaction alone, if the project has it.
async fn load_alone(
    tx: &mut Transaction,
    project: &Project,
    id: JobId,
) -> StoreResult<Option<Stored>> {
    tx.lock_job(&id.to_string()).await?;
    load_visible(tx, project, id).await
}

/// Whether a provider has it: there is no worker that could be asked to stop.
fn is_away(stored: &Stored) -> bool {
    stored.job.tasks.iter().any(|task| task.state == TaskState::Away)
}

/// Notes that the worker shall stop; it hears of it when it beats.
fn ask(stored: &mut Stored, now: Timestamp) {
    if stored.cancel_asked_at.is_none() {
        stored.cancel_asked_at = Some(now);
        stored.job.updated_at = now;
    }
}

fn hint_worker(hints: &Hints, stored: &Stored) {
    if stored.job.state.status() == Status::Processing {
        hints.tell(Hint::CancelAsked);
    }
}

/// Cancels a job that no worker has.
async fn end_unclaimed(
    tx: &mut Transaction,
    stored: &mut Stored,
    now: Timestamp,
) -> StoreResult<()> {
    let job = &mut stored.job;
    job.state = job.state.clone().on(JobEvent::Cancelled, now)?;
    job.updated_at = now;
    for task in &mut job.tasks {
        on_task(task, TaskEvent::Cancelled, now)?;
        save_free_task(tx, task).await?;
    }
    piece::forget(tx, job, now).await?;
    event::write(tx, job, now).await
}

fn on_task(task: &mut Task, event: TaskEvent, now: Timestamp) -> StoreResult<()> {
    task.state = task
        .state
        .on(event, now)
        .map_err(|error| corrupt("tasks", "state", &task.id.to_string(), error))?;
    Ok(())
}

async fn save_free_task(tx: &mut Transaction, task: &Task) -> StoreResult<()> {
    sql("
        update tasks
        set state = $2, run_at = coalesce($3, run_at), tries = $4, stages = $5,
            provider_id = null
        where id = $1 and lease_owner is null
        ")
    .bind(task.id.to_string())
    .bind(task.state.name())
    .bind(run_at(task.state))
    .bind(task.tries)
    .bind(to_json(&task.stages)?)
    .execute(tx)
    .await?;
    Ok(())
}
