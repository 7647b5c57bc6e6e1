//! What has had its time goes: first the outputs, then the job itself.

use super::SqlStore;
use super::database::Transaction;
use super::keep::doom;
use super::statement::sql;
use crate::clock::Timestamp;
use crate::store::StoreResult;

pub(super) async fn expire_outputs(
    store: &SqlStore,
    ended_before: Timestamp,
    limit: u32,
) -> StoreResult<u64> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let jobs = with_outputs(&mut tx, ended_before, limit).await?;
    sql("delete from outputs where job_id in list($1)").bind(jobs.clone()).execute(&mut tx).await?;
    for job in &jobs {
        doom(&mut tx, job, now).await?;
    }
    tx.commit().await?;
    Ok(jobs.len() as u64)
}

async fn with_outputs(
    tx: &mut Transaction,
    ended_before: Timestamp,
    limit: u32,
) -> StoreResult<Vec<String>> {
    sql("
        select id
        from jobs
        where finished_at < $1
            and exists (select 1 from outputs where outputs.job_id = jobs.id)
        order by finished_at
        limit $2
        ")
    .bind(ended_before)
    .bind(limit)
    .values(tx)
    .await
}

pub(super) async fn forget_jobs(
    store: &SqlStore,
    ended_before: Timestamp,
    limit: u32,
) -> StoreResult<u64> {
    let mut tx = store.write().await?;
    let jobs = without_traces(&mut tx, ended_before, limit).await?;
    tx.lock_jobs(jobs.clone()).await?;
    // What was retried before the locks were there stays.
    let jobs: Vec<String> = sql("select id from jobs where id in list($1) and finished_at < $2")
        .bind(jobs)
        .bind(ended_before)
        .values(&mut tx)
        .await?;
    sql("delete from tasks where job_id in list($1)").bind(jobs.clone()).execute(&mut tx).await?;
    // One that the provider has still to be told of stays until then.
    sql("delete from dispatches where job_id in list($1) and due_at is null")
        .bind(jobs.clone())
        .execute(&mut tx)
        .await?;
    let batches: Vec<String> = sql("
        select distinct batch_id from jobs where id in list($1) and batch_id is not null
        ")
    .bind(jobs.clone())
    .values(&mut tx)
    .await?;
    sql("delete from jobs where id in list($1)").bind(jobs.clone()).execute(&mut tx).await?;
    sql("
        delete from batches
        where id in list($1)
            and not exists (select 1 from jobs where jobs.batch_id = batches.id)
        ")
    .bind(batches)
    .execute(&mut tx)
    .await?;
    tx.commit().await?;
    Ok(jobs.len() as u64)
}

/// Jobs of which nothing is left to see and nothing to send again.
async fn without_traces(
    tx: &mut Transaction,
    ended_before: Timestamp,
    limit: u32,
) -> StoreResult<Vec<String>> {
    sql("
        select id
        from jobs
        where finished_at < $1
            and not exists (select 1 from outputs where outputs.job_id = jobs.id)
            and not exists (select 1 from events where events.job_id = jobs.id)
            and not exists (select 1 from events where events.batch_id = jobs.batch_id)
        order by finished_at
        limit $2
        ")
    .bind(ended_before)
    .bind(limit)
    .values(tx)
    .await
}
