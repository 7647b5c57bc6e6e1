//! Deliveries are taken on leases, fairly.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use reelway::store::{AttemptOutcome, DueDelivery, Settled};

use crate::fixture::job_of;
use crate::world::{DELIVERY_LEASE, RECEIVER, World, at_once};

const SLOW: &str = "https://slow.example.com/hook";
const OTHER: &str = "https://other.example.com/hook";

/// How many deliveries go to each host.
fn by_host(due: &[DueDelivery]) -> BTreeMap<&str, usize> {
    let mut hosts = BTreeMap::new();
    for due in due {
        *hosts.entry(due.url.host_str().expect("a host")).or_default() += 1;
    }
    hosts
}

pub(crate) async fn a_destination_with_a_thousand_waiting_does_not_stand_in_front_of_others(
    world: World,
) {
    world.end_many(1_000, SLOW).await;
    world.job().webhook(OTHER).cancelled().await;
    world.job().webhook(RECEIVER).cancelled().await;
    let first = world.due(3, 4).await;
    let each =
        BTreeMap::from([("app.example.com", 1), ("other.example.com", 1), ("slow.example.com", 1)]);
    assert_eq!(by_host(&first), each, "the first of each before the second of any");
    assert_eq!(by_host(&world.due(64, 4).await), BTreeMap::from([("slow.example.com", 3)]));
    world.job().webhook(OTHER).cancelled().await;
    assert_eq!(by_host(&world.due(64, 4).await), BTreeMap::from([("other.example.com", 1)]));
}

pub(crate) async fn deliveries_of_one_destination_go_in_the_order_of_their_jobs_ends(world: World) {
    let mut ended = Vec::new();
    for _ in 0..4 {
        ended.push(world.job().webhook(RECEIVER).cancelled().await.id);
    }
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(world.due_one().await);
        let delivered = world.settle(&sent[sent.len() - 1], AttemptOutcome::Delivered).await;
        assert_eq!(delivered, Settled::Done);
    }
    assert_eq!(sent.iter().map(|due| job_of(due).id).collect::<Vec<_>>(), ended);
}

pub(crate) async fn what_is_under_way_takes_up_its_destinations_room(world: World) {
    for _ in 0..5 {
        world.job().webhook(SLOW).cancelled().await;
    }
    let first = world.due(9, 2).await;
    assert_eq!(first.len(), 2);
    assert!(world.due(9, 2).await.is_empty());
    assert_eq!(world.settle(&first[0], AttemptOutcome::Delivered).await, Settled::Done);
    assert_eq!(world.due(9, 2).await.len(), 1);
    assert_eq!(world.due(9, 3).await.len(), 1, "room is counted at each claim");
    assert!(world.due(9, 0).await.is_empty());
}

pub(crate) async fn no_more_is_taken_than_asked_for(world: World) {
    for host in 0..5 {
        world.job().webhook(&format!("https://h{host}.example.com/")).cancelled().await;
    }
    assert!(world.due(0, 4).await.is_empty());
    assert_eq!(world.due(3, 4).await.len(), 3);
    assert_eq!(world.due(3, 4).await.len(), 2);
}

pub(crate) async fn a_destination_is_told_by_its_path_and_not_by_its_query(world: World) {
    for query in ["?team=1", "?team=2", ""] {
        world.job().webhook(&format!("{SLOW}{query}")).cancelled().await;
    }
    for (path, port) in [("/hook/2", ""), ("/hook", ":8443")] {
        let url = format!("https://slow.example.com{port}{path}");
        world.job().webhook(&url).cancelled().await;
    }
    let due = world.due(9, 1).await;
    assert_eq!(due.len(), 3, "one of each destination: {due:?}");
}

pub(crate) async fn a_destination_that_keeps_failing_gets_one_at_a_time(world: World) {
    for _ in 0..6 {
        world.job().webhook(SLOW).cancelled().await;
    }
    world.job().webhook(OTHER).cancelled().await;
    let other = world.due(9, 1).await.into_iter().find(|due| due.url.as_str() == OTHER);
    assert!(other.is_some());
    world.pass(DELIVERY_LEASE);
    for _ in 0..10 {
        let due = world.due(9, 1).await;
        let due = due.iter().find(|due| due.url.as_str() == SLOW).expect("a delivery");
        let again = AttemptOutcome::RetryIn(Duration::ZERO);
        assert_eq!(world.settle(due, again).await, Settled::Done);
        world.pass(DELIVERY_LEASE);
    }
    let due = world.due(9, 4).await;
    let hosts = BTreeMap::from([("other.example.com", 1), ("slow.example.com", 1)]);
    assert_eq!(by_host(&due), hosts);
    assert!(world.due(9, 4).await.is_empty());
    let tried = due.iter().find(|due| due.url.as_str() == SLOW).expect("a delivery");
    assert_eq!(world.settle(tried, AttemptOutcome::Delivered).await, Settled::Done);
    let trusted = BTreeMap::from([("slow.example.com", 4)]);
    assert_eq!(by_host(&world.due(9, 4).await), trusted, "one success is enough");
}

