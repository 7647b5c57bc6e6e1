//! Jobs come in: all of a submission, or none.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use url::Url;

use super::SqlStore;
use super::database::Transaction;
use super::row::{run_at, to_json};
use super::statement::{Statement, sql};
use crate::clock::Timestamp;
use crate::job::{Job, Kept};
use crate::store::{Hint, Idempotency, StoreResult, Submission, Submitted};
use crate::task::{Lane, TaskState};

/// Writes submissions in one transaction, each for itself: what is said of one, that its name is
/// taken or the queue full, is no other's affair. An error is of all of them.
pub(super) async fn write(
    store: &SqlStore,
    submissions: &[Submission],
) -> StoreResult<Vec<Submitted>> {
    let mut tx = store.write().await?;
    let mut queue = Queue::look(&mut tx, submissions).await?;
    let mut answers = Vec::with_capacity(submissions.len());
    let mut accepted = Vec::new();
    for Submission { jobs, idempotency, max_queued } in submissions {
        // Before the queue is looked at: an accepted request is answered although it is full now.
        if let Some(asked) = idempotency
            && let Some(known) = take_name(store, &mut tx, asked).await?
        {
            answers.push(known);
        } else if queue.has_room(jobs, *max_queued) {
            accepted.extend((0..).zip(jobs));
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
    if !accepted.is_empty() {
        store.hints.tell(Hint::TaskDue);
    }
    for (_, job) in &accepted {
        store.hints.tell(Hint::Changed(job.id));
    }
    Ok(answers)
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

/// How much waits, as far as anybody asks.
struct Queue {
    waiting: u64,
}

impl Queue {
    /// Counts no further than the largest limit. Where many processes submit at the same moment a
    /// limit may be passed by what they submit.
    async fn look(tx: &mut Transaction, submissions: &[Submission]) -> StoreResult<Self> {
        let text = "
            select count(*) from (select 1 from tasks where state = 'queued' limit $1) as waiting
            ";
        let limit = submissions.iter().map(|submission| submission.max_queued).max();
        let limit = i64::try_from(limit.unwrap_or_default()).unwrap_or(i64::MAX);
        let waiting: Option<i64> = sql(text).bind(limit).value(tx).await?;
        Ok(Self { waiting: waiting.unwrap_or_default().unsigned_abs() })
    }

    /// Whether no more than `max_queued` tasks would wait; then these jobs' wait from now on.
    fn has_room(&mut self, jobs: &[Job], max_queued: u64) -> bool {
        let coming = jobs
            .iter()
            .flat_map(|job| &job.tasks)
            .filter(|task| matches!(task.state, TaskState::Queued { .. }))
            .count();
        let waiting = self.waiting.saturating_add(coming as u64);
        let has_room = waiting <= max_queued;
        if has_room {
            self.waiting = waiting;
        }
        has_room
    }
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
#[derive(Serialize)]
struct JobRow<'a> {
    id: String,
    batch_id: Option<String>,
    batch_position: i64,
    kind: &'static str,
    input: &'a str,
    options: String,
    metadata: String,
    webhook_url: Option<&'a str>,
    state: &'static str,
    progress: f64,
    failure: Option<String>,
    seq: u32,
    created_at: i64,
    updated_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    owner: &'a str,
    priority: i64,
    via: Option<String>,
    upload_id: Option<String>,
    input_key: Option<&'a str>,
    project: &'a str,
    trace: Option<String>,
}

impl<'a> JobRow<'a> {
    fn of((position, job): &Placed<'a>) -> StoreResult<Self> {
        let (upload, output) = match job.spec.input.kept() {
            Some(Kept::Upload(id)) => (Some(id), None),
            Some(Kept::Output(key)) => (None, Some(key)),
            None => (None, None),
        };
        Ok(Self {
            id: job.id.to_string(),
            batch_id: job.batch_id.map(|id| id.to_string()),
            batch_position: *position,
            kind: job.spec.options.kind().name(),
            input: job.spec.input.as_str(),
            options: to_json(&job.spec.raw_options)?,
            metadata: to_json(&job.spec.metadata)?,
            webhook_url: job.spec.webhook_url.as_ref().map(Url::as_str),
            state: job.state.status().name(),
            progress: job.progress.into(),
            failure: job.state.failure().map(to_json).transpose()?,
            seq: job.seq,
            created_at: job.created_at.millis(),
            updated_at: job.updated_at.millis(),
            started_at: job.state.started_at().map(Timestamp::millis),
            finished_at: job.state.finished_at().map(Timestamp::millis),
            owner: job.owner.as_str(),
            priority: job.spec.priority.get().into(),
            via: job.spec.via.as_ref().map(to_json).transpose()?,
            upload_id: upload.map(ToString::to_string),
            input_key: output.map(String::as_str),
            project: job.project.as_str(),
            trace: job.trace.as_ref().map(to_json).transpose()?,
        })
    }
}

async fn insert_jobs(tx: &mut Transaction, jobs: &[Placed<'_>]) -> StoreResult<()> {
    let rows = jobs.iter().map(JobRow::of).collect::<StoreResult<Vec<_>>>()?;
    // differs from postgres: each has its own way to read a list of rows from a parameter.
    Statement::differing(
        "
        insert into jobs (
            id, batch_id, batch_position, kind, input, options, metadata, webhook_url,
            state, progress, failure, seq, created_at, updated_at, started_at, finished_at,
            owner, priority, via, upload_id, input_key, project, trace
        )
        select
            value ->> 'id', value ->> 'batch_id', value ->> 'batch_position', value ->> 'kind',
            value ->> 'input', value ->> 'options', value ->> 'metadata',
            value ->> 'webhook_url', value ->> 'state', value ->> 'progress',
            value ->> 'failure', value ->> 'seq', value ->> 'created_at',
            value ->> 'updated_at', value ->> 'started_at', value ->> 'finished_at',
            value ->> 'owner', value ->> 'priority', value ->> 'via', value ->> 'upload_id',
            value ->> 'input_key', value ->> 'project', value ->> 'trace'
        from json_each($1)
        ",
        "
        insert into jobs (
            id, batch_id, batch_position, kind, input, options, metadata, webhook_url,
            state, progress, failure, seq, created_at, updated_at, started_at, finished_at,
            owner, priority, via, upload_id, input_key, project, trace
        )
        select
            id, batch_id, batch_position, kind, input, options, metadata, webhook_url,
            state, progress, failure, seq, created_at, updated_at, started_at, finished_at,
            owner, priority, via, upload_id, input_key, project, trace
        from json_to_recordset($1::json) as rows (
            id text, batch_id text, batch_position bigint, kind text, input text, options text,
            metadata text, webhook_url text, state text, progress double precision,
            failure text, seq bigint, created_at bigint, updated_at bigint, started_at bigint,
            finished_at bigint, owner text, priority bigint, via text, upload_id text,
            input_key text, project text, trace text
        )
        ",
    )
    .bind(to_json(&rows)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// A task as its table has it.
#[derive(Serialize)]
struct TaskRow<'a> {
    id: String,
    job_id: String,
    position: i64,
    lane: &'static str,
    state: &'static str,
    run_at: i64,
    attempt: u32,
    tries: u32,
    stages: String,
    created_at: i64,
    kind: &'static str,
    owner: &'a str,
    urgency: i64,
    turn: i64,
}

async fn insert_tasks(tx: &mut Transaction, jobs: &[Placed<'_>]) -> StoreResult<()> {
    let (mut rows, mut turns) = (Vec::new(), Turns::default());
    for (_, job) in jobs {
        for (position, task) in (0..).zip(&job.tasks) {
            let (owner, urgency) = (job.owner.as_str(), job.spec.priority.urgency());
            rows.push(TaskRow {
                id: task.id.to_string(),
                job_id: task.job_id.to_string(),
                position,
                lane: task.lane.name(),
                state: task.state.name(),
                run_at: run_at(task.state).unwrap_or(task.created_at.millis()),
                attempt: task.attempt,
                tries: task.tries,
                stages: to_json(&task.stages)?,
                created_at: task.created_at.millis(),
                kind: job.spec.options.kind().name(),
                owner,
                urgency,
                turn: turns.next(tx, task.lane, urgency, owner).await?,
            });
        }
    }
    // differs from postgres: each has its own way to read a list of rows from a parameter.
    Statement::differing(
        "
        insert into tasks (
            id, job_id, position, lane, state, run_at, attempt, tries, stages, created_at,
            kind, owner, urgency, turn
        )
        select
            value ->> 'id', value ->> 'job_id', value ->> 'position', value ->> 'lane',
            value ->> 'state', value ->> 'run_at', value ->> 'attempt', value ->> 'tries',
            value ->> 'stages', value ->> 'created_at', value ->> 'kind', value ->> 'owner',
            value ->> 'urgency', value ->> 'turn'
        from json_each($1)
        ",
        "
        insert into tasks (
            id, job_id, position, lane, state, run_at, attempt, tries, stages, created_at,
            kind, owner, urgency, turn
        )
        select
            id, job_id, position, lane, state, run_at, attempt, tries, stages, created_at,
            kind, owner, urgency, turn
        from json_to_recordset($1::json) as rows (
            id text, job_id text, position bigint, lane text, state text, run_at bigint,
            attempt bigint, tries bigint, stages text, created_at bigint, kind text,
            owner text, urgency bigint, turn bigint
        )
        ",
    )
    .bind(to_json(&rows)?)
    .execute(tx)
    .await?;
    Ok(())
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
    let turns = sql("
        select
            (
                select min(turn) from tasks
                where state = 'queued' and lane = $1 and urgency = $2
            ),
            (
                select max(turn) from tasks
                where state = 'queued' and lane = $1 and urgency = $2 and owner = $3
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
