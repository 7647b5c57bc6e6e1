//! Wake-up calls, after the commit.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use reelway::id::JobId;
use reelway::job::Job;
use reelway::store::{AttemptOutcome, Hints, LEASE, Settled};
use reelway::task::{Next, RetryPolicy};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::fixture::{beat, together};
use crate::world::{OURS, RECEIVER, World};

/// Longer than any database takes to tell.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does `act` and waits for the call that it must make.
async fn wakes<T>(notify: &Notify, act: impl Future<Output = T>) -> T {
    // An earlier call that nobody has heard yet proves nothing.
    while notify.notified().now_or_never().is_some() {}
    let mut call = pin!(notify.notified());
    call.as_mut().enable();
    let done = act.await;
    timeout(PATIENCE, call).await.expect("a call");
    done
}

fn hints(world: &World) -> &Hints {
    world.store.hints()
}

pub(crate) async fn a_task_that_is_due_wakes_the_claimer(world: World) {
    let task_due = &hints(&world).task_due;
    let job = wakes(task_due, world.job().submit()).await;
    let claim = world.take(&job).await;
    let handed_back = wakes(task_due, world.hand_back(&claim.lease)).await;
    assert_eq!(handed_back, Settled::Done);
    let claim = world.take(&job).await;
    let again = Next::RetryIn(Duration::ZERO);
    assert_eq!(wakes(task_due, world.fail(&claim.lease, again)).await, Settled::Done);
    let claim = world.take(&job).await;
    assert_eq!(world.fail(&claim.lease, Next::End).await, Settled::Done);
    wakes(task_due, world.retry(job.id)).await;
}

pub(crate) async fn a_delivery_that_is_due_wakes_the_deliverer(world: World) {
    let delivery_due = &hints(&world).delivery_due;
    wakes(delivery_due, world.job().webhook(RECEIVER).cancelled()).await;
    let first = world.due_one().await;
    wakes(delivery_due, world.job().webhook(RECEIVER).succeeded()).await;
    wakes(delivery_due, world.job().webhook(RECEIVER).failed()).await;
    let settle = world.settle(&first, AttemptOutcome::Failed);
    assert_eq!(wakes(delivery_due, settle).await, Settled::Done, "its place is free");
    wakes(delivery_due, world.store.replay(OURS, first.id)).await.expect("an answer");
    wakes(delivery_due, world.store.replay_failed(OURS, crate::world::NOW))
        .await
        .expect("an answer");
    world.job().webhook(RECEIVER).running().await;
    world.pass(LEASE);
    let once = RetryPolicy { max_tries: 1, ..RetryPolicy::default() };
    wakes(delivery_due, world.store.rescue(&once, 0.5)).await.expect("an answer");
}

pub(crate) async fn a_running_job_that_is_unwanted_wakes_the_heart(world: World) {
    let cancel_asked = &hints(&world).cancel_asked;
    let claim = world.job().running().await;
    wakes(cancel_asked, world.cancel(claim.lease.job)).await;
    let claim = world.job().running().await;
    wakes(cancel_asked, world.delete(claim.lease.job)).await;
}

pub(crate) async fn every_change_of_a_job_is_told(world: World) {
    let mut changes = hints(&world).changes();
    // What one process does, it may hear again from the others.
    let echoes = !world.database.has_one_process();
    let mut told = async |id: JobId, change| {
        loop {
            let heard = timeout(PATIENCE, changes.recv()).await.expect("a call").expect("an id");
            if heard == id {
                break;
            }
            assert!(echoes, "{change}");
        }
    };
    let job = world.job().submit().await;
    told(job.id, "submitted").await;
    let claim = world.take(&job).await;
    told(job.id, "claimed").await;
    world.store.beat(&[beat(&claim, 50.0)]).await.expect("replies");
    told(job.id, "came further").await;
    assert_eq!(world.fail(&claim.lease, Next::End).await, Settled::Done);
    told(job.id, "failed").await;
    world.retry(job.id).await;
    told(job.id, "retried").await;
    let claim = world.take(&job).await;
    told(job.id, "claimed again").await;
    world.cancel(job.id).await;
    told(job.id, "unwanted").await;
    assert_eq!(world.end_cancelled(&claim.lease).await, Settled::Done);
    told(job.id, "cancelled").await;
    world.delete(job.id).await;
    told(job.id, "deleted").await;
    let lost = world.job().running().await;
    told(lost.lease.job, "submitted").await;
    told(lost.lease.job, "claimed").await;
    world.lose_workers().await;
    told(lost.lease.job, "lost and found").await;
}

/// A call that comes while the verb is still at work must not be ahead of the commit.
pub(crate) async fn who_hears_of_a_change_can_see_it(world: World) {
    let elsewhere = world.again().await;
    for _ in 0..5 {
        let mut changes = hints(&world).changes();
        let jobs: Vec<Job> = (0..50).map(|_| world.job().build()).collect();
        let mut submit = pin!(world.store.submit(together(jobs)));
        let at_once = poll_fn(|cx| match submit.as_mut().poll(cx) {
            Poll::Pending if !changes.is_empty() => Poll::Ready(None),
            polled => polled.map(Some),
        });
        let done = at_once.await;
        let told = timeout(PATIENCE, changes.recv()).await.expect("a call").expect("an id");
        let seen = elsewhere.job(OURS, told).await.expect("an answer");
        assert!(seen.is_some(), "{told}");
        if done.is_none() {
            submit.await.expect("an answer");
        }
    }
}

/// A hint is no promise: what was not heard is found by a poll.
pub(crate) async fn the_other_processes_hear_of_a_change(world: World) {
    if world.database.has_one_process() {
        return;
    }
    let elsewhere = world.again().await;
    let mut changes = elsewhere.hints().changes();
    let mut heard = false;
    // The other process may not have begun to listen yet.
    for _ in 0..100 {
        world.job().submit().await;
        heard = timeout(Duration::from_millis(100), changes.recv()).await.is_ok();
        if heard {
            break;
        }
    }
    assert!(heard);
}
