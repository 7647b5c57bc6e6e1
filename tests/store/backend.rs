//! The databases that the suite runs over: the only file here that knows an implementation.

use std::path::Path;
use std::sync::Arc;

use reelway::clock::{Clock, ManualClock, Timestamp};
use reelway::id::{RequestTag, WorkerId, fresh};
use reelway::store::sql::{
    Examined, HintsFrom, PostgresSettings, SqlStore, examine_postgres, examine_sqlite,
};
use reelway::store::{Store, WorkerReport};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use url::Url;

use crate::schema::Column;

/// Names a PostgreSQL server on which tests may make databases of their own.
const SERVER: &str = "REELWAY_TEST_POSTGRES";

/// How many connections one process opens.
const CONNECTIONS: u32 = 6;

/// What the pipeline's users ask of their table (wire.md section 7), word for word.
macro_rules! pipeline_select {
    () => {
        "SELECT id, task_id, input_url, status, output_url, created_at, completed_at FROM media_jobs"
    };
}

/// An implementation of [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// One file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Backend {
    /// Whether there is such a database here; a line says so where there is none.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn is_here(self) -> bool {
        let is_here = self == Self::Sqlite || std::env::var_os(SERVER).is_some();
        if !is_here {
            assert!(std::env::var_os("CI").is_none(), "{SERVER} names no server");
            println!("skipped: {SERVER} names no server");
        }
        is_here
    }

    /// Where its changes of shape are, below `migrations`.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// A database with nothing in it, that nobody else uses and that goes with its value.
    pub(crate) async fn fresh(self, clock: Arc<ManualClock>) -> Database {
        let place = match self {
            Self::Sqlite => Place::File(tempfile::tempdir().expect("a folder")),
            Self::Postgres => {
                let server = std::env::var(SERVER).expect("a server");
                let server: Box<PgConnectOptions> =
                    Box::new(server.parse().expect("a server's URL"));
                let name = fresh::<RequestTag>(clock.now()).to_string();
                command(&server, format!("create database {name}")).await;
                Place::Server { server, name }
            }
        };
        Database { place, clock }
    }
}

/// A database of one test.
#[derive(Debug)]
pub(crate) struct Database {
    place: Place,
    clock: Arc<ManualClock>,
}

#[derive(Debug)]
enum Place {
    /// In a folder of its own.
    File(TempDir),
    /// Under a name of its own.
    Server { server: Box<PgConnectOptions>, name: String },
}

