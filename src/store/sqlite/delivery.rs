//! Deliveries are taken on leases, fairly, and what came of them is written down.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::SqliteStore;
use super::event::{self, body};
use super::row::{number, parse, to_json, unknown};
use crate::clock::Timestamp;
use crate::id::DeliveryId;
use crate::store::{
    AttemptOutcome, Delivery, DeliveryFilter, DueDelivery, EventKind, SettleDelivery, Settled,
    StoreError, StoreResult,
};

/// After how many failures in a row a destination gets one delivery at a time.
const FAILING: i64 = 5;

/// How many attempts of a delivery are kept in the log.
const KEPT_ATTEMPTS: i64 = 50;

/// How long a delivery rests whose event cannot be read.
const ASIDE: Duration = Duration::from_hours(1);

pub(super) async fn claim(
    store: &SqliteStore,
    limit: u32,
    per_destination: u32,
    lease: Duration,
) -> StoreResult<Vec<DueDelivery>> {
    let mut tx = store.write().await?;
    let now = store.now();
    let mut taken = Vec::new();
    for id in due(&mut tx, limit, per_destination, now).await? {
        match take(&mut tx, &id, now.plus(lease)).await {
            Ok(due) => taken.push(due),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(
                    delivery.id = id,
                    error = &error as &dyn std::error::Error,
                    "a delivery was set aside for an hour because it cannot be read"
                );
                set_aside(&mut tx, &id, now.plus(ASIDE)).await?;
            }
            Err(error) => return Err(error),
        }
    }
    tx.commit().await?;
    Ok(taken)
}

/// Deliveries whose turn it is: the first of every destination, then the second of each, so that
/// a destination with a long queue does not stand in front of the others.
async fn due(
    conn: &mut SqliteConnection,
    limit: u32,
    per_destination: u32,
    now: Timestamp,
) -> StoreResult<Vec<String>> {
    Ok(sqlx::query_scalar(
        "
        with in_flight as (
            select destination, count(*) as deliveries
            from deliveries
            where state = 'pending' and lease_until > $1
            group by destination
        ),
        waiting as (
            select
                deliveries.id,
                deliveries.run_at,
                row_number() over (
                    partition by deliveries.destination
                    order by deliveries.run_at, deliveries.id
                ) as turn,
                iif(destinations.failures >= $4, min(1, $3), $3)
                    - coalesce(in_flight.deliveries, 0) as room
            from deliveries
            join destinations on destinations.id = deliveries.destination
            left join in_flight on in_flight.destination = deliveries.destination
            where deliveries.state = 'pending'
                and deliveries.run_at <= $1
                and (deliveries.lease_until is null or deliveries.lease_until <= $1)
        )
        select id
        from waiting
        where turn <= room
        order by turn, run_at, id
        limit $2
        ",
    )
    .bind(now.millis())
    .bind(i64::from(limit))
    .bind(i64::from(per_destination))
    .bind(FAILING)
    .fetch_all(conn)
    .await?)
}

#[derive(sqlx::FromRow)]
struct DueRow {
    event_id: String,
    kind: String,
    seq: i64,
    body: String,
    url: String,
    attempt: i64,
    tries: i64,
    failing_since: Option<i64>,
}

async fn take(
    conn: &mut SqliteConnection,
    id: &str,
    lease_until: Timestamp,
) -> StoreResult<DueDelivery> {
    sqlx::query(
        "
        update deliveries
        set attempt = attempt + 1, tries = tries + 1, lease_until = $2
        where id = $1
        ",
    )
    .bind(id.to_owned())
    .bind(lease_until.millis())
    .execute(&mut *conn)
    .await?;
    let row: DueRow = sqlx::query_as(
        "
        select
            deliveries.event_id, events.kind, events.seq, events.body, deliveries.url,
            deliveries.attempt, deliveries.tries, destinations.failing_since
        from deliveries
        join events on events.id = deliveries.event_id
        join destinations on destinations.id = deliveries.destination
        where deliveries.id = $1
        ",
    )
    .bind(id.to_owned())
    .fetch_one(conn)
    .await?;
    row.read(id)
}

