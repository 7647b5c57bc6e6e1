//! What belongs to another project is as if it were not there, for every verb that a caller uses.

use reelway::access::{By, Project};
use reelway::connection::{Connection, Sealed};
use reelway::id::fresh;
use reelway::job::Status;
use reelway::store::{
    AttemptOutcome, BatchFilter, CancelOutcome, DeliveryFilter, DeliveryState, JobFilter, Newest,
    Settled, Submitted,
};

use crate::world::{MANY, NOW, OURS, RECEIVER, World};

/// Whoever comes with an id of ours.
fn theirs() -> Project {
    "theirs".parse().expect("a project")
}

pub(crate) async fn another_projects_job_is_as_if_it_were_not_there(world: World) {
    let (store, theirs) = (&world.store, &theirs());
    let running = world.job().running().await.job;
    let failed = world.job().failed().await;
    let queued = world.job().submit().await;
    for id in [queued.id, running.id, failed.id] {
        let before = world.read(id).await;
        assert_eq!(store.job(theirs, id).await.expect("an answer"), None);
        let task = before.tasks[0].id;
        assert_eq!(store.task(theirs, task).await.expect("an answer"), None);
        let cancelled = store.cancel(theirs, id).await.expect("an answer");
        assert_eq!(cancelled, CancelOutcome::Unknown);
        assert_eq!(store.retry(theirs, id).await.expect("an answer"), None);
        assert_eq!(store.delete(theirs, id).await.expect("an answer"), None);
        assert_eq!(world.read(id).await, before, "nothing was changed");
    }
}

pub(crate) async fn a_list_is_of_one_project(world: World) {
    let (store, theirs) = (&world.store, theirs());
    let (our_batch, their_batch) = (fresh(NOW), fresh(NOW));
    let ours = world.job().batch(our_batch).submit().await;
    let other = world.job().project(&theirs).batch(their_batch).submit().await;
    for (project, job, batch) in [(OURS, ours.id, our_batch), (&theirs, other.id, their_batch)] {
        for status in [None, Some(Status::Queued)] {
            let filter = JobFilter { status, limit: MANY, ..JobFilter::default() };
            let jobs = store.jobs(project, &filter).await.expect("a page").jobs;
            assert_eq!(jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [job]);
            assert_eq!(jobs[0].project, *project);
        }
        let filter = BatchFilter { limit: MANY, ..BatchFilter::default() };
        let batches = store.batches(project, &filter).await.expect("a page").batches;
        assert_eq!(batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), [batch]);
        let of_batch = JobFilter { batch_id: Some(our_batch), limit: 1, ..JobFilter::default() };
        let shown = store.jobs(project, &of_batch).await.expect("a page").jobs.len();
        assert_eq!(shown, usize::from(project == OURS));
        let there = store.batch(project, our_batch).await.expect("an answer").is_some();
        assert_eq!(there, project == OURS);
    }
    assert_eq!(world.claim(MANY, 0).await.len(), 2, "workers work for all");
}

pub(crate) async fn another_projects_files_and_connections_are_not_there(world: World) {
    let (store, theirs) = (&world.store, &theirs());
    let job = world.job().succeeded().await;
    let key = world.read(job.id).await.state.outputs()[0].key.clone();
    assert!(store.output(OURS, &key).await.expect("an answer").is_some());
    assert_eq!(store.output(theirs, &key).await.expect("an answer"), None);
    assert!(store.linked_output(&key).await.expect("an answer").is_some(), "a link is enough");

    let connection = Connection {
        id: fresh(world.now()),
        project: OURS.clone(),
        name: None,
        endpoint: None,
        region: "auto".to_owned(),
        access_key_id: "AKIA".to_owned(),
        sealed_secret: Sealed::from_text("sealed".to_owned()),
        created_at: world.now(),
    };
    let added = store.add_connection(&connection, &By::default(), None).await.expect("an answer");
    assert_eq!(added, Submitted::Accepted);
    let id = connection.id;
    assert_eq!(store.connection(theirs, id).await.expect("an answer"), None);
    assert_eq!(store.connections(theirs, &Newest::up_to(9)).await.expect("a page").rows, []);
    let deleted = store.delete_connection(theirs, id, &By::default()).await.expect("an answer");
    assert!(!deleted);
    assert_eq!(
        store.connections(OURS, &Newest::up_to(9)).await.expect("a page").rows,
        [connection]
    );
}

pub(crate) async fn another_projects_deliveries_are_neither_shown_nor_sent_again(world: World) {
    let (store, theirs) = (&world.store, &theirs());
    let batch = fresh(NOW);
    world.job().batch(batch).webhook(RECEIVER).succeeded().await;
    for _ in 0..2 {
        let due = world.due_one().await;
        assert_eq!(world.settle(&due, AttemptOutcome::Failed).await, Settled::Done);
    }
    let all = DeliveryFilter { limit: MANY, ..DeliveryFilter::default() };
    let before = store.deliveries(OURS, &all).await.expect("a log");
    assert_eq!(before.len(), 2, "the job's and its batch's");
    assert_eq!(store.deliveries(theirs, &all).await.expect("a log"), []);
    for delivery in &before {
        let id = Some(delivery.id);
        let one = DeliveryFilter { id, limit: 1, ..DeliveryFilter::default() };
        assert_eq!(store.deliveries(theirs, &one).await.expect("a log"), []);
        assert_eq!(store.replay(theirs, delivery.id).await.expect("an answer"), None);
    }
    assert_eq!(store.replay_failed(theirs, NOW).await.expect("an answer"), 0);
    assert_eq!(store.deliveries(OURS, &all).await.expect("a log"), before);
    assert_eq!(store.replay_failed(OURS, NOW).await.expect("an answer"), 2);
}

pub(crate) async fn a_receiver_that_refuses_one_project_is_not_dead_for_another(world: World) {
    let theirs = theirs();
    let end = async |project: &Project| {
        let claim = world.job().project(project).webhook(RECEIVER).running().await;
        assert_eq!(world.finish(&claim.lease).await, Settled::Done);
        claim.job.id
    };
    end(&theirs).await;
    let due = world.due_one().await;
    assert_eq!(world.settle(&due, AttemptOutcome::Disable).await, Settled::Done);
    for (project, state) in [(&theirs, DeliveryState::Held), (OURS, DeliveryState::Pending)] {
        let job_id = Some(end(project).await);
        let of_job = DeliveryFilter { job_id, limit: 1, ..DeliveryFilter::default() };
        let log = world.store.deliveries(project, &of_job).await.expect("a log");
        assert_eq!((log[0].state, log[0].url.as_str()), (state, RECEIVER), "{project}");
    }
}
