//! Tasks are taken on leases, and leases are kept by beating.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use super::SqlStore;
use super::companions;
use super::database::{Transaction, Turn};
use super::held::Held;
use super::overview;
use super::row::{parse, save_job, to_json};
use super::statement::{Statement, sql};
use crate::clock::Timestamp;
use crate::id::{JobId, WorkerId};
use crate::job::JobEvent;
use crate::store::{Beat, BeatReply, Claim, Hint, LEASE, Lease, StoreError, StoreResult, Want};
use crate::task::{Lane, Stages, TaskEvent};

/// How long a task rests whose job cannot be read.
const ASIDE: Duration = Duration::from_hours(1);

pub(super) async fn claim(
    store: &SqlStore,
    worker: WorkerId,
    want: &Want,
) -> StoreResult<Vec<Claim>> {
    if want.is_nothing() {
        return Ok(Vec::new());
    }
    let mut tx = store.write().await?;
    if want.per_owner.is_some() {
        tx.take_turns(Turn::Claim).await?;
    }
    let now = store.now(&mut tx).await?;
    let (mut claims, mut taken) = (Vec::new(), HashSet::new());
    let mut owners = Owners::count(&mut tx, want.per_owner).await?;
    for lane in Lane::ALL {
        for Due { id, owner } in due(&mut tx, lane, want, &owners, now).await? {
            if !owners.has_room(&owner) {
                continue;
            }
            if taken.contains(&id) {
                continue;
            }
            if let Some(held) = read_or_set_aside(&mut tx, &id, now).await? {
                owners.add(owner);
                let mut claim = take(&mut tx, worker, held, now).await?;
                claim.companions =
                    companions::take_with(&mut tx, worker, &claim, want, &mut owners, now).await?;
                taken.extend(claim.companions.iter().map(|with| with.lease.task.to_string()));
                claims.push(claim);
            }
        }
    }
    tx.commit().await?;
    for claim in claims.iter().flat_map(|claim| std::iter::once(claim).chain(&claim.companions)) {
        store.hints.tell(Hint::Changed(claim.job.id));
    }
    Ok(claims)
}

/// How many tasks of each key are running, where there is a limit to it.
pub(super) struct Owners {
    limit: Option<u32>,
    running: HashMap<String, u32>,
}

