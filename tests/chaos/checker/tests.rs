//! Every rule can fail: a good history, spoiled in one way, breaks the promise that it should.

use super::*;
use crate::history::{Asked, DeliveryRow, EndSeen, EventRow, Object, OutputRow, Push};

fn job(id: &str, state: &str, seq: i64, attempt: i64) -> JobRow {
    JobRow {
        id: id.to_owned(),
        state: state.to_owned(),
        seq,
        is_deleted: false,
        error_kind: (state == "failed").then(|| "poison".to_owned()),
        task_state: state.to_owned(),
        attempt,
    }
}

/// A job that succeeded, one that was cancelled, retried and succeeded, and one that failed.
fn good() -> History {
    let mut history = History::default();
    history.told.accepted = vec![
        named("k1", &["job_a", "job_b"]),
        named("k1", &["job_a", "job_b"]),
        named("k2", &["job_c"]),
    ];
    history.told.cancels = ["job_b".to_owned()].into();
    history.told.retries = [("job_b".to_owned(), Asked { surely: 1, perhaps: 0 })].into();
    history.told.ends = vec![seen("job_b", "cancelled", 0), seen("job_c", "failed", 0)];
    history.jobs = vec![
        job("job_a", "succeeded", 1, 1),
        job("job_b", "succeeded", 2, 2),
        job("job_c", "failed", 1, 3),
    ];
    for (id, job, kind, seq) in [
        ("evt_1", "job_a", "job.succeeded", 1),
        ("evt_2", "job_b", "job.cancelled", 1),
        ("evt_3", "job_b", "job.succeeded", 2),
        ("evt_4", "job_c", "job.failed", 1),
    ] {
        let (event, job, kind) = (id.to_owned(), job.to_owned(), kind.to_owned());
        let delivery = DeliveryRow { event_id: event.clone(), state: "delivered".to_owned() };
        let row = EventRow { id: event.clone(), job_id: job.clone(), kind: kind.clone(), seq };
        let hashes = if kind == "job.succeeded" { vec![hash_of(&job)] } else { vec![] };
        let push = Push { event, job, kind, seq, hashes, is_genuine: true, was_taken: true };
        // At least once: a receiver may have been in trouble the first time.
        history.pushes.extend([Push { was_taken: false, ..push.clone() }, push]);
        history.events.push(row);
        history.deliveries.push(delivery);
    }
    for (job, attempt) in [("job_a", 1), ("job_b", 2)] {
        let (key, sha256) = (format!("{job}/{attempt}/video.mp4"), hash_of(job));
        history.objects.push(Object { key: key.clone(), sha256: sha256.clone(), size: 7 });
        history.outputs.push(OutputRow { key, job_id: job.to_owned(), sha256, size: 7 });
    }
    history
}

fn named(key: &str, ids: &[&str]) -> (String, Vec<String>) {
    (key.to_owned(), ids.iter().map(|id| (*id).to_owned()).collect())
}

fn seen(job: &str, status: &str, retries_before: u32) -> EndSeen {
    EndSeen { job: job.to_owned(), status: status.to_owned(), retries_before }
}

fn hash_of(job: &str) -> String {
    format!("hash of {job}")
}

/// The good history, spoiled, breaks exactly this promise.
#[track_caller]
fn breaks(promise: &str, spoil: impl FnOnce(&mut History)) {
    let mut history = good();
    spoil(&mut history);
    let wrongs = check(&history);
    assert!(!wrongs.is_empty(), "nobody noticed");
    assert!(wrongs.iter().all(|wrong| wrong.starts_with(promise)), "{wrongs:#?}");
}

/// The good history, spoiled, breaks this promise and perhaps others.
#[track_caller]
fn breaks_among_others(promise: &str, spoil: impl FnOnce(&mut History)) {
    let mut history = good();
    spoil(&mut history);
    let wrongs = check(&history);
    assert!(wrongs.iter().any(|wrong| wrong.starts_with(promise)), "{wrongs:#?}");
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(check(&good()), Vec::<String>::new());
}

#[test]
fn a_key_that_made_two_jobs_is_found() {
    breaks_among_others("a request is done once", |history| {
        history.told.accepted.push(named("k2", &["job_d"]));
    });
    breaks("a request is done once", |history| history.told.refused.push("POST /jobs".to_owned()));
}

#[test]
fn a_job_that_is_gone_or_came_from_nowhere_is_found() {
    breaks_among_others("no accepted job is lost", |history| {
        history.jobs.remove(0);
    });
    breaks("no accepted job is lost", |history| {
        history.told.accepted.pop();
    });
}

