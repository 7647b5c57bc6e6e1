//! PostgreSQL: a server that any number of processes share. Version 13 and later.
//!
//! Behind a pooler that hands out connections by the transaction, `direct` is the way around
//! it: LISTEN needs a connection of its own. Without one the store polls alone.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::database::{ACQUIRE_TIMEOUT, Database, Transaction, Turn};
use crate::store::{Hint, Hints, StoreError, StoreResult};

/// How to reach the server.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// The server, or the pooler in front of it.
    pub server: PgConnectOptions,
    /// How hints come in.
    pub hints: HintsFrom,
    /// How many connections this process may have open.
    pub connections: u32,
}

/// How a process learns what the others have done.
#[derive(Clone, Debug)]
pub enum HintsFrom {
    /// LISTEN on a connection of [`PostgresSettings::server`].
    Server,
    /// LISTEN around the pooler.
    Direct(Box<PgConnectOptions>),
    /// No LISTEN: everybody polls.
    PollAlone,
}

/// The channel that hints travel on.
const CHANNEL: &str = "reelway";

/// How many hints may wait to be sent before some are left out.
const OUTLET: usize = 256;

/// A connection that has been idle for longer is tried before it is used: the server may have
/// been restarted meanwhile.
const FRESH: Duration = Duration::from_secs(2);

/// How long an idle connection may take to show that it is alive before the next one is tried.
const IDLE_ANSWER: Duration = Duration::from_secs(1);

/// How long a connection may take to come to the end of what was begun on it and given up.
const RELEASE_ANSWER: Duration = Duration::from_secs(5);

/// How long a process that has nothing to tell lets pass before it sends a sign of life.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// What is sent then; it wakes nobody up.
const ALIVE: &str = "alive";

/// A connection that has brought nothing for so long, not even our own sign of life, leads
/// nowhere any more: the server may have moved, and nobody is left to close it.
const SILENCE: Duration = Duration::from_secs(15);

/// The first and the longest wait before LISTEN is tried again.
const LISTEN_WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The oldest server that is worked with, as `server_version_num` tells it.
pub(super) const OLDEST: i32 = 130_000;

/// Every change of shape that this version knows. A later version may have made more: they only add
/// (docs/decisions/0022), so that both work on one database while the one replaces the other.
pub(super) fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    migrator.set_ignore_missing(true);
    migrator
}

/// Connects, and brings the schema to this version's shape; one process after the other.
pub(super) async fn open(settings: &PostgresSettings) -> StoreResult<Database> {
    // The server's own default writes floats whole; poolers refuse to be asked for another.
    let server = settings.server.clone().extra_float_digits(None);
    let mut server = server.application_name("reelway");
    let keeps_prepared = matches!(settings.hints, HintsFrom::Server);
    if !keeps_prepared {
        server = server.statement_cache_capacity(0);
    }
    let pool = PgPoolOptions::new()
        .max_connections(settings.connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < FRESH {
                    return Ok(true);
                }
                Ok(answers(connection, IDLE_ANSWER).await)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                if answers(connection, RELEASE_ANSWER).await {
                    return Ok(true);
                }
                // Not asked to close: it would not hear that either.
                Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))
            })
        })
        .connect_with(server)
        .await?;
    let database = Database::Postgres { pool, keeps_prepared };
    migrate(&database).await?;
    Ok(database)
}

/// Whether the server is still there behind this connection. One whose machine is gone says
/// nothing at all, and without a limit such connections would fill the pool for as long as the
/// kernel believes in them, which is a quarter of an hour.
async fn answers(connection: &mut PgConnection, limit: Duration) -> bool {
    matches!(timeout(limit, connection.ping()).await, Ok(Ok(())))
}

/// In one transaction under a lock of the database: sqlx's own lock belongs to a session, which
/// a pooler would give to somebody else.
async fn migrate(database: &Database) -> StoreResult<()> {
    let mut migrator = migrator();
    migrator.set_locking(false);
    let mut tx = database.write().await?;
    tx.take_turns(Turn::Migrate).await?;
    if let Transaction::Postgres { tx, keeps_prepared } = &mut tx {
        // The migrator gives names to what it prepares. Behind a pooler they stay with a
        // connection that another process gets next, which would choose the same names.
        let forget = if *keeps_prepared { "" } else { "deallocate all" };
        sqlx::raw_sql(forget).execute(&mut **tx).await?;
        make_schema(tx).await?;
        migrator.run_direct(None, &mut **tx, false).await.map_err(occupied)?;
        sqlx::raw_sql(forget).execute(&mut **tx).await?;
    }
    tx.commit().await
}

/// Makes the first schema of the search path where none of them is there: who names one of
/// Reelway's own in `DATABASE_URL` need not make it first.
async fn make_schema(connection: &mut PgConnection) -> StoreResult<()> {
    let text = "
        do $$
        declare
            wanted text := trim(both ' \"' from split_part(current_setting('search_path'), ',', 1));
        begin
            if current_schema() is null and wanted <> '' then
                execute format('create schema %I', wanted);
            end if;
        end
        $$";
    sqlx::raw_sql(text).execute(connection).await?;
    Ok(())
}