impl Owners {
    async fn count(tx: &mut Transaction, limit: Option<u32>) -> StoreResult<Self> {
        let mut running = HashMap::new();
        if limit.is_some() {
            let text = "
                select owner, count(*) as running
                from (
                    select owner from tasks where state = 'processing'
                    union all
                    select owner from tasks where provider_id is not null
                ) as running
                group by owner
                ";
            for (owner, count) in sql(text).rows::<(String, i64)>(tx).await? {
                running.insert(owner, u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
        Ok(Self { limit, running })
    }

    pub(super) fn has_room(&self, owner: &str) -> bool {
        self.limit.is_none_or(|limit| self.running.get(owner).is_none_or(|count| *count < limit))
    }

    pub(super) fn add(&mut self, owner: String) {
        *self.running.entry(owner).or_default() += 1;
    }

    pub(super) fn full(&self) -> Vec<String> {
        self.running.keys().filter(|owner| !self.has_room(owner)).cloned().collect()
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct Due {
    pub(super) id: String,
    pub(super) owner: String,
}

/// The tasks whose turn it is: the index `tasks_due` is in this order.
async fn due(
    tx: &mut Transaction,
    lane: Lane,
    want: &Want,
    owners: &Owners,
    now: Timestamp,
) -> StoreResult<Vec<Due>> {
    if want.of(lane) == 0 {
        return Ok(Vec::new());
    }
    let kinds: Vec<String> = want.kinds.iter().map(|kind| kind.name().to_owned()).collect();
    sql("
        select id, owner
        from tasks
        where state = 'queued' and lane = $1 and run_at <= $2
            and kind in list($3) and owner not in list($4)
        order by urgency, turn, id
        limit $5
        ")
    .skip_locked()
    .bind(lane.name())
    .bind(now)
    .bind(kinds)
    .bind(owners.full())
    .bind(want.of(lane))
    .rows(tx)
    .await
}

/// The task with its job; none when they cannot be read, and then the task is set aside: one
/// unreadable row must not stop the whole queue.
pub(super) async fn read_or_set_aside(
    tx: &mut Transaction,
    task: &str,
    now: Timestamp,
) -> StoreResult<Option<Held>> {
    match Held::load(tx, task).await {
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(
                task.id = task,
                error = &error as &dyn std::error::Error,
                "a task was set aside for an hour because it cannot be read"
            );
            set_aside(tx, task, now.plus(ASIDE)).await?;
            Ok(None)
        }
        held => held,
    }
}

/// Back into the queue until `run_at`, when perhaps a version looks at it that can read it.
async fn set_aside(tx: &mut Transaction, task: &str, run_at: Timestamp) -> StoreResult<()> {
    sql("
        update tasks
        set state = 'queued', run_at = $2, lease_owner = null, lease_until = null
        where id = $1 and state in ('queued', 'processing')
        ")
    .bind(task)
    .bind(run_at)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn take(
    tx: &mut Transaction,
    worker: WorkerId,
    mut held: Held,
    now: Timestamp,
) -> StoreResult<Claim> {
    held.on_task(TaskEvent::Claimed, now)?;
    held.on_job(JobEvent::Started, now)?;
    let task = held.task_mut();
    task.attempt += 1;
    task.tries += 1;
    task.stages = Stages::default();
    let (id, attempt, tries, lane) = (task.id, task.attempt, task.tries, task.lane);
    sql("
        update tasks
        set state = 'processing', attempt = $2, tries = $3, stages = $4,
            lease_owner = $5, lease_until = $6
        where id = $1 and state = 'queued'
        ")
    .bind(id.to_string())
    .bind(attempt)
    .bind(tries)
    .bind(to_json(&Stages::default())?)
    .bind(worker.to_string())
    .bind(now.plus(LEASE))
    .execute(tx)
    .await?;
    save_job(tx, &held.stored).await?;
    overview::begin_attempt(tx, held.task(), worker, now).await?;
    let job = held.stored.job;
    let lease = Lease { task: id, job: job.id, worker, attempt };
    Ok(Claim { lease, job, lane, tries, companions: Vec::new() })
}

pub(super) async fn beat(store: &SqlStore, beats: &[Beat]) -> StoreResult<Vec<BeatReply>> {
    if beats.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let renewed: HashMap<HeldClaim, Renewed> = renew(&mut tx, beats, now)
        .await?
        .into_iter()
        .map(|renewed| ((renewed.task.clone(), renewed.attempt, renewed.worker.clone()), renewed))
        .collect();
    let advanced = advance(&mut tx, beats, &renewed, now).await?;
    tx.commit().await?;
    for job in &advanced {
        // In this process alone: the others look by themselves, and would be told every second.
        store.hints.wake(Hint::Changed(parse::<JobId>(job, "jobs", "id", job)?));
    }
    let replies = beats.iter().map(|beat| match renewed.get(&claim_of(beat)) {
        None => BeatReply::Lost,
        Some(renewed) if renewed.cancel_asked => BeatReply::CancelAsked,
        Some(_) => BeatReply::Held,
    });
    Ok(replies.collect())
}

/// Task, attempt and worker: two claims of one task may beat in the same call, and one is lost.
type HeldClaim = (String, i64, String);

fn claim_of(beat: &Beat) -> HeldClaim {
    (beat.task.to_string(), beat.attempt.into(), beat.worker.to_string())
}

/// A beat as the database reads it.
#[derive(Serialize)]
struct Sign {
    task: String,
    worker: String,
    attempt: u32,
    stages: String,
}

#[derive(sqlx::FromRow)]
struct Renewed {
    task: String,
    attempt: i64,
    worker: String,
    job: String,
    cancel_asked: bool,
}

/// Renews every lease that is still its worker's, in one statement.
async fn renew(tx: &mut Transaction, beats: &[Beat], now: Timestamp) -> StoreResult<Vec<Renewed>> {
    let signs: Vec<Sign> = beats
        .iter()
        .map(|beat| {
            Ok(Sign {
                task: beat.task.to_string(),
                worker: beat.worker.to_string(),
                attempt: beat.attempt,
                stages: to_json(&beat.stages)?,
            })
        })
        .collect::<StoreResult<_>>()?;
    // differs from postgres: each has its own way to read a list of rows from a parameter.
    Statement::differing(
        "
        update tasks
        set lease_until = $2, stages = beats.stages
        from (
            select value ->> 'task' as task, value ->> 'worker' as worker,
                value ->> 'attempt' as attempt, value ->> 'stages' as stages
            from json_each($1)
        ) as beats
        where tasks.id = beats.task and tasks.attempt = beats.attempt
            and tasks.lease_owner = beats.worker and tasks.state = 'processing'
        returning
            id as task,
            tasks.attempt as attempt,
            lease_owner as worker,
            job_id as job,
            (select cancel_asked_at is not null from jobs where jobs.id = job_id) as cancel_asked
        ",
        "
        update tasks
        set lease_until = $2, stages = beats.stages
        from json_to_recordset($1::json)
            as beats (task text, worker text, attempt bigint, stages text)
        where tasks.id = beats.task and tasks.attempt = beats.attempt
            and tasks.lease_owner = beats.worker and tasks.state = 'processing'
        returning
            tasks.id as task,
            tasks.attempt::bigint as attempt,
            tasks.lease_owner as worker,
            tasks.job_id as job,
            (select cancel_asked_at is not null from jobs where jobs.id = job_id) as cancel_asked
        ",
    )
    .bind(to_json(&signs)?)
    .bind(now.plus(LEASE))
    .rows(tx)
    .await
}

/// Carries progress up to the jobs, never back; returns those that have come further.
async fn advance(
    tx: &mut Transaction,
    beats: &[Beat],
    renewed: &HashMap<HeldClaim, Renewed>,
    now: Timestamp,
) -> StoreResult<Vec<String>> {
    #[derive(Serialize)]
    struct Step<'a> {
        job: &'a str,
        progress: f64,
    }
    let steps: Vec<Step<'_>> = beats
        .iter()
        .filter_map(|beat| {
            let job = renewed.get(&claim_of(beat))?.job.as_str();
            Some(Step { job, progress: beat.stages.progress().into() })
        })
        .collect();
    // differs from postgres: each has its own way to read a list of rows from a parameter.
    Statement::differing(
        "
        update jobs
        set progress = steps.progress, updated_at = $2
        from (
            select value ->> 'job' as job, value ->> 'progress' as progress
            from json_each($1)
        ) as steps
        where jobs.id = steps.job and jobs.progress < steps.progress
        returning id
        ",
        "
        update jobs
        set progress = steps.progress, updated_at = $2
        from json_to_recordset($1::json) as steps (job text, progress double precision)
        where jobs.id = steps.job and jobs.progress < steps.progress
        returning jobs.id
        ",
    )
    .bind(to_json(&steps)?)
    .bind(now)
    .values(tx)
    .await
}
