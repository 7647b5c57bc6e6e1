//! Slots, and a lane of its own for cheap work.

use reelway::job::Status;
use reelway::store::Store as _;
use reelway::task::Kind;

use super::crew::{Crew, Setup};
use crate::app::OURS;

#[tokio::test]
async fn as_many_tasks_run_as_there_are_slots_and_the_next_begins_when_one_ends() {
    let crew = Crew::start().await;
    let mut jobs = Vec::new();
    for number in 0..3 {
        jobs.push(crew.submit(&format!("{number}/busy")).await);
    }
    crew.until_encoding(jobs[0]).await;
    crew.until_encoding(jobs[1]).await;
    assert_eq!(crew.status(jobs[2]).await, Status::Queued, "there are two slots");
    crew.store.cancel(OURS, jobs[0]).await.expect("an answer");
    crew.until_status(jobs[2], Status::Processing).await;
    assert_eq!(crew.status(jobs[0]).await, Status::Cancelled);
}

#[tokio::test]
async fn an_image_is_made_while_every_heavy_slot_is_busy() {
    let crew = Crew::start_with(Setup { heavy: 1, ..Setup::default() }).await;
    let long = crew.submit("1/busy").await;
    crew.until_encoding(long).await;
    let waiting = crew.submit("2/ok").await;
    let image = crew.submit_kind(Kind::Image, "3/ok").await;
    let made = crew.until_status(image, Status::Succeeded).await;
    assert_eq!(made.state.outputs().len(), 1);
    assert_eq!(crew.status(long).await, Status::Processing);
    assert_eq!(crew.status(waiting).await, Status::Queued);
}

#[tokio::test]
async fn images_do_not_take_the_slots_of_videos() {
    let crew = Crew::start_with(Setup { heavy: 1, ..Setup::default() }).await;
    let first = crew.submit_kind(Kind::Image, "1/busy").await;
    crew.until_encode_begins(first).await;
    let second = crew.submit_kind(Kind::Image, "2/ok").await;
    let video = crew.submit("3/ok").await;
    crew.until_status(video, Status::Succeeded).await;
    assert_eq!(crew.status(second).await, Status::Queued);
}

#[tokio::test]
async fn a_worker_of_one_kind_leaves_the_others_to_others() {
    let setup = Setup { only: Some(Kind::Image), ..Setup::default() };
    let crew = Crew::start_with(setup).await;
    let video = crew.submit("1/ok").await;
    let image = crew.submit_kind(Kind::Image, "2/ok").await;
    crew.until_status(image, Status::Succeeded).await;
    assert_eq!(crew.status(video).await, Status::Queued);
}

#[tokio::test]
async fn a_full_disk_leaves_tasks_to_a_machine_that_has_room() {
    let mut full = Crew::start_with(Setup { min_disk_bytes: u64::MAX, ..Setup::default() }).await;
    let id = full.submit("ok").await;
    full.stop_claiming().await;
    assert_eq!(full.status(id).await, Status::Queued);
    let elsewhere = full.claim_as(full.worker).await.expect("it is there for others");
    assert_eq!(elsewhere.tries, 1, "looking did not count");
}
