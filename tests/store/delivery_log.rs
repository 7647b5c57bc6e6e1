//! The delivery log.

use std::time::Duration;

use reelway::id::{JobId, fresh};
use reelway::store::{AttemptOutcome, Delivery, DeliveryFilter, DeliveryState, Settled};

use crate::world::{MANY, NOW, OURS, RECEIVER, World};

async fn list(world: &World, filter: DeliveryFilter) -> Vec<Delivery> {
    world.store.deliveries(OURS, &filter).await.expect("a log")
}

/// A delivery in every state, oldest first.
async fn fill(world: &World) -> Vec<Delivery> {
    let outcomes = [
        ("a", Some(AttemptOutcome::Delivered)),
        ("b", Some(AttemptOutcome::Failed)),
        ("c", Some(AttemptOutcome::Disable)),
        ("d", Some(AttemptOutcome::RetryIn(Duration::from_hours(1)))),
        ("e", None),
    ];
    for (host, outcome) in outcomes {
        world.job().webhook(&format!("https://{host}.example.com/")).cancelled().await;
        if let Some(outcome) = outcome {
            let due = world.due_one().await;
            assert_eq!(world.settle(&due, outcome).await, Settled::Done);
        }
    }
    let mut all = list(world, DeliveryFilter { limit: MANY, ..DeliveryFilter::default() }).await;
    all.reverse();
    all
}

pub(crate) async fn the_log_is_newest_first_and_ends_at_its_limit(world: World) {
    let all = fill(&world).await;
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by_key(|told| told.created_at));
    let hosts: String = all.iter().map(|told| &told.url["https://".len()..][..1]).collect();
    assert_eq!(hosts, "abcde");
    let newest = list(&world, DeliveryFilter { limit: 2, ..DeliveryFilter::default() }).await;
    assert_eq!(newest, [all[4].clone(), all[3].clone()]);
}

pub(crate) async fn the_log_is_filtered_by_state_job_and_name(world: World) {
    let all = fill(&world).await;
    let filter = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
    use DeliveryState::{Delivered, Failed, Held, Pending};
    for state in [Delivered, Failed, Held, Pending] {
        let listed = list(&world, DeliveryFilter { state: Some(state), ..filter.clone() }).await;
        let expected: Vec<_> =
            all.iter().rev().filter(|told| told.state == state).cloned().collect();
        assert!(!expected.is_empty());
        assert_eq!(listed, expected, "{state:?}");
    }
    for told in &all {
        let of_job = DeliveryFilter { job_id: told.job_id, ..filter.clone() };
        assert_eq!(list(&world, of_job).await, std::slice::from_ref(told));
        let named = DeliveryFilter { id: Some(told.id), ..filter.clone() };
        assert_eq!(list(&world, named).await, std::slice::from_ref(told));
    }
    let job_id = all[0].job_id;
    let neither = DeliveryFilter { job_id, state: Some(Pending), ..filter.clone() };
    assert!(list(&world, neither).await.is_empty());
    let unknown: JobId = fresh(NOW);
    let unknown = DeliveryFilter { job_id: Some(unknown), ..filter };
    assert!(list(&world, unknown).await.is_empty());
}

pub(crate) async fn the_log_keeps_the_latest_attempts(world: World) {
    const ROUNDS: u32 = 60;
    let job = world.job().webhook(RECEIVER).cancelled().await;
    for _ in 0..ROUNDS {
        world.pass(Duration::from_secs(1));
        let due = world.due_one().await;
        let again = AttemptOutcome::RetryIn(Duration::from_secs(1));
        assert_eq!(world.settle(&due, again).await, Settled::Done);
    }
    let told = &world.log(job.id).await[0];
    assert_eq!(told.attempt, ROUNDS);
    assert!(told.attempts.len() >= 10, "a whole schedule at least");
    assert!(told.attempts.is_sorted_by_key(|attempt| attempt.at));
    assert_eq!(told.attempts.last().expect("one").at, world.now());
}
