//! Pieces of long videos: cut by whoever holds the task, made by whoever has room.
//!
//! Nothing here changes a task or a job. A piece has a lease of its own, and whoever comes too late
//! with it changes nothing: a later try has another number.

use super::SqlStore;
use super::database::Transaction;
use super::held::{Fence, Held};
use super::keep::doom;
use super::rescue::ZOMBIE;
use super::row::{from_json, load_one, number, parse, to_json};
use super::rows::insert;
use super::statement::{Statement, sql};
use crate::clock::Timestamp;
use crate::id::WorkerId;
use crate::job::{Job, Piece, PieceFile};
use crate::store::{
    HELPED_TRIES, Hint, LEASE, Lease, PIECE_TRIES, PieceClaim, PieceLease, PieceSeen, Settled,
    StoreResult, pieces_prefix,
};

/// Whether anybody needs the piece: not of a task that has ended or is being stopped, nor of an
/// attempt that was lost. Whoever has the task now cuts it anew.
const IS_WANTED: &str = "
    and exists (
        select 1
        from tasks
        join jobs on jobs.id = tasks.job_id
        where tasks.id = pieces.task_id and tasks.attempt = pieces.attempt
            and tasks.state = 'processing'
            and jobs.cancel_asked_at is null and jobs.deleted_at is null
    )";

pub(super) async fn cut(
    store: &SqlStore,
    lease: &Lease,
    recipe: &str,
    pieces: &[Piece],
) -> StoreResult<Settled> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let Some(held) = Held::load_fenced(&mut tx, &Fence::of(lease)).await? else {
        tx.abandon().await?;
        return Ok(Settled::Lost);
    };
    let known: Vec<String> = sql("select recipe from pieces where task_id = $1")
        .bind(lease.task.to_string())
        .values(&mut tx)
        .await?;
    let is_known = !known.is_empty() && known.iter().all(|by| by == recipe);
    if is_known {
        // What an earlier attempt has made is as good as new; what was under way begins anew.
        sql("
            update pieces
            set attempt = $2,
                state = case when state = 'made' then 'made' else 'waiting' end,
                tries = 0, worker = null, lease_until = null
            where task_id = $1
            ")
        .bind(lease.task.to_string())
        .bind(lease.attempt)
        .execute(&mut tx)
        .await?;
    } else {
        forget(&mut tx, &held.stored.job, now).await?;
        let rows = (0_i64..).zip(pieces).map(|(position, piece)| {
            Ok(vec![
                ("task_id", lease.task.to_string().into()),
                ("position", position.into()),
                ("attempt", lease.attempt.into()),
                ("recipe", recipe.into()),
                ("piece", to_json(piece)?.into()),
                ("state", "waiting".into()),
            ])
        });
        insert(&mut tx, "pieces", rows.collect::<StoreResult<_>>()?).await?;
    }
    tx.commit().await?;
    if !pieces.is_empty() {
        store.hints.tell(Hint::TaskDue);
    }
    Ok(Settled::Done)
}

/// Forgets the pieces of a job and dooms what was made of them; at once, unless somebody may still
/// be at one.
pub(super) async fn forget(tx: &mut Transaction, job: &Job, now: Timestamp) -> StoreResult<()> {
    let mut states = Vec::new();
    for task in &job.tasks {
        let text = "delete from pieces where task_id = $1 returning state";
        states.extend(sql(text).bind(task.id.to_string()).values::<String>(tx).await?);
    }
    if states.is_empty() {
        return Ok(());
    }
    let is_at_work = states.iter().any(|state| state == "taken");
    let doomed_at = if is_at_work { now.plus(ZOMBIE) } else { now };
    doom(tx, &pieces_prefix(job), doomed_at).await
}

pub(super) async fn claim(
    store: &SqlStore,
    worker: WorkerId,
    of: Option<&Lease>,
) -> StoreResult<Option<PieceClaim>> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let Some((task, position)) = due(&mut tx, of, now).await? else {
        tx.abandon().await?;
        return Ok(None);
    };
    let taken: Option<(i64, i64, String, String)> = sql("
        update pieces
        set state = 'taken', tries = tries + 1, worker = $3, lease_until = $4, percent = 0
        where task_id = $1 and position = $2
        returning attempt, tries, piece, recipe
        ")
    .bind(task.clone())
    .bind(position)
    .bind(worker.to_string())
    .bind(now.plus(LEASE))
    .row(&mut tx)
    .await?;
    let job: Option<String> =
        sql("select job_id from tasks where id = $1").bind(task.clone()).value(&mut tx).await?;
    let (Some((attempt, tries, piece, recipe)), Some(job)) = (taken, job) else {
        tx.abandon().await?;
        return Ok(None);
    };
    let Some(stored) = load_one(&mut tx, parse(&job, "tasks", "job_id", &task)?).await? else {
        tx.abandon().await?;
        return Ok(None);
    };
    tx.commit().await?;
    let lease = PieceLease {
        task: parse(&task, "pieces", "task_id", &task)?,
        position: number(position, "pieces", "position", &task)?,
        attempt: number(attempt, "pieces", "attempt", &task)?,
        worker,
        tries: number(tries, "pieces", "tries", &task)?,
    };
    let piece = from_json(&piece, "pieces", "piece", &task)?;
    Ok(Some(PieceClaim { lease, job: stored.job, piece, recipe }))
}

