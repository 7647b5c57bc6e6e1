//! Workers are lost, and their tasks are found again.

use std::time::Duration;

use super::SqlStore;
use super::claim::read_or_set_aside;
use super::condition;
use super::database::Transaction;
use super::ending::{End, end_attempt, hint};
use super::statement::sql;
use crate::clock::Timestamp;
use crate::job::Status;
use crate::store::{Condition, JobPoisoned, Rescued, StoreResult};
use crate::task::{ErrorKind, Failure, Next, RetryPolicy};

/// How long what a lost attempt stored is left alone: its worker may only seem dead, and would
/// store more after a sweep that came too early.
pub(super) const ZOMBIE: Duration = Duration::from_hours(1);

/// How many tasks are found in one transaction: one that took longer than the database may would
/// find none of them, however often it was tried.
const AT_ONCE: i64 = 100;

pub(super) async fn rescue(
    store: &SqlStore,
    policy: &RetryPolicy,
    chance: f64,
) -> StoreResult<Rescued> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    // What another rescue is at is left to it.
    let lost: Vec<String> = sql("
        select id from tasks where state = 'processing' and lease_until <= $1 order by id limit $2
        ")
    .skip_locked()
    .bind(now)
    .bind(AT_ONCE)
    .values(&mut tx)
    .await?;
    let mut changed = Vec::new();
    for (task, chance) in lost.iter().zip(apart(chance)) {
        if let Some(held) = read_or_set_aside(&mut tx, task, now).await? {
            let end = after_loss(policy, held.task().tries, chance, now);
            changed.extend(end_attempt(&mut tx, held, end, now.plus(ZOMBIE), now).await?);
        }
    }
    let poisoned = || changed.iter().filter(|job| job.state.status() == Status::Failed);
    for job in poisoned() {
        let told = Condition::JobPoisoned(JobPoisoned {
            job_id: job.id,
            project: job.project.to_string(),
            kind: job.spec.options.kind(),
            tries: job.tasks.iter().map(|task| task.tries).max().unwrap_or_default(),
        });
        condition::tell(&mut tx, store.operations.as_ref(), told, now).await?;
    }
    let poisoned = poisoned().map(|job| job.id).collect();
    tx.commit().await?;
    for job in &changed {
        hint(&store.hints, job);
    }
    Ok(Rescued { tasks: lost.len(), poisoned })
}

/// One process has a SQLite file: whoever held a lease when it starts is dead. Of Postgres nobody
/// can say that.
pub(super) async fn recover(store: &SqlStore) -> StoreResult<usize> {
    let mut tx = store.write().await?;
    if let Transaction::Postgres { .. } = tx {
        return Ok(0);
    }
    sql("update tasks set lease_until = $1 where state = 'processing' and lease_until > $1")
        .bind(store.now(&mut tx).await?)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    // Nobody else was hit by the same fall: the first comes back after the shortest wait.
    let mut all = 0;
    loop {
        match rescue(store, &RetryPolicy::default(), 0.0).await?.tasks {
            0 => return Ok(all),
            found => all += found,
        }
    }
}

/// A chance for each of any number of tasks, evenly apart by the golden ratio. Tasks that were
/// lost together must not come back together: if one of them kills its workers, it would have
/// the same others with it each time, until they all count as poison.
fn apart(chance: f64) -> impl Iterator<Item = f64> {
    const RATIO: f64 = 0.618_033_988_749_895;
    std::iter::successors(Some(chance), |chance| Some((chance + RATIO).fract()))
}

fn after_loss(policy: &RetryPolicy, tries: u32, chance: f64, now: Timestamp) -> End {
    match policy.after_loss(tries, chance) {
        Next::RetryIn(wait) | Next::PostponeBy(wait) => End::Again {
            failure: Failure::new(
                ErrorKind::InternalError,
                "the worker was lost during this attempt; the job is tried again",
            ),
            run_at: now.plus(wait),
        },
        Next::End => End::Failed(
            Failure::new(
                ErrorKind::Poison,
                format!("the worker was lost {tries} times while it had this job in its hands"),
            )
            .hint(
                "the input may need more memory or time than a worker has; \
                 look at the server's log, then retry the job",
            ),
        ),
    }
}
