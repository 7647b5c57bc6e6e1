//! Tasks of one input come together.

use std::collections::BTreeSet;
use std::time::Duration;

use reelway::access::Project;
use reelway::id::{JobId, fresh};
use reelway::job::{Job, Kind, Via};
use reelway::store::{BeatReply, Claim, Settled, Want};
use reelway::task::Next;
use serde_json::json;

use crate::fixture::{encoding, together};
use crate::world::{NOW, World, at_once};

/// A claim of one slot that takes up to three more tasks of its input.
async fn claim(world: &World) -> Vec<Claim> {
    claim_for(world, Want { heavy: 1, companions: 3, ..Want::default() }).await
}

async fn claim_for(world: &World, want: Want) -> Vec<Claim> {
    world.store.claim(world.worker(), want).await.expect("claims")
}

/// The jobs of a claim and its companions.
fn jobs(claim: &Claim) -> Vec<JobId> {
    std::iter::once(claim).chain(&claim.companions).map(|claim| claim.lease.job).collect()
}

pub(crate) async fn tasks_of_one_input_take_one_slot_and_are_claims_of_their_own(world: World) {
    let batch = Some(fresh(NOW));
    let sent: Vec<Job> = (0..6).map(|_| Job { batch_id: batch, ..world.job().build() }).collect();
    world.store.submit(together(sent.clone())).await.expect("an answer");
    let ids: Vec<_> = sent.iter().map(|job| job.id).collect();
    let claims = claim(&world).await;
    let [first] = claims.as_slice() else { panic!("{claims:?}") };
    assert_eq!(jobs(first), ids[..4], "at most three more, in their turn");
    for companion in &first.companions {
        assert_eq!((companion.tries, companion.lease.attempt), (1, 1));
        assert_eq!(companion.lease.worker, first.lease.worker);
        assert_eq!(companion.job, world.read(companion.lease.job).await);
        assert!(companion.companions.is_empty());
    }
    let [one, other, last] = first.companions.as_slice() else { panic!("{first:?}") };
    assert_eq!(world.finish(&other.lease).await, Settled::Done);
    assert_eq!(world.fail(&one.lease, Next::End).await, Settled::Done);
    assert_eq!(world.hand_back(&last.lease).await, Settled::Done);
    assert_eq!(world.finish(&first.lease).await, Settled::Done);
    let rest = claim(&world).await;
    assert_eq!(jobs(&rest[0]).len(), 3, "what was handed back was never tried");
}

pub(crate) async fn who_wants_no_companions_gets_none(world: World) {
    for _ in 0..3 {
        world.job().submit().await;
    }
    assert!(world.claim(1, 0).await[0].companions.is_empty());
    let claims = claim_for(&world, Want { heavy: 2, ..Want::default() }).await;
    assert!(claims.iter().all(|claim| claim.companions.is_empty()));
    assert_eq!(claims.len(), 2);
}

pub(crate) async fn only_what_can_be_made_of_the_same_bytes_comes_along(world: World) {
    let stranger: Project = "stranger".parse().expect("a project");
    let via = Via { connection_id: fresh(NOW), output: None };
    let first = world.job().options(json!({"width": 1280})).submit().await;
    let others = [
        world.job().kind(Kind::Image),
        world.job().kind(Kind::Audio),
        world.job().kind(Kind::Animation),
        world.job().options(json!({"start": 1})),
        world.job().options(json!({"end": 1})),
        world.job().options(json!({"subtitle_url": "https://example.com/a.srt"})),
        world.job().input("https://cdn.example.com/other.mp4"),
        world.job().project(&stranger),
        world.job().via(via),
    ];
    for other in others {
        other.submit().await;
    }
    let alike = world.job().options(json!({"width": 480, "format": "webm"})).submit().await;
    assert_eq!(jobs(&claim(&world).await[0]), [first.id, alike.id]);
}

pub(crate) async fn a_task_that_was_tried_before_comes_alone_and_brings_nobody(world: World) {
    let tried = world.job().failed_once(Duration::from_secs(10)).await;
    let first = world.job().submit().await;
    assert_eq!(jobs(&claim(&world).await[0]), [first.id], "it rests");
    world.pass(Duration::from_secs(10));
    let second = world.job().submit().await;
    let third = world.job().submit().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.extend(claim(&world).await.iter().map(jobs));
    }
    seen.sort();
    let mut wanted = vec![vec![tried.id], vec![second.id, third.id]];
    wanted.sort();
    assert_eq!(seen, wanted);
}

pub(crate) async fn companions_that_lose_their_worker_come_alone_from_then_on(world: World) {
    for _ in 0..3 {
        world.job().submit().await;
    }
    assert_eq!(jobs(&claim(&world).await[0]).len(), 3);
    assert_eq!(world.lose_workers().await, 3);
    world.pass(Duration::from_hours(1));
    for _ in 0..3 {
        let claims = claim(&world).await;
        assert_eq!((claims.len(), jobs(&claims[0]).len()), (1, 1));
    }
}

pub(crate) async fn companions_count_for_their_key(world: World) {
    for owner in ["busy", "busy", "busy", "other"] {
        world.job().owner(owner).submit().await;
    }
    let want = Want { heavy: 1, companions: 3, per_owner: Some(2), ..Want::default() };
    let first = claim_for(&world, want.clone()).await;
    let owners: Vec<_> = std::iter::once(&first[0])
        .chain(&first[0].companions)
        .map(|claim| claim.job.owner.as_str().to_owned())
        .collect();
    assert_eq!(owners.iter().filter(|owner| *owner == "busy").count(), 2, "{owners:?}");
    assert_eq!(owners.len(), 3, "{owners:?}");
    assert!(claim_for(&world, want).await.is_empty());
}

pub(crate) async fn a_companion_beats_and_is_cancelled_for_itself(world: World) {
    for _ in 0..2 {
        world.job().submit().await;
    }
    let first = claim(&world).await.remove(0);
    let other = &first.companions[0];
    world.cancel(other.lease.job).await;
    let beat = |claim: &Claim| reelway::store::Beat {
        task: claim.lease.task,
        worker: claim.lease.worker,
        attempt: claim.lease.attempt,
        stages: encoding(50.0),
    };
    let replies = world.store.beat(&[beat(&first), beat(other)]).await.expect("replies");
    assert_eq!(replies, [BeatReply::Held, BeatReply::CancelAsked]);
    assert_eq!(world.end_cancelled(&other.lease).await, Settled::Done);
    assert_eq!(world.finish(&first.lease).await, Settled::Done);
}

pub(crate) async fn many_workers_at_once_share_no_companion(world: World) {
    const TASKS: usize = 60;
    let sent: Vec<_> = (0..TASKS).map(|_| world.job().build()).collect();
    world.store.submit(together(sent.clone())).await.expect("an answer");
    let stores = world.two().await;
    let taken = at_once((0..8).map(|n| {
        let store = stores[n % 2].clone();
        async move {
            let mut taken = Vec::new();
            for _ in 0..30 {
                let want = Want { heavy: 2, companions: 3, ..Want::default() };
                let claims = store.claim(fresh(NOW), want).await.expect("claims");
                taken.extend(claims.iter().flat_map(jobs));
            }
            taken
        }
    }))
    .await;
    let taken: Vec<JobId> = taken.into_iter().flatten().collect();
    let different: BTreeSet<_> = taken.iter().collect();
    assert_eq!((taken.len(), different.len()), (TASKS, TASKS));
}
