//! Jobs come in: all of a submission, or none.

use std::collections::{BTreeMap, HashMap};

use url::Url;

use super::SqlStore;
use super::database::Transaction;
use super::row::{run_at, to_json};
use super::rows::{Row, insert};
use super::statement::sql;
use crate::clock::Timestamp;
use crate::job::{Job, Kept};
use crate::store::{Hint, Idempotency, StoreResult, Submission, Submitted};
use crate::task::{Lane, Task};

/// Writes submissions in one transaction, each for itself: what is said of one, that its name is
/// taken or the queue full, is no other's affair. An error is of all of them.
pub(super) async fn write(
    store: &SqlStore,
    submissions: &[Submission],
) -> StoreResult<Vec<Submitted>> {
    let limits = submissions.iter().map(|submission| submission.max_queued);
    let mut room = store.intake.queue.look(limits.max().unwrap_or_default());
    let mut tx = store.write().await?;
    let mut answers = Vec::with_capacity(submissions.len());
    let mut accepted = Vec::new();
    for Submission { jobs, idempotency, max_queued } in submissions {
        // Before the queue is looked at: an accepted request is answered although it is full now.
        if let Some(asked) = idempotency
            && let Some(known) = take_name(store, &mut tx, asked).await?
        {
            answers.push(known);
        } else if room.take(&mut tx, jobs, *max_queued).await? {
            accepted.extend((0..).zip(jobs.iter()));
            answers.push(Submitted::Accepted);
        } else {
            // Nothing was accepted under this name.
            if let Some(asked) = idempotency {
                give_name_back(&mut tx, asked).await?;
            }
            answers.push(Submitted::QueueFull);
        }
    }
    insert_batches(&mut tx, &accepted).await?;
    insert_jobs(&mut tx, &accepted).await?;
    insert_tasks(&mut tx, &accepted).await?;
    tx.commit().await?;
    store.intake.queue.note(room);
    tell(store, &accepted);
    Ok(answers)
}