#[test]
fn a_job_that_never_ended_is_found() {
    breaks_among_others("every job ends", |history| {
        history.jobs[0].state = "processing".to_owned();
    });
    breaks("every job ends", |history| history.jobs[0].task_state = "processing".to_owned());
}

#[test]
fn an_end_without_an_event_or_with_two_is_found() {
    breaks_among_others("every end has one event", |history| {
        history.events.remove(0);
    });
    breaks_among_others("every end has one event", |history| {
        let second = EventRow { id: "evt_9".to_owned(), seq: 2, ..history.events[0].clone() };
        history.events.push(second);
    });
    breaks_among_others("every end has one event", |history| history.events[0].seq = 2);
    breaks_among_others("every end has one event", |history| {
        history.events[1].kind = "job.succeeded".to_owned();
    });
    breaks("every end has one event", |history| {
        history.told.retries.clear();
        history.told.ends.clear();
    });
}

#[test]
fn a_retry_without_an_answer_may_have_been_done_or_not() {
    let mut history = good();
    history.told.retries = [("job_b".to_owned(), Asked { surely: 0, perhaps: 1 })].into();
    history.told.retries.insert("job_c".to_owned(), Asked { surely: 0, perhaps: 1 });
    assert_eq!(check(&history), Vec::<String>::new());
}

#[test]
fn an_end_that_was_taken_back_is_found() {
    breaks("an end that was told", |history| {
        history.told.ends.push(seen("job_c", "succeeded", 0));
    });
    breaks("an end that was told", |history| {
        history.told.ends.push(seen("job_b", "cancelled", 1));
    });
}

#[test]
fn an_event_that_did_not_arrive_is_found() {
    breaks("every event reaches", |history| history.deliveries[2].state = "pending".to_owned());
    breaks("every event reaches", |history| {
        history.deliveries.remove(2);
    });
    breaks("every event reaches", |history| {
        history.pushes.retain(|push| push.event != "evt_3" || !push.was_taken);
    });
}

#[test]
fn a_forged_or_wrong_webhook_is_found() {
    let promise = "webhooks are genuine";
    breaks(promise, |history| history.pushes[0].is_genuine = false);
    breaks(promise, |history| history.pushes[0].event = "evt_9".to_owned());
    breaks(promise, |history| history.pushes[0].seq = 2);
    breaks(promise, |history| history.pushes[0].kind = "job.failed".to_owned());
    breaks(promise, |history| history.pushes[0].hashes = vec![hash_of("job_b")]);
    breaks(promise, |history| history.pushes[0].hashes.clear());
}

#[test]
fn two_attempts_that_both_published_are_found() {
    breaks_among_others("outputs are of one attempt", |history| {
        let second =
            OutputRow { key: "job_a/2/video.mp4".to_owned(), ..history.outputs[0].clone() };
        history.outputs.push(second);
    });
    breaks_among_others("outputs are of one attempt", |history| {
        history.outputs[0].key = "job_b/1/video.mp4".to_owned();
    });
    breaks_among_others("outputs are of one attempt", |history| {
        history.outputs.remove(0);
    });
    breaks("outputs are of one attempt", |history| history.jobs[0].is_deleted = true);
    breaks_among_others("outputs are of one attempt", |history| {
        history.jobs.remove(0);
    });
}

#[test]
fn an_output_that_is_not_the_file_is_found() {
    breaks("every output is whole", |history| history.objects[0].sha256 = "other".to_owned());
    breaks("every output is whole", |history| history.objects[0].size = 6);
    breaks("every output is whole", |history| {
        history.objects.remove(0);
    });
}

#[test]
fn what_lies_about_is_found() {
    breaks("nothing lies about", |history| {
        let half = Object { key: "job_a/1/video.mp4#1".to_owned(), ..history.objects[0].clone() };
        history.objects.push(half);
    });
    breaks("nothing lies about", |history| history.garbage.push("job_c/1".to_owned()));
}

#[test]
fn what_is_left_running_or_fell_over_is_found() {
    let promise = "no process and no work";
    breaks(promise, |history| history.processes.push("ffmpeg -i".to_owned()));
    breaks(promise, |history| history.scratch.push("w0/scratch/half.mp4".to_owned()));
    breaks(promise, |history| history.deaths.push("worker-1".to_owned()));
}

#[test]
fn an_end_that_nothing_explains_is_found() {
    let promise = "a job fails or is cancelled only";
    breaks(promise, |history| history.jobs[2].error_kind = Some("internal_error".to_owned()));
    breaks(promise, |history| history.jobs[2].attempt = 2);
    breaks_among_others(promise, |history| {
        history.jobs[0].state = "cancelled".to_owned();
        history.jobs[0].task_state = "cancelled".to_owned();
    });
}
