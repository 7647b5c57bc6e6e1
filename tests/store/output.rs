//! What may be seen, and what may go.

use std::time::Duration;

use reelway::store::{Garbage, LEASE, Settled};
use reelway::task::Next;

use crate::fixture::key;
use crate::world::{World, is_under};

pub(crate) async fn an_output_is_seen_after_its_job_has_succeeded_and_not_before(world: World) {
    let first = world.job().running().await;
    let early = key(&first.lease, "video.mp4");
    assert!(!world.shows(&early).await);
    let failed = world.fail(&first.lease, Next::RetryIn(Duration::ZERO)).await;
    assert_eq!(failed, Settled::Done);
    assert!(!world.shows(&early).await);
    let second = world.take(&first.job).await;
    let key = key(&second.lease, "video.mp4");
    assert!(!world.shows(&key).await);
    assert_eq!(world.finish(&second.lease).await, Settled::Done);
    assert!(world.shows(&key).await);
    assert!(!world.shows(&early).await);
    world.delete(first.lease.job).await;
    assert!(!world.shows(&key).await);
}

pub(crate) async fn an_output_has_one_key_and_no_other(world: World) {
    let claim = world.job().running().await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    let key = key(&claim.lease, "video.mp4");
    assert!(world.shows(&key).await);
    let prefix = key.trim_end_matches("/video.mp4");
    for other in ["", "%", prefix, &key.to_uppercase(), &format!("{key} "), &format!("/{key}")] {
        assert!(!world.shows(other).await, "{other:?}");
    }
}

pub(crate) async fn garbage_comes_oldest_first_and_no_more_than_asked_for(world: World) {
    let mut keys = Vec::new();
    for _ in 0..4 {
        let claim = world.job().running().await;
        assert_eq!(world.fail(&claim.lease, Next::End).await, Settled::Done);
        keys.push(key(&claim.lease, "video.mp4"));
        world.pass(Duration::from_secs(1));
    }
    let garbage = world.store.garbage(3).await.expect("a list");
    assert_eq!(garbage.len(), 3);
    for (key, garbage) in keys.iter().zip(&garbage) {
        assert!(is_under(key, &garbage.prefix), "{key} {garbage:?}");
    }
}

pub(crate) async fn garbage_that_was_removed_is_forgotten_and_the_rest_is_not(world: World) {
    for _ in 0..3 {
        let claim = world.job().running().await;
        assert_eq!(world.fail(&claim.lease, Next::End).await, Settled::Done);
    }
    let garbage = world.store.garbage(9).await.expect("a list");
    for _ in 0..2 {
        world.store.garbage_removed(&garbage[1]).await.expect("an answer");
        let left = world.store.garbage(9).await.expect("a list");
        assert_eq!(left, [garbage[0].clone(), garbage[2].clone()]);
    }
}

/// A sweep that ran while the same prefix was doomed for later must come once more.
pub(crate) async fn garbage_whose_time_has_not_come_stays(world: World) {
    let lost = world.job().running().await;
    world.lose_workers().await;
    let now = world.now();
    world.pass(Duration::from_hours(24));
    let garbage: Vec<Garbage> = world.store.garbage(9).await.expect("a list");
    assert!(garbage.iter().any(|garbage| is_under(&key(&lost.lease, "a"), &garbage.prefix)));
    world.clock.set(now);
    for garbage in &garbage {
        world.store.garbage_removed(garbage).await.expect("an answer");
    }
    assert!(world.garbage().await.is_empty());
    world.pass(Duration::from_hours(24));
    assert_eq!(world.store.garbage(9).await.expect("a list"), garbage);
}

pub(crate) async fn what_was_swept_is_doomed_again_when_its_worker_was_only_slow(world: World) {
    let claim = world.job().running().await;
    world.delete(claim.lease.job).await;
    world.pass(LEASE + Duration::from_hours(24));
    for garbage in world.store.garbage(9).await.expect("a list") {
        world.store.garbage_removed(&garbage).await.expect("an answer");
    }
    assert_eq!(world.finish(&claim.lease).await, Settled::Lost);
    world.pass(Duration::from_hours(24));
    assert!(world.dooms(&key(&claim.lease, "video.mp4")).await);
}