/// Wakes whoever waits for work or looks on.
fn tell(store: &SqlStore, accepted: &[Placed<'_>]) {
    let Some(((_, first), others)) = accepted.split_first() else { return };
    store.hints.tell(Hint::TaskDue);
    // The other processes are told of one: nobody can follow another by its id already, and who
    // looks at all of them looks once.
    store.hints.tell(Hint::Changed(first.id));
    for (_, job) in others {
        store.hints.wake(Hint::Changed(job.id));
    }
}

/// Notes a request under the name that its client gave it, or says what it was answered before.
pub(super) async fn take_name(
    store: &SqlStore,
    tx: &mut Transaction,
    asked: &Idempotency,
) -> StoreResult<Option<Submitted>> {
    let now = store.now(tx).await?;
    if remember(tx, asked, now).await? { Ok(None) } else { known(tx, asked).await.map(Some) }
}

/// Notes the request under its key; false when the key is taken. The first of many that come at
/// once takes it, and the others wait here until it is on disk or not.
async fn remember(tx: &mut Transaction, asked: &Idempotency, now: Timestamp) -> StoreResult<bool> {
    let written = sql("
        insert into idempotency (owner, key, body_hash, response, created_at)
        values ($1, $2, $3, $4, $5)
        on conflict (owner, key) do nothing
        ")
    .bind(asked.owner.as_str())
    .bind(asked.key.clone())
    .bind(asked.body_hash.clone())
    .bind(asked.response.clone())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(written == 1)
}

/// What the same key was answered before.
async fn known(tx: &mut Transaction, asked: &Idempotency) -> StoreResult<Submitted> {
    let before = sql("select body_hash, response from idempotency where owner = $1 and key = $2")
        .bind(asked.owner.as_str())
        .bind(asked.key.clone())
        .row::<(String, String)>(tx)
        .await?;
    Ok(match before {
        Some((body_hash, response)) if body_hash == asked.body_hash => {
            Submitted::Replayed(response)
        }
        _ => Submitted::Conflict,
    })
}

/// Forgets the name of a request that was refused.
async fn give_name_back(tx: &mut Transaction, asked: &Idempotency) -> StoreResult<()> {
    sql("delete from idempotency where owner = $1 and key = $2")
        .bind(asked.owner.as_str())
        .bind(asked.key.clone())
        .execute(tx)
        .await?;
    Ok(())
}

/// A job with its place in the request.
type Placed<'a> = (i64, &'a Job);

async fn insert_batches(tx: &mut Transaction, jobs: &[Placed<'_>]) -> StoreResult<()> {
    let mut batches = BTreeMap::new();
    for (_, job) in jobs {
        if let Some(batch) = job.batch_id {
            batches.entry(batch).or_insert((&job.project, job.created_at));
        }
    }
    for (batch, (project, created_at)) in batches {
        sql("insert into batches (id, created_at, project) values ($1, $2, $3)")
            .bind(batch.to_string())
            .bind(created_at)
            .bind(project.as_str())
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// A job as its table has it.
fn job_row((position, job): &Placed<'_>) -> StoreResult<Row> {
    let (upload, output) = match job.spec.input.kept() {
        Some(Kept::Upload(id)) => (Some(id.to_string()), None),
        Some(Kept::Output(key)) => (None, Some(key.clone())),
        None => (None, None),
    };
    Ok(vec![
        ("id", job.id.to_string().into()),
        ("batch_id", job.batch_id.map(|id| id.to_string()).into()),
        ("batch_position", (*position).into()),
        ("kind", job.spec.options.kind().name().into()),
        ("input", job.spec.input.as_str().into()),
        ("options", to_json(&job.spec.raw_options)?.into()),
        ("metadata", to_json(&job.spec.metadata)?.into()),
        ("webhook_url", job.spec.webhook_url.as_ref().map(Url::to_string).into()),
        ("state", job.state.status().name().into()),
        ("progress", f64::from(job.progress).into()),
        ("failure", job.state.failure().map(to_json).transpose()?.into()),
        ("seq", job.seq.into()),
        ("created_at", job.created_at.into()),
        ("updated_at", job.updated_at.into()),
        ("started_at", job.state.started_at().into()),
        ("finished_at", job.state.finished_at().into()),
        ("owner", job.owner.as_str().into()),
        ("priority", i64::from(job.spec.priority.get()).into()),
        ("via", job.spec.via.as_ref().map(to_json).transpose()?.into()),
        ("upload_id", upload.into()),
        ("input_key", output.into()),
        ("project", job.project.as_str().into()),
        ("trace", job.trace.as_ref().map(to_json).transpose()?.into()),
    ])
}

/// A task as its table has it.
fn task_row(job: &Job, position: i64, task: &Task, turn: i64) -> StoreResult<Row> {
    Ok(vec![
        ("id", task.id.to_string().into()),
        ("job_id", task.job_id.to_string().into()),
        ("position", position.into()),
        ("lane", task.lane.name().into()),
        ("state", task.state.name().into()),
        ("run_at", run_at(task.state).unwrap_or(task.created_at.millis()).into()),
        ("attempt", task.attempt.into()),
        ("tries", task.tries.into()),
        ("stages", to_json(&task.stages)?.into()),
        ("created_at", task.created_at.into()),
        ("kind", job.spec.options.kind().name().into()),
        ("owner", job.owner.as_str().into()),
        ("urgency", job.spec.priority.urgency().into()),
        ("turn", turn.into()),
    ])
}

async fn insert_jobs(tx: &mut Transaction, jobs: &[Placed<'_>]) -> StoreResult<()> {
    let rows = jobs.iter().map(job_row).collect::<StoreResult<Vec<_>>>()?;
    insert(tx, "jobs", rows).await
}

async fn insert_tasks(tx: &mut Transaction, jobs: &[Placed<'_>]) -> StoreResult<()> {
    let (mut rows, mut turns) = (Vec::new(), Turns::default());
    for (_, job) in jobs {
        for (position, task) in (0..).zip(&job.tasks) {
            let (owner, urgency) = (job.owner.as_str(), job.spec.priority.urgency());
            let turn = turns.next(tx, task.lane, urgency, owner).await?;
            rows.push(task_row(job, position, task, turn)?);
        }
    }
    insert(tx, "tasks", rows).await
}

/// The numbers by which tasks stand in their lanes.
#[derive(Default)]
struct Turns<'a> {
    next: HashMap<(Lane, i64, &'a str), i64>,
}

impl<'a> Turns<'a> {
    /// The turn of one more task.
    async fn next(
        &mut self,
        tx: &mut Transaction,
        lane: Lane,
        urgency: i64,
        owner: &'a str,
    ) -> StoreResult<i64> {
        let turn = match self.next.get(&(lane, urgency, owner)) {
            Some(turn) => *turn,
            None => next_turn(tx, lane, urgency, owner).await?,
        };
        self.next.insert((lane, urgency, owner), turn + 1);
        Ok(turn)
    }
}

/// The number by which a task stands in its lane, among those as urgent as it.
///
/// Keys take turns: a task stands one behind the last of its own key, but not before the front of
/// the queue. So a key that comes with one task waits for one task of each other key, however
/// many they have queued. (Start-time fair queueing, Goyal, Vin and Cheng 1996, with every task
/// of length 1 and the front of the queue for the virtual time.)
async fn next_turn(
    tx: &mut Transaction,
    lane: Lane,
    urgency: i64,
    owner: &str,
) -> StoreResult<i64> {
    // The first and the last of an index: a `min` and a `max` are read as a whole range where the
    // planner believes the range to be short, and in a young table it always does.
    let turns = sql("
        select
            (
                select turn from tasks
                where state = 'queued' and lane = $1 and urgency = $2
                order by turn limit 1
            ),
            (
                select turn from tasks
                where state = 'queued' and lane = $1 and urgency = $2 and owner = $3
                order by turn desc limit 1
            )
        ")
    .bind(lane.name())
    .bind(urgency)
    .bind(owner)
    .row::<(Option<i64>, Option<i64>)>(tx)
    .await?;
    let (front, own) = turns.unwrap_or_default();
    Ok(front.unwrap_or(0).max(own.map_or(0, |turn| turn + 1)))
}
