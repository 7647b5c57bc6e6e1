//! Tasks go to a provider, words about them come back, and those that nobody wants are told of.
//!
//! A word may come before the answer that names the provider's job, twice, out of order, or about
//! nothing that is known here. What is known is changed, the rest is kept for a while.

use std::time::Duration;

use super::SqlStore;
use super::database::{Transaction, Turn};
use super::ending::{End, change, end_attempt, hint, publish};
use super::event;
use super::held::{Fence, Held};
use super::row::{from_json, number, parse, save_job, to_json, unknown};
use super::statement::sql;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::{Job, RemoteFile};
use crate::store::{
    Asked, HandOver, Heard, Hint, Hints, Lease, Overdue, Published, Settled, Standing, StoreResult,
    Unwanted, Word,
};
use crate::task::{ErrorKind, Failure, StageKind, Stages, TaskEvent, TaskState};

/// How many words about unknown jobs are kept; the oldest go first.
const MAX_EARLY: u32 = 1000;

pub(super) async fn hand_over(
    store: &SqlStore,
    lease: &Lease,
    provider_id: &str,
    ask_in: Duration,
) -> StoreResult<Settled> {
    let mut tx = store.write().await?;
    // Before the job is locked, as everybody does who needs both.
    tx.take_turns(Turn::HandOver).await?;
    let now = store.now(&mut tx).await?;
    let Some(mut held) = Held::load_fenced(&mut tx, &Fence::of(lease)).await? else {
        tx.abandon().await?;
        return Ok(Settled::Lost);
    };
    if is_anothers(&mut tx, provider_id, &held).await? {
        return end_at_once(store, tx, held, End::Failed(mixed_up()), now).await;
    }
    if let Some(unwanted) = unwanted(&held) {
        insert(&mut tx, provider_id, &held, Some(unwanted), now, now).await?;
        return end_at_once(store, tx, held, End::Cancelled, now).await;
    }
    let kind = held.stored.job.spec.options.kind();
    let mut stages = Stages::default();
    stages.begin(StageKind::Encode(kind), now);
    held.task_mut().stages = stages;
    held.on_task(TaskEvent::HandedOver, now)?;
    held.stored.job.updated_at = now;
    if !held.hand_over(&mut tx, provider_id).await? {
        tx.abandon().await?;
        return Ok(Settled::Lost);
    }
    insert(&mut tx, provider_id, &held, None, now.plus(ask_in), now).await?;
    if let Some(word) = take_early(&mut tx, provider_id).await? {
        note(&mut tx, &mut held, provider_id, word, ask_in, now).await?;
    }
    save_job(&mut tx, &held.stored).await?;
    tx.commit().await?;
    hint_back(&store.hints, &held.stored.job);
    Ok(Settled::Done)
}

/// Ends the attempt in the place of a hand-over.
async fn end_at_once(
    store: &SqlStore,
    mut tx: Transaction,
    held: Held,
    end: End,
    now: Timestamp,
) -> StoreResult<Settled> {
    let Some(job) = end_attempt(&mut tx, held, end, now, now).await? else {
        tx.abandon().await?;
        return Ok(Settled::Lost);
    };
    tx.commit().await?;
    hint(&store.hints, &job);
    Ok(Settled::Done)
}

fn mixed_up() -> Failure {
    let words = "the provider answered with the name of another job";
    Failure::new(ErrorKind::ProviderUnreadable, words)
        .hint("whoever runs this server should ask it")
}

fn unwanted(held: &Held) -> Option<Unwanted> {
    let is_deleted = held.stored.deleted_at.map(|_| Unwanted::Delete);
    is_deleted.or_else(|| held.stored.cancel_asked_at.map(|_| Unwanted::Cancel))
}

/// Whether the provider gave this name to another of our tasks.
async fn is_anothers(tx: &mut Transaction, provider_id: &str, held: &Held) -> StoreResult<bool> {
    let task = sql("select task_id from dispatches where provider_id = $1").bind(provider_id);
    let task = task.value::<String>(tx).await?;
    Ok(task.is_some_and(|task| task != held.task().id.to_string()))
}

