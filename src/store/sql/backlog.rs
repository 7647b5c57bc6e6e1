//! What waits and what runs, counted. Every count is over rows that an index has apart.

use super::SqlStore;
use super::database::Transaction;
use super::row::unknown;
use super::statement::sql;
use crate::clock::Timestamp;
use crate::store::{Backlog, BacklogRow, StoreResult};
use crate::task::{Kind, Lane};

pub(super) async fn backlog(store: &SqlStore) -> StoreResult<Backlog> {
    let mut tx = store.read().await?;
    let now = store.now(&mut tx).await?;
    let (pending, first_due) = deliveries(&mut tx).await?;
    Ok(Backlog {
        tasks: tasks(&mut tx, now).await?,
        deliveries_pending: pending.unsigned_abs(),
        deliveries_overdue: first_due.map_or_else(Default::default, |at| overdue(at, now)),
        destinations_disabled: disabled(&mut tx).await?.unsigned_abs(),
    })
}

#[derive(sqlx::FromRow)]
struct TaskRow {
    lane: String,
    kind: String,
    queued: i64,
    processing: i64,
    first_due: Option<i64>,
}

async fn tasks(tx: &mut Transaction, now: Timestamp) -> StoreResult<Vec<BacklogRow>> {
    // One branch for each index: `tasks_due`, `tasks_running`, `tasks_away`.
    let rows: Vec<TaskRow> = sql("
        select
            lane, kind, cast(sum(queued) as bigint) as queued,
            cast(sum(processing) as bigint) as processing, min(first_due) as first_due
        from (
            select lane, kind, count(*) as queued, 0 as processing, min(run_at) as first_due
            from tasks where state = 'queued' group by lane, kind
            union all
            select lane, kind, 0, count(*), null
            from tasks where state = 'processing' group by lane, kind
            union all
            select lane, kind, 0, count(*), null
            from tasks where provider_id is not null group by lane, kind
        ) as counted
        group by lane, kind
        order by lane, kind
        ")
    .rows(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let lane = Lane::from_name(&row.lane)
                .ok_or_else(|| unknown("tasks", "lane", &row.lane, &row.lane))?;
            let kind = Kind::from_name(&row.kind)
                .ok_or_else(|| unknown("tasks", "kind", &row.kind, &row.kind))?;
            Ok(BacklogRow {
                lane,
                kind,
                queued: row.queued.unsigned_abs(),
                processing: row.processing.unsigned_abs(),
                overdue: row.first_due.map_or_else(Default::default, |at| overdue(at, now)),
            })
        })
        .collect()
}

/// How many wait, and when the first of them is due.
async fn deliveries(tx: &mut Transaction) -> StoreResult<(i64, Option<i64>)> {
    let text = "select count(*), min(run_at) from deliveries where state = 'pending'";
    Ok(sql(text).row(tx).await?.unwrap_or_default())
}

async fn disabled(tx: &mut Transaction) -> StoreResult<i64> {
    let text = "select count(*) from destinations where disabled_at is not null";
    Ok(sql(text).value(tx).await?.unwrap_or_default())
}

fn overdue(at: i64, now: Timestamp) -> std::time::Duration {
    now.since(Timestamp::from_millis(at))
}
