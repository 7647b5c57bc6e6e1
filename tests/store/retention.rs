//! What has had its time goes: outputs first, then the jobs.

use std::time::Duration;

use reelway::clock::Timestamp;
use reelway::id::{BatchId, fresh};
use reelway::job::{Job, Status};
use reelway::store::{AttemptOutcome, BeatReply, CancelOutcome, LEASE, Settled};

use crate::fixture::{beat, key};
use crate::world::{NOW, OURS, RECEIVER, World};

async fn expire(world: &World, before: Timestamp, limit: u32) -> u64 {
    world.store.expire_outputs(before, limit).await.expect("an answer")
}

async fn forget(world: &World, before: Timestamp) -> u64 {
    world.store.forget_jobs(before, 100).await.expect("an answer")
}

async fn tidy(world: &World, before: Timestamp) {
    world.store.tidy(before, before).await.expect("an answer");
}

fn output(job: &Job) -> &str {
    &job.state.outputs().first().expect("an output").key
}

pub(crate) async fn outputs_of_jobs_that_ended_long_ago_expire(world: World) {
    let old = world.job().succeeded().await;
    world.pass(Duration::from_hours(1));
    let young = world.job().succeeded().await;
    let before = young.state.finished_at().expect("an end");
    assert_eq!(expire(&world, before, 100).await, 1, "the moment itself is not before it");
    assert!(!world.shows(output(&old)).await);
    assert!(world.dooms(output(&old)).await);
    let job = world.read(old.id).await;
    assert_eq!((job.state.status(), job.state.outputs().len()), (Status::Succeeded, 0));
    assert!(world.shows(output(&young)).await);
    assert!(!world.dooms(output(&young)).await);
    assert_eq!(expire(&world, before, 100).await, 0);
}

pub(crate) async fn no_more_outputs_expire_than_asked_for_and_the_oldest_first(world: World) {
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(world.job().succeeded().await);
    }
    world.pass(Duration::from_hours(1));
    assert_eq!(expire(&world, world.now(), 2).await, 2);
    assert!(!world.shows(output(&jobs[1])).await);
    assert!(world.shows(output(&jobs[2])).await);
    assert_eq!(expire(&world, world.now(), 2).await, 1);
}

pub(crate) async fn a_job_is_forgotten_when_nothing_of_it_is_left_to_see(world: World) {
    let batch: BatchId = fresh(NOW);
    let job = world.job().batch(batch).webhook(RECEIVER).succeeded().await;
    world.pass(Duration::from_hours(1));
    let before = world.now();
    assert_eq!(forget(&world, before).await, 0, "its output can be seen");
    assert_eq!(expire(&world, before, 100).await, 1);
    tidy(&world, before).await;
    assert_eq!(forget(&world, before).await, 0, "its event is not delivered");
    for due in world.due(9, 9).await {
        assert_eq!(world.settle(&due, AttemptOutcome::Delivered).await, Settled::Done);
    }
    assert_eq!(forget(&world, before).await, 0, "its event can be replayed");
    world.pass(Duration::from_secs(1));
    tidy(&world, world.now()).await;
    assert_eq!(forget(&world, job.state.finished_at().expect("an end")).await, 0, "too young");
    assert_eq!(forget(&world, before).await, 1);
    assert!(!world.is_there(job.id).await);
    assert_eq!(world.store.batch(OURS, batch).await.expect("an answer"), None);
    assert_eq!(world.store.retry(OURS, job.id).await.expect("an answer"), None);
    assert_eq!(world.cancel(job.id).await, CancelOutcome::Unknown);
    assert!(world.dooms(output(&job)).await, "its files are swept all the same");
}

pub(crate) async fn deleted_jobs_are_forgotten_too(world: World) {
    let job = world.job().cancelled().await;
    world.delete(job.id).await;
    world.pass(Duration::from_hours(1));
    tidy(&world, world.now()).await;
    assert_eq!(forget(&world, world.now()).await, 1);
    assert_eq!(forget(&world, world.now()).await, 0);
}

pub(crate) async fn a_job_that_has_not_ended_is_never_forgotten(world: World) {
    let running = world.job().running().await;
    let queued = world.job().submit().await;
    let again = world.job().cancelled().await;
    world.retry(again.id).await;
    world.pass(Duration::from_hours(10_000));
    tidy(&world, world.now()).await;
    assert_eq!(expire(&world, world.now(), 100).await, 0);
    assert_eq!(forget(&world, world.now()).await, 0);
    for id in [running.lease.job, queued.id, again.id] {
        assert!(world.is_there(id).await);
    }
    assert_eq!(world.finish(&running.lease).await, Settled::Done);
}

pub(crate) async fn the_worker_of_a_forgotten_job_can_change_nothing(world: World) {
    let lost = world.job().running().await;
    world.cancel(lost.lease.job).await;
    world.pass(LEASE);
    assert_eq!(world.rescue().await, 1);
    world.pass(Duration::from_hours(1));
    tidy(&world, world.now()).await;
    assert_eq!(forget(&world, world.now()).await, 1);
    let replies = world.store.beat(&[beat(&lost, 9.0)]).await.expect("replies");
    assert_eq!(replies, [BeatReply::Lost]);
    assert_eq!(world.finish(&lost.lease).await, Settled::Lost);
    assert_eq!(world.hand_back(&lost.lease).await, Settled::Lost);
    assert!(!world.shows(&key(&lost.lease, "video.mp4")).await);
    assert!(!world.is_there(lost.lease.job).await);
}
