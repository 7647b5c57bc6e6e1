//! Whose turn it is: urgency first, then one of each owner after the other.

use std::time::Duration;

use reelway::id::{JobId, fresh};
use reelway::job::Kind;
use reelway::store::{Claim, Settled, Store, Want};

use crate::world::{MANY, NOW, World, at_once};

async fn claim(store: &dyn Store, want: Want) -> Vec<Claim> {
    store.claim(fresh(NOW), want).await.expect("claims")
}

fn jobs(claims: &[Claim]) -> Vec<JobId> {
    claims.iter().map(|claim| claim.lease.job).collect()
}

pub(crate) async fn the_more_urgent_is_taken_first(world: World) {
    let mut sent = Vec::new();
    for priority in [0, -10, 3, 10, 0, 3] {
        sent.push(world.job().priority(priority).submit().await.id);
    }
    let order = [3, 2, 5, 0, 4, 1].map(|place: usize| sent[place]);
    assert_eq!(jobs(&world.claim(4, 0).await), order[..4]);
    assert_eq!(jobs(&world.claim(4, 0).await), order[4..]);
}

pub(crate) async fn who_comes_with_one_task_waits_for_one_of_each_other_owner(world: World) {
    for _ in 0..5 {
        world.job().owner("busy").submit().await;
    }
    world.job().owner("other").submit().await;
    let late = world.job().owner("late").submit().await;
    let first = world.claim(3, 0).await;
    assert_eq!(jobs(&first).last(), Some(&late.id), "{first:?}");
    let owners: Vec<_> = first.iter().map(|claim| claim.job.owner.as_str()).collect();
    assert_eq!(owners, ["busy", "other", "late"]);
    assert_eq!(world.claim(MANY, 0).await.len(), 4);
}

pub(crate) async fn an_owner_who_waited_does_not_save_turns_up(world: World) {
    for _ in 0..3 {
        let claim = world.job().owner("busy").running().await;
        assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    }
    for owner in ["idle", "idle", "idle", "busy", "busy"] {
        world.job().owner(owner).submit().await;
    }
    let taken = world.claim(4, 0).await;
    let owners: Vec<_> = taken.iter().map(|claim| claim.job.owner.as_str()).collect();
    assert_eq!(owners, ["idle", "busy", "idle", "busy"]);
}

pub(crate) async fn a_task_that_comes_back_keeps_its_turn(world: World) {
    let tried = world.job().failed_once(Duration::from_secs(10)).await;
    world.pass(Duration::from_secs(5));
    let earlier = world.job().submit().await;
    assert_eq!(jobs(&world.claim(1, 0).await), [earlier.id], "the first one rests");
    world.pass(Duration::from_secs(10));
    let later = world.job().submit().await;
    assert_eq!(jobs(&world.claim(2, 0).await), [tried.id, later.id]);
}

pub(crate) async fn only_the_kinds_that_are_wanted_are_taken(world: World) {
    world.job().kind(Kind::Video).submit().await;
    let audio = world.job().kind(Kind::Audio).submit().await;
    world.job().kind(Kind::Image).submit().await;
    let want = Want { heavy: 9, light: 9, kinds: vec![Kind::Audio], ..Want::default() };
    assert_eq!(jobs(&claim(&*world.store, want.clone()).await), [audio.id]);
    assert!(claim(&*world.store, Want { kinds: Vec::new(), ..want }).await.is_empty());
    assert_eq!(world.claim(9, 9).await.len(), 2);
}

pub(crate) async fn no_owner_runs_more_than_its_share(world: World) {
    let want = |heavy| Want { heavy, per_owner: Some(2), ..Want::default() };
    for _ in 0..4 {
        world.job().owner("busy").submit().await;
    }
    let first = claim(&*world.store, want(9)).await;
    assert_eq!(first.len(), 2);
    assert!(claim(&*world.again().await, want(9)).await.is_empty(), "in all workers together");
    let other = world.job().owner("other").submit().await;
    let next = claim(&*world.store, want(1)).await;
    assert_eq!(jobs(&next), [other.id], "who is at his limit does not stand in front of others");
    assert_eq!(world.finish(&first[0].lease).await, Settled::Done);
    assert_eq!(claim(&*world.store, want(9)).await.len(), 1);
    assert_eq!(world.claim(9, 0).await.len(), 1, "where there is no limit, there is none");
}

pub(crate) async fn a_share_covers_both_lanes(world: World) {
    world.job().owner("busy").submit().await;
    world.job().owner("busy").kind(Kind::Image).submit().await;
    let want = Want { heavy: 5, light: 5, per_owner: Some(1), ..Want::default() };
    assert_eq!(claim(&*world.store, want.clone()).await.len(), 1);
    assert!(claim(&*world.store, want).await.is_empty());
}

pub(crate) async fn many_workers_at_once_keep_to_an_owners_share(world: World) {
    for owner in ["one", "two"] {
        for _ in 0..10 {
            world.job().owner(owner).submit().await;
        }
    }
    let stores = world.two().await;
    for _ in 0..4 {
        let taken: Vec<Claim> = at_once((0..6).map(|n| {
            let store = stores[n % 2].clone();
            let want = Want { heavy: 4, per_owner: Some(2), ..Want::default() };
            async move { claim(&*store, want).await }
        }))
        .await
        .into_iter()
        .flatten()
        .collect();
        for owner in ["one", "two"] {
            let own = taken.iter().filter(|claim| claim.job.owner.as_str() == owner).count();
            assert_eq!(own, 2, "{owner}: {taken:?}");
        }
        for claim in &taken {
            assert_eq!(world.finish(&claim.lease).await, Settled::Done);
        }
    }
}
