//! A job is hidden for good.

use std::time::Duration;

use reelway::id::{JobId, fresh};
use reelway::job::Job;
use reelway::store::{BeatReply, DeletedJob, EventKind, JobFilter, LEASE, Settled};
use reelway::task::Next;

use crate::fixture::{beat, key};
use crate::world::{MANY, NOW, OURS, RECEIVER, World, at_once};

/// Deletes a job and asserts that it was given back as it was and is not there any more.
async fn hide(world: &World, before: &Job) {
    let deleted = world.store.delete(OURS, before.id).await.expect("an answer");
    assert_eq!(deleted, Some(DeletedJob { job: before.clone() }));
    assert!(!world.is_there(before.id).await);
    let filter = JobFilter { limit: MANY, ..JobFilter::default() };
    let listed = world.store.jobs(OURS, &filter).await.expect("a page").jobs;
    assert!(listed.iter().all(|job| job.id != before.id));
    let again = world.store.delete(OURS, before.id).await.expect("an answer");
    assert_eq!(again, None, "a second time");
}

pub(crate) async fn a_job_that_waits_is_cancelled_and_hidden(world: World) {
    let queued = world.job().webhook(RECEIVER).submit().await;
    hide(&world, &queued).await;
    let waits = world.job().webhook(RECEIVER).failed_once(Duration::from_mins(1)).await;
    hide(&world, &waits).await;
    world.pass(Duration::from_hours(1));
    assert!(world.claim(9, 9).await.is_empty());
    for job in [queued, waits] {
        let kinds: Vec<_> = world.log(job.id).await.iter().map(|told| told.kind).collect();
        assert_eq!(kinds, [EventKind::JobCancelled], "its end is told all the same");
    }
}

pub(crate) async fn a_job_that_has_ended_is_hidden_and_not_told_again(world: World) {
    let ended = [
        world.job().webhook(RECEIVER).succeeded().await,
        world.job().webhook(RECEIVER).failed().await,
        world.job().webhook(RECEIVER).cancelled().await,
    ];
    for job in ended {
        hide(&world, &job).await;
        assert_eq!(world.log(job.id).await.len(), 1, "what was told stays to be delivered");
    }
    assert_eq!(world.due(9, 9).await.len(), 3);
}

pub(crate) async fn the_outputs_of_a_deleted_job_vanish_and_may_go(world: World) {
    let claim = world.job().running().await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    let key = key(&claim.lease, "video.mp4");
    assert!(world.shows(&key).await);
    world.delete(claim.lease.job).await;
    assert!(!world.shows(&key).await);
    assert!(world.dooms(&key).await);
}

pub(crate) async fn the_worker_of_a_deleted_job_is_asked_to_stop(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    hide(&world, &world.read(claim.lease.job).await).await;
    let replies = world.store.beat(&[beat(&claim, 5.0)]).await.expect("replies");
    assert!(matches!(replies[..], [BeatReply::CancelAsked | BeatReply::Lost]), "{replies:?}");
    let _either = world.end_cancelled(&claim.lease).await;
    assert!(!world.is_there(claim.lease.job).await);
    let kinds: Vec<_> = world.log(claim.lease.job).await.iter().map(|told| told.kind).collect();
    assert_eq!(kinds, [EventKind::JobCancelled]);
    assert!(world.claim(9, 9).await.is_empty());
    assert_eq!(world.store.pressure().await.expect("an answer").processing, 0);
}

pub(crate) async fn what_the_worker_of_a_deleted_job_finishes_is_never_seen(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    world.delete(claim.lease.job).await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Lost);
    let key = key(&claim.lease, "video.mp4");
    assert!(!world.shows(&key).await);
    let kinds: Vec<_> = world.log(claim.lease.job).await.iter().map(|told| told.kind).collect();
    assert_eq!(kinds, [EventKind::JobCancelled]);
    world.pass(Duration::from_hours(24));
    assert!(world.dooms(&key).await);
}

pub(crate) async fn a_deleted_job_is_not_tried_again(world: World) {
    let failing = world.job().running().await;
    let handing_back = world.job().running().await;
    let lost = world.job().running().await;
    for claim in [&failing, &handing_back, &lost] {
        world.delete(claim.lease.job).await;
    }
    let _either = world.fail(&failing.lease, Next::RetryIn(Duration::ZERO)).await;
    let _either = world.hand_back(&handing_back.lease).await;
    world.pass(LEASE);
    world.rescue().await;
    world.pass(Duration::from_hours(1));
    assert!(world.claim(9, 9).await.is_empty());
    let pressure = world.store.pressure().await.expect("an answer");
    assert_eq!((pressure.queued, pressure.processing), (0, 0));
}

pub(crate) async fn a_job_that_is_not_there_cannot_be_deleted(world: World) {
    let unknown: JobId = fresh(NOW);
    assert_eq!(world.store.delete(OURS, unknown).await.expect("an answer"), None);
    assert!(world.garbage().await.is_empty());
}

/// Whoever comes first wins; in the end the files are gone either way.
pub(crate) async fn a_finish_and_a_deletion_at_once_leave_no_file_behind(world: World) {
    let stores = world.two().await;
    for round in 0..20 {
        let claim = world.job().webhook(RECEIVER).running().await;
        let (id, key) = (claim.lease.job, key(&claim.lease, "video.mp4"));
        let store = stores[round % 2].clone();
        let deleting = tokio::spawn(async move { store.delete(OURS, id).await });
        let _either = world.finish(&claim.lease).await;
        assert!(deleting.await.expect("no panic").expect("an answer").is_some());
        assert!(!world.shows(&key).await);
        assert_eq!(world.log(id).await.len(), 1, "one end, one event");
        world.pass(Duration::from_hours(24));
        assert!(world.dooms(&key).await);
    }
}

pub(crate) async fn ten_deletions_at_once_delete_once(world: World) {
    let stores = world.two().await;
    let job = world.job().webhook(RECEIVER).submit().await;
    let answers = at_once((0..10).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.delete(OURS, job.id).await.expect("an answer") }
    }))
    .await;
    assert_eq!(answers.iter().flatten().count(), 1);
    assert_eq!(world.log(job.id).await.len(), 1);
}