impl DueRow {
    fn read(self, id: &str) -> StoreResult<DueDelivery> {
        let event = &self.event_id;
        Ok(DueDelivery {
            id: parse(id, "deliveries", "id", id)?,
            event: parse(event, "deliveries", "event_id", id)?,
            kind: EventKind::from_name(&self.kind)
                .ok_or_else(|| unknown("events", "kind", event, &self.kind))?,
            seq: number(self.seq, "events", "seq", event)?,
            job: body(&self.body, event)?,
            url: parse(&self.url, "deliveries", "url", id)?,
            attempt: number(self.attempt, "deliveries", "attempt", id)?,
            tries: number(self.tries, "deliveries", "tries", id)?,
            failing_since: self.failing_since.map(Timestamp::from_millis),
        })
    }
}

async fn set_aside(conn: &mut SqliteConnection, id: &str, run_at: Timestamp) -> StoreResult<()> {
    sqlx::query("update deliveries set run_at = $2, lease_until = null where id = $1")
        .bind(id.to_owned())
        .bind(run_at.millis())
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn settle(store: &SqliteStore, settle: SettleDelivery) -> StoreResult<Settled> {
    let mut tx = store.write().await?;
    let now = store.now();
    let Some(destination) = spend(&mut tx, &settle).await? else { return Ok(Settled::Lost) };
    log(&mut tx, &settle).await?;
    match settle.outcome {
        AttemptOutcome::Delivered => {
            end(&mut tx, &settle, "delivered", now).await?;
            trust(&mut tx, &destination).await?;
        }
        AttemptOutcome::RetryIn(wait) => {
            wait_until(&mut tx, &settle, now.plus(wait)).await?;
            distrust(&mut tx, &destination, now).await?;
        }
        AttemptOutcome::Failed => {
            end(&mut tx, &settle, "failed", now).await?;
            distrust(&mut tx, &destination, now).await?;
        }
        AttemptOutcome::Disable => {
            distrust(&mut tx, &destination, now).await?;
            disable(&mut tx, &destination, now).await?;
        }
    }
    tx.commit().await?;
    // Its destination has room for another one now.
    store.hints.delivery_due.notify_one();
    Ok(Settled::Done)
}

/// Ends the lease of the attempt and returns the destination; none when it was lost.
///
/// A delivery that was held while it was on its way keeps its lease: if it arrived, it arrived.
async fn spend(
    conn: &mut SqliteConnection,
    settle: &SettleDelivery,
) -> StoreResult<Option<String>> {
    Ok(sqlx::query_scalar(
        "
        update deliveries
        set lease_until = null
        where id = $1 and attempt = $2 and lease_until is not null
            and state in ('pending', 'held')
        returning destination
        ",
    )
    .bind(settle.id.to_string())
    .bind(i64::from(settle.attempt))
    .fetch_optional(conn)
    .await?)
}

async fn log(conn: &mut SqliteConnection, settle: &SettleDelivery) -> StoreResult<()> {
    sqlx::query(
        "insert into delivery_attempts (delivery_id, position, at, record) values ($1, $2, $3, $4)",
    )
    .bind(settle.id.to_string())
    .bind(i64::from(settle.attempt))
    .bind(settle.record.at.millis())
    .bind(to_json(&settle.record)?)
    .execute(&mut *conn)
    .await?;
    sqlx::query("delete from delivery_attempts where delivery_id = $1 and position <= $2")
        .bind(settle.id.to_string())
        .bind(i64::from(settle.attempt) - KEPT_ATTEMPTS)
        .execute(conn)
        .await?;
    Ok(())
}

async fn end(
    conn: &mut SqliteConnection,
    settle: &SettleDelivery,
    state: &'static str,
    now: Timestamp,
) -> StoreResult<()> {
    sqlx::query("update deliveries set state = $2, finished_at = $3 where id = $1")
        .bind(settle.id.to_string())
        .bind(state)
        .bind(now.millis())
        .execute(conn)
        .await?;
    Ok(())
}

/// One that is held meanwhile stays held.
async fn wait_until(
    conn: &mut SqliteConnection,
    settle: &SettleDelivery,
    run_at: Timestamp,
) -> StoreResult<()> {
    sqlx::query("update deliveries set run_at = $2 where id = $1 and state = 'pending'")
        .bind(settle.id.to_string())
        .bind(run_at.millis())
        .execute(conn)
        .await?;
    Ok(())
}

async fn trust(conn: &mut SqliteConnection, destination: &str) -> StoreResult<()> {
    sqlx::query("update destinations set failures = 0, failing_since = null where id = $1")
        .bind(destination.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

async fn distrust(
    conn: &mut SqliteConnection,
    destination: &str,
    now: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "
        update destinations
        set failures = failures + 1, failing_since = coalesce(failing_since, $2)
        where id = $1
        ",
    )
    .bind(destination.to_owned())
    .bind(now.millis())
    .execute(conn)
    .await?;
    Ok(())
}

async fn disable(
    conn: &mut SqliteConnection,
    destination: &str,
    now: Timestamp,
) -> StoreResult<()> {
    sqlx::query("update destinations set disabled_at = coalesce(disabled_at, $2) where id = $1")
        .bind(destination.to_owned())
        .bind(now.millis())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "
        update deliveries
        set state = 'held', finished_at = $2
        where destination = $1 and state = 'pending'
        ",
    )
    .bind(destination.to_owned())
    .bind(now.millis())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn next_at(store: &SqliteStore) -> StoreResult<Option<Timestamp>> {
    let next: Option<i64> = sqlx::query_scalar(
        "
        -- One that is due while another is on its way to the same destination waits for that
        -- one: counting it as due would make its deliverer ask again and again.
        with leased as (
            select destination, min(lease_until) as lease_until
            from deliveries
            where state = 'pending' and lease_until > $1
            group by destination
        )
        select min(
            case
                when deliveries.lease_until > $1 then deliveries.lease_until
                when deliveries.run_at > $1 then deliveries.run_at
                else coalesce(leased.lease_until, deliveries.run_at)
            end
        )
        from deliveries
        left join leased on leased.destination = deliveries.destination
        where deliveries.state = 'pending'
        ",
    )
    .bind(store.now().millis())
    .fetch_one(&store.readers)
    .await?;
    Ok(next.map(Timestamp::from_millis))
}

pub(super) async fn replay(store: &SqliteStore, id: DeliveryId) -> StoreResult<Option<Delivery>> {
    let mut tx = store.write().await?;
    let now = store.now();
    let destination: Option<String> = sqlx::query_scalar(
        "
        update deliveries
        set state = 'pending', tries = 0, run_at = $2, lease_until = null, finished_at = null
        where id = $1
        returning destination
        ",
    )
    .bind(id.to_string())
    .bind(now.millis())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(destination) = destination else { return Ok(None) };
    enable(&mut tx, &[destination]).await?;
    let filter = DeliveryFilter { id: Some(id), limit: 1, ..DeliveryFilter::default() };
    let delivery = event::list(&mut tx, &filter).await?.pop();
    tx.commit().await?;
    store.hints.delivery_due.notify_one();
    Ok(delivery)
}

pub(super) async fn replay_failed(store: &SqliteStore, since: Timestamp) -> StoreResult<u64> {
    let mut tx = store.write().await?;
    let destinations: Vec<String> = sqlx::query_scalar(
        "
        update deliveries
        set state = 'pending', tries = 0, run_at = $2, lease_until = null, finished_at = null
        where state in ('failed', 'held') and created_at >= $1
        returning destination
        ",
    )
    .bind(since.millis())
    .bind(store.now().millis())
    .fetch_all(&mut *tx)
    .await?;
    enable(&mut tx, &destinations).await?;
    tx.commit().await?;
    store.hints.delivery_due.notify_one();
    Ok(destinations.len() as u64)
}

async fn enable(conn: &mut SqliteConnection, destinations: &[String]) -> StoreResult<()> {
    sqlx::query(
        "
        update destinations
        set failures = 0, failing_since = null, disabled_at = null
        where id in (select value from json_each($1))
        ",
    )
    .bind(to_json(&destinations)?)
    .execute(conn)
    .await?;
    Ok(())
}