async fn insert(
    tx: &mut Transaction,
    provider_id: &str,
    held: &Held,
    unwanted: Option<Unwanted>,
    due_at: Timestamp,
    now: Timestamp,
) -> StoreResult<()> {
    sql("
        insert into dispatches (
            provider_id, task_id, job_id, seq, unwanted, due_at, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (provider_id) do update
        set seq = excluded.seq, unwanted = excluded.unwanted, due_at = excluded.due_at,
            missed = 0, heard_at = null, created_at = excluded.created_at
        ")
    .bind(provider_id)
    .bind(held.task().id.to_string())
    .bind(held.stored.job.id.to_string())
    .bind(held.stored.job.seq)
    .bind(unwanted.map(|unwanted| unwanted.name().to_owned()))
    .bind(due_at)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// What is known of a job that a provider has or had.
#[derive(sqlx::FromRow)]
struct Dispatch {
    provider_id: String,
    task_id: String,
}

pub(super) async fn hear(store: &SqlStore, word: &Word, ask_in: Duration) -> StoreResult<Heard> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let mut dispatch = find(&mut tx, word).await?;
    if dispatch.is_none() {
        // A hand-over that is being written now is waited for, and then seen.
        tx.take_turns(Turn::HandOver).await?;
        dispatch = find(&mut tx, word).await?;
    }
    let Some(dispatch) = dispatch else {
        keep(&mut tx, word, now).await?;
        tx.commit().await?;
        return Ok(Heard::Kept);
    };
    let held = Held::load(&mut tx, &dispatch.task_id).await?;
    let held = held.filter(|held| held.task().state == TaskState::Away);
    // Once more, under the job's lock.
    let known = sql("
        select heard_at from dispatches
        where provider_id = $1 and unwanted is null and due_at is not null
        ")
    .bind(dispatch.provider_id.as_str())
    .value::<Option<i64>>(&mut tx)
    .await?;
    let is_older = |heard: Option<i64>| {
        heard.zip(word.at).is_some_and(|(heard, at)| at < Timestamp::from_millis(heard))
    };
    let (Some(mut held), Some(false)) = (held, known.map(is_older)) else {
        tx.abandon().await?;
        return Ok(Heard::Stale);
    };
    let job = held.stored.job.id;
    note(&mut tx, &mut held, &dispatch.provider_id, word.clone(), ask_in, now).await?;
    if dispatch.provider_id != word.provider_id {
        // Made twice, because an answer was lost: the other one is not needed any more.
        sql("update dispatches set unwanted = 'cancel', due_at = $2 where provider_id = $1")
            .bind(dispatch.provider_id)
            .bind(now)
            .execute(&mut tx)
            .await?;
    }
    save_job(&mut tx, &held.stored).await?;
    tx.commit().await?;
    if word.standing == Standing::Unproven {
        store.hints.tell(Hint::Changed(job));
    } else {
        hint_back(&store.hints, &held.stored.job);
    }
    Ok(Heard::Noted)
}

/// The hand-over that the word is about: by the provider's name for it; or, when the provider made
/// it twice and one of them has come out well, by what it was sent along.
async fn find(tx: &mut Transaction, word: &Word) -> StoreResult<Option<Dispatch>> {
    let named = sql("select provider_id, task_id from dispatches where provider_id = $1")
        .bind(word.provider_id.as_str())
        .row::<Dispatch>(tx)
        .await?;
    let (None, Some(of), Standing::Succeeded { .. }) = (&named, word.of, &word.standing) else {
        return Ok(named);
    };
    let HandOver { job, seq } = of;
    sql("
        select provider_id, task_id
        from dispatches
        where job_id = $1 and seq = $2 and unwanted is null and due_at is not null
        ")
    .bind(job.to_string())
    .bind(seq)
    .row(tx)
    .await
}

/// Changes the task, its job and what is known of the provider's as the word says. The caller
/// writes the job.
async fn note(
    tx: &mut Transaction,
    held: &mut Held,
    provider_id: &str,
    word: Word,
    ask_in: Duration,
    now: Timestamp,
) -> StoreResult<()> {
    let due_at = match word.standing {
        Standing::Unproven => Some(now),
        Standing::UnderWay { progress } => {
            if let Some(percent) = progress {
                held.task_mut().stages.advance(percent);
                held.save_stages(tx).await?;
                let job = &mut held.stored.job;
                job.progress = job.progress.max(percent.clamp(0.0, 100.0));
                job.updated_at = now;
            }
            Some(now.plus(ask_in))
        }
        Standing::Succeeded { outputs } => {
            let (kind, prefix) = (held.stored.job.spec.options.kind(), held.prefix());
            let published = |(position, file): (usize, RemoteFile)| {
                let url = file.url.to_string();
                Published { file: file.file(kind, &prefix, position), url }
            };
            let outputs = outputs.into_iter().enumerate().map(published).collect();
            end(tx, held, End::Finished(outputs), now).await?;
            None
        }
        Standing::Failed { failure } => {
            end(tx, held, End::Failed(failure), now).await?;
            None
        }
        Standing::Cancelled => {
            end(tx, held, End::Cancelled, now).await?;
            None
        }
    };
    sql("
        update dispatches
        set due_at = $2, missed = 0, heard_at = coalesce($3, heard_at)
        where provider_id = $1
        ")
    .bind(provider_id)
    .bind(due_at)
    .bind(word.at)
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends a task that was away, with its job: the same in every respect as if a worker had made it.
async fn end(tx: &mut Transaction, held: &mut Held, end: End, now: Timestamp) -> StoreResult<()> {
    let outputs = change(held, end, now)?;
    held.come_back(tx).await?;
    publish(tx, &held.stored.job, &outputs).await?;
    event::write(tx, &mut held.stored.job, now).await
}

/// Keeps the word until somebody can say what it is about.
async fn keep(tx: &mut Transaction, word: &Word, now: Timestamp) -> StoreResult<()> {
    let known = early(tx, &word.provider_id).await?;
    if known.is_some_and(|known| !word.replaces(&known)) {
        return Ok(());
    }
    sql("
        insert into early_words (provider_id, job_id, seq, word, created_at)
        values ($1, $2, $3, $4, $5)
        on conflict (provider_id) do update
        set job_id = excluded.job_id, seq = excluded.seq, word = excluded.word
        ")
    .bind(word.provider_id.as_str())
    .bind(word.of.map(|of| of.job.to_string()))
    .bind(word.of.map(|of| i64::from(of.seq)))
    .bind(to_json(word)?)
    .bind(now)
    .execute(tx)
    .await?;
    sql("
        delete from early_words
        where created_at < (
            select min(created_at) from (
                select created_at from early_words order by created_at desc limit $1
            ) as kept
        )
        ")
    .bind(MAX_EARLY)
    .execute(tx)
    .await?;
    Ok(())
}

async fn early(tx: &mut Transaction, provider_id: &str) -> StoreResult<Option<Word>> {
    let word = sql("select word from early_words where provider_id = $1").bind(provider_id);
    let word = word.value::<String>(tx).await?;
    word.map(|word| from_json(&word, "early_words", "word", provider_id)).transpose()
}

async fn take_early(tx: &mut Transaction, provider_id: &str) -> StoreResult<Option<Word>> {
    let word = early(tx, provider_id).await?;
    sql("delete from early_words where provider_id = $1").bind(provider_id).execute(tx).await?;
    Ok(word)
}

pub(super) async fn early_word(store: &SqlStore, of: HandOver) -> StoreResult<Option<String>> {
    let mut tx = store.read().await?;
    sql("
        select provider_id from early_words
        where job_id = $1 and seq = $2
        order by created_at, provider_id
        limit 1
        ")
    .bind(of.job.to_string())
    .bind(of.seq)
    .value(&mut tx)
    .await
}

/// Notes that the provider shall be told that a job is not wanted.
pub(super) async fn unwant(
    tx: &mut Transaction,
    job: JobId,
    unwanted: Unwanted,
    now: Timestamp,
) -> StoreResult<()> {
    let text = match unwanted {
        // What has ended there cannot be stopped,
        Unwanted::Cancel => {
            "
            update dispatches
            set unwanted = 'cancel', due_at = $2, missed = 0
            where job_id = $1 and due_at is not null and unwanted is null
            "
        }
        // and can be removed.
        Unwanted::Delete => {
            "
            update dispatches
            set unwanted = 'delete', due_at = $2, missed = 0
            where job_id = $1
            "
        }
    };
    sql(text).bind(job.to_string()).bind(now).execute(tx).await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct OverdueRow {
    provider_id: String,
    job_id: String,
    unwanted: Option<String>,
    missed: i64,
    created_at: i64,
}

impl OverdueRow {
    fn read(self, now: Timestamp) -> StoreResult<Overdue> {
        let (table, row) = ("dispatches", self.provider_id.as_str());
        let unwanted = self.unwanted.as_deref().map(|name| {
            Unwanted::from_name(name).ok_or_else(|| unknown(table, "unwanted", row, name))
        });
        Ok(Overdue {
            job: parse(&self.job_id, table, "job_id", row)?,
            unwanted: unwanted.transpose()?,
            missed: number(self.missed, table, "missed", row)?,
            away_for: now.since(Timestamp::from_millis(self.created_at)),
            provider_id: self.provider_id,
        })
    }
}

pub(super) async fn overdue(
    store: &SqlStore,
    limit: u32,
    lease: Duration,
) -> StoreResult<Vec<Overdue>> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    let rows: Vec<OverdueRow> = sql("
        select provider_id, job_id, unwanted, missed, created_at
        from dispatches
        where due_at <= $1
        order by due_at, provider_id
        limit $2
        ")
    .skip_locked()
    .bind(now)
    .bind(limit)
    .rows(&mut tx)
    .await?;
    let overdue: Vec<Overdue> =
        rows.into_iter().map(|row| row.read(now)).collect::<StoreResult<_>>()?;
    // Nobody else speaks about these meanwhile.
    sql("update dispatches set due_at = $2 where provider_id in list($1)")
        .bind(overdue.iter().map(|overdue| overdue.provider_id.clone()).collect::<Vec<_>>())
        .bind(now.plus(lease))
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(overdue)
}

pub(super) async fn asked(store: &SqlStore, overdue: &Overdue, asked: Asked) -> StoreResult<()> {
    let mut tx = store.write().await?;
    let now = store.now(&mut tx).await?;
    // What has changed since it was read is somebody else's to follow.
    let unwanted = overdue.unwanted.map(|unwanted| unwanted.name().to_owned());
    let (missed, again_in) = match asked {
        Asked::Done => {
            sql("
                delete from dispatches
                where provider_id = $1 and coalesce(unwanted, '') = coalesce($2, '')
                ")
            .bind(overdue.provider_id.as_str())
            .bind(unwanted)
            .execute(&mut tx)
            .await?;
            return tx.commit().await;
        }
        Asked::AgainIn(wait) => (0, wait),
        Asked::MissedAgainIn(wait) => (overdue.missed.saturating_add(1), wait),
    };
    sql("
        update dispatches
        set due_at = $3, missed = $4
        where provider_id = $1 and coalesce(unwanted, '') = coalesce($2, '')
            and due_at is not null
        ")
    .bind(overdue.provider_id.as_str())
    .bind(unwanted)
    .bind(now.plus(again_in))
    .bind(missed)
    .execute(&mut tx)
    .await?;
    tx.commit().await
}

/// Tells that a job has changed, and, when it has ended, that its owner has room for another.
fn hint_back(hints: &Hints, job: &Job) {
    hint(hints, job);
    if job.state.status().is_final() {
        hints.tell(Hint::TaskDue);
    }
}
