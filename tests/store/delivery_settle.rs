//! What came of an attempt, and what follows.

use std::time::Duration;

use reelway::id::fresh;
use reelway::store::{AttemptOutcome, DeliveryState, SettleDelivery, Settled};

use crate::fixture::{answer, job_of, silence};
use crate::world::{DELIVERY_LEASE, RECEIVER, World};

const OTHER: &str = "https://other.example.com/hook";

pub(crate) async fn a_delivery_that_arrived_is_done(world: World) {
    let job = world.job().webhook(RECEIVER).cancelled().await;
    let due = world.due_one().await;
    let record = answer(200, world.now());
    world.pass(Duration::from_secs(1));
    let settle = SettleDelivery {
        id: due.id,
        attempt: due.attempt,
        record: record.clone(),
        outcome: AttemptOutcome::Delivered,
    };
    let settled = world.store.settle_delivery(settle).await.expect("an answer");
    assert_eq!(settled, Settled::Done);
    let told = &world.log(job.id).await[0];
    assert_eq!((told.state, told.finished_at), (DeliveryState::Delivered, Some(world.now())));
    assert_eq!((told.attempt, told.next_attempt_at), (1, None));
    assert_eq!(told.attempts, [record]);
    world.pass(Duration::from_hours(100));
    assert!(world.due(9, 9).await.is_empty());
}

pub(crate) async fn a_delivery_that_did_not_arrive_waits_for_its_next_attempt(world: World) {
    world.job().webhook(RECEIVER).cancelled().await;
    let first = world.due_one().await;
    let wait = Duration::from_secs(5);
    let settle = SettleDelivery {
        id: first.id,
        attempt: 1,
        record: silence(world.now()),
        outcome: AttemptOutcome::RetryIn(wait),
    };
    let settled = world.store.settle_delivery(settle).await.expect("an answer");
    assert_eq!(settled, Settled::Done);
    let waits = world.delivery(first.id).await;
    assert_eq!((waits.state, waits.finished_at), (DeliveryState::Pending, None));
    let due_at = world.now().plus(wait);
    assert_eq!(waits.next_attempt_at, Some(due_at));
    assert_eq!(waits.attempts, [silence(world.now())]);
    world.clock.set(due_at.minus(Duration::from_millis(1)));
    assert!(world.due(9, 9).await.is_empty());
    world.clock.set(due_at);
    let second = world.due_one().await;
    assert_eq!((second.id, second.event), (first.id, first.event));
    assert_eq!((second.attempt, second.tries), (2, 2));
    assert_eq!(world.settle(&second, AttemptOutcome::Delivered).await, Settled::Done);
    let done = world.delivery(first.id).await;
    let attempts = [silence(waits.created_at), answer(200, due_at)];
    assert_eq!(done.attempts, attempts, "first to last");
}

pub(crate) async fn a_delivery_without_attempts_left_has_failed(world: World) {
    world.job().webhook(RECEIVER).cancelled().await;
    let due = world.due_one().await;
    assert_eq!(world.settle(&due, AttemptOutcome::Failed).await, Settled::Done);
    let failed = world.delivery(due.id).await;
    assert_eq!((failed.state, failed.finished_at), (DeliveryState::Failed, Some(world.now())));
    assert_eq!(failed.next_attempt_at, None);
    world.pass(Duration::from_hours(100));
    assert!(world.due(9, 9).await.is_empty());
}

pub(crate) async fn a_stale_settlement_is_lost_and_changes_nothing(world: World) {
    world.job().webhook(RECEIVER).cancelled().await;
    let first = world.due_one().await;
    world.pass(DELIVERY_LEASE);
    let second = world.due_one().await;
    let before = world.delivery(first.id).await;
    let outcomes = [
        AttemptOutcome::Delivered,
        AttemptOutcome::RetryIn(Duration::ZERO),
        AttemptOutcome::Failed,
        AttemptOutcome::Disable,
    ];
    let settle = async |id, attempt, outcome| {
        let record = answer(500, world.now());
        let settle = SettleDelivery { id, attempt, record, outcome };
        world.store.settle_delivery(settle).await.expect("an answer")
    };
    for outcome in outcomes {
        for (id, attempt) in [
            (first.id, first.attempt),
            (first.id, 0),
            (second.id, second.attempt + 1),
            (fresh(world.now()), 1),
        ] {
            assert_eq!(settle(id, attempt, outcome).await, Settled::Lost, "{outcome:?} {attempt}");
        }
        assert_eq!(world.delivery(first.id).await, before);
    }
    assert_eq!(world.settle(&second, AttemptOutcome::Delivered).await, Settled::Done);
    let done = world.delivery(second.id).await;
    for outcome in outcomes {
        assert_eq!(world.settle(&second, outcome).await, Settled::Lost, "settled twice");
    }
    assert_eq!(world.delivery(second.id).await, done);
    world.job().webhook(RECEIVER).cancelled().await;
    assert_eq!(world.due_one().await.failing_since, None, "nothing was held against it");
}

