//! A job that is no longer wanted.

use std::time::Duration;

use reelway::id::{JobId, fresh};
use reelway::job::{JobState, Status};
use reelway::store::{BeatReply, CancelOutcome, EventKind, LEASE, Settled, Want};
use reelway::task::{Next, TaskState};

use crate::fixture::beat;
use crate::world::{NOW, OURS, RECEIVER, World, at_once};

pub(crate) async fn a_job_that_waits_is_cancelled_at_once(world: World) {
    let job = world.job().webhook(RECEIVER).submit().await;
    world.pass(Duration::from_secs(1));
    let CancelOutcome::Cancelled(cancelled) = world.cancel(job.id).await else {
        panic!("not cancelled")
    };
    assert_eq!(cancelled.state, JobState::Cancelled { started_at: None, finished_at: world.now() });
    assert_eq!(cancelled.tasks[0].state, TaskState::Cancelled);
    assert_eq!(cancelled.seq, 1);
    assert_eq!(*cancelled, world.read(job.id).await);
    assert!(world.claim(9, 9).await.is_empty());
    assert_eq!(world.due_one().await.kind, EventKind::JobCancelled);
}

pub(crate) async fn a_job_that_waits_for_its_next_try_is_cancelled_at_once(world: World) {
    let job = world.job().failed_once(Duration::from_mins(5)).await;
    let started_at = job.state.started_at();
    assert!(started_at.is_some());
    let CancelOutcome::Cancelled(cancelled) = world.cancel(job.id).await else {
        panic!("not cancelled")
    };
    assert_eq!(cancelled.state, JobState::Cancelled { started_at, finished_at: world.now() });
    world.pass(Duration::from_hours(1));
    assert!(world.claim(9, 9).await.is_empty());
}

pub(crate) async fn a_running_job_ends_when_its_worker_has_stopped(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    let id = claim.lease.job;
    for _ in 0..2 {
        let CancelOutcome::Asked(asked) = world.cancel(id).await else { panic!("not asked") };
        assert_eq!(asked.state.status(), Status::Processing);
        assert_eq!(*asked, world.read(id).await);
    }
    assert!(world.log(id).await.is_empty(), "it has not ended");
    let replies = world.store.beat(&[beat(&claim, 20.0)]).await.expect("replies");
    assert_eq!(replies, [BeatReply::CancelAsked]);
    assert_eq!(world.end_cancelled(&claim.lease).await, Settled::Done);
    let job = world.read(id).await;
    assert_eq!(job.state.status(), Status::Cancelled);
    assert_eq!(job.seq, 1);
    assert_eq!(world.log(id).await.len(), 1);
}

pub(crate) async fn a_job_whose_end_was_asked_for_is_not_failed_or_tried_again(world: World) {
    for next in [Next::End, Next::RetryIn(Duration::ZERO)] {
        let claim = world.job().running().await;
        world.cancel(claim.lease.job).await;
        assert_eq!(world.fail(&claim.lease, next).await, Settled::Done);
        let job = world.read(claim.lease.job).await;
        assert_eq!(job.state.status(), Status::Cancelled, "{next:?}");
    }
    let claim = world.job().running().await;
    world.cancel(claim.lease.job).await;
    assert_eq!(world.hand_back(&claim.lease).await, Settled::Done);
    let job = world.read(claim.lease.job).await;
    assert_eq!(job.state.status(), Status::Cancelled, "handed back");
    assert!(world.claim(9, 9).await.is_empty());
}

pub(crate) async fn a_job_that_was_finished_first_is_finished(world: World) {
    let claim = world.job().running().await;
    world.cancel(claim.lease.job).await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    assert_eq!(world.read(claim.lease.job).await.state.status(), Status::Succeeded);
}

pub(crate) async fn a_job_whose_end_was_asked_for_is_cancelled_when_its_worker_is_lost(
    world: World,
) {
    let claim = world.job().running().await;
    world.cancel(claim.lease.job).await;
    world.pass(LEASE);
    assert_eq!(world.rescue().await, 1);
    let job = world.read(claim.lease.job).await;
    assert_eq!((job.state.status(), job.seq), (Status::Cancelled, 1));
}

pub(crate) async fn a_job_that_has_ended_stays_as_it_ended(world: World) {
    let ended = [
        world.job().webhook(RECEIVER).succeeded().await,
        world.job().webhook(RECEIVER).failed().await,
        world.job().webhook(RECEIVER).cancelled().await,
    ];
    world.pass(Duration::from_secs(1));
    for job in ended {
        let outcome = world.cancel(job.id).await;
        assert_eq!(outcome, CancelOutcome::AlreadyEnded(Box::new(job.clone())));
        assert_eq!(world.read(job.id).await, job);
        assert_eq!(world.log(job.id).await.len(), 1);
    }
}

pub(crate) async fn a_job_that_is_not_there_cannot_be_cancelled(world: World) {
    let unknown: JobId = fresh(NOW);
    assert_eq!(world.cancel(unknown).await, CancelOutcome::Unknown);
    let claim = world.job().running().await;
    world.delete(claim.lease.job).await;
    assert_eq!(world.cancel(claim.lease.job).await, CancelOutcome::Unknown);
}

/// Whoever comes first wins, and the other one is told so.
pub(crate) async fn a_claim_and_a_cancellation_at_once_leave_one_of_two_truths(world: World) {
    let [here, there] = world.two().await;
    for _ in 0..20 {
        let job = world.job().submit().await;
        let worker = world.worker();
        let (here, there) = (here.clone(), there.clone());
        let cancelling = tokio::spawn(async move { here.cancel(OURS, job.id).await });
        let claiming = tokio::spawn(async move {
            there.claim(worker, Want { heavy: 1, light: 0, ..Want::default() }).await
        });
        let outcome = cancelling.await.expect("no panic").expect("an answer");
        let claims = claiming.await.expect("no panic").expect("claims");
        match (outcome, claims.as_slice()) {
            (CancelOutcome::Cancelled(_), []) => {}
            (CancelOutcome::Asked(_), [claim]) => {
                assert_eq!(world.end_cancelled(&claim.lease).await, Settled::Done);
            }
            (outcome, claims) => panic!("{outcome:?} and {claims:?}"),
        }
        let job = world.read(job.id).await;
        assert_eq!((job.state.status(), job.seq), (Status::Cancelled, 1));
    }
}

pub(crate) async fn ten_cancellations_at_once_make_one_event(world: World) {
    let stores = world.two().await;
    let job = world.job().webhook(RECEIVER).submit().await;
    let outcomes = at_once((0..10).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.cancel(OURS, job.id).await.expect("an answer") }
    }))
    .await;
    let cancelled =
        outcomes.iter().filter(|outcome| matches!(outcome, CancelOutcome::Cancelled(_))).count();
    assert_eq!(cancelled, 1, "{outcomes:?}");
    assert_eq!(world.log(job.id).await.len(), 1);
    assert_eq!(world.read(job.id).await.seq, 1);
}
