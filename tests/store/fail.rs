//! An attempt ends badly.

use std::time::Duration;

use reelway::job::{JobState, Status};
use reelway::store::{EventKind, Settled};
use reelway::task::{ErrorKind, Failure, MAX_LOG_LINES, Next, StageStatus, TaskState};

use crate::fixture::{broken, encoding, job_of, key};
use crate::world::{RECEIVER, World};

pub(crate) async fn a_failure_that_may_pass_is_tried_again_later_and_not_told(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    let started_at = claim.job.state.started_at();
    let wait = Duration::from_secs(20);
    assert_eq!(world.fail(&claim.lease, Next::RetryIn(wait)).await, Settled::Done);
    let job = world.read(claim.lease.job).await;
    assert_eq!(job.state, JobState::Queued { started_at });
    assert_eq!(job.seq, 0);
    assert!(world.log(job.id).await.is_empty());
    let task = &job.tasks[0];
    assert_eq!(task.state, TaskState::Queued { run_at: world.now().plus(wait) });
    assert_eq!((task.attempt, task.tries), (1, 1));
    let last = task.stages.as_slice().last().expect("a stage");
    assert_eq!((last.status, last.finished_at), (StageStatus::Failed, Some(world.now())));
    assert_eq!(last.failure, Some(broken()), "the attempt's own failure is seen while it waits");
}

pub(crate) async fn a_failure_for_good_ends_the_job_with_its_reason(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    let started_at = claim.job.state.started_at();
    world.pass(Duration::from_secs(2));
    let lines = (0..99).map(|n| format!("line {n} “{}”", '\u{fffd}')).collect();
    let failure = Failure::new(ErrorKind::FfmpegFailed, "ffmpeg gave up").log(lines);
    assert_eq!(failure.log.len(), MAX_LOG_LINES);
    let settled = world.store.fail(&claim.lease, encoding(40.0), failure.clone(), Next::End).await;
    assert_eq!(settled.expect("an answer"), Settled::Done);
    let job = world.read(claim.lease.job).await;
    let finished_at = world.now();
    assert_eq!(job.state, JobState::Failed { started_at, finished_at, failure });
    assert_eq!((job.seq, job.tasks[0].state), (1, TaskState::Failed));
    assert!(world.claim(9, 9).await.is_empty());
    let due = world.due_one().await;
    assert_eq!(due.kind, EventKind::JobFailed);
    assert_eq!(job_of(&due).error.as_ref().expect("an error").kind, "ffmpeg_failed");
}

pub(crate) async fn what_a_failed_attempt_stored_may_go_and_is_never_seen(world: World) {
    for next in [Next::RetryIn(Duration::ZERO), Next::End] {
        let claim = world.job().running().await;
        assert_eq!(world.fail(&claim.lease, next).await, Settled::Done);
        let key = key(&claim.lease, "video.mp4");
        assert!(!world.shows(&key).await);
        assert!(world.dooms(&key).await, "{next:?}");
        world.delete(claim.lease.job).await;
    }
}

pub(crate) async fn an_attempt_that_was_cancelled_ends_its_stages_and_its_job(world: World) {
    let claim = world.job().webhook(RECEIVER).running().await;
    let started_at = claim.job.state.started_at();
    world.cancel(claim.lease.job).await;
    world.pass(Duration::from_secs(2));
    assert_eq!(world.end_cancelled(&claim.lease).await, Settled::Done);
    let job = world.read(claim.lease.job).await;
    assert_eq!(job.state, JobState::Cancelled { started_at, finished_at: world.now() });
    assert_eq!(job.tasks[0].state, TaskState::Cancelled);
    let last = job.tasks[0].stages.as_slice().last().expect("a stage");
    assert_eq!(last.status, StageStatus::Cancelled);
    assert_eq!(world.due_one().await.kind, EventKind::JobCancelled);
    assert!(world.dooms(&key(&claim.lease, "video.mp4")).await);
}

pub(crate) async fn a_postponed_task_waits_and_keeps_its_tries(world: World) {
    let id = world.job().webhook(RECEIVER).submit().await.id;
    let wait = Duration::from_mins(5);
    for _ in 0..5 {
        let mut claims = world.claim(1, 0).await;
        let claim = claims.pop().expect("a task that is due");
        assert_eq!(claim.tries, 1);
        assert_eq!(world.fail(&claim.lease, Next::PostponeBy(wait)).await, Settled::Done);
        let job = world.read(id).await;
        assert_eq!((job.state.status(), job.tasks[0].tries), (Status::Queued, 0));
        world.pass_almost(wait);
        assert!(world.claim(1, 0).await.is_empty());
        world.pass(Duration::from_millis(1));
    }
    assert!(world.log(id).await.is_empty(), "nobody is told");
}
