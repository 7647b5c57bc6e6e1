//! Conditions that operators are told of: each of them once.

use std::sync::Arc;
use std::time::Duration;

use reelway::access::Project;
use reelway::id::fresh;
use reelway::store::{
    AttemptOutcome, Condition, ConditionView, DeliveryFilter, DeliveryState, Disk, DiskLow,
    DueDelivery, EventBody, EventKind, LEASE, Room, SettleDelivery, Settled, Store, WORKER_SILENCE,
    WorkerReport,
};
use reelway::task::RetryPolicy;

use crate::fixture::answer;
use crate::world::{MANY, NOW, OPERATOR, OURS, RECEIVER, World, at_once};

const OPERATIONS: &Project = &Project::OPERATIONS;

fn told(due: &DueDelivery) -> &ConditionView {
    match &due.body {
        EventBody::Condition(told) => told,
        other => panic!("no condition: {other:?}"),
    }
}

/// All that operators were to be told so far, oldest first, whether it arrived or not.
async fn log(store: &Arc<dyn Store>) -> Vec<EventKind> {
    let all = DeliveryFilter { limit: MANY, ..DeliveryFilter::default() };
    let log = store.deliveries(OPERATIONS, &all).await.expect("a log");
    log.into_iter().rev().map(|delivery| delivery.kind).collect()
}

async fn settle(store: &Arc<dyn Store>, due: &DueDelivery, outcome: AttemptOutcome, at: &World) {
    let record = answer(410, at.now());
    let settle = SettleDelivery { id: due.id, attempt: due.attempt, record, outcome };
    assert_eq!(store.settle_delivery(settle).await.expect("an answer"), Settled::Done);
}

fn report(world: &World, name: &str) -> WorkerReport {
    WorkerReport {
        id: world.worker(),
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        ffmpeg: None,
        containment: None,
        answers: false,
        heavy_slots: 1,
        light_slots: 1,
        load: None,
        processors: 2,
        started_at: NOW,
    }
}

fn disk(host: &str, device: u64) -> Disk {
    let told = DiskLow {
        host: host.to_owned(),
        folder: "/data".to_owned(),
        free_bytes: 1_000,
        min_free_bytes: 2_000,
    };
    Disk { device, told }
}

pub(crate) async fn a_receiver_that_was_disabled_is_told_of_once_each_time(world: World) {
    let store = world.watched().await;
    for _ in 0..3 {
        world.job().webhook(&format!("{RECEIVER}?key=secret")).cancelled().await;
    }
    let due = world.due(2, 2).await;
    settle(&store, &due[0], AttemptOutcome::Disable, &world).await;
    settle(&store, &due[1], AttemptOutcome::Disable, &world).await;
    assert_eq!(log(&store).await, [EventKind::EndpointDisabled], "the second one changed nothing");

    let news = world.due_one().await;
    assert_eq!(
        (news.kind, news.url.as_str(), news.seq),
        (EventKind::EndpointDisabled, OPERATOR, 0)
    );
    let Condition::EndpointDisabled(disabled) = &told(&news).data.condition else {
        panic!("another condition: {news:?}")
    };
    assert_eq!(disabled.endpoint_url, RECEIVER, "without its key");
    assert_eq!((disabled.status, disabled.project.as_str()), (Some(410), "default"));
    assert_eq!(disabled.held, 3);
    assert_eq!(disabled.failing_since, Some(told(&news).timestamp));
    assert_eq!(told(&news).data.page, "/ui/webhooks");
    settle(&store, &news, AttemptOutcome::Delivered, &world).await;

    // Mended, trusted again, and dead again: that is news.
    store.replay(OURS, due[0].id).await.expect("an answer").expect("a delivery");
    let again = world.due_one().await;
    settle(&store, &again, AttemptOutcome::Disable, &world).await;
    assert_eq!(log(&store).await.len(), 2);
}

