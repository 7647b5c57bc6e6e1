//! A run: clients ask, faults happen, everything is made good, and the history is checked.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::checker::check;
use crate::clients::Client;
use crate::history::History;
use crate::nemesis::{Planned, schedule};
use crate::support::say;
use crate::world::{KEYS, TARGETS, World};

/// A run of faults over `span`, by a seed.
pub(crate) async fn run(seed: u64, span: Duration) {
    let Some((world, surroundings)) = World::start().await else { return };
    say(&format!("SEED={seed}, faults over {} s", span.as_secs()));
    let begin = Instant::now();
    let end = begin + span;
    let clients = KEYS.iter().zip(seed..).map(|(key, seed)| {
        let client = Client::new(surroundings.clone(), key, seed);
        tokio::spawn(client.run(end))
    });
    let clients: Vec<_> = clients.collect();
    let planned = schedule(seed, span, TARGETS);
    let faults = planned.iter().map(|planned| happen(&world, *planned, begin));
    futures::future::join_all(faults).await;
    for ended in futures::future::join_all(clients).await {
        ended.expect("a client comes to its end");
    }
    let faults_over = begin.elapsed();
    world.settle().await;
    let history = world.history(&surroundings).await;
    say(&summary(&history, &planned));
    say(&format!(
        "faults and clients took {:.0} s, the rest until all was settled {:.0} s",
        faults_over.as_secs_f64(),
        begin.elapsed().saturating_sub(faults_over).as_secs_f64()
    ));
    let wrongs = check(&history);
    assert!(
        wrongs.is_empty(),
        "SEED={seed}: {} broken promises\n{}\n\n{}",
        wrongs.len(),
        wrongs.join("\n"),
        world.logs()
    );
    assert!(history.jobs.len() as u64 * 4 > span.as_secs(), "too little was asked for");
}

async fn happen(world: &World, planned: Planned, begin: Instant) {
    sleep_until(begin + planned.at).await;
    world.suffer(planned).await;
}

fn summary(history: &History, planned: &[Planned]) -> String {
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for job in &history.jobs {
        let error = job.error_kind.as_deref().map(|kind| format!(" ({kind})")).unwrap_or_default();
        *ends.entry(format!("{}{error}", job.state)).or_default() += 1;
    }
    let claims: i64 = history.jobs.iter().map(|job| job.attempt).sum();
    format!(
        "{} jobs {ends:?} in {claims} claims; {} events, {} webhooks seen, {} outputs; {} faults",
        history.jobs.len(),
        history.events.len(),
        history.pushes.len(),
        history.outputs.len(),
        planned.len()
    )
}
