//! Tasks that come with another: of the same input, to be made by the same process.
//!
//! They jump the queue, for they take no slot of their own and cost the less the sooner they are
//! joined; no key gets more than it may have at once by it. A task that was tried before comes
//! alone and brings nobody: what has killed one worker must not do so to others.

use super::claim::{Due, Owners, read_or_set_aside, take};
use super::database::Transaction;
use super::statement::Statement;
use crate::clock::Timestamp;
use crate::id::WorkerId;
use crate::job::Job;
use crate::store::{Claim, StoreResult, Want};
use crate::task::Lane;

/// How far ahead in the queue companions are looked for, beside the task's own batch: what a
/// claim costs must not grow with the queue.
const LOOK_AHEAD: u32 = 64;

/// Takes what can be made with `claim`, up to what is wanted.
pub(super) async fn take_with(
    tx: &mut Transaction,
    worker: WorkerId,
    claim: &Claim,
    want: &Want,
    owners: &mut Owners,
    now: Timestamp,
) -> StoreResult<Vec<Claim>> {
    let is_alone = claim.lane != Lane::Heavy || claim.tries > 1;
    if want.companions == 0 || is_alone || !claim.job.spec.options.spans_input() {
        return Ok(Vec::new());
    }
    let mut companions = Vec::new();
    for Due { id, owner } in waiting(tx, &claim.job, owners, now).await? {
        if companions.len() >= want.companions as usize {
            break;
        }
        if !owners.has_room(&owner) {
            continue;
        }
        let Some(held) = read_or_set_aside(tx, &id, now).await? else { continue };
        if held.stored.job.spec.can_be_made_with(&claim.job.spec) {
            owners.add(owner);
            companions.push(take(tx, worker, held, now).await?);
        }
    }
    Ok(companions)
}

/// Tasks of the job's input that wait for their first try, in the order of their turn: of its
/// batch, and of the front of the queue.
async fn waiting(
    tx: &mut Transaction,
    job: &Job,
    owners: &Owners,
    now: Timestamp,
) -> StoreResult<Vec<Due>> {
    Statement::begin(
        "
        select id, owner
        from tasks
        where state = 'queued' and lane = 'heavy' and tries = 0",
    )
    .push_bind(" and kind = ", job.spec.options.kind().name())
    .push_bind(" and run_at <= ", now)
    .push_bind(" and owner not in list(", owners.full())
    .push(
        ")
            and job_id in (
                select jobs.id
                from jobs
                where jobs.id in (
                    select job_id from (
                        select job_id
                        from tasks
                        where state = 'queued' and lane = 'heavy'
                        order by urgency, turn, id",
    )
    .push_bind(" limit ", LOOK_AHEAD)
    .push(
        "
                    ) as front
                    union all
                    select id from jobs where batch_id is not null",
    )
    .push_bind(" and batch_id = ", job.batch_id.map(|batch| batch.to_string()))
    .push(")")
    .push_bind(" and jobs.project = ", job.project.as_str())
    .push_bind(" and jobs.input = ", job.spec.input.as_str().to_owned())
    .push(
        ")
        order by urgency, turn, id
        limit 16",
    )
    .skip_locked()
    .rows(tx)
    .await
}
