//! Housekeeping: secrets, garbage, what is old.

use sqlx::SqliteConnection;

use super::SqliteStore;
use crate::clock::Timestamp;
use crate::store::{Garbage, StoreResult};

pub(super) async fn secret(store: &SqliteStore, name: &str, fresh: &str) -> StoreResult<String> {
    let mut tx = store.write().await?;
    sqlx::query("insert into secrets (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(name.to_owned())
        .bind(fresh.to_owned())
        .execute(&mut *tx)
        .await?;
    let kept = sqlx::query_scalar("select value from secrets where name = $1")
        .bind(name.to_owned())
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(kept)
}

/// Notes that nobody refers to what lies under `prefix`, and that it may go from `not_before` on.
pub(super) async fn doom(
    conn: &mut SqliteConnection,
    prefix: &str,
    not_before: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "
        insert into garbage (prefix, not_before)
        values ($1, $2)
        on conflict (prefix) do update set not_before = max(not_before, excluded.not_before)
        ",
    )
    .bind(prefix.to_owned())
    .bind(not_before.millis())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn garbage(store: &SqliteStore, limit: u32) -> StoreResult<Vec<Garbage>> {
    let prefixes: Vec<String> = sqlx::query_scalar(
        "
        select prefix
        from garbage
        where not_before <= $1
        order by not_before, prefix
        limit $2
        ",
    )
    .bind(store.now().millis())
    .bind(i64::from(limit))
    .fetch_all(&store.readers)
    .await?;
    Ok(prefixes.into_iter().map(|prefix| Garbage { prefix }).collect())
}

pub(super) async fn garbage_removed(store: &SqliteStore, garbage: &Garbage) -> StoreResult<()> {
    let mut tx = store.write().await?;
    // What was doomed for later while it was being removed stays, to be removed once more.
    sqlx::query("delete from garbage where prefix = $1 and not_before <= $2")
        .bind(garbage.prefix.clone())
        .bind(store.now().millis())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn tidy(
    store: &SqliteStore,
    keys_before: Timestamp,
    deliveries_before: Timestamp,
) -> StoreResult<u64> {
    let mut tx = store.write().await?;
    let keys = sqlx::query("delete from idempotency where created_at < $1")
        .bind(keys_before.millis())
        .execute(&mut *tx)
        .await?;
    // Attempts go with their deliveries (`on delete cascade`).
    let deliveries = sqlx::query("delete from deliveries where finished_at < $1")
        .bind(deliveries_before.millis())
        .execute(&mut *tx)
        .await?;
    let events = sqlx::query(
        "
        delete from events
        where created_at < $1
            and not exists (select 1 from deliveries where deliveries.event_id = events.id)
        ",
    )
    .bind(deliveries_before.millis())
    .execute(&mut *tx)
    .await?;
    // A destination that is disabled is remembered: it asked for no more.
    let destinations = sqlx::query(
        "
        delete from destinations
        where disabled_at is null
            and not exists (
                select 1 from deliveries where deliveries.destination = destinations.id
            )
        ",
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    let gone = [keys, deliveries, events, destinations];
    Ok(gone.iter().map(sqlx::sqlite::SqliteQueryResult::rows_affected).sum())
}

/// Reads the file, not only the connection.
pub(super) async fn ping(store: &SqliteStore) -> StoreResult<()> {
    sqlx::query("select 1 from sqlite_schema limit 1").execute(&store.readers).await?;
    Ok(())
}
