//! Which database it is: how it is opened, how a transaction begins, and whose clock counts.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

use super::SqlStore;
use super::statement::{Parameter, Statement, sql};
use crate::clock::{Clock, Timestamp};
use crate::store::{StoreError, StoreResult};

/// How long a verb waits for its connection. Writes take milliseconds, so that a longer wait
/// means a sick disk or server; and it must be shorter than the 20 seconds after which a worker
/// that could not beat kills its ffmpeg, so that a beat can be tried twice.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);

/// An open database. Cheap to copy.
#[derive(Clone, Debug)]
pub(super) enum Database {
    /// One file: one writer, and readers beside it.
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    /// A server that many processes share.
    Postgres {
        pool: PgPool,
        /// Whether what one transaction prepares is found by the next: not behind a pooler.
        keeps_prepared: bool,
    },
}

/// A transaction; rolled back when it is dropped without a commit.
#[derive(Debug)]
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres { tx: sqlx::Transaction<'static, Postgres>, keeps_prepared: bool },
}

impl Database {
    /// The only way to write. On SQLite `immediate` takes the write lock at once: a transaction
    /// that begins by reading and then writes can be refused in a way that no time-out covers.
    pub(super) async fn write(&self) -> StoreResult<Transaction> {
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                Transaction::Sqlite(writer.begin_with("begin immediate").await?)
            }
            // A process that is frozen here, or whose machine is gone, must not keep its locks:
            // everybody else would wait for them. `set local`, because behind a pooler the
            // session is somebody else's in the next moment.
            Self::Postgres { pool, keeps_prepared } => Transaction::Postgres {
                tx: pool
                    .begin_with("begin; set local idle_in_transaction_session_timeout = '10s'")
                    .await?,
                keeps_prepared: *keeps_prepared,
            },
        })
    }

    /// A view of one moment: a job and its outputs, read by two statements, belong together.
    pub(super) async fn read(&self) -> StoreResult<Transaction> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Transaction::Sqlite(readers.begin().await?),
            Self::Postgres { pool, keeps_prepared } => Transaction::Postgres {
                tx: pool.begin_with("begin isolation level repeatable read read only").await?,
                keeps_prepared: *keeps_prepared,
            },
        })
    }

    pub(super) async fn close(&self) {
        match self {
            // Readers first: the last connection to close folds the log into the file.
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

impl Transaction {
    pub(super) async fn commit(self) -> StoreResult<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres { tx, .. } => tx.commit().await?,
        }
        Ok(())
    }

    /// Ends it without a trace, and waits until its locks are gone. One that is only dropped is
    /// rolled back a moment later, and whoever claims in that moment passes its rows over.
    pub(super) async fn abandon(self) -> StoreResult<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Postgres { tx, .. } => tx.rollback().await?,
        }
        Ok(())
    }

    /// Takes a job and its tasks for this transaction alone, tasks first: every verb locks in
    /// this order, so that no two wait for each other.
    pub(super) async fn lock_job(&mut self, job: &str) -> StoreResult<()> {
        self.lock_jobs(vec![job.to_owned()]).await
    }

    /// The same for several jobs.
    pub(super) async fn lock_jobs(&mut self, jobs: Vec<String>) -> StoreResult<()> {
        // Two statements, because a plan may lock in any order within one.
        let tasks = "select 1::bigint from tasks where job_id in list($1) order by id for update";
        self.lock(sql(tasks), jobs.clone()).await?;
        let of = "select 1::bigint from jobs where id in list($1) order by id for update";
        self.lock(sql(of), jobs).await
    }

    /// Takes a batch for this transaction alone, after the job of it that ends.
    pub(super) async fn lock_batch(&mut self, batch: &str) -> StoreResult<()> {
        self.lock(sql("select 1::bigint from batches where id = $1 for update"), batch).await
    }

    /// Takes an upload for this transaction alone.
    pub(super) async fn lock_upload(&mut self, upload: &str) -> StoreResult<()> {
        self.lock(sql("select 1::bigint from uploads where id = $1 for update"), upload).await
    }

    /// Takes a delivery's destination for this transaction alone.
    pub(super) async fn lock_destination(&mut self, destination: &str) -> StoreResult<()> {
        let lock = sql("select 1::bigint from destinations where id = $1 for update");
        self.lock(lock, destination).await
    }

    /// Keeps a delivery's destination as it is until the end of this transaction.
    pub(super) async fn keep_destination(&mut self, destination: &str) -> StoreResult<()> {
        let lock = sql("select 1::bigint from destinations where id = $1 for key share");
        self.lock(lock, destination).await
    }

    /// Lets one transaction after the other pass that takes the same `turn`, until its end.
    pub(super) async fn take_turns(&mut self, turn: Turn) -> StoreResult<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres { .. } => {
                sql("select pg_advisory_xact_lock($1)").bind(turn.number()).execute(self).await?;
                Ok(())
            }
        }
    }

    /// Runs `statement` where rows must be locked; a SQLite transaction has the only writer.
    async fn lock(&mut self, statement: Statement, which: impl Into<Parameter>) -> StoreResult<()> {
        if let Self::Postgres { .. } = self {
            statement.bind(which).values::<i64>(self).await?;
        }
        Ok(())
    }
}

/// What only one transaction of all processes may do at a time. The numbers are this product's
/// advisory locks in the database (`"reel"` in ASCII, then a counter).
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// Bring the schema to this version's shape.
    Migrate,
    /// Count what is on its way to each destination, and take more.
    Deliver,
    /// Count what runs for each key, and take more.
    Claim,
    /// Hand a task over to a provider, or keep a word of it about a job that is not known yet.
    HandOver,
}

impl Turn {
    const fn number(self) -> i64 {
        match self {
            Self::Migrate => 0x7265_656c_0001,
            Self::Deliver => 0x7265_656c_0002,
            Self::Claim => 0x7265_656c_0003,
            Self::HandOver => 0x7265_656c_0020,
        }
    }
}

/// Whose time counts.
#[derive(Clone, Debug)]
pub(super) enum StoreClock {
    /// A clock of this process: SQLite's, and that of tests.
    Own(Arc<dyn Clock>),
    /// The database server's, so that workers whose clocks differ agree.
    Server,
}

impl SqlStore {
    /// The same store on another clock: for tests of leases and schedules.
    #[must_use]
    pub fn on_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = StoreClock::Own(clock);
        self
    }
}

impl StoreClock {
    /// The present moment. Asked for inside a transaction, so that times grow with commits.
    pub(super) async fn now(&self, tx: &mut Transaction) -> StoreResult<Timestamp> {
        match self {
            Self::Own(clock) => Ok(clock.now()),
            Self::Server => {
                let millis = sql("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
                    .value::<i64>(tx)
                    .await?;
                millis
                    .map(Timestamp::from_millis)
                    .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
            }
        }
    }
}
