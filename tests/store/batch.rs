//! Jobs that were sent together.

use std::time::Duration;

use reelway::id::{BatchId, fresh};
use reelway::job::{Batch, BatchView, Counts, Job, Kind, Status};
use reelway::store::{BatchFilter, DeliveryFilter, DueDelivery, EventBody, EventKind, Settled};
use reelway::task::Next;

use crate::fixture::{encoding, made, together};
use crate::world::{MANY, NOW, OURS, RECEIVER, World, at_once};

async fn batch(world: &World, id: BatchId) -> Option<Batch> {
    world.store.batch(OURS, id).await.expect("an answer")
}

/// Four jobs of one batch whose ids do not sort in the order in which they are sent.
async fn send(world: &World) -> (BatchId, Vec<Job>) {
    let id = fresh(NOW);
    let kinds = [Kind::Video, Kind::Audio, Kind::Image, Kind::Animation];
    let mut jobs: Vec<Job> = kinds.map(|kind| world.job().kind(kind).batch(id).build()).into();
    jobs.swap(0, 2);
    jobs.swap(1, 3);
    world.store.submit(together(jobs.clone())).await.expect("an answer");
    (id, jobs)
}

pub(crate) async fn a_batch_keeps_the_order_in_which_its_jobs_were_sent(world: World) {
    let (id, jobs) = send(&world).await;
    world.job().batch(fresh(NOW)).submit().await;
    let created_at = jobs[0].created_at;
    assert_eq!(batch(&world, id).await, Some(Batch { id, jobs, created_at }));
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
    let mut others: Vec<_> = jobs.iter().map(|job| job.id).collect();
    others.remove(1);
    assert_eq!(left, others);
}

pub(crate) async fn a_batch_without_jobs_is_not_there(world: World) {
    assert_eq!(batch(&world, fresh(NOW)).await, None);
    let (id, jobs) = send(&world).await;
    for job in &jobs {
        world.delete(job.id).await;
    }
    assert_eq!(batch(&world, id).await, None);
}

/// So many videos of one batch that are pushed to the receiver.
async fn send_told(world: &World, count: usize) -> (BatchId, Vec<Job>) {
    let id = fresh(NOW);
    let jobs: Vec<Job> =
        (0..count).map(|_| world.job().batch(id).webhook(RECEIVER).build()).collect();
    world.store.submit(together(jobs.clone())).await.expect("an answer");
    (id, jobs)
}

/// The events of batches that are due now, oldest first.
async fn told(world: &World) -> Vec<DueDelivery> {
    let mut due = world.due(MANY, MANY).await;
    due.retain(|due| due.kind == EventKind::BatchFinished);
    due.sort_by_key(|due| due.seq);
    due
}

pub(crate) async fn a_batch_is_told_of_when_its_last_job_has_ended(world: World) {
    let (id, jobs) = send_told(&world, 3).await;
    let claim = world.take(&jobs[0]).await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    world.cancel(jobs[2].id).await;
    assert!(told(&world).await.is_empty(), "one job is left");
    world.pass(Duration::from_secs(1));
    let claim = world.take(&jobs[1]).await;
    assert_eq!(world.fail(&claim.lease, Next::End).await, Settled::Done);

    let told = told(&world).await;
    let [told] = told.as_slice() else { panic!("{told:?}") };
    let shown = batch(&world, id).await.expect("the batch");
    assert_eq!((told.seq, told.url.as_str()), (1, RECEIVER));
    assert_eq!(told.body, EventBody::Batch(Box::new(BatchView::of(&shown))));
    let EventBody::Batch(body) = &told.body else { panic!("a batch") };
    assert_eq!((body.status, body.finished_at), (Status::Failed, Some(world.now())));
    let counts = Counts { succeeded: 1, failed: 1, cancelled: 1, ..Counts::default() };
    assert_eq!(body.counts, counts);

    let of_batch = DeliveryFilter { batch_id: Some(id), limit: MANY, ..DeliveryFilter::default() };
    let log = world.store.deliveries(OURS, &of_batch).await.expect("a log");
    let [delivery] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!((delivery.batch_id, delivery.job_id), (Some(id), None));
    assert_eq!(delivery.event_id, told.event);
}

pub(crate) async fn a_job_that_belongs_to_no_batch_tells_of_none(world: World) {
    world.job().webhook(RECEIVER).succeeded().await;
    assert!(told(&world).await.is_empty());
}

pub(crate) async fn a_batch_whose_job_is_tried_again_ends_again(world: World) {
    let (id, jobs) = send_told(&world, 2).await;
    world.cancel(jobs[0].id).await;
    world.cancel(jobs[1].id).await;
    world.retry(jobs[1].id).await;
    let open = BatchView::of(&batch(&world, id).await.expect("the batch"));
    assert_eq!((open.status, open.finished_at), (Status::Processing, None));
    world.pass(Duration::from_secs(1));
    let claim = world.take(&jobs[1]).await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    let told = told(&world).await;
    let seen: Vec<_> = told
        .iter()
        .map(|told| match &told.body {
            EventBody::Batch(batch) => (told.seq, batch.counts.cancelled, batch.counts.succeeded),
            EventBody::Job(_) | EventBody::Condition(_) => panic!("a batch"),
        })
        .collect();
    assert_eq!(seen, [(1, 2, 0), (2, 1, 1)]);
}

