//! A person asks to try an ended job again.

use std::time::Duration;

use reelway::id::{JobId, fresh};
use reelway::job::{Job, JobState, Status};
use reelway::store::{BeatReply, CancelOutcome, Settled, StoreError};
use reelway::task::{MAX_TRIES, Next, Stages, TaskState};

use crate::fixture::beat;
use crate::world::{NOW, OURS, RECEIVER, World, at_once};

/// Asserts that a job cannot be tried again and that asking changes nothing.
async fn is_refused(world: &World, before: &Job) {
    let refused = world.store.retry(OURS, before.id).await;
    let Err(StoreError::Transition(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.status, before.state.status());
    assert_eq!(world.read(before.id).await, *before);
}

pub(crate) async fn a_failed_job_goes_back_into_the_queue_with_all_its_tries(world: World) {
    let job = world.job().submit().await;
    for _ in 0..MAX_TRIES - 1 {
        let claim = world.take(&job).await;
        let failed = world.fail(&claim.lease, Next::RetryIn(Duration::ZERO)).await;
        assert_eq!(failed, Settled::Done);
    }
    let last = world.take(&job).await;
    assert_eq!(world.store.beat(&[beat(&last, 50.0)]).await.expect("replies"), [BeatReply::Held]);
    assert_eq!(world.fail(&last.lease, Next::End).await, Settled::Done);
    world.pass(Duration::from_secs(1));

    let again = world.retry(job.id).await;
    assert_eq!(again.state, JobState::Queued { started_at: None });
    assert_eq!(again.progress.to_bits(), 0.0_f32.to_bits());
    assert_eq!(again.seq, 1, "what was told was told");
    assert_eq!(again.updated_at, world.now());
    assert_eq!(again.tasks[0].state, TaskState::Queued { run_at: world.now() });
    assert_eq!((again.tasks[0].attempt, again.tasks[0].tries), (MAX_TRIES, 0));
    assert_eq!(again.tasks[0].stages, Stages::default());
    assert_eq!(again, world.read(job.id).await);

    let claim = world.take(&job).await;
    assert_eq!((claim.lease.attempt, claim.tries), (MAX_TRIES + 1, 1));
}

pub(crate) async fn a_cancelled_job_goes_back_into_the_queue_and_is_wanted_again(world: World) {
    let claim = world.job().running().await;
    world.cancel(claim.lease.job).await;
    assert_eq!(world.end_cancelled(&claim.lease).await, Settled::Done);
    let again = world.retry(claim.lease.job).await;
    let second = world.take(&again).await;
    assert_eq!(world.store.beat(&[beat(&second, 1.0)]).await.expect("replies"), [BeatReply::Held]);
    assert_eq!(world.finish(&second.lease).await, Settled::Done);
    assert_eq!(world.read(again.id).await.state.status(), Status::Succeeded);
}

pub(crate) async fn a_job_that_was_cancelled_before_it_began_can_be_tried(world: World) {
    let job = world.job().cancelled().await;
    world.retry(job.id).await;
    let claim = world.take(&job).await;
    assert_eq!((claim.lease.attempt, claim.tries), (1, 1));
}

pub(crate) async fn the_holder_of_an_earlier_attempt_stays_locked_out(world: World) {
    let first = world.job().running().await;
    assert_eq!(world.fail(&first.lease, Next::End).await, Settled::Done);
    let job = world.retry(first.lease.job).await;
    assert_eq!(world.finish(&first.lease).await, Settled::Lost, "while it waits");
    let second = world.take(&job).await;
    assert_eq!(world.finish(&first.lease).await, Settled::Lost, "while it runs");
    assert_eq!(world.finish(&second.lease).await, Settled::Done);
}

pub(crate) async fn a_job_in_any_other_state_cannot_be_tried_again(world: World) {
    let succeeded = world.job().succeeded().await;
    is_refused(&world, &succeeded).await;
    let waits = world.job().failed_once(Duration::from_mins(1)).await;
    is_refused(&world, &waits).await;
    let claim = world.job().running().await;
    is_refused(&world, &claim.job).await;
    let CancelOutcome::Asked(asked) = world.cancel(claim.lease.job).await else {
        panic!("not asked")
    };
    is_refused(&world, &asked).await;
    let queued = world.job().submit().await;
    is_refused(&world, &queued).await;
}

pub(crate) async fn a_job_that_is_not_there_cannot_be_tried_again(world: World) {
    let unknown: JobId = fresh(NOW);
    assert_eq!(world.store.retry(OURS, unknown).await.expect("an answer"), None);
    let job = world.job().failed().await;
    world.delete(job.id).await;
    assert_eq!(world.store.retry(OURS, job.id).await.expect("an answer"), None);
}

pub(crate) async fn ten_retries_at_once_queue_the_job_once(world: World) {
    let stores = world.two().await;
    let job = world.job().webhook(RECEIVER).failed().await;
    let answers = at_once((0..10).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.retry(OURS, job.id).await }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let refused = |answer: &&_| matches!(answer, Err(StoreError::Transition(_)));
    assert_eq!(answers.iter().filter(refused).count(), 9, "{answers:?}");
    assert_eq!(world.claim(9, 0).await.len(), 1);
}