pub(crate) async fn a_destination_is_failing_from_the_first_failure_to_the_next_success(
    world: World,
) {
    for _ in 0..3 {
        world.job().webhook(RECEIVER).cancelled().await;
    }
    let due = world.due_one().await;
    assert_eq!(due.failing_since, None);
    world.pass(Duration::from_secs(1));
    let since = world.now();
    let again = AttemptOutcome::RetryIn(Duration::from_hours(1));
    assert_eq!(world.settle(&due, again).await, Settled::Done);
    let due = world.due_one().await;
    assert_eq!(due.failing_since, Some(since));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.settle(&due, AttemptOutcome::Failed).await, Settled::Done);
    let due = world.due_one().await;
    assert_eq!(due.failing_since, Some(since), "the first one counts");
    assert_eq!(world.settle(&due, AttemptOutcome::Delivered).await, Settled::Done);
    world.pass(Duration::from_hours(1));
    assert_eq!(world.due_one().await.failing_since, None);
}

pub(crate) async fn a_disabled_destination_has_everything_held(world: World) {
    let first = world.job().webhook(RECEIVER).cancelled().await;
    let second = world.job().webhook(&format!("{RECEIVER}?team=2")).cancelled().await;
    let other = world.job().webhook(OTHER).cancelled().await;
    let due = world.due(9, 1).await;
    let due = due.iter().find(|due| job_of(due).id == first.id).expect("a delivery");
    assert_eq!(world.settle(due, AttemptOutcome::Disable).await, Settled::Done);
    let state = async |job: &reelway::job::Job| world.log(job.id).await[0].state;
    assert_eq!(state(&first).await, DeliveryState::Held);
    assert_eq!(state(&second).await, DeliveryState::Held);
    assert_eq!(state(&other).await, DeliveryState::Pending);
    assert_eq!(world.log(first.id).await[0].attempts.len(), 1);

    let later = world.job().webhook(RECEIVER).failed().await;
    let held = &world.log(later.id).await[0];
    assert_eq!((held.state, held.attempt), (DeliveryState::Held, 0), "kept, and not sent");
    assert_eq!(held.next_attempt_at, None);
    world.pass(Duration::from_hours(100));
    let due = world.due(9, 9).await;
    assert_eq!(due.iter().map(|due| job_of(due).id).collect::<Vec<_>>(), [other.id]);
}

/// If it arrived, it arrived.
pub(crate) async fn what_was_under_way_when_its_destination_was_disabled_may_still_arrive(
    world: World,
) {
    for _ in 0..3 {
        world.job().webhook(RECEIVER).cancelled().await;
    }
    let due = world.due(9, 9).await;
    assert_eq!(world.settle(&due[0], AttemptOutcome::Disable).await, Settled::Done);
    assert_eq!(world.settle(&due[1], AttemptOutcome::Delivered).await, Settled::Done);
    let again = AttemptOutcome::RetryIn(Duration::ZERO);
    assert_eq!(world.settle(&due[2], again).await, Settled::Done);
    assert_eq!(world.delivery(due[0].id).await.state, DeliveryState::Held);
    assert_eq!(world.delivery(due[1].id).await.state, DeliveryState::Delivered);
    assert_eq!(world.delivery(due[2].id).await.state, DeliveryState::Held);
    world.job().webhook(RECEIVER).cancelled().await;
    world.pass(Duration::from_hours(1));
    assert!(world.due(9, 9).await.is_empty(), "one that arrived does not enable it again");
}
