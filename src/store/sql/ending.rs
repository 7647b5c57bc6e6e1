//! An attempt ends: its task, its job, its outputs and its event, in one transaction.
//!
//! A lease and the worker's last words come in. Whoever does not hold the task any more changes
//! nothing. What an attempt stored and nobody will see is doomed here.

use super::SqlStore;
use super::database::Transaction;
use super::event;
use super::held::{Fence, Held};
use super::keep::doom;
use super::overview;
use super::piece;
use super::row::{save_job, to_json};
use super::statement::sql;
use crate::clock::Timestamp;
use crate::job::{Job, JobEvent};
use crate::store::{Hint, Hints, Lease, Published, Settled, StoreResult};
use crate::task::{Failure, Next, Stages, TaskEvent, TaskState};

/// How an attempt ends.
#[derive(Debug)]
pub(super) enum End {
    /// With files.
    Finished(Vec<Published>),
    /// Badly, and it is tried again.
    Again { failure: Failure, run_at: Timestamp },
    /// Badly, and it is tried again as if it had not been tried.
    Postponed { failure: Failure, run_at: Timestamp },
    /// Badly, for good.
    Failed(Failure),
    /// Because nobody wants it.
    Cancelled,
    /// As if it had not begun.
    HandedBack,
}

pub(super) async fn finish(
    store: &SqlStore,
    lease: &Lease,
    stages: Stages,
    outputs: Vec<Published>,
) -> StoreResult<Settled> {
    settle(store, lease, Some(stages), |_| End::Finished(outputs)).await
}

pub(super) async fn fail(
    store: &SqlStore,
    lease: &Lease,
    stages: Stages,
    failure: Failure,
    next: Next,
) -> StoreResult<Settled> {
    settle(store, lease, Some(stages), |now| match next {
        Next::RetryIn(wait) => End::Again { failure, run_at: now.plus(wait) },
        Next::PostponeBy(wait) => End::Postponed { failure, run_at: now.plus(wait) },
        Next::End => End::Failed(failure),
    })
    .await
}

pub(super) async fn end_cancelled(
    store: &SqlStore,
    lease: &Lease,
    stages: Stages,
) -> StoreResult<Settled> {
    settle(store, lease, Some(stages), |_| End::Cancelled).await
}

pub(super) async fn hand_back(store: &SqlStore, lease: &Lease) -> StoreResult<Settled> {
    settle(store, lease, None, |_| End::HandedBack).await
}

async fn settle(
    store: &SqlStore,
    lease: &Lease,
    stages: Option<Stages>,
    end: impl FnOnce(Timestamp) -> End,
) -> StoreResult<Settled> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let Some(mut held) = Held::load_fenced(&mut tx, &Fence::of(lease)).await? else {
        let is_told_again = is_told_again(&mut tx, lease, end(now)).await?;
        tx.abandon().await?;
        return Ok(if is_told_again { Settled::Done } else { Settled::Lost });
    };
    if let Some(stages) = stages {
        held.task_mut().stages = stages;
    }
    let end = end(now);
    // The files of a job that was deleted meanwhile will never be seen: the worker is told that
    // it came too late.
    let is_too_late = held.stored.deleted_at.is_some() && matches!(end, End::Finished(_));
    // The worker that speaks here has stopped, so what it stored can be removed at once.
    let Some(job) = end_attempt(&mut tx, held, end, now, now).await? else {
        tx.abandon().await?;
        return Ok(Settled::Lost);
    };
    tx.commit().await?;
    hint(&store.hints, &job);
    Ok(if is_too_late { Settled::Lost } else { Settled::Done })
}

/// Whether this very end was written before, and only its answer was lost: a worker that took
/// that for a lost lease would remove the outputs that everybody sees.
async fn is_told_again(tx: &mut Transaction, lease: &Lease, end: End) -> StoreResult<bool> {
    let End::Finished(outputs) = end else { return Ok(false) };
    let Some(first) = outputs.first() else { return Ok(false) };
    let seen = sql("select job_id from outputs where key = $1").bind(first.file.key.as_str());
    Ok(seen.value::<String>(tx).await?.is_some_and(|job| job == lease.job.to_string()))
}

