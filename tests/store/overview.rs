//! What people look at: attempts, workers, destinations, storage.

use std::time::Duration;

use reelway::clock::Timestamp;
use reelway::job::Counts;
use reelway::store::{AttemptOutcome, Destination, Settled, Usage, WORKER_SILENCE, WorkerReport};
use reelway::task::{ErrorKind, Failure, Next};

use crate::fixture::encoding;
use crate::world::{NOW, OURS, RECEIVER, World};

/// How long after the beginning: a server's clock is asked, and goes on by itself a little.
fn seconds(at: Timestamp) -> u64 {
    at.since(NOW).as_secs()
}

fn report(world: &World, name: &str) -> WorkerReport {
    WorkerReport {
        id: world.worker(),
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        ffmpeg: Some("5.1.9".to_owned()),
        containment: Some("full".to_owned()),
        answers: false,
        heavy_slots: 2,
        light_slots: 4,
        load: Some(0.5),
        processors: 2,
        started_at: NOW,
    }
}

pub(crate) async fn every_attempt_is_kept_with_its_worker_and_its_stages(world: World) {
    let job = world.job().submit().await;
    let worker = report(&world, "one");
    world.store.report_worker(&worker).await.expect("reported");
    let want = reelway::store::Want { heavy: 1, ..Default::default() };
    let claim = world.store.claim(worker.id, want).await.expect("a claim").pop().expect("a task");
    let open = world.store.attempts(OURS, job.id).await.expect("attempts");
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].attempt, open[0].ended_at), (1, None));
    assert_eq!(open[0].worker_name.as_deref(), Some("one"));

    world.pass(Duration::from_secs(3));
    let failure = Failure::new(ErrorKind::FfmpegCrashed, "it crashed");
    let next = Next::RetryIn(Duration::from_secs(1));
    let settled = world.store.fail(&claim.lease, encoding(50.0), failure, next).await;
    assert_eq!(settled.expect("an answer"), Settled::Done);
    world.pass(Duration::from_secs(2));
    let second = world.take(&world.read(job.id).await).await;
    let attempts = world.store.attempts(OURS, job.id).await.expect("attempts");
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].ended_at.map(seconds), Some(3));
    let failed = attempts[0].stages.as_slice().last().expect("a stage");
    assert_eq!(failed.failure.as_ref().map(|failure| failure.message.as_str()), Some("it crashed"));
    assert_eq!((attempts[1].attempt, attempts[1].worker), (2, second.lease.worker));
    assert_eq!(attempts[1].worker_name, None, "that worker has said nothing of itself");

    world.lose_workers().await;
    let attempts = world.store.attempts(OURS, job.id).await.expect("attempts");
    assert!(attempts[1].ended_at.is_some(), "a lost attempt has ended too");
    let other = world.job().submit().await;
    assert_eq!(world.store.attempts(OURS, other.id).await.expect("attempts"), []);
}

/// The names of those who are there still.
async fn there(world: &World) -> Vec<String> {
    let seen = world.store.workers().await.expect("workers");
    let there = seen.into_iter().filter(|worker| worker.is_there);
    let mut names: Vec<String> = there.map(|worker| worker.report.name).collect();
    names.sort();
    names
}

pub(crate) async fn workers_are_seen_with_what_they_have_in_their_hands(world: World) {
    let (one, two) = (report(&world, "one"), report(&world, "two"));
    for worker in [&one, &two] {
        world.store.report_worker(worker).await.expect("reported");
    }
    world.job().submit().await;
    let want = reelway::store::Want { heavy: 1, ..Default::default() };
    assert_eq!(world.store.claim(one.id, want).await.expect("claims").len(), 1);
    world.pass(Duration::from_secs(10));
    let changed = WorkerReport { load: Some(1.5), ..one.clone() };
    world.store.report_worker(&changed).await.expect("reported");
    let mut seen = world.store.workers().await.expect("workers");
    seen.sort_by_key(|worker| worker.report.name.clone());
    assert_eq!(seen[0].report, changed);
    assert_eq!((seen[0].running, seen[1].running), (1, 0));
    assert_eq!((seconds(seen[0].seen_at), seconds(seen[1].seen_at)), (10, 0));
    assert_eq!(there(&world).await, ["one", "two"]);
    world.pass_almost(WORKER_SILENCE);
    assert_eq!(there(&world).await, ["one"], "the other says nothing");
    world.store.say_goodbye(one.id).await.expect("said");
    assert_eq!(there(&world).await, [""; 0]);

    world.pass(Duration::from_hours(25));
    world.store.report_worker(&two).await.expect("reported");
    let names: Vec<String> =
        world.store.workers().await.expect("workers").into_iter().map(|w| w.report.name).collect();
    assert_eq!(names, ["two"], "who says nothing for a day is forgotten");
}

