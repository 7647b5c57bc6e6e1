//! Workers are lost, and their tasks are found again.

use std::collections::BTreeSet;
use std::time::Duration;

use reelway::id::fresh;
use reelway::job::{JobState, Kind, Status};
use reelway::store::{EventKind, LEASE, Settled, Want};
use reelway::task::{ErrorKind, MAX_TRIES, Next, RetryPolicy, StageStatus, TaskState};

use crate::fixture::{beat, key};
use crate::world::{NOW, RECEIVER, World, at_once};

pub(crate) async fn a_lease_that_holds_is_left_alone(world: World) {
    assert_eq!(world.rescue().await, 0, "there is nothing");
    world.job().kind(Kind::Image).submit().await;
    let claim = world.job().running().await;
    world.pass_almost(LEASE);
    assert_eq!(world.rescue().await, 0);
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    world.pass(LEASE);
    assert_eq!(world.rescue().await, 0, "what has ended is not lost");
}

pub(crate) async fn a_lost_task_waits_longer_each_time(world: World) {
    let policy = RetryPolicy::default();
    for chance in [0.0, 0.5, 1.0] {
        let job = world.job().webhook(RECEIVER).submit().await;
        for tries in 1..MAX_TRIES {
            let claim = world.take(&job).await;
            world.store.beat(&[beat(&claim, 10.0)]).await.expect("replies");
            world.pass(LEASE);
            assert_eq!(world.store.rescue(&policy, chance).await.expect("an answer").tasks, 1);
            let Next::RetryIn(wait) = policy.after_loss(tries, chance) else { panic!("no wait") };
            let lost = world.read(job.id).await;
            let run_at = world.now().plus(wait);
            assert_eq!(lost.tasks[0].state, TaskState::Queued { run_at });
            assert_eq!((lost.tasks[0].attempt, lost.tasks[0].tries), (tries, tries));
            assert!(matches!(lost.state, JobState::Queued { started_at: Some(_) }));
            let last = lost.tasks[0].stages.as_slice().last().expect("a stage");
            assert_eq!(last.status, StageStatus::Failed);
            assert_eq!(lost.seq, 0);
            world.clock.set(run_at);
        }
        world.delete(job.id).await;
    }
}

pub(crate) async fn a_task_that_kills_its_workers_is_given_up_as_poison(world: World) {
    let job = world.job().webhook(RECEIVER).submit().await;
    for _ in 0..MAX_TRIES {
        world.take(&job).await;
        assert_eq!(world.lose_workers().await, 1);
        world.pass(Duration::from_hours(1));
    }
    assert!(world.claim(9, 9).await.is_empty());
    let given_up = world.read(job.id).await;
    let failure = given_up.state.failure().expect("a failure");
    assert_eq!(failure.kind, ErrorKind::Poison);
    assert_eq!((given_up.seq, given_up.tasks[0].state), (1, TaskState::Failed));
    assert_eq!(world.due_one().await.kind, EventKind::JobFailed);

    let again = world.retry(job.id).await;
    assert_eq!(again.tasks[0].tries, 0, "a person can order all tries anew");
    assert_eq!(world.take(&job).await.tries, 1);
}

pub(crate) async fn failures_and_losses_use_the_same_tries_up(world: World) {
    let job = world.job().failed_once(Duration::ZERO).await;
    for _ in 1..MAX_TRIES {
        world.take(&job).await;
        assert_eq!(world.lose_workers().await, 1);
        world.pass(Duration::from_hours(1));
    }
    assert_eq!(world.read(job.id).await.state.status(), Status::Failed);
}

pub(crate) async fn only_the_lost_are_found_and_all_of_them(world: World) {
    let mut lost = Vec::new();
    for _ in 0..3 {
        lost.push(world.job().running().await);
    }
    let holds = world.job().running().await;
    world.pass(LEASE / 2);
    world.store.beat(&[beat(&holds, 1.0)]).await.expect("replies");
    world.pass(LEASE / 2);
    assert_eq!(world.rescue().await, 3);
    assert_eq!(world.rescue().await, 0);
    assert_eq!(world.read(holds.lease.job).await.state.status(), Status::Processing);
    for claim in lost {
        assert_eq!(world.read(claim.lease.job).await.state.status(), Status::Queued);
    }
}

pub(crate) async fn many_rescuers_at_once_find_each_task_once(world: World) {
    let stores = world.two().await;
    let mut claims = Vec::new();
    for _ in 0..12 {
        claims.push(world.job().webhook(RECEIVER).running().await);
    }
    world.pass(LEASE);
    let once = RetryPolicy { max_tries: 1, ..RetryPolicy::default() };
    let found = at_once((0..8).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.rescue(&once, 0.5).await.expect("an answer") }
    }))
    .await;
    assert_eq!(found.iter().map(|found| found.tasks).sum::<usize>(), 12, "{found:?}");
    let poisoned: BTreeSet<_> = found.into_iter().flat_map(|found| found.poisoned).collect();
    assert_eq!(poisoned, claims.iter().map(|claim| claim.lease.job).collect());
    for claim in claims {
        assert_eq!(world.read(claim.lease.job).await.seq, 1);
        assert_eq!(world.log(claim.lease.job).await.len(), 1);
    }
}

/// The worker may only seem dead, and would store more after a sweep that came too early.
pub(crate) async fn what_a_lost_attempt_stored_may_go_but_not_at_once(world: World) {
    let lost = world.job().running().await;
    world.lose_workers().await;
    let key = key(&lost.lease, "video.mp4");
    assert!(!world.dooms(&key).await);
    world.pass(Duration::from_mins(1));
    let second = world.take(&lost.job).await;
    assert_eq!(world.finish(&second.lease).await, Settled::Done);
    assert!(!world.dooms(&key).await);
    world.pass(Duration::from_hours(24));
    assert!(world.dooms(&key).await);
    assert!(!world.dooms(&crate::fixture::key(&second.lease, "video.mp4")).await);
}

pub(crate) async fn a_clock_that_jumps_back_loses_nothing(world: World) {
    let claim = world.job().running().await;
    let before = world.now();
    world.clock.set(before.minus(Duration::from_hours(1)));
    assert_eq!(world.rescue().await, 0);
    let replies = world.store.beat(&[beat(&claim, 2.0)]).await.expect("replies");
    assert_eq!(replies, [reelway::store::BeatReply::Held]);
    world.clock.set(before.plus(LEASE));
    assert_eq!(world.rescue().await, 1);
    world.pass(Duration::from_mins(1));
    assert_eq!(world.claim(1, 0).await.len(), 1);
}

/// A store that may have other processes must wait for their leases; one that has none need not.
pub(crate) async fn a_process_that_starts_takes_over_what_nobody_else_can_hold(world: World) {
    let claim = world.job().running().await;
    let waits = world.job().submit().await;
    let started = world.again().await;
    let found = started.recover().await.expect("an answer");
    let status = world.read(claim.lease.job).await.state.status();
    if world.database.has_one_process() {
        assert_eq!((found, status), (1, Status::Queued));
        assert_eq!(world.finish(&claim.lease).await, Settled::Lost);
        world.pass(Duration::from_mins(1));
        let want = Want { heavy: 9, light: 9, ..Want::default() };
        assert_eq!(started.claim(fresh(NOW), want).await.expect("claims").len(), 2);
    } else {
        assert_eq!((found, status), (0, Status::Processing));
        assert_eq!(world.finish(&claim.lease).await, Settled::Done);
        world.take(&waits).await;
    }
}
