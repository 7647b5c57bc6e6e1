//! Many processes on one Postgres, and everything goes wrong.
//!
//! `make chaos SECONDS=600 SEED=7` runs for as long as one likes; `make test` runs it briefly.
//! Beside the runs stand stories of single faults, each with the figure that it promises.

#![expect(clippy::expect_used, reason = "a story that cannot go on has failed")]

mod checker;
mod clients;
mod database;
mod fleet;
mod history;
mod nemesis;
mod proxy;
mod receivers;
mod run;
mod source;
mod stage;
mod storage;
mod stories;
mod support;
mod world;

use std::time::Duration;

/// How long things go wrong when nobody says how long.
const SHORT: u64 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_faults_ends_with_a_clean_history() {
    let said = |name: &str| {
        let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
    };
    let span = Duration::from_secs(said("REELWAY_CHAOS_SECONDS").unwrap_or(SHORT));
    let seed = said("REELWAY_CHAOS_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    run::run(seed, span).await;
}
