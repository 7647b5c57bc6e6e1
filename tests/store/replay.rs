//! What was sent or given up is sent again.

use std::time::Duration;

use reelway::id::{DeliveryId, fresh};
use reelway::store::{AttemptOutcome, Delivery, DeliveryState, DueDelivery, Settled};

use crate::world::{NOW, OURS, RECEIVER, World};

async fn replay(world: &World, id: DeliveryId) -> Delivery {
    world.store.replay(OURS, id).await.expect("an answer").expect("the delivery")
}

/// A delivery of a job of its own that has come to `outcome`.
async fn settled(world: &World, url: &str, outcome: AttemptOutcome) -> DueDelivery {
    world.job().webhook(url).cancelled().await;
    let due = world.due_one().await;
    assert_eq!(world.settle(&due, outcome).await, Settled::Done);
    due
}

pub(crate) async fn a_delivery_in_any_state_starts_again_at_its_first_try(world: World) {
    let states = [
        ("https://a.example.com/", AttemptOutcome::Delivered),
        ("https://b.example.com/", AttemptOutcome::Failed),
        ("https://c.example.com/", AttemptOutcome::Disable),
        ("https://d.example.com/", AttemptOutcome::RetryIn(Duration::from_hours(9))),
    ];
    for (url, outcome) in states {
        let before = settled(&world, url, outcome).await;
        world.pass(Duration::from_secs(1));
        let replayed = replay(&world, before.id).await;
        assert_eq!(replayed.state, DeliveryState::Pending, "{outcome:?}");
        assert_eq!(replayed.next_attempt_at, Some(world.now()));
        assert_eq!(replayed.finished_at, None);
        assert_eq!(replayed.attempts.len(), 1, "the log is kept");
        assert_eq!(replayed, world.delivery(before.id).await);
        let due = world.due_one().await;
        assert_eq!((due.id, due.event, due.seq), (before.id, before.event, before.seq));
        assert_eq!((due.attempt, due.tries), (2, 1), "the number grows, the schedule starts anew");
        assert_eq!(due.failing_since, None, "its destination is trusted again");
        assert_eq!(world.settle(&due, AttemptOutcome::Delivered).await, Settled::Done);
        assert_eq!(world.delivery(due.id).await.attempts.len(), 2);
    }
}

pub(crate) async fn an_unknown_delivery_cannot_be_replayed(world: World) {
    let unknown: DeliveryId = fresh(NOW);
    assert_eq!(world.store.replay(OURS, unknown).await.expect("an answer"), None);
}

pub(crate) async fn a_replay_enables_its_destination_and_leaves_the_others_held(world: World) {
    let other = settled(&world, "https://other.example.com/", AttemptOutcome::Disable).await;
    let first = settled(&world, RECEIVER, AttemptOutcome::Disable).await;
    let held = world.job().webhook(RECEIVER).cancelled().await;
    replay(&world, first.id).await;
    assert_eq!(world.log(held.id).await[0].state, DeliveryState::Held, "only what was named");
    let fresh = world.job().webhook(RECEIVER).cancelled().await;
    assert_eq!(world.log(fresh.id).await[0].state, DeliveryState::Pending);
    assert_eq!(world.delivery(other.id).await.state, DeliveryState::Held);
    let still = world.job().webhook("https://other.example.com/").cancelled().await;
    assert_eq!(world.log(still.id).await[0].state, DeliveryState::Held);
}

pub(crate) async fn an_attempt_under_way_is_lost_to_its_replay(world: World) {
    world.job().webhook(RECEIVER).cancelled().await;
    let old = world.due_one().await;
    replay(&world, old.id).await;
    assert_eq!(world.settle(&old, AttemptOutcome::Failed).await, Settled::Lost);
    let new = world.due_one().await;
    assert_eq!((new.attempt, new.tries), (2, 1));
    assert_eq!(world.settle(&old, AttemptOutcome::Failed).await, Settled::Lost);
    assert_eq!(world.settle(&new, AttemptOutcome::Delivered).await, Settled::Done);
}

pub(crate) async fn all_that_failed_since_a_moment_is_sent_again(world: World) {
    let early = settled(&world, RECEIVER, AttemptOutcome::Failed).await;
    world.pass(Duration::from_hours(1));
    let since = world.now().plus(Duration::from_millis(1));
    let failed = settled(&world, RECEIVER, AttemptOutcome::Failed).await;
    assert_eq!(world.delivery(failed.id).await.created_at, since, "the moment itself counts");
    let delivered = settled(&world, RECEIVER, AttemptOutcome::Delivered).await;
    let hour = AttemptOutcome::RetryIn(Duration::from_hours(1));
    let waits = settled(&world, RECEIVER, hour).await;
    let waits_for = world.delivery(waits.id).await.next_attempt_at;
    let held = settled(&world, "https://c.example.com/", AttemptOutcome::Disable).await;
    world.pass(Duration::from_secs(1));

    assert_eq!(world.store.replay_failed(OURS, since).await.expect("an answer"), 2);
    let state = async |due: &DueDelivery| world.delivery(due.id).await.state;
    assert_eq!(state(&early).await, DeliveryState::Failed);
    assert_eq!(state(&failed).await, DeliveryState::Pending);
    assert_eq!(state(&delivered).await, DeliveryState::Delivered);
    assert_eq!(state(&held).await, DeliveryState::Pending);
    assert_eq!(world.delivery(waits.id).await.next_attempt_at, waits_for, "it was not given up");
    let mut due: Vec<_> = world.due(9, 9).await.iter().map(|due| (due.id, due.tries)).collect();
    let mut again = vec![(failed.id, 1), (held.id, 1)];
    due.sort_unstable();
    again.sort_unstable();
    assert_eq!(due, again);

    assert_eq!(world.store.replay_failed(OURS, since).await.expect("an answer"), 0);
    assert_eq!(world.store.replay_failed(OURS, NOW).await.expect("an answer"), 1);
    assert_eq!(state(&early).await, DeliveryState::Pending);
}
