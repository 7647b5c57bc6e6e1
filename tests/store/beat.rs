//! Leases are kept by beating.

use std::time::Duration;

use reelway::job::Job;
use reelway::store::{Beat, BeatReply, LEASE, Settled};
use reelway::task::Next;

use crate::fixture::{beat, encoding};
use crate::world::{World, at_once};

async fn send(world: &World, beats: &[Beat]) -> Vec<BeatReply> {
    world.store.beat(beats).await.expect("replies")
}

fn is_at(job: &Job, percent: f32) -> bool {
    (job.progress - encoding(percent).progress()).abs() < 0.001
}

pub(crate) async fn a_beat_renews_the_lease(world: World) {
    let claim = world.job().running().await;
    for _ in 0..5 {
        world.pass_almost(LEASE);
        assert_eq!(world.rescue().await, 0);
        assert_eq!(send(&world, &[beat(&claim, 1.0)]).await, [BeatReply::Held]);
    }
    world.pass(LEASE);
    assert_eq!(world.rescue().await, 1);
}

pub(crate) async fn one_call_renews_all_leases_and_answers_in_order(world: World) {
    let held = world.job().running().await;
    let unwanted = world.job().running().await;
    let ended = world.job().running().await;
    let also_held = world.job().running().await;
    world.cancel(unwanted.lease.job).await;
    assert_eq!(world.finish(&ended.lease).await, Settled::Done);
    world.pass(LEASE / 2);
    let claims = [&also_held, &ended, &unwanted, &held, &also_held];
    let replies = send(&world, &claims.map(|claim| beat(claim, 3.0))).await;
    use BeatReply::{CancelAsked, Held, Lost};
    assert_eq!(replies, [Held, Lost, CancelAsked, Held, Held]);
    world.pass(LEASE / 2);
    assert_eq!(world.rescue().await, 0, "the unwanted one is renewed too while it stops");
    world.pass(LEASE / 2);
    assert_eq!(world.rescue().await, 3);
}

pub(crate) async fn no_beats_have_no_answers(world: World) {
    assert_eq!(send(&world, &[]).await, []);
}

pub(crate) async fn a_beat_carries_progress_up_and_never_back(world: World) {
    let claim = world.job().running().await;
    let id = claim.lease.job;
    world.pass(Duration::from_secs(5));
    for (sent, shown) in [(10.0, 10.0), (60.0, 60.0), (20.0, 60.0), (61.5, 61.5)] {
        assert_eq!(send(&world, &[beat(&claim, sent)]).await, [BeatReply::Held]);
        let job = world.read(id).await;
        assert!(is_at(&job, shown), "{sent}: {}", job.progress);
    }
    let job = world.read(id).await;
    assert_eq!(job.tasks[0].stages.progress().to_bits(), encoding(61.5).progress().to_bits());
    assert_eq!(job.updated_at, world.now());
}

pub(crate) async fn a_second_attempt_does_not_take_progress_back(world: World) {
    let first = world.job().running().await;
    assert_eq!(send(&world, &[beat(&first, 70.0)]).await, [BeatReply::Held]);
    let failed = world.fail(&first.lease, Next::RetryIn(Duration::ZERO)).await;
    assert_eq!(failed, Settled::Done);
    assert!(is_at(&world.read(first.lease.job).await, 70.0));
    let second = world.take(&first.job).await;
    assert_eq!(send(&world, &[beat(&second, 5.0)]).await, [BeatReply::Held]);
    let job = world.read(first.lease.job).await;
    assert!(is_at(&job, 70.0));
    assert_eq!(job.tasks[0].stages.as_slice().len(), 2, "its stages are its own");
}

pub(crate) async fn a_beat_with_stages_shows_them(world: World) {
    let claim = world.job().running().await;
    let beat = beat(&claim, 33.3);
    assert_eq!(send(&world, std::slice::from_ref(&beat)).await, [BeatReply::Held]);
    assert_eq!(world.read(claim.lease.job).await.tasks[0].stages, beat.stages);
}

pub(crate) async fn a_beat_of_somebody_else_is_lost_and_changes_nothing(world: World) {
    let claim = world.job().running().await;
    let before = world.read(claim.lease.job).await;
    world.pass_almost(LEASE);
    let own = beat(&claim, 80.0);
    let strangers = [
        Beat { worker: world.worker(), ..own.clone() },
        Beat { attempt: own.attempt + 1, ..own.clone() },
        Beat { attempt: 0, ..own.clone() },
        Beat { task: reelway::id::fresh(world.now()), ..own.clone() },
    ];
    assert_eq!(send(&world, &strangers).await, [BeatReply::Lost; 4]);
    assert_eq!(world.read(claim.lease.job).await, before);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.rescue().await, 1, "the lease was not renewed");
}

pub(crate) async fn a_beat_after_the_rescue_is_lost(world: World) {
    let first = world.job().running().await;
    world.lose_workers().await;
    let queued = world.read(first.lease.job).await;
    assert_eq!(send(&world, &[beat(&first, 90.0)]).await, [BeatReply::Lost]);
    assert_eq!(world.read(first.lease.job).await, queued);
    world.pass(Duration::from_mins(1));
    let second = world.take(&first.job).await;
    let running = world.read(first.lease.job).await;
    let replies = send(&world, &[beat(&first, 90.0), beat(&second, 1.0)]).await;
    assert_eq!(replies, [BeatReply::Lost, BeatReply::Held]);
    assert!(is_at(&world.read(running.id).await, 1.0));
}

/// Nobody else has the task, so nothing is won by giving it up.
pub(crate) async fn a_beat_that_is_late_but_before_the_rescue_keeps_the_task(world: World) {
    let claim = world.job().running().await;
    world.pass(LEASE * 2);
    assert_eq!(send(&world, &[beat(&claim, 1.0)]).await, [BeatReply::Held]);
    assert_eq!(world.rescue().await, 0);
}

pub(crate) async fn a_beat_and_a_rescue_at_once_agree_on_who_has_the_task(world: World) {
    let [here, there] = world.two().await;
    for _ in 0..20 {
        let claim = world.job().running().await;
        world.pass(LEASE);
        let (beating, rescuing) = (here.clone(), there.clone());
        let own = beat(&claim, 1.0);
        let beating = tokio::spawn(async move { beating.beat(&[own]).await });
        let rescued = rescuing.rescue(&reelway::task::RetryPolicy::default(), 0.5).await;
        let replies = beating.await.expect("no panic").expect("replies");
        match (&replies[..], rescued.expect("an answer").tasks) {
            ([BeatReply::Held], 0) => assert_eq!(world.finish(&claim.lease).await, Settled::Done),
            ([BeatReply::Lost], 1) => assert_eq!(world.finish(&claim.lease).await, Settled::Lost),
            (replies, rescued) => panic!("{replies:?} and {rescued} rescued"),
        }
        world.delete(claim.lease.job).await;
    }
}

pub(crate) async fn many_hearts_beat_at_once(world: World) {
    let stores = world.two().await;
    let mut claims = Vec::new();
    for _ in 0..10 {
        claims.push(world.job().running().await);
    }
    world.pass(LEASE / 2);
    let replies = at_once(claims.iter().enumerate().map(|(n, claim)| {
        let (store, own) = (stores[n % 2].clone(), beat(claim, 10.0));
        async move { store.beat(&[own]).await.expect("replies") }
    }))
    .await;
    assert_eq!(replies.concat(), [BeatReply::Held; 10]);
    world.pass(LEASE / 2);
    assert_eq!(world.rescue().await, 0);
}
