//! Deliveries are taken on leases, fairly, and what came of them is written down.

use std::time::Duration;

use super::SqlStore;
use super::condition;
use super::database::{Transaction, Turn};
use super::event::{self, body};
use super::row::{from_json, number, parse, to_json, unknown};
use super::statement::sql;
use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::DeliveryId;
use crate::store::{
    AttemptOutcome, Condition, Delivery, DeliveryFilter, DueDelivery, EndpointDisabled, EventKind,
    Hint, SettleDelivery, Settled, StoreError, StoreResult,
};

/// After how many failures in a row a destination gets one delivery at a time.
const FAILING: i64 = 5;

/// How many attempts of a delivery are kept in the log.
const KEPT_ATTEMPTS: i64 = 50;

/// How long a delivery rests of a kind that this version does not know: a later one will have it.
const FOR_LATER: Duration = Duration::from_secs(30);

/// How long a delivery rests whose event cannot be read.
const ASIDE: Duration = Duration::from_hours(1);

pub(super) async fn claim(
    store: &SqlStore,
    limit: u32,
    per_destination: u32,
    lease: Duration,
) -> StoreResult<Vec<DueDelivery>> {
    let mut tx = store.write().await?;
    tx.take_turns(Turn::Deliver).await?;
    let now = store.now(&mut tx).await?;
    let mut taken = Vec::new();
    for id in due(&mut tx, limit, per_destination, now).await? {
        match take(&mut tx, &id, now.plus(lease)).await {
            Ok(due) => taken.push(due),
            Err(StoreError::Corrupt { table: "events", column: "kind", .. }) => {
                tracing::warn!(
                    delivery.id = id,
                    "a webhook of a kind that this version does not know is left to a later one"
                );
                set_aside(&mut tx, &id, now.plus(FOR_LATER)).await?;
            }
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
    tx: &mut Transaction,
    limit: u32,
    per_destination: u32,
    now: Timestamp,
) -> StoreResult<Vec<String>> {
    sql("
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
                case when destinations.failures >= $4 and $3 > 1 then 1 else $3 end
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
        ")
    .bind(now)
    .bind(limit)
    .bind(per_destination)
    .bind(FAILING)
    .values(tx)
    .await
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
    trace: Option<String>,
}

async fn take(tx: &mut Transaction, id: &str, lease_until: Timestamp) -> StoreResult<DueDelivery> {
    sql("
        update deliveries
        set attempt = attempt + 1, tries = tries + 1, lease_until = $2
        where id = $1
        ")
    .bind(id.to_owned())
    .bind(lease_until)
    .execute(tx)
    .await?;
    let row = due_row(tx, id).await?;
    row.ok_or(StoreError::Database(sqlx::Error::RowNotFound))?.read(id)
}

async fn due_row(tx: &mut Transaction, id: &str) -> StoreResult<Option<DueRow>> {
    sql("
        select
            deliveries.event_id, events.kind, events.seq, events.body, deliveries.url,
            deliveries.attempt, deliveries.tries, destinations.failing_since,
            coalesce(
                (select trace from jobs where jobs.id = events.job_id),
                (
                    -- The jobs of a batch were sent together: they have one trace.
                    select trace from jobs
                    where jobs.batch_id = events.batch_id and trace is not null
                    order by batch_position
                    limit 1
                )
            ) as trace
        from deliveries
        join events on events.id = deliveries.event_id
        join destinations on destinations.id = deliveries.destination
        where deliveries.id = $1
        ")
    .bind(id)
    .row::<DueRow>(tx)
    .await
}

/// A delivery with what it tells, for people to look at.
pub(super) async fn pushed(
    store: &SqlStore,
    project: &Project,
    id: DeliveryId,
) -> StoreResult<Option<DueDelivery>> {
    let mut tx = store.read().await?;
    let id = id.to_string();
    let own = sql("select id from deliveries where id = $1 and project = $2");
    let own = own.bind(id.as_str()).bind(project.as_str()).value::<String>(&mut tx).await?;
    if own.is_none() {
        return Ok(None);
    }
    let row = due_row(&mut tx, &id).await?;
    row.map(|row| row.read(&id)).transpose()
}

impl DueRow {
    fn read(self, id: &str) -> StoreResult<DueDelivery> {
        let (event, trace) = (&self.event_id, self.trace.as_deref());
        let kind = EventKind::from_name(&self.kind)
            .ok_or_else(|| unknown("events", "kind", event, &self.kind))?;
        Ok(DueDelivery {
            id: parse(id, "deliveries", "id", id)?,
            event: parse(event, "deliveries", "event_id", id)?,
            kind,
            seq: number(self.seq, "events", "seq", event)?,
            body: body(kind, &self.body, event)?,
            url: parse(&self.url, "deliveries", "url", id)?,
            attempt: number(self.attempt, "deliveries", "attempt", id)?,
            tries: number(self.tries, "deliveries", "tries", id)?,
            failing_since: self.failing_since.map(Timestamp::from_millis),
            trace: trace.map(|trace| from_json(trace, "jobs", "trace", event)).transpose()?,
        })
    }
}

/// Gives back what was taken: nothing was sent, so that it was no try.
async fn set_aside(tx: &mut Transaction, id: &str, run_at: Timestamp) -> StoreResult<()> {
    sql("update deliveries set run_at = $2, lease_until = null, tries = tries - 1 where id = $1")
        .bind(id.to_owned())
        .bind(run_at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn settle(store: &SqlStore, settle: SettleDelivery) -> StoreResult<Settled> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let Some(destination) = lock_destination_of(&mut tx, settle.id).await? else {
        return Ok(Settled::Lost);
    };
    if !spend(&mut tx, &settle).await? {
        return Ok(Settled::Lost);
    }
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
            if let Some(held) = disable(&mut tx, &destination, now).await? {
                tell_disabled(store, &mut tx, &settle, held, now).await?;
            }
        }
    }
    tx.commit().await?;
    // Its destination has room for another one now.
    store.hints.tell(Hint::DeliveryDue);
    Ok(Settled::Done)
}

/// Takes the delivery's destination for this transaction alone, before the delivery itself: every
/// verb locks in this order, so that no two wait for each other.
async fn lock_destination_of(tx: &mut Transaction, id: DeliveryId) -> StoreResult<Option<String>> {
    let of = sql("select destination from deliveries where id = $1").bind(id.to_string());
    let destination: Option<String> = of.value(tx).await?;
    if let Some(destination) = &destination {
        tx.lock_destination(destination).await?;
    }
    Ok(destination)
}

/// Ends the lease of the attempt; false when it was lost.
///
/// A delivery that was held while it was on its way keeps its lease: if it arrived, it arrived.
async fn spend(tx: &mut Transaction, settle: &SettleDelivery) -> StoreResult<bool> {
    let written = sql("
        update deliveries
        set lease_until = null
        where id = $1 and attempt = $2 and lease_until is not null
            and state in ('pending', 'held')
        ")
    .bind(settle.id.to_string())
    .bind(settle.attempt)
    .execute(tx)
    .await?;
    Ok(written == 1)
}

async fn log(tx: &mut Transaction, settle: &SettleDelivery) -> StoreResult<()> {
    sql(
        "insert into delivery_attempts (delivery_id, position, at, record) values ($1, $2, $3, $4)",
    )
    .bind(settle.id.to_string())
    .bind(settle.attempt)
    .bind(settle.record.at.millis())
    .bind(to_json(&settle.record)?)
    .execute(tx)
    .await?;
    sql("delete from delivery_attempts where delivery_id = $1 and position <= $2")
        .bind(settle.id.to_string())
        .bind(i64::from(settle.attempt) - KEPT_ATTEMPTS)
        .execute(tx)
        .await?;
    Ok(())
}

async fn end(
    tx: &mut Transaction,
    settle: &SettleDelivery,
    state: &'static str,
    now: Timestamp,
) -> StoreResult<()> {
    sql("update deliveries set state = $2, finished_at = $3 where id = $1")
        .bind(settle.id.to_string())
        .bind(state)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// One that is held meanwhile stays held.
async fn wait_until(
    tx: &mut Transaction,
    settle: &SettleDelivery,
    run_at: Timestamp,
) -> StoreResult<()> {
    sql("update deliveries set run_at = $2 where id = $1 and state = 'pending'")
        .bind(settle.id.to_string())
        .bind(run_at)
        .execute(tx)
        .await?;
    Ok(())
}

async fn trust(tx: &mut Transaction, destination: &str) -> StoreResult<()> {
    sql("update destinations set failures = 0, failing_since = null where id = $1")
        .bind(destination.to_owned())
        .execute(tx)
        .await?;
    Ok(())
}

async fn distrust(tx: &mut Transaction, destination: &str, now: Timestamp) -> StoreResult<()> {
    sql("
        update destinations
        set failures = failures + 1, failing_since = coalesce(failing_since, $2)
        where id = $1
        ")
    .bind(destination.to_owned())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Holds what waits for the destination; returns how much, if it was not disabled before.
async fn disable(
    tx: &mut Transaction,
    destination: &str,
    now: Timestamp,
) -> StoreResult<Option<u64>> {
    let disabled =
        sql("update destinations set disabled_at = $2 where id = $1 and disabled_at is null")
            .bind(destination.to_owned())
            .bind(now)
            .execute(tx)
            .await?;
    let held = sql("
        update deliveries
        set state = 'held', finished_at = $2
        where destination = $1 and state = 'pending'
        ")
    .bind(destination.to_owned())
    .bind(now)
    .execute(tx)
    .await?;
    Ok((disabled == 1).then_some(held))
}

#[derive(sqlx::FromRow)]
struct DisabledRow {
    project: String,
    url: String,
    failing_since: Option<i64>,
}

/// Tells operators of a destination that was just disabled; not of their own, which would take the
/// news no more.
async fn tell_disabled(
    store: &SqlStore,
    tx: &mut Transaction,
    settle: &SettleDelivery,
    held: u64,
    now: Timestamp,
) -> StoreResult<()> {
    let row = sql("
        select deliveries.project, deliveries.url, destinations.failing_since
        from deliveries
        join destinations on destinations.id = deliveries.destination
        where deliveries.id = $1
        ");
    let row = row.bind(settle.id.to_string()).row::<DisabledRow>(tx).await?;
    let Some(row) = row.filter(|row| row.project != Project::OPERATIONS.as_str()) else {
        return Ok(());
    };
    let url = parse(&row.url, "deliveries", "url", &settle.id.to_string())?;
    let told = EndpointDisabled {
        failing_since: row.failing_since.map(Timestamp::from_millis),
        ..EndpointDisabled::after(&settle.record, &url, &row.project, held)
    };
    condition::tell(tx, store.operations.as_ref(), Condition::EndpointDisabled(told), now).await
}

pub(super) async fn next_at(store: &SqlStore) -> StoreResult<Option<Timestamp>> {
    let mut tx = store.read().await?;
    let now = store.now(&mut tx).await?;
    let next: Option<Option<i64>> = sql("
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
        ")
    .bind(now)
    .value(&mut tx)
    .await?;
    Ok(next.flatten().map(Timestamp::from_millis))
}

pub(super) async fn replay(
    store: &SqlStore,
    project: &Project,
    id: DeliveryId,
) -> StoreResult<Option<Delivery>> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let filter = DeliveryFilter { id: Some(id), limit: 1, ..DeliveryFilter::default() };
    if event::list(&mut tx, project, &filter).await?.is_empty() {
        return Ok(None);
    }
    let Some(destination) = lock_destination_of(&mut tx, id).await? else { return Ok(None) };
    sql("
        update deliveries
        set state = 'pending', tries = 0, run_at = $2, lease_until = null, finished_at = null
        where id = $1
        ")
    .bind(id.to_string())
    .bind(now)
    .execute(&mut tx)
    .await?;
    enable(&mut tx, &[destination]).await?;
    let delivery = event::list(&mut tx, project, &filter).await?.pop();
    tx.commit().await?;
    store.hints.tell(Hint::DeliveryDue);
    Ok(delivery)
}

pub(super) async fn replay_failed(
    store: &SqlStore,
    project: &Project,
    since: Timestamp,
) -> StoreResult<u64> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let destinations: Vec<String> = sql("
        update deliveries
        set state = 'pending', tries = 0, run_at = $2, lease_until = null, finished_at = null
        where state in ('failed', 'held') and created_at >= $1 and project = $3
        returning destination
        ")
    .bind(since)
    .bind(now)
    .bind(project.as_str())
    .values(&mut tx)
    .await?;
    enable(&mut tx, &destinations).await?;
    tx.commit().await?;
    store.hints.tell(Hint::DeliveryDue);
    Ok(destinations.len() as u64)
}

async fn enable(tx: &mut Transaction, destinations: &[String]) -> StoreResult<()> {
    sql("
        update destinations
        set failures = 0, failing_since = null, disabled_at = null
        where id in list($1)
        ")
    .bind(destinations.to_vec())
    .execute(tx)
    .await?;
    Ok(())
}
