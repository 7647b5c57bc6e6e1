//! Housekeeping.

use std::collections::HashSet;
use std::time::Duration;

use reelway::clock::{Clock as _, SystemClock};
use reelway::store::sql::Examined;
use reelway::store::{AttemptOutcome, DeliveryState, JobFilter, Settled, Submitted};

use crate::fixture::together;
use crate::world::{MANY, OURS, RECEIVER, World, at_once};

pub(crate) async fn a_secret_is_kept_as_it_was_first_made(world: World) {
    let secret = async |name, fresh| world.store.secret(name, fresh).await.expect("a secret");
    assert_eq!(secret("links", "first").await, "first");
    assert_eq!(secret("links", "second").await, "first");
    assert_eq!(secret("webhooks", "second").await, "second");
    let elsewhere = world.again().await.secret("links", "third").await.expect("a secret");
    assert_eq!(elsewhere, "first");
}

pub(crate) async fn processes_that_start_at_once_agree_on_a_secret(world: World) {
    let stores = world.two().await;
    let secrets = at_once((0..20).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.secret("links", &format!("fresh {n}")).await.expect("a secret") }
    }))
    .await;
    let different: HashSet<_> = secrets.into_iter().collect();
    assert_eq!(different.len(), 1, "{different:?}");
}

pub(crate) async fn deliveries_that_ended_long_ago_are_forgotten(world: World) {
    let settled = async |url: &str, outcome| {
        let job = world.job().webhook(url).cancelled().await;
        let due = world.due_one().await;
        assert_eq!(world.settle(&due, outcome).await, Settled::Done);
        job
    };
    let delivered = settled(RECEIVER, AttemptOutcome::Delivered).await;
    let failed = settled(RECEIVER, AttemptOutcome::Failed).await;
    let gone = "https://gone.example.com/";
    let held = settled(gone, AttemptOutcome::Disable).await;
    let hours = AttemptOutcome::RetryIn(Duration::from_hours(1000));
    let waits = settled(RECEIVER, hours).await;
    world.pass(Duration::from_hours(1));
    let before = world.now();
    let young = settled(RECEIVER, AttemptOutcome::Delivered).await;

    assert!(world.store.tidy(before, before).await.expect("an answer") >= 3);
    for job in [delivered, failed, held] {
        assert!(world.log(job.id).await.is_empty());
        assert!(world.is_there(job.id).await, "jobs are not what is tidied");
    }
    assert_eq!(world.log(waits.id).await[0].state, DeliveryState::Pending, "it has not ended");
    assert_eq!(world.log(waits.id).await[0].attempts.len(), 1);
    assert_eq!(world.log(young.id).await[0].attempts.len(), 1);
    assert_eq!(world.store.tidy(before, before).await.expect("an answer"), 0);

    let later = world.job().webhook(gone).cancelled().await;
    let state = world.log(later.id).await[0].state;
    assert_eq!(state, DeliveryState::Held, "who wants no more is not forgotten");
}

pub(crate) async fn a_job_whose_events_were_forgotten_can_go_on(world: World) {
    let job = world.job().webhook(RECEIVER).failed().await;
    let due = world.due_one().await;
    assert_eq!(world.settle(&due, AttemptOutcome::Delivered).await, Settled::Done);
    world.pass(Duration::from_hours(1));
    world.store.tidy(world.now(), world.now()).await.expect("an answer");
    world.retry(job.id).await;
    let claim = world.take(&job).await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    let due = world.due_one().await;
    assert_eq!(due.seq, 2);
}

pub(crate) async fn another_process_sees_what_was_written(world: World) {
    let job = world.job().succeeded().await;
    let elsewhere = world.again().await;
    assert_eq!(elsewhere.job(OURS, job.id).await.expect("an answer"), Some(job));
    elsewhere.ping().await.expect("an answer");
    elsewhere.close().await;
    world.store.ping().await.expect("the other one's end is not ours");
}

pub(crate) async fn a_store_that_was_closed_does_not_answer(world: World) {
    world.store.ping().await.expect("an answer");
    let job = world.job().submit().await;
    world.store.close().await;
    world.store.close().await;
    assert!(world.store.ping().await.is_err());
    assert!(world.store.submit(together([world.job().build()])).await.is_err());
    let elsewhere = world.again().await;
    assert_eq!(elsewhere.job(OURS, job.id).await.expect("an answer"), Some(job));
}

pub(crate) async fn closing_waits_for_what_is_being_written(world: World) {
    let writes: Vec<_> = (0..20)
        .map(|_| {
            let (store, job) = (world.store.clone(), world.job().build());
            tokio::spawn(async move {
                let id = job.id;
                (id, store.submit(together([job])).await)
            })
        })
        .collect();
    tokio::task::yield_now().await;
    world.store.close().await;
    let elsewhere = world.again().await;
    let filter = JobFilter { limit: MANY, ..JobFilter::default() };
    let written = elsewhere.jobs(OURS, &filter).await.expect("a page").jobs;
    let written: HashSet<_> = written.into_iter().map(|job| job.id).collect();
    for write in writes {
        let (id, submitted) = write.await.expect("no panic");
        let is_accepted = matches!(submitted, Ok(Submitted::Accepted));
        assert_eq!(written.contains(&id), is_accepted, "{submitted:?}");
    }
}

pub(crate) async fn a_database_is_examined_from_outside(world: World) {
    let Examined { version, is_too_old, shape, known, now } = world.database.examine().await;
    assert!(version.contains('.') && !is_too_old, "{version}");
    assert_eq!(shape, Some(known));
    assert_eq!(now.is_some(), !world.database.has_one_process());
    if let Some(now) = now {
        let off = SystemClock.now().millis() - now.millis();
        assert!(off.abs() < 60_000, "{off} ms");
    }
}
