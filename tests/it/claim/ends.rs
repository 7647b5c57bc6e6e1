//! How work ends: well, cancelled, or because the process does; and that nothing is left of it.

use std::time::{Duration, Instant};

use reelway::claim::Interrupt;
use reelway::id::fresh;
use reelway::job::Status;
use reelway::job::view::JobView;
use reelway::store::{DeliveryFilter, Store as _};
use reelway::task::StageStatus;

use super::crew::Crew;
use crate::app::OURS;

async fn deliveries(crew: &Crew) -> usize {
    let filter = DeliveryFilter { limit: 10, ..DeliveryFilter::default() };
    crew.store.deliveries(OURS, &filter).await.expect("the log").len()
}

#[tokio::test]
async fn work_that_is_done_leaves_its_output_one_event_and_nothing_else() {
    let mut crew = Crew::start().await;
    let id = crew.submit("ok").await;
    let job = crew.until_status(id, Status::Succeeded).await;
    let [file] = job.state.outputs() else { panic!("one output: {job:?}") };
    assert_eq!(file.key, format!("{id}/1/video.mp4"), "under the attempt's own key");
    assert_eq!(crew.stored(), std::slice::from_ref(&file.key));
    assert_eq!(file.filesize, 5, "the size of what was made");
    let stages: Vec<(String, StageStatus)> =
        JobView::of(&job).tasks.into_iter().map(|task| (task.kind, task.status)).collect();
    let expected = ["import", "probe", "video", "export"];
    assert_eq!(stages, expected.map(|kind| (kind.to_owned(), StageStatus::Succeeded)));
    assert!(job.progress > 99.9, "{}", job.progress);
    assert_eq!(deliveries(&crew).await, 1);
    crew.stop_claiming().await;
    crew.until_idle().await;
    crew.assert_nothing_is_left();
}

#[tokio::test]
async fn progress_goes_up_with_the_heartbeat_and_never_back() {
    let crew = Crew::start().await;
    let id = crew.submit("busy").await;
    let mut last = 0.0;
    for _ in 0..3 {
        let job = crew.until(id, "more progress", |job| job.progress > last).await;
        assert_eq!(job.state.status(), Status::Processing);
        assert!(job.progress < 97.0, "the encode is not the whole job");
        last = job.progress;
    }
}

#[tokio::test]
async fn a_cancelled_job_ends_within_three_seconds_even_when_ffmpeg_does_not_listen() {
    let mut crew = Crew::start().await;
    for order in ["1/busy", "2/stubborn", "3/hang"] {
        let id = crew.submit(order).await;
        match order {
            "3/hang" => crew.until_encode_begins(id).await,
            _ => crew.until_encoding(id).await,
        }
        let asked = Instant::now();
        crew.store.cancel(OURS, id).await.expect("an answer");
        crew.until_status(id, Status::Cancelled).await;
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(3), "{order} took {took:?}");
    }
    crew.stop_claiming().await;
    crew.until_idle().await;
    crew.assert_nothing_is_left();
    assert_eq!(crew.stored(), [""; 0]);
    assert_eq!(deliveries(&crew).await, 3, "each end is told once");
}

#[tokio::test]
async fn a_download_is_cancelled_as_well() {
    let mut crew = Crew::start().await;
    let id = crew.submit("gated/ok").await;
    crew.source.until_requests(1).await;
    crew.store.cancel(OURS, id).await.expect("an answer");
    crew.until_status(id, Status::Cancelled).await;
    crew.stop_claiming().await;
    crew.until_idle().await;
    crew.assert_nothing_is_left();
}

#[tokio::test]
async fn a_draining_process_takes_nothing_new_and_ends_what_it_has() {
    let mut crew = Crew::start().await;
    let running = crew.submit("gated/ok").await;
    crew.source.until_requests(1).await;
    crew.stop_claiming().await;
    let late = crew.submit("late/ok").await;
    crew.gate.cancel();
    crew.until_idle().await;
    assert_eq!(crew.status(running).await, Status::Succeeded);
    assert_eq!(crew.status(late).await, Status::Queued);
    crew.assert_nothing_is_left();
}

#[tokio::test]
async fn what_is_not_done_when_the_process_ends_goes_back_untouched() {
    let mut crew = Crew::start().await;
    let ids = [crew.submit("1/busy").await, crew.submit("2/stubborn").await];
    for id in ids {
        crew.until_encoding(id).await;
    }
    crew.stop_claiming().await;
    crew.heart.interrupt_all(Interrupt::Shutdown);
    crew.until_idle().await;
    crew.assert_nothing_is_left();
    assert_eq!(deliveries(&crew).await, 0, "nothing has ended");
    for id in ids {
        assert_eq!(crew.status(id).await, Status::Queued);
    }
    for id in ids {
        let another = fresh(crew.job(id).await.created_at);
        let again = crew.claim_as(another).await.expect("at once");
        assert_eq!((again.lease.attempt, again.tries), (2, 1), "the claim does not count");
    }
}