pub(crate) async fn what_operators_are_told_is_of_no_project(world: World) {
    let store = world.watched().await;
    assert!(store.note_disk(&disk("one", 1), Room::Low).await.expect("an answer"));
    let news = world.due_one().await;
    settle(&store, &news, AttemptOutcome::Failed, &world).await;
    let all = DeliveryFilter { limit: MANY, ..DeliveryFilter::default() };
    assert_eq!(store.deliveries(OURS, &all).await.expect("a log"), []);
    assert_eq!(store.destinations(OURS).await.expect("destinations"), []);
    assert_eq!(store.pushed(OURS, news.id).await.expect("an answer"), None);
    assert_eq!(store.replay(OURS, news.id).await.expect("an answer"), None);
    assert_eq!(store.replay_failed(OURS, NOW).await.expect("an answer"), 0);

    let seen = store.deliveries(OPERATIONS, &all).await.expect("a log");
    assert_eq!((seen.len(), seen[0].job_id, seen[0].batch_id), (1, None, None));
    let pushed = store.pushed(OPERATIONS, news.id).await.expect("an answer").expect("a delivery");
    assert_eq!(pushed.body, news.body);
    assert_eq!(store.destinations(OPERATIONS).await.expect("destinations").len(), 1);
    let replayed = store.replay(OPERATIONS, news.id).await.expect("an answer").expect("a delivery");
    assert_eq!(replayed.state, DeliveryState::Pending);

    let later = world.now().plus(Duration::from_hours(1));
    settle(&store, &world.due_one().await, AttemptOutcome::Delivered, &world).await;
    world.pass(Duration::from_hours(2));
    store.tidy(later, later).await.expect("an answer");
    assert_eq!(log(&store).await, [], "old news go like everything");
}

pub(crate) async fn an_operator_who_wants_no_more_is_not_told_of_that(world: World) {
    let store = world.watched().await;
    store.note_disk(&disk("one", 1), Room::Low).await.expect("an answer");
    settle(&store, &world.due_one().await, AttemptOutcome::Disable, &world).await;
    assert_eq!(log(&store).await, [EventKind::DiskLow]);
    store.note_disk(&disk("two", 1), Room::Low).await.expect("an answer");
    world.pass(Duration::from_hours(100));
    assert!(world.due(9, 9).await.is_empty(), "it is held");
    assert_eq!(log(&store).await, [EventKind::DiskLow; 2], "and kept");
}

pub(crate) async fn nobody_is_told_where_there_is_no_operator(world: World) {
    world.job().webhook(RECEIVER).cancelled().await;
    let due = world.due_one().await;
    assert_eq!(world.settle(&due, AttemptOutcome::Disable).await, Settled::Done);
    assert!(!world.store.note_disk(&disk("one", 1), Room::Low).await.expect("an answer"));
    world.store.report_worker(&report(&world, "one")).await.expect("reported");
    world.pass(WORKER_SILENCE);
    assert_eq!(world.store.miss_workers().await.expect("an answer"), []);
    assert_eq!(log(&world.store).await, []);
    // A process that cannot tell takes no news from one that can.
    let watched = world.watched().await;
    assert!(watched.note_disk(&disk("one", 1), Room::Low).await.expect("an answer"));
    assert_eq!(watched.miss_workers().await.expect("an answer").len(), 1);
}

pub(crate) async fn a_poisoned_job_is_told_of_with_its_end(world: World) {
    let store = world.watched().await;
    let job = world.job().running().await.job;
    let fine = world.job().submit().await;
    world.pass(LEASE);
    let once = RetryPolicy { max_tries: 1, ..RetryPolicy::default() };
    let found = store.rescue(&once, 0.5).await.expect("an answer");
    assert_eq!(found.poisoned, [job.id]);
    assert_eq!(store.rescue(&once, 0.5).await.expect("an answer").tasks, 0);
    let news = world.due_one().await;
    let Condition::JobPoisoned(poisoned) = &told(&news).data.condition else {
        panic!("another condition: {news:?}")
    };
    assert_eq!((poisoned.job_id, poisoned.tries), (job.id, 1));
    assert_eq!(told(&news).data.page, format!("/ui/jobs/{}", job.id));
    settle(&store, &news, AttemptOutcome::Delivered, &world).await;

    // A job that is lost and tried again is no news.
    world.take(&fine).await;
    world.pass(LEASE);
    assert_eq!(store.rescue(&RetryPolicy::default(), 0.5).await.expect("an answer").tasks, 1);
    assert_eq!(log(&store).await, [EventKind::JobPoisoned]);
}

