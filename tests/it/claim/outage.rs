//! The store is away: for a while that kills nothing; for longer it must.

use std::time::{Duration, Instant};

use reelway::job::Status;
use reelway::store::{LEASE, Store as _};
use reelway::task::RetryPolicy;

use super::crew::{Crew, Frozen, Setup};
use crate::fake::processes_in;
use crate::loopback::{PATIENCE, patiently};

/// How long the progress of a real process is waited for while virtual time flies.
const A_DAY: Duration = Duration::from_hours(24);

/// Lets five seconds pass, in which the heart must beat, in vain or not.
async fn five_seconds(crew: &Crew, frozen: &Frozen) {
    let before = crew.store.beats().borrow().over;
    frozen.pass(crew, 5).await;
    assert!(crew.store.beats().borrow().over > before, "no beat in five seconds");
}

#[tokio::test]
async fn a_store_that_is_away_for_less_than_20_s_kills_nothing() {
    let crew = Crew::start_with(Setup { stall: A_DAY, ..Setup::default() }).await;
    let id = crew.submit("busy").await;
    crew.until_encoding(id).await;
    let frozen = Frozen::begin();
    five_seconds(&crew, &frozen).await;
    let processes = processes_in(crew.folder.path());
    crew.store.cut();
    for _ in 0..3 {
        five_seconds(&crew, &frozen).await;
    }
    frozen.pass(&crew, 4).await;
    crew.store.mend();
    let seen = crew.job(id).await.progress;
    let begun = Instant::now();
    while crew.job(id).await.progress <= seen {
        five_seconds(&crew, &frozen).await;
        assert!(begun.elapsed() < PATIENCE, "no progress any more");
    }
    assert_eq!(crew.status(id).await, Status::Processing);
    let same: Vec<u32> = processes_in(crew.folder.path());
    assert!(processes.iter().any(|pid| same.contains(pid)), "the same ffmpeg: {processes:?}");
}

#[tokio::test]
async fn a_store_that_is_away_for_20_s_stops_the_work_before_another_may_begin() {
    let mut crew = Crew::start().await;
    let id = crew.submit("busy").await;
    crew.until_encoding(id).await;
    crew.stop_claiming().await;
    let frozen = Frozen::begin();
    five_seconds(&crew, &frozen).await;
    crew.store.cut();
    for _ in 0..3 {
        five_seconds(&crew, &frozen).await;
        assert!(!crew.tracker.is_empty(), "fifteen seconds kill nothing");
    }
    five_seconds(&crew, &frozen).await;
    crew.until_idle().await;
    crew.assert_nothing_is_left();

    crew.store.mend();
    assert_eq!(crew.status(id).await, Status::Processing, "nothing was written");
    crew.clock.advance(LEASE);
    crew.store.rescue(&RetryPolicy::default(), 0.0).await.expect("a rescue");
    crew.clock.advance(Duration::from_mins(5));
    let again = crew.claim_as(crew.worker).await.expect("the task is free again");
    assert_eq!(again.tries, 2);
    let _settled = crew.store.hand_back(&again.lease).await.expect("an answer");
}

#[tokio::test]
async fn an_end_that_cannot_be_written_is_written_when_the_store_is_back() {
    let mut crew = Crew::start().await;
    let id = crew.submit("gated/ok").await;
    crew.source.until_requests(1).await;
    crew.stop_claiming().await;
    let frozen = Frozen::begin();
    let mut lost_ends = crew.store.lost_ends();
    crew.store.cut();
    crew.gate.cancel();
    for tries in 1..=10 {
        let tried = lost_ends.wait_for(|ends| *ends >= tries);
        // What is seen is locked while it is looked at.
        drop(patiently("the end is tried to be written", tried).await.expect("a store"));
        frozen.pass(&crew, 1).await;
    }
    crew.store.mend();
    frozen.pass(&crew, 2).await;
    crew.until_idle().await;
    let job = crew.job(id).await;
    assert_eq!((job.state.status(), job.seq), (Status::Succeeded, 1));
    assert_eq!(crew.stored(), [format!("{id}/1/video.mp4")]);
}
