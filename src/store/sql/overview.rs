//! Who works, who listens, and what it takes: for people to look at.

use std::time::Duration;

use super::SqlStore;
use super::database::Transaction;
use super::row::{from_json, number, parse, to_json};
use super::statement::sql;
use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::{JobId, WorkerId, first_of};
use crate::job::{Counts, Status};
use crate::store::{
    Attempt, COUNTED, Destination, StoreResult, Usage, WORKER_SILENCE, WorkerReport, WorkerSeen,
};
use crate::task::Task;

/// How long a process is remembered that says nothing any more.
const REMEMBERED: Duration = Duration::from_hours(24);

/// How many attempts of a job are shown.
const ATTEMPTS: i64 = 50;

/// How many destinations are listed.
const DESTINATIONS: i64 = 100;

/// Writes down that an attempt has begun.
pub(super) async fn begin_attempt(
    tx: &mut Transaction,
    task: &Task,
    worker: WorkerId,
    now: Timestamp,
) -> StoreResult<()> {
    sql("
        insert into attempts (task_id, attempt, worker, started_at)
        values ($1, $2, $3, $4)
        ")
    .bind(task.id.to_string())
    .bind(task.attempt)
    .bind(worker.to_string())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes down how the task's present attempt has ended.
pub(super) async fn end_attempt(
    tx: &mut Transaction,
    task: &Task,
    now: Timestamp,
) -> StoreResult<()> {
    sql("update attempts set ended_at = $3, stages = $4 where task_id = $1 and attempt = $2")
        .bind(task.id.to_string())
        .bind(task.attempt)
        .bind(now)
        .bind(to_json(&task.stages)?)
        .execute(tx)
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct AttemptRow {
    task_id: String,
    attempt: i64,
    worker: String,
    name: Option<String>,
    started_at: i64,
    ended_at: Option<i64>,
    stages: String,
}

pub(super) async fn attempts(
    store: &SqlStore,
    project: &Project,
    job: JobId,
) -> StoreResult<Vec<Attempt>> {
    let mut tx = store.read().await?;
    let mut rows: Vec<AttemptRow> = sql("
        select
            attempts.task_id, attempts.attempt, attempts.worker, workers.name,
            attempts.started_at, attempts.ended_at, attempts.stages
        from attempts
        join tasks on tasks.id = attempts.task_id
        join jobs on jobs.id = tasks.job_id
        left join workers on workers.id = attempts.worker
        where tasks.job_id = $1 and jobs.project = $3 and jobs.deleted_at is null
        order by attempts.started_at desc, attempts.attempt desc
        limit $2
        ")
    .bind(job.to_string())
    .bind(ATTEMPTS)
    .bind(project.as_str())
    .rows(&mut tx)
    .await?;
    rows.reverse();
    rows.into_iter().map(AttemptRow::read).collect()
}

impl AttemptRow {
    fn read(self) -> StoreResult<Attempt> {
        let row = &self.task_id;
        Ok(Attempt {
            task: parse(row, "attempts", "task_id", row)?,
            attempt: number(self.attempt, "attempts", "attempt", row)?,
            worker: parse(&self.worker, "attempts", "worker", row)?,
            worker_name: self.name,
            started_at: Timestamp::from_millis(self.started_at),
            ended_at: self.ended_at.map(Timestamp::from_millis),
            stages: from_json(&self.stages, "attempts", "stages", row)?,
        })
    }
}

pub(super) async fn report_worker(store: &SqlStore, report: &WorkerReport) -> StoreResult<()> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    sql("
        insert into workers (id, name, about, started_at, seen_at, expected_by)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (id) do update
        set name = excluded.name, about = excluded.about, seen_at = excluded.seen_at,
            expected_by = excluded.expected_by
        ")
    .bind(report.id.to_string())
    .bind(report.name.as_str())
    .bind(to_json(report)?)
    .bind(report.started_at)
    .bind(now)
    .bind(now.plus(WORKER_SILENCE))
    .execute(&mut tx)
    .await?;
    sql("delete from workers where seen_at < $1")
        .bind(now.minus(REMEMBERED))
        .execute(&mut tx)
        .await?;
    tx.commit().await
}

pub(super) async fn say_goodbye(store: &SqlStore, worker: WorkerId) -> StoreResult<()> {
    let mut tx = store.write().await?;
    sql("update workers set expected_by = null where id = $1")
        .bind(worker.to_string())
        .execute(&mut tx)
        .await?;
    tx.commit().await
}

#[derive(sqlx::FromRow)]
struct WorkerRow {
    id: String,
    about: String,
    seen_at: i64,
    is_there: bool,
    running: i64,
}

pub(super) async fn workers(store: &SqlStore) -> StoreResult<Vec<WorkerSeen>> {
    let mut tx = store.read().await?;
    let now = store.now(&mut tx).await?;
    let rows: Vec<WorkerRow> = sql("
        select
            workers.id, workers.about, workers.seen_at,
            coalesce(workers.expected_by > $1, false) as is_there,
            coalesce(held.tasks, 0) as running
        from workers
        left join (
            select lease_owner, count(*) as tasks
            from tasks
            where state = 'processing'
            group by lease_owner
        ) as held on held.lease_owner = workers.id
        order by workers.started_at, workers.id
        ")
    .bind(now)
    .rows(&mut tx)
    .await?;
    let seen = rows.into_iter().map(|row| {
        Ok(WorkerSeen {
            report: from_json(&row.about, "workers", "about", &row.id)?,
            seen_at: Timestamp::from_millis(row.seen_at),
            is_there: row.is_there,
            running: number(row.running, "workers", "id", &row.id)?,
        })
    });
    seen.collect()
}

#[derive(sqlx::FromRow)]
struct DestinationRow {
    id: String,
    failures: i64,
    failing_since: Option<i64>,
    disabled_at: Option<i64>,
    pending: i64,
    undelivered: i64,
}

pub(super) async fn destinations(
    store: &SqlStore,
    project: &Project,
) -> StoreResult<Vec<Destination>> {
    let mut tx = store.read().await?;
    let rows: Vec<DestinationRow> = sql("
        select
            listed.id, listed.failures, listed.failing_since, listed.disabled_at,
            (
                select count(*) from (
                    select 1 from deliveries
                    where destination = listed.id and state = 'pending' and project = $3
                    limit $2
                ) as waiting
            ) as pending,
            (
                select count(*) from (
                    select 1 from deliveries
                    where destination = listed.id and state in ('failed', 'held')
                        and project = $3
                    limit $2
                ) as unsent
            ) as undelivered
        from (
            select id, failures, failing_since, disabled_at
            from destinations
            where exists (
                select 1 from deliveries
                where deliveries.destination = destinations.id and deliveries.project = $3
            )
            order by
                case when disabled_at is null then 1 else 0 end,
                case when failures > 0 then 0 else 1 end,
                id
            limit $1
        ) as listed
        order by
            case when listed.disabled_at is null then 1 else 0 end,
            case when listed.failures > 0 then 0 else 1 end,
            listed.id
        ")
    .bind(DESTINATIONS)
    .bind(COUNTED)
    .bind(project.as_str())
    .rows(&mut tx)
    .await?;
    let read = rows.into_iter().map(|row| {
        Ok(Destination {
            failures: number(row.failures, "destinations", "failures", &row.id)?,
            failing_since: row.failing_since.map(Timestamp::from_millis),
            disabled_at: row.disabled_at.map(Timestamp::from_millis),
            pending: number(row.pending, "destinations", "id", &row.id)?,
            undelivered: number(row.undelivered, "destinations", "id", &row.id)?,
            url: row.id,
        })
    });
    read.collect()
}

pub(super) async fn usage(store: &SqlStore) -> StoreResult<Usage> {
    let mut tx = store.read().await?;
    let sums = sql("
        select
            (select count(*) from outputs where stored_bytes > 0),
            (select cast(coalesce(sum(stored_bytes), 0) as bigint) from outputs where stored_bytes > 0),
            (select count(*) from uploads),
            (select cast(coalesce(sum(received), 0) as bigint) from uploads)
        ");
    let (outputs, output_bytes, uploads, upload_bytes) =
        sums.row::<(i64, i64, i64, i64)>(&mut tx).await?.unwrap_or_default();
    Ok(Usage {
        outputs: outputs.unsigned_abs(),
        output_bytes: output_bytes.unsigned_abs(),
        uploads: uploads.unsigned_abs(),
        upload_bytes: upload_bytes.unsigned_abs(),
    })
}

pub(super) async fn tally(
    store: &SqlStore,
    project: &Project,
    since: Timestamp,
) -> StoreResult<Counts> {
    let mut tx = store.read().await?;
    // Ids sort by the time they were made, and the index has both.
    let first = first_of::<crate::id::JobTag>(since).to_string();
    let mut counts = Counts::default();
    for status in Status::ALL {
        let text = "
            select count(*) from (
                select 1 from jobs
                where project = $4 and state = $1 and id >= $2 and deleted_at is null
                limit $3
            ) as made
            ";
        let of = sql(text).bind(status.name()).bind(first.as_str()).bind(COUNTED);
        let of = of.bind(project.as_str());
        let jobs: i64 = of.value(&mut tx).await?.unwrap_or_default();
        counts.add(status, number(jobs, "jobs", "state", status.name())?);
    }
    Ok(counts)
}