pub(crate) async fn a_job_that_is_deleted_ends_its_batch_and_is_not_in_it(world: World) {
    let (_, jobs) = send_told(&world, 3).await;
    let claim = world.take(&jobs[0]).await;
    world.delete(jobs[0].id).await;
    world.cancel(jobs[1].id).await;
    world.cancel(jobs[2].id).await;
    assert!(told(&world).await.is_empty(), "its worker has not stopped");
    assert_eq!(world.end_cancelled(&claim.lease).await, Settled::Done);
    let told = told(&world).await;
    let EventBody::Batch(body) = &told[0].body else { panic!("a batch") };
    let left: Vec<_> = body.jobs.iter().flatten().map(|job| job.id).collect();
    assert_eq!((told.len(), left), (1, vec![jobs[1].id, jobs[2].id]));
}

pub(crate) async fn jobs_that_end_at_once_tell_of_their_batch_once(world: World) {
    let stores = world.two().await;
    for round in 0..10 {
        let (id, jobs) = send_told(&world, 4).await;
        let claims = world.claim(4, 0).await;
        assert_eq!(claims.len(), jobs.len());
        let ends = claims.into_iter().enumerate().map(|(n, claim)| {
            let store = stores[n % 2].clone();
            async move {
                let outputs = vec![made(&claim.lease, "video.mp4")];
                store.finish(&claim.lease, encoding(100.0), outputs).await.expect("an answer")
            }
        });
        assert!(at_once(ends).await.iter().all(|settled| *settled == Settled::Done));
        let of_batch =
            DeliveryFilter { batch_id: Some(id), limit: MANY, ..DeliveryFilter::default() };
        let log = world.store.deliveries(OURS, &of_batch).await.expect("a log");
        assert_eq!(log.len(), 1, "round {round}");
    }
    for told in told(&world).await {
        let EventBody::Batch(body) = &told.body else { panic!("a batch") };
        assert_eq!((body.status, body.counts.succeeded), (Status::Succeeded, 4));
    }
}

pub(crate) async fn a_batch_is_kept_as_long_as_its_event(world: World) {
    let (id, jobs) = send_told(&world, 1).await;
    world.cancel(jobs[0].id).await;
    world.pass(Duration::from_hours(1));
    let before = world.now();
    assert_eq!(world.store.forget_jobs(before, 100).await.expect("an answer"), 0);
    assert!(batch(&world, id).await.is_some());
    for due in world.due(9, 9).await {
        let delivered = reelway::store::AttemptOutcome::Delivered;
        assert_eq!(world.settle(&due, delivered).await, Settled::Done);
    }
    world.pass(Duration::from_hours(1));
    world.store.tidy(world.now(), world.now()).await.expect("an answer");
    assert_eq!(world.store.forget_jobs(before, 100).await.expect("an answer"), 1);
    assert!(batch(&world, id).await.is_none());
}

pub(crate) async fn batches_are_listed_with_how_they_stand(world: World) {
    let mut ids = Vec::new();
    for n in 0..5 {
        world.pass(Duration::from_millis(1));
        let id: BatchId = fresh(world.now());
        let input = ["https://a.example/", "https://b.example/"][n % 2];
        let jobs = [world.job().batch(id).input(input).build(), world.job().batch(id).build()];
        world.store.submit(together(jobs.clone())).await.expect("an answer");
        world.cancel(jobs[0].id).await;
        ids.push((id, jobs));
    }
    for job in &ids[2].1 {
        world.delete(job.id).await;
    }
    let page = async |filter: BatchFilter| {
        let page = world.store.batches(OURS, &filter).await.expect("a page");
        (page.batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), page.has_more)
    };
    let all = BatchFilter { limit: 2, ..BatchFilter::default() };
    let order: Vec<BatchId> = [4, 3, 1, 0].map(|n| ids[n].0).into();
    assert_eq!(page(all.clone()).await, (order[..2].to_vec(), true));
    let next = BatchFilter { after: Some(order[1]), ..all.clone() };
    assert_eq!(page(next).await, (order[2..].to_vec(), false));
    let prev = BatchFilter { before: Some(order[3]), ..all.clone() };
    assert_eq!(page(prev).await, (order[1..3].to_vec(), true));
    let ascending = BatchFilter { ascending: true, limit: 1, ..all.clone() };
    assert_eq!(page(ascending).await, (vec![order[3]], true));
    let of_input = BatchFilter { input: Some("https://b.example/".to_owned()), ..all };
    assert_eq!(page(of_input).await, (vec![order[1], order[2]], false));

    let newest = BatchFilter { limit: 1, ..BatchFilter::default() };
    let newest = world.store.batches(OURS, &newest).await.expect("a page").batches.remove(0);
    let counts = Counts { queued: 1, cancelled: 1, ..Counts::default() };
    assert_eq!((newest.counts, newest.counts.status()), (counts, Status::Processing));
    assert!(newest.last_end.is_some());
}
