//! A task with its job, between two states: read, changed by the domain's tables, written back.

use super::database::Transaction;
use super::row::{Stored, corrupt, load_one, number, parse, run_at, to_json, unknown};
use super::statement::sql;
use crate::clock::Timestamp;
use crate::job::JobEvent;
use crate::store::{Lease, StoreResult};
use crate::task::{Task, TaskEvent};

/// What stands in front of every write to a task that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) task: String,
    pub(super) owner: String,
    pub(super) attempt: u32,
}

impl Fence {
    pub(super) fn of(lease: &Lease) -> Self {
        Self {
            task: lease.task.to_string(),
            owner: lease.worker.to_string(),
            attempt: lease.attempt,
        }
    }
}

/// A job and the one of its tasks that this is about.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) stored: Stored,
    position: usize,
    fence: Option<Fence>,
}

impl Held {
    /// The task with this id and its job, for this transaction alone, and who holds it now, if
    /// anybody.
    pub(super) async fn load(tx: &mut Transaction, task: &str) -> StoreResult<Option<Self>> {
        let job = sql("select job_id from tasks where id = $1").bind(task);
        let Some(job) = job.value::<String>(tx).await? else { return Ok(None) };
        tx.lock_job(&job).await?;
        let row = sql("select attempt, lease_owner from tasks where id = $1").bind(task);
        let Some((attempt, owner)) = row.row::<(i64, Option<String>)>(tx).await? else {
            return Ok(None);
        };
        let attempt = number(attempt, "tasks", "attempt", task)?;
        let fence = owner.map(|owner| Fence { task: task.to_owned(), owner, attempt });
        let stored = load_one(tx, parse(&job, "tasks", "job_id", task)?).await?;
        let stored = stored.ok_or_else(|| unknown("tasks", "job_id", task, &job))?;
        let position = stored.job.tasks.iter().position(|of_job| of_job.id.to_string() == task);
        let position = position.ok_or_else(|| unknown("tasks", "id", task, task))?;
        Ok(Some(Self { stored, position, fence }))
    }

    /// The same, only if it is in the hands that `fence` says.
    pub(super) async fn load_fenced(
        tx: &mut Transaction,
        fence: &Fence,
    ) -> StoreResult<Option<Self>> {
        let held = Self::load(tx, &fence.task).await?;
        Ok(held.filter(|held| held.fence.as_ref() == Some(fence)))
    }

    pub(super) fn task(&self) -> &Task {
        &self.stored.job.tasks[self.position]
    }

    pub(super) fn task_mut(&mut self) -> &mut Task {
        &mut self.stored.job.tasks[self.position]
    }

    /// Changes the task's state. A state that does not allow it came from a broken row.
    pub(super) fn on_task(&mut self, event: TaskEvent, at: Timestamp) -> StoreResult<()> {
        let task = self.task_mut();
        task.state = task
            .state
            .on(event, at)
            .map_err(|error| corrupt("tasks", "state", &task.id.to_string(), error))?;
        Ok(())
    }

    /// Changes the job's state as the change of its task demands.
    pub(super) fn on_job(&mut self, event: JobEvent, at: Timestamp) -> StoreResult<()> {
        let job = &mut self.stored.job;
        job.state = job
            .state
            .clone()
            .on(event, at)
            .map_err(|error| corrupt("jobs", "state", &job.id.to_string(), error))?;
        job.updated_at = at;
        Ok(())
    }

    /// Where the attempt puts its files: no other attempt ever writes there.
    pub(super) fn prefix(&self) -> String {
        format!("{}/{}", self.stored.job.id, self.task().attempt)
    }

    /// Writes the task as it goes to the provider that calls it `provider_id`. False when it is not
    /// in its holder's hands any more.
    pub(super) async fn hand_over(
        &self,
        tx: &mut Transaction,
        provider_id: &str,
    ) -> StoreResult<bool> {
        let Some(fence) = &self.fence else { return Ok(false) };
        let written = sql("
            update tasks
            set state = $4, provider_id = $5, stages = $6, lease_owner = null, lease_until = null
            where id = $1 and attempt = $2 and lease_owner = $3 and state = 'processing'
            ")
        .bind(fence.task.clone())
        .bind(fence.attempt)
        .bind(fence.owner.clone())
        .bind(self.task().state.name())
        .bind(provider_id)
        .bind(to_json(&self.task().stages)?)
        .execute(tx)
        .await?;
        Ok(written == 1)
    }

    /// Writes the task as it comes back from its provider: ended.
    pub(super) async fn come_back(&self, tx: &mut Transaction) -> StoreResult<()> {
        let task = self.task();
        sql("
            update tasks
            set state = $2, stages = $3, provider_id = null
            where id = $1 and provider_id is not null
            ")
        .bind(task.id.to_string())
        .bind(task.state.name())
        .bind(to_json(&task.stages)?)
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Writes how far the task is that a provider has.
    pub(super) async fn save_stages(&self, tx: &mut Transaction) -> StoreResult<()> {
        let task = self.task();
        sql("update tasks set stages = $2 where id = $1")
            .bind(task.id.to_string())
            .bind(to_json(&task.stages)?)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Writes the task as it leaves its holder's hands. False when it is not in them any more.
    pub(super) async fn let_go(&self, tx: &mut Transaction) -> StoreResult<bool> {
        let Some(fence) = &self.fence else { return Ok(false) };
        let task = self.task();
        let written = sql("
            update tasks
            set state = $4, run_at = coalesce($5, run_at), tries = $6, stages = $7,
                lease_owner = null, lease_until = null
            where id = $1 and attempt = $2 and lease_owner = $3 and state = 'processing'
            ")
        .bind(fence.task.clone())
        .bind(fence.attempt)
        .bind(fence.owner.clone())
        .bind(task.state.name())
        .bind(run_at(task.state))
        .bind(task.tries)
        .bind(to_json(&task.stages)?)
        .execute(tx)
        .await?;
        Ok(written == 1)
    }
}