pub(crate) async fn destinations_tell_how_they_have_been_doing(world: World) {
    world.job().webhook(RECEIVER).cancelled().await;
    world.job().webhook("https://down.example.com/hook?key=1").cancelled().await;
    for _ in 0..2 {
        let due = world.due_one().await;
        let pushed = world.store.pushed(OURS, due.id).await.expect("an answer");
        assert_eq!(pushed.as_ref(), Some(&due), "it tells what is sent");
        let is_down = due.url.host_str() == Some("down.example.com");
        let outcome = if is_down { AttemptOutcome::Disable } else { AttemptOutcome::Delivered };
        assert_eq!(world.settle(&due, outcome).await, Settled::Done);
    }
    world.job().webhook(RECEIVER).cancelled().await;
    let told = world.store.destinations(OURS).await.expect("destinations");
    assert!(told[0].failing_since.is_some() && told[0].disabled_at.is_some());
    let down = Destination {
        url: "https://down.example.com/hook".to_owned(),
        failures: 1,
        failing_since: told[0].failing_since,
        disabled_at: told[0].disabled_at,
        pending: 0,
        undelivered: 1,
    };
    let well = Destination {
        url: RECEIVER.to_owned(),
        failures: 0,
        failing_since: None,
        disabled_at: None,
        pending: 1,
        undelivered: 0,
    };
    assert_eq!(told, [down, well]);
}

pub(crate) async fn storage_is_summed_up_and_jobs_are_tallied(world: World) {
    assert_eq!(world.store.usage().await.expect("sums"), Usage::default());
    let old = world.job().failed().await;
    world.pass(Duration::from_hours(25));
    let made = world.job().succeeded().await;
    world.job().failed().await;
    world.job().submit().await;
    let files = made.state.outputs();
    let bytes = files.iter().map(|file| file.filesize).sum();
    let usage = world.store.usage().await.expect("sums");
    assert_eq!((usage.outputs, usage.output_bytes), (files.len() as u64, bytes));
    let day = world.now().minus(Duration::from_hours(24));
    let today = world.store.tally(OURS, day).await.expect("counts");
    assert_eq!(today, Counts { queued: 1, succeeded: 1, failed: 1, ..Counts::default() });
    let all = world.store.tally(OURS, NOW).await.expect("counts");
    assert_eq!(all.failed, 2);
    world.delete(old.id).await;
    assert_eq!(world.store.tally(OURS, NOW).await.expect("counts").failed, 1);
}

pub(crate) async fn what_people_look_at_is_of_one_project(world: World) {
    let theirs: reelway::access::Project = "theirs".parse().expect("a project");
    let job = world.job().webhook(RECEIVER).failed().await;
    let due = world.due_one().await;
    let (store, theirs) = (&world.store, &theirs);
    assert_eq!(store.attempts(OURS, job.id).await.expect("attempts").len(), 1);
    assert_eq!(store.attempts(theirs, job.id).await.expect("attempts"), []);
    assert!(store.pushed(OURS, due.id).await.expect("an answer").is_some());
    assert_eq!(store.pushed(theirs, due.id).await.expect("an answer"), None);
    assert_eq!(store.destinations(OURS).await.expect("destinations").len(), 1);
    assert_eq!(store.destinations(theirs).await.expect("destinations"), []);
    assert_eq!(store.tally(OURS, NOW).await.expect("counts").failed, 1);
    assert_eq!(store.tally(theirs, NOW).await.expect("counts"), Counts::default());
}
