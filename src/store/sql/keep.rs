//! Housekeeping: secrets, garbage, what is old.

use super::SqlStore;
use super::database::Transaction;
use super::statement::sql;
use crate::clock::Timestamp;
use crate::store::{Garbage, StoreError, StoreResult};

pub(super) async fn secret(store: &SqlStore, name: &str, fresh: &str) -> StoreResult<String> {
    let mut tx = store.write().await?;
    sql("insert into secrets (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(name.to_owned())
        .bind(fresh.to_owned())
        .execute(&mut tx)
        .await?;
    let kept: Option<String> =
        sql("select value from secrets where name = $1").bind(name).value(&mut tx).await?;
    tx.commit().await?;
    kept.ok_or(StoreError::Database(sqlx::Error::RowNotFound))
}

/// Notes that nobody refers to what lies under `prefix`, and that it may go from `not_before` on.
pub(super) async fn doom(
    tx: &mut Transaction,
    prefix: &str,
    not_before: Timestamp,
) -> StoreResult<()> {
    sql("
        insert into garbage (prefix, not_before)
        values ($1, $2)
        on conflict (prefix) do update set not_before = excluded.not_before
        where garbage.not_before < excluded.not_before
        ")
    .bind(prefix.to_owned())
    .bind(not_before)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn garbage(store: &SqlStore, limit: u32) -> StoreResult<Vec<Garbage>> {
    let mut tx = store.read().await?;
    let now = store.now(&mut tx).await?;
    let prefixes: Vec<String> = sql("
        select prefix
        from garbage
        where not_before <= $1
        order by not_before, prefix
        limit $2
        ")
    .bind(now)
    .bind(limit)
    .values(&mut tx)
    .await?;
    Ok(prefixes.into_iter().map(|prefix| Garbage { prefix }).collect())
}

pub(super) async fn garbage_removed(store: &SqlStore, garbage: &Garbage) -> StoreResult<()> {
    let mut tx = store.write().await?;
    // What was doomed for later while it was being removed stays, to be removed once more.
    sql("delete from garbage where prefix = $1 and not_before <= $2")
        .bind(garbage.prefix.clone())
        .bind(store.now(&mut tx).await?)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn tidy(
    store: &SqlStore,
    keys_before: Timestamp,
    deliveries_before: Timestamp,
) -> StoreResult<u64> {
    let mut tx = store.write().await?;
    let keys = sql("delete from idempotency where created_at < $1")
        .bind(keys_before)
        .execute(&mut tx)
        .await?;
    let words = sql("delete from early_words where created_at < $1")
        .bind(keys_before)
        .execute(&mut tx)
        .await?;
    // Attempts go with their deliveries (`on delete cascade`).
    let deliveries = sql("delete from deliveries where finished_at < $1")
        .bind(deliveries_before)
        .execute(&mut tx)
        .await?;
    let events = sql("
        delete from events
        where created_at < $1
            and not exists (select 1 from deliveries where deliveries.event_id = events.id)
        ")
    .bind(deliveries_before)
    .execute(&mut tx)
    .await?;
    // A destination that is disabled is remembered: it asked for no more.
    let destinations = sql("
        delete from destinations
        where disabled_at is null
            and not exists (
                select 1 from deliveries where deliveries.destination = destinations.id
            )
        ")
    .execute(&mut tx)
    .await?;
    // What lasts that long is told again when it is next seen.
    let conditions = sql("delete from conditions where since < $1")
        .bind(deliveries_before)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(keys + words + deliveries + events + destinations + conditions)
}

/// Reads a table, not only the connection.
pub(super) async fn ping(store: &SqlStore) -> StoreResult<()> {
    let mut tx = store.read().await?;
    sql("select id from jobs limit 1").values::<String>(&mut tx).await?;
    Ok(())
}