pub(crate) async fn a_delivery_whose_deliverer_was_lost_is_due_again(world: World) {
    world.job().webhook(RECEIVER).cancelled().await;
    let lost = world.due_one().await;
    world.pass_almost(DELIVERY_LEASE);
    assert!(world.due(9, 9).await.is_empty());
    world.pass(Duration::from_millis(1));
    let again = world.due_one().await;
    assert_eq!((again.id, again.event), (lost.id, lost.event), "the same event, so receivers see");
    assert_eq!((again.attempt, again.tries), (2, 2));
    assert_eq!(world.settle(&lost, AttemptOutcome::Failed).await, Settled::Lost);
    assert_eq!(world.settle(&again, AttemptOutcome::Delivered).await, Settled::Done);
}

pub(crate) async fn the_next_delivery_is_due_when_it_says(world: World) {
    let next = async || world.store.next_delivery_at().await.expect("an answer");
    assert_eq!(next().await, None);
    world.job().webhook(RECEIVER).cancelled().await;
    assert!(next().await.expect("a time") <= world.now());
    let due = world.due_one().await;
    let lease_until = world.now().plus(DELIVERY_LEASE);
    assert_eq!(next().await, Some(lease_until), "unless its deliverer is lost");
    let wait = Duration::from_mins(5);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.settle(&due, AttemptOutcome::RetryIn(wait)).await, Settled::Done);
    let again_at = world.now().plus(wait);
    assert_eq!(next().await, Some(again_at));
    world.job().webhook(OTHER).cancelled().await;
    assert!(next().await.expect("a time") <= world.now());
    let other = world.due_one().await;
    assert_eq!(world.settle(&other, AttemptOutcome::Delivered).await, Settled::Done);
    assert_eq!(next().await, Some(again_at));
    world.clock.set(again_at);
    let due = world.due_one().await;
    assert_eq!(world.settle(&due, AttemptOutcome::Failed).await, Settled::Done);
    assert_eq!(next().await, None, "nothing waits any more");
}

/// Told that it is due, its deliverer would ask for it again and again.
pub(crate) async fn a_delivery_without_room_does_not_call_for_its_deliverer(world: World) {
    for _ in 0..2 {
        world.job().webhook(SLOW).cancelled().await;
    }
    let first = world.due_one().await;
    assert!(world.due(9, 1).await.is_empty());
    let next = world.store.next_delivery_at().await.expect("an answer");
    assert_eq!(next, Some(world.now().plus(DELIVERY_LEASE)));
    assert_eq!(world.settle(&first, AttemptOutcome::Delivered).await, Settled::Done);
    let next = world.store.next_delivery_at().await.expect("an answer");
    assert!(next.expect("a time") <= world.now());
}

pub(crate) async fn many_deliverers_at_once_never_send_the_same(world: World) {
    const DELIVERIES: usize = 60;
    for host in 0..6 {
        let url = format!("https://h{host}.example.com/");
        world.end_many(DELIVERIES / 6, &url).await;
    }
    let stores = world.two().await;
    let taken = at_once((0..8).map(|n| {
        let store = stores[n % 2].clone();
        async move {
            let mut taken = Vec::new();
            for _ in 0..DELIVERIES {
                let due = store.claim_deliveries(4, 100, DELIVERY_LEASE).await.expect("due");
                taken.extend(due);
            }
            taken
        }
    }))
    .await
    .concat();
    let ids: HashSet<_> = taken.iter().map(|due| due.id).collect();
    assert_eq!((taken.len(), ids.len()), (DELIVERIES, DELIVERIES));
    assert!(taken.iter().all(|due| due.attempt == 1));
}

pub(crate) async fn many_deliverers_at_once_keep_to_a_destinations_room(world: World) {
    world.end_many(20, SLOW).await;
    let stores = world.two().await;
    for _ in 0..5 {
        let taken = at_once((0..6).map(|n| {
            let store = stores[n % 2].clone();
            async move { store.claim_deliveries(9, 2, DELIVERY_LEASE).await.expect("due") }
        }))
        .await
        .concat();
        assert_eq!(taken.len(), 2);
        for due in &taken {
            assert_eq!(world.settle(due, AttemptOutcome::Delivered).await, Settled::Done);
        }
    }
}
