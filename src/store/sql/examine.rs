//! A database looked at from outside: nothing in it is made or changed.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::{PostgresSettings, postgres, sqlite};
use crate::clock::Timestamp;

/// A database that takes longer than this to answer is no good.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its version: `3.50.2`, `15.18`.
    pub version: String,
    /// Whether that version is too old to work with.
    pub is_too_old: bool,
    /// The number of the last change of shape in it; none when Reelway was never there.
    pub shape: Option<i64>,
    /// The number of the last change that this version knows.
    pub known: i64,
    /// Its own time, where it has a clock of its own.
    pub now: Option<Timestamp>,
}

/// The SQLite file at `path`; none when it is not there yet.
///
/// # Errors
///
/// It cannot be read, or is no database.
pub async fn examine_sqlite(path: &Path) -> Result<Option<Examined>, sqlx::Error> {
    if !path.is_file() {
        return Ok(None);
    }
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
    let mut file = SqliteConnection::connect_with(&options).await?;
    let version = sqlx::query_scalar("select sqlite_version()").fetch_one(&mut file).await?;
    let table = "select count(*) from sqlite_schema where name = '_sqlx_migrations'";
    let tables: i64 = sqlx::query_scalar(table).fetch_one(&mut file).await?;
    let shape = if tables == 0 {
        None
    } else {
        let text = "select max(version) from _sqlx_migrations";
        sqlx::query_scalar(text).fetch_one(&mut file).await?
    };
    file.close().await?;
    let known = last(&sqlite::migrator());
    Ok(Some(Examined { version, is_too_old: false, shape, known, now: None }))
}

/// The server of these settings.
///
/// # Errors
///
/// It cannot be reached within five seconds, or does not let us in.
pub async fn examine_postgres(settings: &PostgresSettings) -> Result<Examined, sqlx::Error> {
    let answered = timeout(PATIENCE, async {
        let server = settings.server.clone().extra_float_digits(None).statement_cache_capacity(0);
        let mut server = PgConnection::connect_with(&server).await?;
        let (version, number, seconds): (String, i32, f64) = sqlx::query_as(
            "
            select current_setting('server_version'),
                current_setting('server_version_num')::int,
                extract(epoch from clock_timestamp())::float8
            ",
        )
        .persistent(false)
        .fetch_one(&mut server)
        .await?;
        let table = "select to_regclass('_sqlx_migrations') is not null";
        let is_there: bool =
            sqlx::query_scalar(table).persistent(false).fetch_one(&mut server).await?;
        let shape = if is_there {
            let text = "select max(version) from _sqlx_migrations";
            sqlx::query_scalar(text).persistent(false).fetch_one(&mut server).await?
        } else {
            None
        };
        server.close().await?;
        Ok(Examined {
            version,
            is_too_old: number < postgres::OLDEST,
            shape,
            known: last(&postgres::migrator()),
            now: Some(Timestamp::from_millis((seconds * 1000.0) as i64)),
        })
    });
    answered.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// The number of the last change of shape.
pub(super) fn last(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}
