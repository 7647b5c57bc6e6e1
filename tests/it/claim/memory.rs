//! Memory, which a task waits for before its ffmpeg begins.

use reelway::job::{Job, Status};
use reelway::store::Store as _;
use reelway::task::Kind;

use super::crew::{Crew, Setup};
use crate::app::OURS;

/// Less than any ffmpeg needs: one runs at a time.
fn small() -> Setup {
    Setup { memory_bytes: Some(32 << 20), ..Setup::default() }
}

/// Whether the work on it waits for memory.
fn waits(job: &Job) -> bool {
    let stages = job.tasks.iter().flat_map(|task| task.stages.as_slice());
    stages.flat_map(|stage| &stage.notes).any(|note| note.contains("waits for memory"))
}

#[tokio::test]
async fn a_task_waits_for_the_memory_of_another_and_begins_when_that_ends() {
    let mut crew = Crew::start_with(small()).await;
    let first = crew.submit("1/busy").await;
    crew.until_encoding(first).await;
    let second = crew.submit("2/ok").await;
    crew.until(second, "it waits for memory", waits).await;
    assert_eq!(crew.status(second).await, Status::Processing, "it keeps its slot and its lease");
    let image = crew.submit_kind(Kind::Image, "3/ok").await;
    crew.until_status(image, Status::Succeeded).await;
    crew.store.cancel(OURS, first).await.expect("an answer");
    let done = crew.until_status(second, Status::Succeeded).await;
    assert!(waits(&done), "it is still told");
    crew.stop_claiming().await;
    crew.until_idle().await;
    crew.assert_nothing_is_left();
}

#[tokio::test]
async fn a_task_that_is_cancelled_while_it_waits_for_memory_ends_at_once() {
    let crew = Crew::start_with(small()).await;
    let first = crew.submit("1/busy").await;
    crew.until_encoding(first).await;
    let second = crew.submit("2/ok").await;
    crew.until(second, "it waits for memory", waits).await;
    crew.store.cancel(OURS, second).await.expect("an answer");
    crew.until_status(second, Status::Cancelled).await;
    assert_eq!(crew.status(first).await, Status::Processing);
}
