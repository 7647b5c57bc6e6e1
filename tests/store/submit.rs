//! Jobs come in.

use std::collections::HashMap;
use std::time::Duration;

use reelway::id::{JobId, fresh};
use reelway::job::{Job, Kept, Kind, Trace};
use reelway::store::{Backlog, EventKind, Pressure, Settled, Submission, Submitted};
use reelway::task::Lane;
use serde_json::json;

use crate::fixture::{job_of, together};
use crate::world::{NOW, OURS, RECEIVER, World, at_once};

pub(crate) async fn a_job_reads_back_as_it_was_sent(world: World) {
    let words = json!({"z": 1, "a": {"ü": ["😀", null, 1.5, -9_007_199_254_740_993_i64]}, "m": ""});
    let jobs = [
        world
            .job()
            .options(json!({"width": 640, "format": "webm", "codec": "vp9", "quality": "high"}))
            .webhook("https://app.example.com/hooks?team=7#ignored"),
        world.job().kind(Kind::Audio).options(json!({"format": "aac", "start": 2.25})),
        world.job().kind(Kind::Image).options(json!({"width": "50%", "start": 1.5})),
        world.job().kind(Kind::Animation).options(json!({"start": 0.5, "end": 4})),
        world
            .job()
            .owner("key of the app “ü”")
            .priority(-10)
            .input("https://cdn.example.com/%C3%A9t%C3%A9.mov?sig=a%2Bb&x=é"),
    ];
    for job in jobs {
        let sent = job.metadata(words.clone()).submit().await;
        let read = world.read(sent.id).await;
        assert_eq!(read, sent);
        let texts = |job: &Job| {
            json!([job.spec.raw_options.clone(), job.spec.metadata.clone()]).to_string()
        };
        assert_eq!(texts(&read), texts(&sent), "the order of the caller's words is kept too");
    }
}

pub(crate) async fn a_job_is_found_by_the_name_of_its_task(world: World) {
    let (job, other) = (world.job().submit().await, world.job().submit().await);
    let find = async |id| world.store.task(OURS, id).await.expect("an answer");
    assert_eq!(find(job.tasks[0].id).await.as_ref(), Some(&job));
    assert_eq!(find(other.tasks[0].id).await.as_ref(), Some(&other));
    assert_eq!(find(fresh(NOW)).await, None);
    world.delete(job.id).await;
    assert_eq!(find(job.tasks[0].id).await, None);
}

pub(crate) async fn a_job_keeps_which_output_is_its_input(world: World) {
    let mut job = world.job().build();
    let key = "job_1/1/vidéo.mp4".to_owned();
    job.spec.input = job.spec.input.keeping(Kept::Output(key));
    world.store.submit(together([job.clone()])).await.expect("an answer");
    assert_eq!(world.read(job.id).await, job);
}

fn trace() -> Option<Trace> {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = Trace::parse(parent, Some("vendor=a:b,other=1"));
    assert!(trace.is_some());
    trace
}

pub(crate) async fn a_job_keeps_its_trace_for_its_worker_and_its_webhook(world: World) {
    let job = Job { trace: trace(), ..world.job().webhook(RECEIVER).build() };
    let plain = world.job().webhook(RECEIVER).build();
    world.store.submit(together([job.clone(), plain.clone()])).await.expect("an answer");
    assert_eq!(world.read(job.id).await, job);
    let claims = world.claim(9, 9).await;
    let expected = HashMap::from([(job.id, job.trace), (plain.id, None)]);
    let claimed: HashMap<_, _> =
        claims.iter().map(|claim| (claim.job.id, claim.job.trace.clone())).collect();
    assert_eq!(expected, claimed);
    for claim in &claims {
        assert_eq!(world.finish(&claim.lease).await, Settled::Done);
    }
    let due = world.due(9, 9).await;
    let due: HashMap<_, _> = due.iter().map(|due| (job_of(due).id, due.trace.clone())).collect();
    assert_eq!(expected, due);
}

pub(crate) async fn a_batch_is_told_of_in_the_trace_of_its_jobs(world: World) {
    let batch = fresh(NOW);
    let build = || Job { trace: trace(), ..world.job().webhook(RECEIVER).batch(batch).build() };
    let jobs = [build(), build()];
    world.store.submit(together(jobs.clone())).await.expect("an answer");
    for job in &jobs {
        world.cancel(job.id).await;
    }
    let due = world.due(9, 9).await;
    assert_eq!(due.iter().filter(|due| due.kind == EventKind::BatchFinished).count(), 1);
    assert!(due.len() == 3 && due.iter().all(|due| due.trace == trace()), "{due:?}");
}

pub(crate) async fn a_job_that_was_never_sent_is_not_there(world: World) {
    let unknown: JobId = fresh(NOW);
    assert!(!world.is_there(unknown).await);
}

pub(crate) async fn a_submission_is_written_whole_or_not_at_all(world: World) {
    let first = world.job().submit().await;
    let batch = fresh(NOW);
    let second = world.job().batch(batch).build();
    let twice = Job { batch_id: Some(batch), ..first.clone() };
    let refused = world.store.submit(together([second.clone(), twice])).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(!world.is_there(second.id).await);
    assert_eq!(world.store.batch(OURS, batch).await.expect("an answer"), None);
    assert_eq!(world.read(first.id).await, first);
    assert_eq!(world.claim(9, 9).await.len(), 1);
}

