//! Jobs are looked at: always whole, always as they were at one moment.

use super::SqlStore;
use super::row::{from_json, load, load_one, parse};
use super::statement::{Statement, sql};
use crate::clock::Timestamp;
use crate::id::{BatchId, JobId};
use crate::job::{File, Job};
use crate::store::{BatchView, JobFilter, JobPage, Pressure, StoreResult};

pub(super) async fn job(store: &SqlStore, id: JobId) -> StoreResult<Option<Job>> {
    let mut tx = store.read().await?;
    let stored = load_one(&mut tx, id).await?;
    Ok(stored.filter(|stored| stored.deleted_at.is_none()).map(|stored| stored.job))
}

pub(super) async fn jobs(store: &SqlStore, filter: &JobFilter) -> StoreResult<JobPage> {
    let mut tx = store.read().await?;
    let rows: Vec<String> = page(filter).values(&mut tx).await?;
    let mut ids = Vec::with_capacity(rows.len());
    for row in &rows {
        ids.push(parse(row, "jobs", "id", row)?);
    }
    let limit = filter.limit as usize;
    let has_more = ids.len() > limit;
    ids.truncate(limit);
    if is_backwards(filter) {
        ids.reverse();
    }
    let jobs = load(&mut tx, &ids).await?;
    Ok(JobPage { jobs: jobs.into_iter().map(|stored| stored.job).collect(), has_more })
}

/// A page before a cursor is read from the cursor outwards and turned round afterwards.
const fn is_backwards(filter: &JobFilter) -> bool {
    filter.before.is_some() && filter.after.is_none()
}

/// The ids of a page and of one job more, from which it is seen that there are more.
fn page(filter: &JobFilter) -> Statement {
    let mut page = Statement::begin("select id from jobs where deleted_at is null");
    if let Some(kind) = filter.kind {
        page = page.push_bind(" and kind = ", kind.name());
    }
    if let Some(status) = filter.status {
        page = page.push_bind(" and state = ", status.name());
    }
    if let Some(input) = &filter.input {
        page = page.push_bind(" and input = ", input.clone());
    }
    if let Some(batch) = filter.batch_id {
        page = page.push_bind(" and batch_id = ", batch.to_string());
    }
    let (behind, ahead) =
        if filter.ascending { (" and id > ", " and id < ") } else { (" and id < ", " and id > ") };
    if let Some(after) = filter.after {
        page = page.push_bind(behind, after.to_string());
    }
    if let Some(before) = filter.before {
        page = page.push_bind(ahead, before.to_string());
    }
    let descending = filter.ascending == is_backwards(filter);
    page.push(if descending { " order by id desc" } else { " order by id asc" })
        .push_bind(" limit ", i64::from(filter.limit) + 1)
}

pub(super) async fn batch(store: &SqlStore, id: BatchId) -> StoreResult<Option<BatchView>> {
    let mut tx = store.read().await?;
    let rows: Vec<(String, i64)> = sql("
        select jobs.id, batches.created_at
        from jobs
        join batches on batches.id = jobs.batch_id
        where jobs.batch_id = $1 and jobs.deleted_at is null
        order by jobs.batch_position
        ")
    .bind(id.to_string())
    .rows(&mut tx)
    .await?;
    let Some(&(_, created_at)) = rows.first() else { return Ok(None) };
    let mut ids = Vec::with_capacity(rows.len());
    for (row, _) in &rows {
        ids.push(parse(row, "jobs", "id", row)?);
    }
    let jobs = load(&mut tx, &ids).await?.into_iter().map(|stored| stored.job).collect();
    Ok(Some(BatchView { id, jobs, created_at: Timestamp::from_millis(created_at) }))
}

pub(super) async fn pressure(store: &SqlStore) -> StoreResult<Pressure> {
    let mut tx = store.read().await?;
    let counts: Option<(i64, i64, i64)> = sql("
        select
            (select count(*) from tasks where state = 'queued'),
            (select count(*) from tasks where state = 'processing'),
            (select count(*) from deliveries where state = 'pending')
        ")
    .row(&mut tx)
    .await?;
    let (queued, processing, deliveries_pending) = counts.unwrap_or_default();
    Ok(Pressure {
        queued: queued.unsigned_abs(),
        processing: processing.unsigned_abs(),
        deliveries_pending: deliveries_pending.unsigned_abs(),
    })
}

pub(super) async fn output(store: &SqlStore, key: &str) -> StoreResult<Option<File>> {
    let mut tx = store.read().await?;
    let file: Option<String> =
        sql("select file from outputs where key = $1").bind(key).value(&mut tx).await?;
    file.map(|file| from_json(&file, "outputs", "file", key)).transpose()
}
