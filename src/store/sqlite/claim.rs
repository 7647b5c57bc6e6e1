//! Tasks are taken on leases, and leases are kept by beating.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::SqliteStore;
use super::held::{Fence, Held};
use super::row::{parse, save_job, to_json};
use crate::clock::Timestamp;
use crate::id::{JobId, WorkerId};
use crate::job::JobEvent;
use crate::store::{Beat, BeatReply, Claim, LEASE, Lease, StoreError, StoreResult, Want};
use crate::task::{Lane, Stages, TaskEvent};

/// How long a task rests whose job cannot be read.
const ASIDE: Duration = Duration::from_hours(1);

pub(super) async fn claim(
    store: &SqliteStore,
    worker: WorkerId,
    want: Want,
) -> StoreResult<Vec<Claim>> {
    if want == Want::default() {
        return Ok(Vec::new());
    }
    let mut tx = store.write().await?;
    let now = store.now();
    let mut claims = Vec::new();
    for lane in Lane::ALL {
        for task in due(&mut tx, lane, want.of(lane), now).await? {
            if let Some(held) = read_or_set_aside(&mut tx, &task, now).await? {
                claims.push(take(&mut tx, worker, held, now).await?);
            }
        }
    }
    tx.commit().await?;
    for claim in &claims {
        store.hints.changed(claim.job.id);
    }
    Ok(claims)
}

async fn due(
    conn: &mut SqliteConnection,
    lane: Lane,
    limit: u32,
    now: Timestamp,
) -> StoreResult<Vec<String>> {
    Ok(sqlx::query_scalar(
        "
        -- differs from postgres: there is no `for update skip locked`, and no need of it: this
        -- transaction has the only writer.
        select id
        from tasks
        where state = 'queued' and lane = $1 and run_at <= $2
        order by run_at, id
        limit $3
        ",
    )
    .bind(lane.name())
    .bind(now.millis())
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?)
}

/// The task with its job; none when they cannot be read, and then the task is set aside: one
/// unreadable row must not stop the whole queue.
pub(super) async fn read_or_set_aside(
    conn: &mut SqliteConnection,
    task: &str,
    now: Timestamp,
) -> StoreResult<Option<Held>> {
    match Held::load(conn, task).await {
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(
                task.id = task,
                error = &error as &dyn std::error::Error,
                "a task was set aside for an hour because it cannot be read"
            );
            set_aside(conn, task, now.plus(ASIDE)).await?;
            Ok(None)
        }
        held => held,
    }
}

/// Back into the queue until `run_at`, when perhaps a version looks at it that can read it.
async fn set_aside(conn: &mut SqliteConnection, task: &str, run_at: Timestamp) -> StoreResult<()> {
    sqlx::query(
        "
        update tasks
        set state = 'queued', run_at = $2, lease_owner = null, lease_until = null
        where id = $1 and state in ('queued', 'processing')
        ",
    )
    .bind(task.to_owned())
    .bind(run_at.millis())
    .execute(conn)
    .await?;
    Ok(())
}

async fn take(
    conn: &mut SqliteConnection,
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
    sqlx::query(
        "
        update tasks
        set state = 'processing', attempt = $2, tries = $3, stages = $4,
            lease_owner = $5, lease_until = $6
        where id = $1 and state = 'queued'
        ",
    )
    .bind(id.to_string())
    .bind(i64::from(attempt))
    .bind(i64::from(tries))
    .bind(to_json(&Stages::default())?)
    .bind(worker.to_string())
    .bind(now.plus(LEASE).millis())
    .execute(&mut *conn)
    .await?;
    save_job(conn, &held.stored).await?;
    let job = held.stored.job;
    Ok(Claim { lease: Lease { task: id, job: job.id, worker, attempt }, job, lane, tries })
}

pub(super) async fn beat(store: &SqliteStore, beats: &[Beat]) -> StoreResult<Vec<BeatReply>> {
    if beats.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = store.write().await?;
    let now = store.now();
    let mut replies = Vec::with_capacity(beats.len());
    let mut changed = Vec::new();
    for beat in beats {
        let Some(seen) = seen(&mut tx, beat).await? else {
            replies.push(BeatReply::Lost);
            continue;
        };
        renew(&mut tx, beat, now).await?;
        let progress = beat.stages.progress();
        if progress > seen.progress as f32 {
            advance(&mut tx, &seen.job, progress, now).await?;
        }
        if progress > seen.progress as f32 || to_json(&beat.stages)? != seen.stages {
            changed.push(parse::<JobId>(&seen.job, "jobs", "id", &seen.job)?);
        }
        replies.push(if seen.cancel_asked { BeatReply::CancelAsked } else { BeatReply::Held });
    }
    tx.commit().await?;
    for job in changed {
        store.hints.changed(job);
    }
    Ok(replies)
}

/// What was known of a held task before a beat.
#[derive(sqlx::FromRow)]
struct Seen {
    job: String,
    stages: String,
    progress: f64,
    cancel_asked: bool,
}

async fn seen(conn: &mut SqliteConnection, beat: &Beat) -> StoreResult<Option<Seen>> {
    let fence = Fence::of_beat(beat);
    Ok(sqlx::query_as(
        "
        select
            jobs.id as job,
            tasks.stages,
            jobs.progress,
            jobs.cancel_asked_at is not null as cancel_asked
        from tasks
        join jobs on jobs.id = tasks.job_id
        where tasks.id = $1 and tasks.attempt = $2 and tasks.lease_owner = $3
            and tasks.state = 'processing'
        ",
    )
    .bind(fence.task)
    .bind(i64::from(fence.attempt))
    .bind(fence.owner)
    .fetch_optional(conn)
    .await?)
}

async fn renew(conn: &mut SqliteConnection, beat: &Beat, now: Timestamp) -> StoreResult<()> {
    let fence = Fence::of_beat(beat);
    sqlx::query(
        "
        update tasks
        set lease_until = $4, stages = $5
        where id = $1 and attempt = $2 and lease_owner = $3 and state = 'processing'
        ",
    )
    .bind(fence.task)
    .bind(i64::from(fence.attempt))
    .bind(fence.owner)
    .bind(now.plus(LEASE).millis())
    .bind(to_json(&beat.stages)?)
    .execute(conn)
    .await?;
    Ok(())
}

async fn advance(
    conn: &mut SqliteConnection,
    job: &str,
    progress: f32,
    now: Timestamp,
) -> StoreResult<()> {
    sqlx::query("update jobs set progress = max(progress, $2), updated_at = $3 where id = $1")
        .bind(job.to_owned())
        .bind(f64::from(progress))
        .bind(now.millis())
        .execute(conn)
        .await?;
    Ok(())
}
