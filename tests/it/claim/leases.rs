//! The attempt is a fence: who has lost a lease changes nothing.

use std::time::Duration;

use reelway::claim::{Interrupt, Rescuer};
use reelway::clock::Timestamp;
use reelway::id::{WorkerId, fresh};
use reelway::job::Status;
use reelway::store::{LEASE, Store as _};
use reelway::task::{RetryPolicy, Stages};
use tokio_util::sync::CancellationToken;

use super::crew::{Crew, Frozen, Setup};
use crate::app::{NOW, OURS};
use crate::loopback::patiently;

fn another() -> WorkerId {
    fresh(Timestamp::from_millis(NOW))
}

/// Lets every lease run out and puts their tasks back, to be claimed at once.
async fn lose_leases(crew: &Crew) -> usize {
    crew.clock.advance(LEASE + Duration::from_secs(1));
    let found = crew.store.rescue(&RetryPolicy::default(), 0.0).await.expect("a rescue").tasks;
    crew.clock.advance(Duration::from_mins(5));
    found
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_stops_its_ffmpeg_and_writes_nothing() {
    let mut crew = Crew::start().await;
    let id = crew.submit("busy").await;
    crew.until_encoding(id).await;
    crew.stop_claiming().await;
    assert_eq!(lose_leases(&crew).await, 1);
    let other = crew.claim_as(another()).await.expect("the task is free");
    assert_eq!((other.lease.attempt, other.tries), (2, 2), "the lost attempt counts");
    crew.until_idle().await;
    crew.assert_nothing_is_left();
    let job = crew.job(id).await;
    assert_eq!((job.state.status(), job.tasks[0].attempt), (Status::Processing, 2));
    let _settled = crew.store.hand_back(&other.lease).await.expect("an answer");
}

#[tokio::test]
async fn an_output_that_comes_too_late_is_removed_and_the_other_one_stays() {
    let crew = Crew::idle(Setup::default()).await;
    let id = crew.submit("gated/ok").await;
    let slow = crew.claim_as(crew.worker).await.expect("a task");
    let slow = crew.work_without_a_heart(slow);
    crew.source.until_requests(1).await;
    assert_eq!(lose_leases(&crew).await, 1);

    let quick = crew.claim_as(another()).await.expect("the task is free");
    let published = crew.publish(&quick, b"made by the other one").await;
    let settled = crew.store.finish(&quick.lease, Stages::default(), vec![published]).await;
    assert_eq!(settled.expect("an answer"), reelway::store::Settled::Done);
    crew.gate.cancel();
    patiently("the slow one ends", slow).await.expect("no panic");

    assert_eq!(crew.stored(), [format!("{id}/2/video.mp4")]);
    let job = crew.job(id).await;
    assert_eq!((job.state.status(), job.seq), (Status::Succeeded, 1), "one end, one event");
    crew.assert_nothing_is_left();
}

#[tokio::test]
async fn a_task_that_loses_its_workers_ends_as_poison() {
    let crew = Crew::idle(Setup::default()).await;
    let id = crew.submit("ok").await;
    for attempt in 1..=3 {
        let claim = crew.claim_as(another()).await.expect("the task is free");
        assert_eq!((claim.lease.attempt, claim.tries), (attempt, attempt));
        drop(claim);
        assert_eq!(lose_leases(&crew).await, 1);
    }
    assert!(crew.claim_as(another()).await.is_none());
    assert_eq!(crew.status(id).await, Status::Failed);
    let error = crew.error(id).await;
    assert_eq!((&error["kind"], &error["retryable"]), (&"poison".into(), &false.into()));
    assert_eq!(crew.job(id).await.seq, 1);
}

#[tokio::test]
async fn the_rescuer_finds_a_dead_workers_task_within_two_seconds() {
    let crew = Crew::idle(Setup::default()).await;
    let id = crew.submit("ok").await;
    let dead = crew.claim_as(another()).await.expect("a task");
    let frozen = Frozen::begin();
    let rescuer = Rescuer { store: crew.store.clone(), policy: RetryPolicy::default() };
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let running = tokio::spawn(async move { rescuer.run(stopped).await });
    crew.clock.advance(LEASE);
    frozen.pass(&crew, 2).await;
    crew.until_status(id, Status::Queued).await;
    assert_eq!(crew.job(id).await.tasks[0].tries, 1);
    drop(dead);
    stop.cancel();
    patiently("it ends", running).await.expect("no panic");
}

#[tokio::test]
async fn a_beat_renews_the_lease_and_brings_the_wish_to_cancel() {
    let crew = Crew::idle(Setup::default()).await;
    let id = crew.submit("ok").await;
    let claim = crew.claim_as(crew.worker).await.expect("a task");
    let held = crew.hold(&claim);
    for _ in 0..4 {
        crew.clock.advance(LEASE.saturating_sub(Duration::from_secs(1)));
        crew.heart.beat().await;
        let found = crew.store.rescue(&RetryPolicy::default(), 0.5).await.expect("a rescue").tasks;
        assert_eq!(
            (found, held.interrupted()),
            (0, None),
            "two minutes on a lease of thirty seconds"
        );
    }
    crew.store.cancel(OURS, id).await.expect("an answer");
    crew.heart.beat().await;
    assert_eq!(held.interrupted(), Some(Interrupt::Cancelled));
    assert_eq!(crew.status(id).await, Status::Processing, "until the worker has stopped");
    let stages = held.stages();
    let _settled = crew.store.end_cancelled(&claim.lease, stages).await.expect("an answer");
    assert_eq!(crew.status(id).await, Status::Cancelled);
}

#[tokio::test]
async fn whoever_beats_for_a_lease_that_is_anothers_is_told_to_stop() {
    let crew = Crew::idle(Setup::default()).await;
    crew.submit("ok").await;
    let lost = crew.claim_as(crew.worker).await.expect("a task");
    let held = crew.hold(&lost);
    assert_eq!(lose_leases(&crew).await, 1);
    let other = crew.claim_as(another()).await.expect("the task is free");
    crew.heart.beat().await;
    assert_eq!(held.interrupted(), Some(Interrupt::Lost));
    let _settled = crew.store.hand_back(&other.lease).await.expect("an answer");
}