pub(crate) async fn a_full_queue_refuses_the_whole_submission(world: World) {
    let submit = async |count: usize, max_queued| {
        let jobs = (0..count).map(|_| world.job().build()).collect::<Vec<_>>();
        let submission = Submission { max_queued, ..together(jobs) };
        world.store.submit(submission).await.expect("an answer")
    };
    assert_eq!(submit(3, 2).await, Submitted::QueueFull);
    assert_eq!(world.count().await, 0);
    assert_eq!(submit(2, 2).await, Submitted::Accepted);
    assert_eq!(submit(1, 2).await, Submitted::QueueFull);
    assert_eq!(submit(1, 3).await, Submitted::Accepted);
    assert_eq!(world.count().await, 3);
}

/// Submits each of them from a task of its own; says how each was answered.
async fn submit_at_once(world: &World, jobs: &[Job], max_queued: u64) -> Vec<Option<Submitted>> {
    let asked = jobs.iter().map(|job| {
        let submission = Submission { max_queued, ..together([job.clone()]) };
        let store = world.store.clone();
        async move { store.submit(submission).await.ok() }
    });
    at_once(asked).await
}

pub(crate) async fn what_comes_at_once_is_all_accepted_and_takes_turns(world: World) {
    let jobs: Vec<Job> = (0..80).map(|n| world.job().owner(["a", "b"][n % 2]).build()).collect();
    let answers = submit_at_once(&world, &jobs, u64::MAX).await;
    assert!(answers.iter().all(|answer| *answer == Some(Submitted::Accepted)), "{answers:?}");
    for job in &jobs {
        assert_eq!(world.read(job.id).await, *job);
    }
    let claimed = world.claim(80, 0).await;
    assert_eq!(claimed.len(), 80);
    for pair in claimed.chunks(2) {
        let owners = [&pair[0], &pair[1]].map(|claim| claim.job.owner.as_str());
        assert_ne!(owners[0], owners[1], "keys alternate");
    }
}

pub(crate) async fn one_that_cannot_be_written_is_no_others_affair(world: World) {
    let there = world.job().submit().await;
    let mut jobs: Vec<Job> = (0..60).map(|_| world.job().build()).collect();
    jobs[7].id = there.id;
    jobs[31].id = there.id;
    let answers = submit_at_once(&world, &jobs, u64::MAX).await;
    for (n, answer) in answers.iter().enumerate() {
        let accepted = Some(Submitted::Accepted);
        assert_eq!(*answer, if n == 7 || n == 31 { None } else { accepted }, "{n}");
    }
    assert_eq!(world.count().await, 59);
    assert_eq!(world.read(there.id).await, there);
}

pub(crate) async fn a_crowd_fills_the_queue_and_no_more(world: World) {
    let jobs: Vec<Job> = (0..100).map(|_| world.job().build()).collect();
    let answers = submit_at_once(&world, &jobs, 30).await;
    let count = |wanted: &Submitted| {
        answers.iter().filter(|answer| answer.as_ref() == Some(wanted)).count()
    };
    assert_eq!((count(&Submitted::Accepted), count(&Submitted::QueueFull)), (30, 70));
    assert_eq!(world.count().await, 30);
}

pub(crate) async fn work_under_way_does_not_fill_the_queue(world: World) {
    let running = world.job().running().await;
    let submit = async || {
        let submission = Submission { max_queued: 1, ..together([world.job().build()]) };
        world.store.submit(submission).await.expect("an answer")
    };
    assert_eq!(submit().await, Submitted::Accepted);
    assert_eq!(world.hand_back(&running.lease).await, reelway::store::Settled::Done);
    assert_eq!(submit().await, Submitted::QueueFull);
}

pub(crate) async fn the_backlog_is_told_by_lane_and_kind_with_its_age(world: World) {
    let backlog = async || world.store.backlog().await.expect("an answer");
    assert_eq!(backlog().await, Backlog::default());
    world.job().webhook(RECEIVER).succeeded().await;
    world.job().running().await;
    world.job().submit().await;
    world.job().submit().await;
    world.job().kind(Kind::Image).submit().await;
    let row = |lane, kind, queued, processing| (lane, kind, queued, processing);
    let told = backlog().await;
    let rows: Vec<_> =
        told.tasks.iter().map(|it| row(it.lane, it.kind, it.queued, it.processing)).collect();
    let heavy = row(Lane::Heavy, Kind::Video, 2, 1);
    assert_eq!(rows, [heavy, row(Lane::Light, Kind::Image, 1, 0)]);
    assert_eq!((told.deliveries_pending, told.destinations_disabled), (1, 0));

    world.pass(Duration::from_secs(90));
    let told = backlog().await;
    for age in told.tasks.iter().map(|row| row.overdue).chain([told.deliveries_overdue]) {
        assert!((90..95).contains(&age.as_secs()), "{age:?}");
    }
    let due = world.due_one().await;
    let disabled = world.settle(&due, reelway::store::AttemptOutcome::Disable).await;
    assert_eq!(disabled, reelway::store::Settled::Done);
    assert_eq!(backlog().await.destinations_disabled, 1);
}

pub(crate) async fn pressure_counts_what_waits_and_what_runs(world: World) {
    let pressure = async || world.store.pressure().await.expect("an answer");
    assert_eq!(pressure().await, Pressure::default());
    world.job().webhook(RECEIVER).succeeded().await;
    world.job().webhook(RECEIVER).failed().await;
    world.job().running().await;
    world.job().submit().await;
    world.job().kind(Kind::Image).submit().await;
    world.job().webhook(RECEIVER).cancelled().await;
    let busy = Pressure { queued: 2, processing: 1, deliveries_pending: 3 };
    assert_eq!(pressure().await, busy);
    let due = world.due_one().await;
    assert_eq!(pressure().await, busy, "one on its way still waits for its receiver");
    let delivered = world.settle(&due, reelway::store::AttemptOutcome::Delivered).await;
    assert_eq!(delivered, reelway::store::Settled::Done);
    assert_eq!(pressure().await, Pressure { deliveries_pending: 2, ..busy });
}
