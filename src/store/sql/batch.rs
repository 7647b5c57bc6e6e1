//! Jobs that belong together: looked at as one, and told of as one when the last has ended.

use std::collections::HashMap;

use super::SqlStore;
use super::database::Transaction;
use super::event;
use super::lookup::{Cursor, turned};
use super::row::{load, number, parse, to_json, unknown};
use super::statement::{Statement, sql};
use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::{BatchId, JobId};
use crate::job::{Batch, BatchSummary, BatchView, Counts, Job, Status};
use crate::store::{BatchFilter, BatchPage, EventKind, StoreResult};

pub(super) async fn batch(
    store: &SqlStore,
    project: &Project,
    id: BatchId,
) -> StoreResult<Option<Batch>> {
    let mut tx = store.read().await?;
    load_batch(&mut tx, project, id).await
}

/// The batch of a project with those of its jobs that can be seen; none when no job can.
async fn load_batch(
    tx: &mut Transaction,
    project: &Project,
    id: BatchId,
) -> StoreResult<Option<Batch>> {
    let rows: Vec<(String, i64)> = sql("
        select jobs.id, batches.created_at
        from jobs
        join batches on batches.id = jobs.batch_id
        where jobs.batch_id = $1 and jobs.deleted_at is null and batches.project = $2
        order by jobs.batch_position
        ")
    .bind(id.to_string())
    .bind(project.as_str())
    .rows(tx)
    .await?;
    let Some(&(_, created_at)) = rows.first() else { return Ok(None) };
    let mut ids = Vec::with_capacity(rows.len());
    for (row, _) in &rows {
        ids.push(parse(row, "jobs", "id", row)?);
    }
    let jobs = load(tx, &ids).await?.into_iter().map(|stored| stored.job).collect();
    Ok(Some(Batch { id, jobs, created_at: Timestamp::from_millis(created_at) }))
}

pub(super) async fn batches(
    store: &SqlStore,
    project: &Project,
    filter: &BatchFilter,
) -> StoreResult<BatchPage> {
    let mut tx = store.read().await?;
    let cursor = Cursor {
        after: filter.after.map(|id| id.to_string()),
        before: filter.before.map(|id| id.to_string()),
        ascending: filter.ascending,
        limit: filter.limit,
    };
    let ids: Vec<String> = page(project, filter, &cursor).values(&mut tx).await?;
    let (ids, has_more) = turned(ids, &cursor);
    let batches = summaries(&mut tx, &ids).await?;
    Ok(BatchPage { batches, has_more })
}

/// The ids of a page: of batches with a job that can be seen.
fn page(project: &Project, filter: &BatchFilter, cursor: &Cursor) -> Statement {
    let mut page = Statement::begin(
        "
        select id
        from batches
        where exists (
            select 1 from jobs
            where jobs.batch_id = batches.id and jobs.deleted_at is null",
    );
    if let Some(input) = &filter.input {
        page = page.push_input(input);
    }
    // `offset 0` keeps Postgres from joining: it would read the jobs of all batches in front of the
    // page, and a page far back would take as long as there are jobs.
    cursor.push_to(page.push_bind(" limit 1 offset 0) and project = ", project.as_str()))
}

#[derive(sqlx::FromRow)]
struct CountRow {
    id: String,
    created_at: i64,
    state: String,
    jobs: i64,
    last_end: Option<i64>,
}

/// How the batches with these ids stand, in the order of the ids.
async fn summaries(tx: &mut Transaction, ids: &[String]) -> StoreResult<Vec<BatchSummary>> {
    let rows: Vec<CountRow> = sql("
        select
            batches.id, batches.created_at, jobs.state, count(*) as jobs,
            max(jobs.finished_at) as last_end
        from batches
        join jobs on jobs.batch_id = batches.id
        where batches.id in list($1) and jobs.deleted_at is null
        group by batches.id, batches.created_at, jobs.state
        ")
    .bind(ids.to_vec())
    .rows(tx)
    .await?;
    let mut found: HashMap<String, BatchSummary> = HashMap::new();
    for row in rows {
        let status = Status::from_name(&row.state)
            .ok_or_else(|| unknown("jobs", "state", &row.id, &row.state))?;
        let id = parse(&row.id, "batches", "id", &row.id)?;
        let jobs = number(row.jobs, "batches", "jobs", &row.id)?;
        let batch = found.entry(row.id).or_insert_with(|| BatchSummary {
            id,
            counts: Counts::default(),
            created_at: Timestamp::from_millis(row.created_at),
            last_end: None,
        });
        batch.counts.add(status, jobs);
        batch.last_end = batch.last_end.max(row.last_end.map(Timestamp::from_millis));
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// Writes the event of a batch when `job`, which has just ended and is not yet saved, was the last
/// of it. The caller has the batch for itself: of two jobs that end at once, the second sees that
/// the first has.
pub(super) async fn tell_end(tx: &mut Transaction, job: &Job, now: Timestamp) -> StoreResult<()> {
    let Some(id) = job.batch_id else { return Ok(()) };
    if is_open_beside(tx, id, job.id).await? {
        return Ok(());
    }
    let Some(mut batch) = load_batch(tx, &job.project, id).await? else { return Ok(()) };
    if let Some(last) = batch.jobs.iter_mut().find(|of_batch| of_batch.id == job.id) {
        *last = job.clone();
    }
    let seq: Option<i64> = sql("update batches set seq = seq + 1 where id = $1 returning seq")
        .bind(id.to_string())
        .value(tx)
        .await?;
    let event = event::Event {
        of: event::Subject::Batch(id),
        kind: EventKind::BatchFinished,
        seq: number(seq.unwrap_or_default(), "batches", "seq", &id.to_string())?,
        body: to_json(&BatchView::of(&batch))?,
    };
    event.write(tx, job, now).await
}

/// Whether any other job of the batch has not ended, deleted or not.
async fn is_open_beside(tx: &mut Transaction, id: BatchId, job: JobId) -> StoreResult<bool> {
    let open: Vec<i64> = sql("
        select cast(1 as bigint)
        from jobs
        where batch_id = $1 and id <> $2 and finished_at is null
        limit 1
        ")
    .bind(id.to_string())
    .bind(job.to_string())
    .values(tx)
    .await?;
    Ok(!open.is_empty())
}
