//! Jobs are looked at: always whole, always as they were at one moment.

use sqlx::{QueryBuilder, Sqlite};

use super::SqliteStore;
use super::row::{from_json, load, load_one, parse};
use crate::clock::Timestamp;
use crate::id::{BatchId, JobId};
use crate::job::{File, Job};
use crate::store::{BatchView, JobFilter, JobPage, Pressure, StoreResult};

pub(super) async fn job(store: &SqliteStore, id: JobId) -> StoreResult<Option<Job>> {
    let mut tx = store.read().await?;
    let stored = load_one(&mut tx, id).await?;
    Ok(stored.filter(|stored| stored.deleted_at.is_none()).map(|stored| stored.job))
}

pub(super) async fn jobs(store: &SqliteStore, filter: &JobFilter) -> StoreResult<JobPage> {
    let mut tx = store.read().await?;
    let rows: Vec<String> = page(filter).build_query_scalar().fetch_all(&mut *tx).await?;
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
fn page(filter: &JobFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("select id from jobs where deleted_at is null");
    if let Some(kind) = filter.kind {
        query.push(" and kind = ").push_bind(kind.name());
    }
    if let Some(status) = filter.status {
        query.push(" and state = ").push_bind(status.name());
    }
    if let Some(input) = &filter.input {
        query.push(" and input = ").push_bind(input.clone());
    }
    if let Some(batch) = filter.batch_id {
        query.push(" and batch_id = ").push_bind(batch.to_string());
    }
    let (behind, ahead) = if filter.ascending { (">", "<") } else { ("<", ">") };
    if let Some(after) = filter.after {
        query.push(" and id ").push(behind).push(" ").push_bind(after.to_string());
    }
    if let Some(before) = filter.before {
        query.push(" and id ").push(ahead).push(" ").push_bind(before.to_string());
    }
    let order = if filter.ascending == is_backwards(filter) { "desc" } else { "asc" };
    query.push(" order by id ").push(order);
    query.push(" limit ").push_bind(i64::from(filter.limit) + 1);
    query
}

pub(super) async fn batch(store: &SqliteStore, id: BatchId) -> StoreResult<Option<BatchView>> {
    let mut tx = store.read().await?;
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "
        select jobs.id, batches.created_at
        from jobs
        join batches on batches.id = jobs.batch_id
        where jobs.batch_id = $1 and jobs.deleted_at is null
        order by jobs.batch_position
        ",
    )
    .bind(id.to_string())
    .fetch_all(&mut *tx)
    .await?;
    let Some(&(_, created_at)) = rows.first() else { return Ok(None) };
    let mut ids = Vec::with_capacity(rows.len());
    for (row, _) in &rows {
        ids.push(parse(row, "jobs", "id", row)?);
    }
    let jobs = load(&mut tx, &ids).await?.into_iter().map(|stored| stored.job).collect();
    Ok(Some(BatchView { id, jobs, created_at: Timestamp::from_millis(created_at) }))
}

pub(super) async fn pressure(store: &SqliteStore) -> StoreResult<Pressure> {
    let (queued, processing, deliveries_pending): (i64, i64, i64) = sqlx::query_as(
        "
        select
            (select count(*) from tasks where state = 'queued'),
            (select count(*) from tasks where state = 'processing'),
            (select count(*) from deliveries where state = 'pending')
        ",
    )
    .fetch_one(&store.readers)
    .await?;
    Ok(Pressure {
        queued: queued.unsigned_abs(),
        processing: processing.unsigned_abs(),
        deliveries_pending: deliveries_pending.unsigned_abs(),
    })
}

pub(super) async fn output(store: &SqliteStore, key: &str) -> StoreResult<Option<File>> {
    let file: Option<String> = sqlx::query_scalar("select file from outputs where key = $1")
        .bind(key.to_owned())
        .fetch_optional(&store.readers)
        .await?;
    file.map(|file| from_json(&file, "outputs", "file", key)).transpose()
}
