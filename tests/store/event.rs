//! Each end of a job has one event, and the event goes where the job says.

use std::time::Duration;

use reelway::job::Job;
use reelway::job::view::JobView;
use reelway::store::{DeliveryState, EventBody, EventKind, Settled};

use crate::world::{RECEIVER, World};

fn told_of(job: &Job) -> EventBody {
    EventBody::Job(Box::new(JobView::of(job)))
}

pub(crate) async fn an_event_is_the_job_as_it_was_when_it_ended(world: World) {
    let ended = [
        world.job().webhook(RECEIVER).succeeded().await,
        world.job().webhook(RECEIVER).failed().await,
        world.job().webhook(RECEIVER).cancelled().await,
    ];
    let kinds = [EventKind::JobSucceeded, EventKind::JobFailed, EventKind::JobCancelled];
    world.pass(Duration::from_secs(1));
    world.retry(ended[1].id).await;
    let due = world.due(9, 9).await;
    assert_eq!(due.len(), 3);
    for ((job, kind), due) in ended.iter().zip(kinds).zip(due) {
        assert_eq!((due.kind, due.seq), (kind, 1));
        assert_eq!(due.body, told_of(job), "what came later is not in it");
        assert_eq!(due.url.as_str(), RECEIVER);
        assert_eq!((due.attempt, due.tries, due.failing_since), (1, 1, None));
        let told = world.log(job.id).await;
        assert_eq!((told[0].id, told[0].event_id), (due.id, due.event));
    }
}

pub(crate) async fn each_end_has_one_event_and_later_ends_have_higher_numbers(world: World) {
    let job = world.job().webhook(RECEIVER).failed().await;
    world.retry(job.id).await;
    world.pass(Duration::from_secs(1));
    world.cancel(job.id).await;
    world.retry(job.id).await;
    world.pass(Duration::from_secs(1));
    let claim = world.take(&job).await;
    assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    assert_eq!(world.read(job.id).await.seq, 3);

    let mut due = world.due(9, 9).await;
    due.sort_by_key(|due| due.seq);
    let told: Vec<_> = due.iter().map(|due| (due.seq, due.kind)).collect();
    use EventKind::{JobCancelled, JobFailed, JobSucceeded};
    assert_eq!(told, [(1, JobFailed), (2, JobCancelled), (3, JobSucceeded)]);
    let mut names: Vec<_> = due.iter().map(|due| due.event).collect();
    names.dedup();
    assert_eq!(names.len(), 3);
}

pub(crate) async fn a_job_without_a_webhook_is_told_to_nobody(world: World) {
    let job = world.job().succeeded().await;
    assert_eq!(job.seq, 1, "it has ended all the same");
    assert!(world.log(job.id).await.is_empty());
    assert!(world.due(9, 9).await.is_empty());
    assert_eq!(world.store.next_delivery_at().await.expect("an answer"), None);
}

pub(crate) async fn a_delivery_is_written_with_the_end_of_its_job(world: World) {
    let url = "https://app.example.com:8443/hooks?team=7&x=%C3%A9";
    let job = world.job().webhook(url).cancelled().await;
    let log = world.log(job.id).await;
    let [told] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!(
        (told.job_id, told.batch_id, told.kind),
        (Some(job.id), None, EventKind::JobCancelled)
    );
    assert_eq!(told.url, url);
    assert_eq!((told.state, told.attempt), (DeliveryState::Pending, 0));
    assert_eq!(told.next_attempt_at, Some(world.now()));
    assert_eq!((told.created_at, told.finished_at), (world.now(), None));
    assert!(told.attempts.is_empty());
}

pub(crate) async fn a_deleted_jobs_event_is_delivered_all_the_same(world: World) {
    let job = world.job().webhook(RECEIVER).succeeded().await;
    world.delete(job.id).await;
    let due = world.due_one().await;
    assert_eq!(due.body, told_of(&job));
}