pub(crate) async fn a_process_that_says_nothing_is_missed_once(world: World) {
    let store = world.watched().await;
    let (one, two) = (report(&world, "one"), report(&world, "two"));
    let began = world.now();
    store.report_worker(&one).await.expect("reported");
    world.pass_almost(WORKER_SILENCE);
    store.report_worker(&two).await.expect("reported");
    assert_eq!(store.miss_workers().await.expect("an answer"), []);
    world.pass(Duration::from_millis(1));
    assert_eq!(store.miss_workers().await.expect("an answer"), std::slice::from_ref(&one));
    assert_eq!(store.miss_workers().await.expect("an answer"), []);
    let news = world.due_one().await;
    let Condition::WorkerLost(lost) = &told(&news).data.condition else {
        panic!("another condition: {news:?}")
    };
    assert_eq!((lost.worker_id, lost.last_seen_at), (one.id, began));
    assert_eq!(told(&news).data.page, "/ui/system");
    settle(&store, &news, AttemptOutcome::Delivered, &world).await;

    // It only seemed lost, and is lost again: that is news.
    store.report_worker(&one).await.expect("reported");
    store.report_worker(&two).await.expect("reported");
    assert_eq!(store.miss_workers().await.expect("an answer"), []);
    store.say_goodbye(two.id).await.expect("an answer");
    world.pass(WORKER_SILENCE);
    assert_eq!(store.miss_workers().await.expect("an answer"), [one]);
    assert_eq!(log(&store).await, [EventKind::WorkerLost; 2]);
}

pub(crate) async fn a_process_that_said_goodbye_or_never_would_is_not_missed(world: World) {
    let store = world.watched().await;
    let goes = report(&world, "goes");
    store.report_worker(&goes).await.expect("reported");
    store.say_goodbye(goes.id).await.expect("an answer");
    store.say_goodbye(fresh(NOW)).await.expect("one that was never seen may go too");
    let of_before = world.database.report_as_before(&report(&world, "of before")).await;
    world.pass(WORKER_SILENCE * 2);
    assert_eq!(store.miss_workers().await.expect("an answer"), []);
    let seen = store.workers().await.expect("workers");
    let names: Vec<_> = seen.iter().map(|worker| worker.report.id).collect();
    assert!(names.contains(&goes.id) && names.contains(&of_before), "both are remembered");
}

pub(crate) async fn many_who_look_at_once_miss_each_process_once(world: World) {
    let stores = [world.watched().await, world.watched().await];
    for n in 0..6 {
        stores[0].report_worker(&report(&world, &n.to_string())).await.expect("reported");
        world.pass(Duration::from_millis(1));
    }
    world.pass(WORKER_SILENCE);
    let found = at_once((0..8).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.miss_workers().await.expect("an answer").len() }
    }))
    .await;
    assert_eq!(found.iter().sum::<usize>(), 6, "{found:?}");
    assert_eq!(log(&stores[0]).await, [EventKind::WorkerLost; 6]);
}

pub(crate) async fn a_low_disk_is_told_of_once_until_there_was_room(world: World) {
    let store = world.watched().await;
    let disk = disk("one", 1);
    let note = async |room| store.note_disk(&disk, room).await.expect("an answer");
    assert!(!note(Room::Enough).await, "it was never low");
    assert!(note(Room::Low).await);
    assert!(!note(Room::Low).await);
    let news = world.due_one().await;
    assert_eq!(told(&news).data.condition, Condition::DiskLow(disk.told.clone()));
    assert!(note(Room::Enough).await);
    assert!(!note(Room::Enough).await);
    assert!(note(Room::Low).await);
    assert_eq!(log(&store).await, [EventKind::DiskLow; 2]);
}

pub(crate) async fn two_processes_on_one_disk_tell_of_it_once(world: World) {
    let stores = [world.watched().await, world.watched().await];
    let news = at_once((0..8).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.note_disk(&disk("one", 7), Room::Low).await.expect("an answer") }
    }))
    .await;
    assert_eq!(news.iter().filter(|is_news| **is_news).count(), 1, "{news:?}");
    for other in [disk("one", 8), disk("two", 7)] {
        assert!(stores[0].note_disk(&other, Room::Low).await.expect("an answer"), "{other:?}");
    }
    assert_eq!(log(&stores[0]).await, [EventKind::DiskLow; 3]);
}