/// A table of ours that somebody else has already (42P07 `duplicate_table`, in the manual's
/// Appendix A): the database is an application's own.
fn occupied(error: MigrateError) -> StoreError {
    let (MigrateError::Execute(sqlx::Error::Database(refused))
    | MigrateError::ExecuteMigration(sqlx::Error::Database(refused), _)) = &error
    else {
        return error.into();
    };
    if refused.code().as_deref() == Some("42P07") {
        StoreError::Occupied { found: refused.message().to_owned() }
    } else {
        error.into()
    }
}

/// Carries hints between the processes that share the server, until it is dropped.
pub(super) async fn carry_hints(pool: PgPool, settings: PostgresSettings, hints: Arc<Hints>) {
    let (outlet, outgoing) = mpsc::channel(OUTLET);
    hints.forward_to(outlet);
    match settings.hints {
        HintsFrom::Server => {
            tokio::join!(send(&pool, outgoing), listen(settings.server, &hints));
        }
        HintsFrom::Direct(direct) => {
            tokio::join!(send(&pool, outgoing), listen(*direct, &hints));
        }
        HintsFrom::PollAlone => send(&pool, outgoing).await,
    }
}

/// Sends hints in small transactions of their own: a NOTIFY inside a verb would make all
/// committing transactions of the database wait for each other.
async fn send(pool: &PgPool, mut outgoing: mpsc::Receiver<Hint>) {
    let mut hints = Vec::new();
    loop {
        let told = timeout(ALIVE_EVERY, outgoing.recv_many(&mut hints, OUTLET)).await;
        if told == Ok(0) {
            return;
        }
        let payloads: BTreeSet<String> = hints.drain(..).map(payload).collect();
        let mut payloads: Vec<String> = payloads.into_iter().collect();
        if payloads.is_empty() {
            payloads.push(ALIVE.to_owned());
        }
        if let Err(error) = notify(pool, payloads).await {
            tracing::debug!(%error, "hints were not sent; the other processes will poll");
        }
    }
}

/// In a transaction, small as it is: without one a pooler may give what was prepared to one
/// connection and what is run to another.
async fn notify(pool: &PgPool, payloads: Vec<String>) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_notify($1, payload) from unnest($2) as hints (payload)")
        .bind(CHANNEL)
        .bind(payloads)
        .persistent(false)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// Hears what the other processes tell, as long as the server can be reached.
async fn listen(server: PgConnectOptions, hints: &Hints) {
    let (mut wait, longest) = LISTEN_WAITS;
    loop {
        match listen_once(&server, hints).await {
            Ok(()) => wait = LISTEN_WAITS.0,
            Err(error) => {
                tracing::warn!(%error, "not listening for hints; polling until it can be again");
                sleep(wait).await;
                wait = (wait * 2).min(longest);
            }
        }
    }
}

/// Listens until the connection is lost, or silent for too long.
async fn listen_once(server: &PgConnectOptions, hints: &Hints) -> Result<(), sqlx::Error> {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(server.clone().application_name("reelway listen"))
        .await?;
    let mut listener = PgListener::connect_with(&own).await?;
    listener.listen(CHANNEL).await?;
    // Something may have happened while nobody listened.
    for hint in [Hint::TaskDue, Hint::DeliveryDue, Hint::CancelAsked] {
        hints.wake(hint);
    }
    loop {
        // Given up in the middle of a message only together with the connection.
        let heard = timeout(SILENCE, listener.try_recv()).await;
        let Some(notification) = heard.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??
        else {
            return Ok(());
        };
        if let Some(hint) = parse(notification.payload()) {
            hints.wake(hint);
        }
    }
}

fn payload(hint: Hint) -> String {
    match hint {
        Hint::TaskDue => "task due".to_owned(),
        Hint::DeliveryDue => "delivery due".to_owned(),
        Hint::CancelAsked => "cancel asked".to_owned(),
        Hint::Changed(id) => id.to_string(),
    }
}

/// The hint in a payload; another version may send others.
fn parse(payload: &str) -> Option<Hint> {
    match payload {
        "task due" => Some(Hint::TaskDue),
        "delivery due" => Some(Hint::DeliveryDue),
        "cancel asked" => Some(Hint::CancelAsked),
        id => id.parse().ok().map(Hint::Changed),
    }
}

/// Whether the database ended a transaction because it met another one; it can be run again
/// (40001 `serialization_failure`, 40P01 `deadlock_detected`, in the manual's Appendix A).
pub(super) fn is_collision(error: &StoreError) -> bool {
    let StoreError::Database(sqlx::Error::Database(error)) = error else { return false };
    matches!(error.code().as_deref(), Some("40001" | "40P01"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::fresh;

    #[test]
    fn a_hint_comes_out_as_it_went_in() {
        let id = fresh(Timestamp::from_millis(1));
        for hint in [Hint::TaskDue, Hint::DeliveryDue, Hint::CancelAsked, Hint::Changed(id)] {
            assert_eq!(parse(&payload(hint)), Some(hint));
        }
        assert_eq!(parse(ALIVE), None);
        assert_eq!(parse("something of a later version"), None);
    }
}
