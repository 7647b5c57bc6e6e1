//! What goes wrong, what it is called, and whether it is tried again.

use std::fs;
use std::time::Duration;

use reelway::clock::Timestamp;
use reelway::id::{JobId, fresh};
use reelway::job::Status;
use reelway::store::{Claim, Store as _};
use serde_json::{Value, json};

use super::crew::{Crew, Setup};
use crate::app::NOW;

async fn quick_to_lose_patience() -> Crew {
    Crew::start_with(Setup { stall: Duration::from_millis(400), ..Setup::default() }).await
}

/// The first attempt at a job of this order, after which nobody claims any more.
async fn one_attempt(crew: &mut Crew, order: &str) -> JobId {
    let id = crew.submit(order).await;
    crew.until(id, "the first attempt ends", |job| job.tasks[0].attempt == 1 && is_idle(job)).await;
    crew.stop_claiming().await;
    crew.until_idle().await;
    crew.assert_nothing_is_left();
    id
}

fn is_idle(job: &reelway::job::Job) -> bool {
    job.state.status() != Status::Processing
}

async fn next_claim(crew: &Crew) -> Option<Claim> {
    crew.claim_as(fresh(Timestamp::from_millis(NOW))).await
}

/// What the last attempt at the job's task says of its failure.
async fn stage_error(crew: &Crew, id: JobId) -> Value {
    let view = reelway::job::view::JobView::of(&crew.job(id).await);
    let stage = view.tasks.last().expect("a stage");
    serde_json::to_value(&stage.error).expect("JSON")
}

#[tokio::test]
async fn an_ffmpeg_that_hangs_is_killed_as_stalled_and_tried_again_after_a_while() {
    let mut crew = quick_to_lose_patience().await;
    let id = one_attempt(&mut crew, "hang").await;
    assert_eq!(crew.status(id).await, Status::Queued);
    assert_eq!(stage_error(&crew, id).await["kind"], "ffmpeg_stalled");

    crew.clock.advance(Duration::from_millis(3_999));
    assert!(next_claim(&crew).await.is_none(), "five seconds less a fifth, at least");
    crew.clock.advance(Duration::from_millis(2_001));
    let second = next_claim(&crew).await.expect("five seconds and a fifth, at most");
    assert_eq!((second.lease.attempt, second.tries), (2, 2));
    let _settled = crew.store.hand_back(&second.lease).await.expect("an answer");
}

#[tokio::test]
async fn a_passing_error_is_tried_three_times_and_then_no_more() {
    let mut crew = quick_to_lose_patience().await;
    let id = crew.submit("hang").await;
    for attempt in 1..=3 {
        let over = |job: &reelway::job::Job| job.tasks[0].attempt == attempt && is_idle(job);
        crew.until(id, "an attempt ends", over).await;
        crew.let_pass(Duration::from_mins(5));
    }
    assert_eq!(crew.status(id).await, Status::Failed);
    let error = crew.error(id).await;
    assert_eq!((&error["kind"], &error["retryable"]), (&json!("ffmpeg_stalled"), &json!(true)));
    crew.stop_claiming().await;
    crew.until_idle().await;
    crew.assert_nothing_is_left();
    assert_eq!(crew.source.requests().len(), 3);
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let cases =
        [("crash", "ffmpeg_crashed"), ("full", "disk_full"), ("overloaded", "input_unavailable")];
    for (order, kind) in cases {
        let mut crew = Crew::start().await;
        let id = one_attempt(&mut crew, order).await;
        assert_eq!(crew.status(id).await, Status::Queued, "{order}");
        assert_eq!(stage_error(&crew, id).await["kind"], kind, "{order}");
    }
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    let cases = [
        ("corrupt", "input_corrupt"),
        ("missing", "input_not_found"),
        ("refuse", "ffmpeg_failed"),
        ("nothing", "output_empty"),
    ];
    for (order, kind) in cases {
        let mut crew = Crew::start().await;
        let id = one_attempt(&mut crew, order).await;
        assert_eq!(crew.status(id).await, Status::Failed, "{order}");
        let error = crew.error(id).await;
        assert_eq!((&error["kind"], &error["retryable"]), (&json!(kind), &json!(false)));
        crew.clock.advance(Duration::from_hours(1));
        assert!(next_claim(&crew).await.is_none(), "{order}");
        assert_eq!(crew.source.requests().len(), 1, "{order}");
    }
}

#[tokio::test]
async fn a_flood_of_words_is_cut_to_what_a_person_reads() {
    let mut crew = Crew::start().await;
    let id = one_attempt(&mut crew, "flood").await;
    let error = crew.error(id).await;
    let log: Vec<&str> =
        error["log"].as_array().expect("a log").iter().filter_map(Value::as_str).collect();
    assert_eq!(log.len(), 20);
    assert!(log.iter().all(|line| line.chars().count() <= 301), "{log:?}");
    assert!(log[19].starts_with("2000 "), "the last words are there: {}", log[19]);
}

#[tokio::test]
async fn an_output_that_storage_does_not_take_is_tried_again_and_then_stored() {
    let crew = Crew::start().await;
    let id = crew.submit("gated/ok").await;
    crew.source.until_requests(1).await;
    // A file where a folder has to be.
    let in_the_way = crew.folder.path().join("files").join(id.to_string());
    fs::write(&in_the_way, "in the way").expect("a file");
    crew.gate.cancel();
    crew.until(id, "the first attempt ends", |job| job.tasks[0].attempt == 1 && is_idle(job)).await;
    assert_eq!(crew.status(id).await, Status::Queued);
    assert_eq!(stage_error(&crew, id).await["kind"], "output_failed");
    fs::remove_file(&in_the_way).expect("out of the way");
    crew.let_pass(Duration::from_secs(10));
    let job = crew.until_status(id, Status::Succeeded).await;
    assert_eq!(job.state.outputs()[0].key, format!("{id}/2/video.mp4"));
    assert_eq!(crew.stored(), [format!("{id}/2/video.mp4")]);
}