impl Database {
    /// Opens the database, as a process does when it starts. Each call is another process.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        self.open_telling(None).await
    }

    /// The same, of a process that tells operators of conditions.
    pub(crate) async fn open_telling(&self, operations: Option<Url>) -> Arc<dyn Store> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let store = match &self.place {
            Place::File(folder) => SqlStore::sqlite(&folder.path().join("reelway.db"), clock).await,
            Place::Server { server, name } => {
                let server = (**server).clone().database(name);
                let hints = HintsFrom::Server;
                let settings = PostgresSettings { server, hints, connections: CONNECTIONS };
                SqlStore::postgres(&settings).await.map(|store| store.on_clock(clock))
            }
        };
        Arc::new(store.expect("a database").telling(operations))
    }

    /// Which implementation it is of.
    pub(crate) const fn backend(&self) -> Backend {
        match self.place {
            Place::File(_) => Backend::Sqlite,
            Place::Server { .. } => Backend::Postgres,
        }
    }

    /// Brings it to the shape of the time when `last` was the last change; returns its columns.
    pub(crate) async fn columns_at(&self, last: i64) -> Vec<Column> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let folder = folder.join(self.backend().folder());
        let mut migrator = Migrator::new(folder).await.expect("changes of shape");
        migrator.migrations.to_mut().retain(|migration| migration.version <= last);
        match &self.place {
            Place::File(folder) => {
                let path = folder.path().join("reelway.db");
                let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
                let mut conn = SqliteConnection::connect_with(&options).await.expect("a writer");
                migrator.run_direct(None, &mut conn, false).await.expect("the shape");
                let text = "
                    select
                        relations.name as relation, columns.name as name, columns.type as kind,
                        columns.\"notnull\" = 0 or columns.dflt_value is not null
                            as may_be_left_out
                    from sqlite_schema as relations, pragma_table_info(relations.name) as columns
                    where relations.type in ('table', 'view')
                        and relations.name not like '\\_sqlx%' escape '\\'
                    ";
                sqlx::query_as(text).fetch_all(&mut conn).await
            }
            Place::Server { server, name } => {
                let server = (**server).clone().database(name);
                let mut conn = PgConnection::connect_with(&server).await.expect("a writer");
                migrator.run_direct(None, &mut conn, false).await.expect("the shape");
                let text = "
                    select
                        table_name::text as relation, column_name::text as name,
                        data_type::text as kind,
                        is_nullable = 'YES' or column_default is not null as may_be_left_out
                    from information_schema.columns
                    where table_schema = 'public' and table_name not like '\\_sqlx%'
                    ";
                sqlx::query_as(text).fetch_all(&mut conn).await
            }
        }
        .expect("columns")
    }

    /// Makes the additions that a version of later might have made.
    pub(crate) async fn be_changed_by_a_later_version(&self) {
        let added = "
            alter table jobs add column of_later text;
            alter table events add column of_later text;
            create table of_later (id text primary key);
            insert into _sqlx_migrations (version, description, success, checksum, execution_time)
            values (9999, 'of later', true, ";
        let checksum = match self.backend() {
            Backend::Sqlite => "x'00'",
            Backend::Postgres => "'\\x00'",
        };
        self.command(format!("{added} {checksum}, 0);")).await;
    }

    /// Tells the database what no verb of a store says.
    pub(crate) async fn command(&self, text: String) {
        match &self.place {
            Place::File(folder) => {
                let path = folder.path().join("reelway.db");
                let options = SqliteConnectOptions::new().filename(path);
                let mut conn = SqliteConnection::connect_with(&options).await.expect("a writer");
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await.expect("obedience");
            }
            Place::Server { server, name } => {
                command(&(**server).clone().database(name), text).await;
            }
        }
    }

    /// Writes down that a process is there as versions did that say no goodbye; returns its name.
    pub(crate) async fn report_as_before(&self, report: &WorkerReport) -> WorkerId {
        let (id, about) = (report.id.to_string(), serde_json::to_string(report).expect("JSON"));
        let at = self.clock.now().millis();
        let text = "insert into workers (id, name, about, started_at, seen_at) values ($1, 'x', $2, $3, $3)";
        match &self.place {
            Place::File(folder) => {
                let path = folder.path().join("reelway.db");
                let options = SqliteConnectOptions::new().filename(path);
                let mut conn = SqliteConnection::connect_with(&options).await.expect("a writer");
                let row = sqlx::query(text).bind(id).bind(about).bind(at);
                row.execute(&mut conn).await.expect("a row");
            }
            Place::Server { server, name } => {
                let server = (**server).clone().database(name);
                let mut conn = PgConnection::connect_with(&server).await.expect("a writer");
                let row = sqlx::query(text).bind(id).bind(about).bind(at);
                row.execute(&mut conn).await.expect("a row");
            }
        }
        report.id
    }

    /// What is seen of it from outside.
    pub(crate) async fn examine(&self) -> Examined {
        match &self.place {
            Place::File(folder) => {
                let path = folder.path().join("reelway.db");
                examine_sqlite(&path).await.expect("an answer").expect("a file")
            }
            Place::Server { server, name } => {
                let server = (**server).clone().database(name);
                let hints = HintsFrom::Server;
                let settings = PostgresSettings { server, hints, connections: CONNECTIONS };
                examine_postgres(&settings).await.expect("an answer")
            }
        }
    }

    /// Whether a process that starts may take all leases for those of its dead predecessor, and
    /// need not tell others what it does.
    pub(crate) const fn has_one_process(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// What the pipeline's own query of `media_jobs` finds, in the order of the ids.
    pub(crate) async fn query_media_jobs(&self) -> Vec<MediaJob> {
        let rows: Result<Vec<MediaJobRow>, _> = match &self.place {
            Place::File(folder) => {
                let path = folder.path().join("reelway.db");
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let mut conn = SqliteConnection::connect_with(&options).await.expect("a reader");
                let text = concat!(
                    "
                    select
                        id, task_id, input_url, status, output_url,
                        cast(round(unixepoch(created_at, 'subsec') * 1000) as integer)
                            as created_at,
                        cast(round(unixepoch(completed_at, 'subsec') * 1000) as integer)
                            as completed_at
                    from (",
                    pipeline_select!(),
                    ")
                    order by id
                    "
                );
                sqlx::query_as(text).fetch_all(&mut conn).await
            }
            Place::Server { server, name } => {
                let server = (**server).clone().database(name);
                let mut conn = PgConnection::connect_with(&server).await.expect("a reader");
                let text = concat!(
                    "
                    select
                        id, task_id, input_url, status, output_url,
                        (extract(epoch from created_at) * 1000)::bigint as created_at,
                        (extract(epoch from completed_at) * 1000)::bigint as completed_at
                    from (",
                    pipeline_select!(),
                    ") as media_jobs
                    order by id
                    "
                );
                sqlx::query_as(text).fetch_all(&mut conn).await
            }
        };
        rows.expect("the pipeline's table").into_iter().map(MediaJob::from).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Place::Server { server, name } = &self.place else { return };
        let (server, drop) = (server.clone(), format!("drop database {name} with (force)"));
        // A thread with a runtime of its own, because this may be inside of one.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(command(&server, drop));
        });
        // What cannot be dropped is left to whoever ends the server.
        let _dropped = dropping.join();
    }
}

/// Tells the server what to do beside any database.
async fn command(server: &PgConnectOptions, text: String) {
    let mut conn = PgConnection::connect_with(server).await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await.expect("obedience");
}

/// A row of `media_jobs`, its times as milliseconds.
#[derive(sqlx::FromRow)]
struct MediaJobRow {
    id: String,
    task_id: String,
    input_url: String,
    status: String,
    output_url: Option<String>,
    created_at: i64,
    completed_at: Option<i64>,
}

/// A row of `media_jobs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaJob {
    pub(crate) id: String,
    pub(crate) task_id: String,
    pub(crate) input_url: String,
    pub(crate) status: String,
    pub(crate) output_url: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) completed_at: Option<Timestamp>,
}

impl From<MediaJobRow> for MediaJob {
    fn from(row: MediaJobRow) -> Self {
        Self {
            id: row.id,
            task_id: row.task_id,
            input_url: row.input_url,
            status: row.status,
            output_url: row.output_url,
            created_at: Timestamp::from_millis(row.created_at),
            completed_at: row.completed_at.map(Timestamp::from_millis),
        }
    }
}
