//! A task is handed back untouched.

use std::time::Duration;

use reelway::job::JobState;
use reelway::store::{LEASE, Settled};
use reelway::task::{MAX_TRIES, Stages, TaskState};

use crate::fixture::{beat, key};
use crate::world::{RECEIVER, World};

pub(crate) async fn a_task_that_is_handed_back_is_due_at_once(world: World) {
    let first = world.job().webhook(RECEIVER).running().await;
    let started_at = first.job.state.started_at();
    world.store.beat(&[beat(&first, 30.0)]).await.expect("replies");
    world.pass(Duration::from_secs(4));
    assert_eq!(world.hand_back(&first.lease).await, Settled::Done);
    let job = world.read(first.lease.job).await;
    assert_eq!(job.state, JobState::Queued { started_at });
    assert_eq!(job.tasks[0].state, TaskState::Queued { run_at: world.now() });
    assert_eq!((job.tasks[0].attempt, job.tasks[0].tries), (1, 0));
    assert_eq!(job.tasks[0].stages, Stages::default());
    assert_eq!(job.seq, 0);
    assert!(world.log(job.id).await.is_empty());
    let second = world.take(&job).await;
    assert_eq!((second.lease.attempt, second.tries), (2, 1), "the number fences, the try is free");
}

pub(crate) async fn handing_back_never_uses_the_tries_up(world: World) {
    let job = world.job().submit().await;
    for round in 1..=MAX_TRIES * 2 {
        let claim = world.take(&job).await;
        assert_eq!((claim.lease.attempt, claim.tries), (round, 1));
        assert_eq!(world.hand_back(&claim.lease).await, Settled::Done);
    }
    let claim = world.take(&job).await;
    world.pass(LEASE);
    assert_eq!(world.rescue().await, 1);
    let task = &world.read(claim.lease.job).await.tasks[0];
    assert!(matches!(task.state, TaskState::Queued { .. }), "lost once only: {task:?}");
    assert_eq!(task.tries, 1);
}

pub(crate) async fn a_try_that_counted_still_counts_after_a_hand_back(world: World) {
    let job = world.job().failed_once(Duration::ZERO).await;
    let claim = world.take(&job).await;
    assert_eq!(claim.tries, 2);
    assert_eq!(world.hand_back(&claim.lease).await, Settled::Done);
    assert_eq!(world.take(&job).await.tries, 2);
}

pub(crate) async fn what_was_stored_before_the_hand_back_may_go(world: World) {
    let first = world.job().running().await;
    assert_eq!(world.hand_back(&first.lease).await, Settled::Done);
    let second = world.take(&first.job).await;
    assert_eq!(world.finish(&second.lease).await, Settled::Done);
    assert!(world.dooms(&key(&first.lease, "video.mp4")).await);
    assert!(!world.dooms(&key(&second.lease, "video.mp4")).await);
}
