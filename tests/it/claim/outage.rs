//! The store is away: for a while that kills nothing; for longer it must.

use std::time::Duration;

use reelway::claim::Interrupt;
use reelway::job::Status;
use reelway::store::{LEASE, Store as _};
use reelway::task::RetryPolicy;

use super::crew::{Crew, Frozen, Setup};
use crate::fake::processes_in;
use crate::loopback::patiently;

/// Lets five seconds pass, in which the heart must beat, in vain or not.
async fn five_seconds(crew: &Crew, frozen: &Frozen) {
    let before = crew.store.beats().borrow().over;
    frozen.pass(crew, 5).await;
    assert!(crew.store.beats().borrow().over > before, "no beat in five seconds");
}

#[tokio::test]
async fn a_store_that_is_away_for_less_than_20_s_kills_nothing() {
    let crew = Crew::start().await;
    let id = crew.submit("busy").await;
    crew.until_encoding(id).await;
    let frozen = Frozen::begin();
    crew.heart.beat().await;
    let processes = processes_in(crew.folder.path());
    let seen = crew.job(id).await.progress;
    crew.store.cut();
    for _ in 0..3 {
        five_seconds(&crew, &frozen).await;
    }
    frozen.pass(&crew, 4).await;
    crew.store.mend();
    for _ in 0..4 {
        five_seconds(&crew, &frozen).await;
    }
    frozen.thaw();
    crew.until(id, "progress goes on", |job| job.progress > seen).await;
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
    crew.heart.beat().await;
    crew.store.cut();
    for _ in 0..3 {
        five_seconds(&crew, &frozen).await;
        assert!(!crew.tracker.is_empty(), "fifteen seconds kill nothing");
    }
    frozen.pass(&crew, 6).await;
    crew.until_idle().await;
    crew.assert_nothing_is_left();

    frozen.thaw();
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
async fn a_lease_is_given_up_20_s_after_its_last_renewal_at_whatever_moment_that_was() {
    let crew = Crew::idle(Setup::default()).await;
    crew.submit("ok").await;
    let claim = crew.claim_as(crew.worker).await.expect("a task");
    let frozen = Frozen::begin();
    crew.start_heart();
    // Between two beats: the next are 3, 8, 13, 18 and 23 seconds away.
    frozen.pass(&crew, 2).await;
    crew.store.cut();
    let held = crew.hold(&claim);
    frozen.pass(&crew, 19).await;
    assert_eq!(held.interrupted(), None);
    frozen.pass(&crew, 2).await;
    assert_eq!(held.interrupted(), Some(Interrupt::Lost));
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
    frozen.thaw();
    crew.until_idle().await;
    let job = crew.job(id).await;
    assert_eq!((job.state.status(), job.seq), (Status::Succeeded, 1));
    assert_eq!(crew.stored(), [format!("{id}/1/video.mp4")]);
}
