//! Many processes on one Postgres, and everything goes wrong.
//!
//! `make chaos SECONDS=600 SEED=7` runs for as long as one likes; `make test` runs it briefly.
//! Beside the runs stand stories of single faults, each with the figure that it promises.

#![expect(clippy::expect_used, reason = "a story that cannot go on has failed")]

mod balancer;
mod checker;
mod clients;
mod database;
mod fleet;
mod history;
mod nemesis;
mod proxy;
mod receivers;
mod run;
#[path = "../storage/server.rs"]
mod s3;
mod source;
mod stage;
mod storage;
mod stories;
mod support;
mod world;

use std::time::Duration;

/// How long things go wrong in a short run.
const SHORT: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_of_faults_ends_with_a_clean_history() {
    run::run(seed(), SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as one likes: make chaos SECONDS=600"]
async fn a_long_run_of_faults_ends_with_a_clean_history() {
    let secs = said("REELWAY_CHAOS_SECONDS").expect("REELWAY_CHAOS_SECONDS says how long");
    run::run(seed(), Duration::from_secs(secs)).await;
}

/// What decides the schedule: as it is said, else another one each time.
fn seed() -> u64 {
    said("REELWAY_CHAOS_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()))
}

fn said(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}