/// The first piece that nobody makes, of a task that is held and wanted: of that one task, or of
/// the oldest that needs help.
async fn due(
    tx: &mut Transaction,
    of: Option<&Lease>,
    now: Timestamp,
) -> StoreResult<Option<(String, i64)>> {
    let tries = if of.is_some() { PIECE_TRIES } else { HELPED_TRIES };
    let mut statement =
        Statement::begin("select task_id, position from pieces where state <> 'made'")
            .push_bind(" and (state = 'waiting' or lease_until <= ", now)
            .push_bind(") and tries < ", tries);
    if let Some(lease) = of {
        statement = statement
            .push_bind(" and task_id = ", lease.task.to_string())
            .push_bind(" and attempt = ", lease.attempt);
    }
    statement
        .push(IS_WANTED)
        .push(" order by task_id, position limit 1")
        .skip_locked()
        .row(tx)
        .await
}

pub(super) async fn keep(
    store: &SqlStore,
    lease: &PieceLease,
    percent: f32,
) -> StoreResult<Settled> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let written = change("lease_until = $6, percent = $7", lease)
        .push(IS_WANTED)
        .bind(now.plus(LEASE))
        .bind(f64::from(percent))
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(settled(written))
}

pub(super) async fn finish(
    store: &SqlStore,
    lease: &PieceLease,
    file: &PieceFile,
) -> StoreResult<Settled> {
    let mut tx = store.write().await?;
    let to = "state = 'made', made = $6, percent = 100, worker = null, lease_until = null";
    let written = change(to, lease).bind(to_json(file)?).execute(&mut tx).await?;
    end(store, tx, lease, written).await
}

pub(super) async fn release(store: &SqlStore, lease: &PieceLease) -> StoreResult<Settled> {
    let mut tx = store.write().await?;
    let to = "state = 'waiting', worker = null, lease_until = null, percent = 0";
    let written = change(to, lease).execute(&mut tx).await?;
    end(store, tx, lease, written).await
}

/// Changes a piece `to` something else, if it is still in the hands of the lease: its parameters
/// come after the lease's five.
fn change(to: &'static str, lease: &PieceLease) -> Statement {
    Statement::begin("update pieces set ")
        .push(to)
        .push(
            "
            where task_id = $1 and position = $2 and attempt = $3 and worker = $4 and tries = $5
                and state = 'taken'",
        )
        .bind(lease.task.to_string())
        .bind(lease.position)
        .bind(lease.attempt)
        .bind(lease.worker.to_string())
        .bind(lease.tries)
}

/// Commits, and tells whoever waits for the pieces of the job.
async fn end(
    store: &SqlStore,
    mut tx: Transaction,
    lease: &PieceLease,
    written: u64,
) -> StoreResult<Settled> {
    let task = lease.task.to_string();
    let job: Option<String> =
        sql("select job_id from tasks where id = $1").bind(task.clone()).value(&mut tx).await?;
    tx.commit().await?;
    if let Some(job) = job.filter(|_| written == 1) {
        store.hints.tell(Hint::Changed(parse(&job, "tasks", "job_id", &task)?));
    }
    Ok(settled(written))
}

const fn settled(written: u64) -> Settled {
    if written == 1 { Settled::Done } else { Settled::Lost }
}

#[derive(sqlx::FromRow)]
struct PieceRow {
    piece: String,
    worker: Option<String>,
    tries: i64,
    percent: f64,
    made: Option<String>,
}

pub(super) async fn of_task(store: &SqlStore, lease: &Lease) -> StoreResult<Vec<PieceSeen>> {
    let mut tx = store.read().await?;
    let now = store.now(&mut tx).await?;
    let task = lease.task.to_string();
    let rows: Vec<PieceRow> = sql("
        select
            piece,
            case when lease_until > $3 then worker end as worker,
            tries, percent, made
        from pieces
        where task_id = $1 and attempt = $2
        order by position
        ")
    .bind(task.clone())
    .bind(lease.attempt)
    .bind(now)
    .rows(&mut tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let worker = row.worker.map(|id| parse(&id, "pieces", "worker", &task)).transpose()?;
            Ok(PieceSeen {
                piece: from_json(&row.piece, "pieces", "piece", &task)?,
                worker,
                tries: number(row.tries, "pieces", "tries", &task)?,
                percent: row.percent as f32,
                made: row.made.map(|made| from_json(&made, "pieces", "made", &task)).transpose()?,
            })
        })
        .collect()
}
