//! Jobs that were sent together.

use reelway::id::{BatchId, fresh};
use reelway::job::{Job, Kind};
use reelway::store::BatchView;

use crate::fixture::together;
use crate::world::{NOW, World};

async fn batch(world: &World, id: BatchId) -> Option<BatchView> {
    world.store.batch(id).await.expect("an answer")
}

/// Four jobs of one batch whose ids do not sort in the order in which they are sent.
async fn send(world: &World) -> (BatchId, Vec<Job>) {
    let id = fresh(NOW);
    let mut jobs: Vec<Job> = Kind::ALL.map(|kind| world.job().kind(kind).batch(id).build()).into();
    jobs.swap(0, 2);
    jobs.swap(1, 3);
    world.store.submit(together(jobs.clone())).await.expect("an answer");
    (id, jobs)
}

pub(crate) async fn a_batch_keeps_the_order_in_which_its_jobs_were_sent(world: World) {
    let (id, jobs) = send(&world).await;
    world.job().batch(fresh(NOW)).submit().await;
    let created_at = jobs[0].created_at;
    assert_eq!(batch(&world, id).await, Some(BatchView { id, jobs, created_at }));
}

pub(crate) async fn a_batch_shows_how_its_jobs_stand_now(world: World) {
    let (id, jobs) = send(&world).await;
    world.cancel(jobs[2].id).await;
    let ended = world.read(jobs[2].id).await;
    let shown = batch(&world, id).await.expect("the batch");
    assert_eq!(shown.jobs[2], ended);
    assert_eq!(shown.jobs[3], jobs[3]);
}

pub(crate) async fn a_deleted_job_leaves_its_batch(world: World) {
    let (id, jobs) = send(&world).await;
    world.delete(jobs[1].id).await;
    let left = batch(&world, id).await.expect("the batch").jobs;
    let left: Vec<_> = left.iter().map(|job| job.id).collect();
    assert_eq!(left, [jobs[0].id, jobs[2].id, jobs[3].id]);
}

pub(crate) async fn a_batch_without_jobs_is_not_there(world: World) {
    assert_eq!(batch(&world, fresh(NOW)).await, None);
    let (id, jobs) = send(&world).await;
    for job in &jobs {
        world.delete(job.id).await;
    }
    assert_eq!(batch(&world, id).await, None);
}