/// Writes the end of an attempt; none when the task is not in the holder's hands any more.
///
/// What the attempt stored is doomed for `doomed_at`, unless it becomes the job's outputs.
pub(super) async fn end_attempt(
    tx: &mut Transaction,
    mut held: Held,
    end: End,
    doomed_at: Timestamp,
    now: Timestamp,
) -> StoreResult<Option<Job>> {
    let end = unless_unwanted(&held, end);
    let outputs = change(&mut held, end, now)?;
    if !held.let_go(tx).await? {
        return Ok(None);
    }
    overview::end_attempt(tx, held.task(), now).await?;
    if outputs.is_empty() {
        doom(tx, &held.prefix(), doomed_at).await?;
    }
    publish(tx, &held.stored.job, &outputs).await?;
    if held.stored.job.state.status().is_final() {
        piece::forget(tx, &held.stored.job, now).await?;
        event::write(tx, &mut held.stored.job, now).await?;
    }
    save_job(tx, &held.stored).await?;
    Ok(Some(held.stored.job))
}

/// What somebody asked to stop is not tried again and does not fail, it is cancelled. If it was
/// finished first, it is finished; unless it was deleted.
fn unless_unwanted(held: &Held, end: End) -> End {
    let is_deleted = held.stored.deleted_at.is_some();
    let is_unwanted = is_deleted || held.stored.cancel_asked_at.is_some();
    match end {
        End::Finished(outputs) if !is_deleted => End::Finished(outputs),
        _ if is_unwanted => End::Cancelled,
        end => end,
    }
}

/// Changes task and job in memory; returns the outputs that are to be seen.
pub(super) fn change(held: &mut Held, end: End, now: Timestamp) -> StoreResult<Vec<Published>> {
    let stages = &mut held.task_mut().stages;
    match end {
        End::Finished(outputs) => {
            stages.succeed(now);
            let files = outputs.iter().map(|published| published.file.clone()).collect();
            held.on_task(TaskEvent::Finished, now)?;
            held.on_job(JobEvent::Succeeded(files), now)?;
            held.stored.job.progress = 100.0;
            return Ok(outputs);
        }
        End::Again { failure, run_at } => {
            stages.fail(&failure, now);
            held.on_task(TaskEvent::Retried { run_at }, now)?;
            held.on_job(JobEvent::Requeued, now)?;
        }
        End::Postponed { failure, run_at } => {
            stages.fail(&failure, now);
            held.on_task(TaskEvent::Retried { run_at }, now)?;
            held.on_job(JobEvent::Requeued, now)?;
            let task = held.task_mut();
            task.tries = task.tries.saturating_sub(1);
        }
        End::Failed(failure) => {
            stages.fail(&failure, now);
            held.on_task(TaskEvent::Failed, now)?;
            held.on_job(JobEvent::Failed(failure), now)?;
        }
        End::Cancelled => {
            stages.cancel(now);
            held.on_task(TaskEvent::Cancelled, now)?;
            held.on_job(JobEvent::Cancelled, now)?;
        }
        End::HandedBack => {
            *stages = Stages::default();
            held.on_task(TaskEvent::HandedBack, now)?;
            held.on_job(JobEvent::Requeued, now)?;
            let task = held.task_mut();
            task.tries = task.tries.saturating_sub(1);
        }
    }
    Ok(Vec::new())
}

pub(super) async fn publish(
    tx: &mut Transaction,
    job: &Job,
    outputs: &[Published],
) -> StoreResult<()> {
    for (position, Published { file, url }) in (0_i64..).zip(outputs) {
        sql("
            insert into outputs (key, job_id, position, file, url, stored_bytes)
            values ($1, $2, $3, $4, $5, $6)
            ")
        .bind(file.key.clone())
        .bind(job.id.to_string())
        .bind(position)
        .bind(to_json(file)?)
        .bind(url.clone())
        .bind(file.stored_bytes())
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// Tells who waits that a job has changed, and what else may be due by it.
pub(super) fn hint(hints: &Hints, job: &Job) {
    hints.tell(Hint::Changed(job.id));
    if job.state.status().is_final() {
        hints.tell(Hint::DeliveryDue);
    }
    if job.tasks.iter().any(|task| matches!(task.state, TaskState::Queued { .. })) {
        hints.tell(Hint::TaskDue);
    }
}
