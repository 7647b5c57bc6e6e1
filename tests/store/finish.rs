//! A task ends well: its outputs, its job and its event in one.

use std::time::Duration;

use reelway::job::JobState;
use reelway::store::{BeatReply, EventKind, LEASE, Settled};
use reelway::task::{RetryPolicy, StageStatus, TaskState};

use crate::fixture::{beat, encoding, job_of, key, made};
use crate::world::{OURS, RECEIVER, World, at_once};

pub(crate) async fn the_end_of_a_task_shows_its_outputs_and_tells_of_it(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    let id = claim.lease.job;
    let started_at = world.now();
    world.pass(Duration::from_secs(9));
    let outputs = ["video.mp4", "poster.webp", "a.vtt"].map(|name| made(&claim.lease, name));
    assert!(!world.shows(&outputs[0].file.key).await);
    assert!(world.log(id).await.is_empty());

    let stages = encoding(99.0);
    let settled = world.store.finish(&claim.lease, stages, outputs.to_vec()).await;
    assert_eq!(settled.expect("an answer"), Settled::Done);

    let job = world.read(id).await;
    let files = outputs.map(|published| published.file);
    let finished_at = world.now();
    let outputs = files.to_vec();
    assert_eq!(job.state, JobState::Succeeded { started_at, finished_at, outputs });
    assert_eq!(job.progress.to_bits(), 100.0_f32.to_bits());
    assert_eq!((job.seq, job.updated_at), (1, finished_at));
    assert_eq!(job.tasks[0].state, TaskState::Succeeded);
    let stages = job.tasks[0].stages.as_slice();
    assert!(stages.iter().all(|stage| stage.status == StageStatus::Succeeded));
    assert_eq!(stages[1].finished_at, Some(finished_at));
    for file in files {
        assert_eq!(world.store.output(OURS, &file.key).await.expect("an answer"), Some(file));
    }
    let due = world.due_one().await;
    assert_eq!((due.kind, due.seq, job_of(&due).id), (EventKind::JobSucceeded, 1, id));
}

pub(crate) async fn a_finish_is_written_whole_or_not_at_all(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    let before = world.read(claim.lease.job).await;
    let (output, other) = (made(&claim.lease, "video.mp4"), made(&claim.lease, "poster.webp"));
    let twice = vec![other.clone(), output.clone(), output.clone()];
    let refused = world.store.finish(&claim.lease, encoding(9.0), twice).await;
    assert!(refused.is_err(), "two files at one key: {refused:?}");

    assert_eq!(world.read(before.id).await, before);
    assert!(!world.shows(&other.file.key).await);
    assert!(world.log(before.id).await.is_empty());
    assert!(!world.dooms(&output.file.key).await);
    let replies = world.store.beat(&[beat(&claim, 1.0)]).await.expect("replies");
    assert_eq!(replies, [BeatReply::Held], "the lease is not spent");
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
}

pub(crate) async fn what_was_finished_is_not_swept(world: World) {
    let claim = world.job().running().await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    world.pass(Duration::from_hours(1000));
    world.rescue().await;
    assert!(!world.dooms(&key(&claim.lease, "video.mp4")).await);
}

/// A worker whose answer was lost asks again, and must not take its own outputs for garbage.
pub(crate) async fn a_finish_that_was_written_is_told_again_and_changes_nothing(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    let job = world.read(claim.lease.job).await;
    world.pass(Duration::from_secs(1));
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    assert_eq!(world.read(job.id).await, job);
    assert_eq!(world.log(job.id).await.len(), 1);
    let other = vec![made(&claim.lease, "other.mp4")];
    let settled = world.store.finish(&claim.lease, encoding(1.0), other).await;
    assert_eq!(settled.expect("an answer"), Settled::Lost, "another end is not this one");
    world.delete(job.id).await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Lost, "its outputs are gone");
}

/// Nobody else has the task, so nothing is won by doing it again.
pub(crate) async fn a_finish_that_is_late_but_before_the_rescue_counts(world: World) {
    let claim = world.job().running().await;
    world.pass(LEASE * 2);
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    assert_eq!(world.rescue().await, 0);
}

pub(crate) async fn ten_finishes_at_once_end_the_task_once(world: World) {
    let stores = world.two().await;
    let claim = world.job().webhook(RECEIVER).running().await;
    let settled = at_once((0..10).map(|n| {
        let store = stores[n % 2].clone();
        let lease = crate::fixture::of_attempt(&claim.lease, claim.lease.attempt);
        async move {
            let outputs = vec![made(&lease, "video.mp4")];
            store.finish(&lease, encoding(100.0), outputs).await.expect("an answer")
        }
    }))
    .await;
    assert_eq!(settled, [Settled::Done; 10], "the same end is told again");
    assert_eq!(world.log(claim.lease.job).await.len(), 1);
    assert_eq!(world.read(claim.lease.job).await.seq, 1);
}

pub(crate) async fn a_finish_and_a_rescue_at_once_leave_one_of_two_truths(world: World) {
    let [here, there] = world.two().await;
    for _ in 0..20 {
        let claim = world.job().webhook(RECEIVER).running().await;
        let (id, key) = (claim.lease.job, key(&claim.lease, "video.mp4"));
        world.pass(LEASE);
        let store = there.clone();
        let rescuing =
            tokio::spawn(async move { store.rescue(&RetryPolicy::default(), 0.5).await });
        let outputs = vec![made(&claim.lease, "video.mp4")];
        let settled = here.finish(&claim.lease, encoding(100.0), outputs).await;
        let rescued = rescuing.await.expect("no panic").expect("an answer").tasks;
        let is_finished = world.read(id).await.state.status().is_final();
        match (settled.expect("an answer"), rescued) {
            (Settled::Done, 0) => assert!(is_finished && world.shows(&key).await),
            (Settled::Lost, 1) => assert!(!is_finished && !world.shows(&key).await),
            (settled, rescued) => panic!("{settled:?} and {rescued} rescued"),
        }
        assert_eq!(world.log(id).await.len(), usize::from(is_finished));
        world.delete(id).await;
    }
}
