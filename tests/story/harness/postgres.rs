//! A PostgreSQL database of one story.

use reelway::clock::{Clock as _, SystemClock};
use reelway::id::{RequestTag, fresh};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;

use super::is_here;

/// Names a PostgreSQL server on which tests may make databases of their own.
const SERVER: &str = "REELWAY_TEST_POSTGRES";

/// A database with nothing in it.
pub(crate) struct Postgres {
    server: Url,
    name: String,
}

impl Postgres {
    /// One, if there is a server.
    pub(crate) async fn fresh() -> Option<Self> {
        let server = std::env::var(SERVER).ok();
        if !is_here(SERVER, server.is_some()) {
            return None;
        }
        let server = Url::parse(&server?).expect("a server's URL");
        let name = fresh::<RequestTag>(SystemClock.now()).to_string();
        let database = Self { server, name };
        database.command("create database").await;
        Some(database)
    }

    /// As `DATABASE_URL` has it.
    pub(crate) fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.into()
    }

    pub(crate) async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url()).await.expect("the database")
    }

    /// Runs what stands in a `schema.sql`.
    pub(crate) async fn apply(&self, schema: &'static str) {
        sqlx::raw_sql(schema).execute(&self.pool().await).await.expect("a schema");
    }

    /// Removes it, whoever is connected.
    pub(crate) async fn drop(self) {
        self.command("drop database if exists").await;
    }

    async fn command(&self, verb: &str) {
        let force = if verb.starts_with("drop") { "with (force)" } else { "" };
        let statement = format!("{verb} {} {force}", self.name);
        let mut conn = PgConnection::connect(self.server.as_str()).await.expect("the server");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.expect("a database");
    }
}
