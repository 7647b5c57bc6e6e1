//! What goes wrong, and when: a schedule out of a seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9, and another one a moment later.
    KillWorker(usize),
    /// SIGSTOP for longer than a lease lasts, as when a machine is suspended.
    PauseWorker(usize),
    /// SIGTERM, as when a new version is rolled out.
    ReplaceWorker(usize),
    /// kill -9, and another one a moment later.
    KillServer(usize),
    /// Every process of the database ends at once, and it recovers from its log.
    RestartDatabase,
    /// The network to the database swallows everything, and then delivers it.
    HoldDatabase,
    /// Connections to the database are reset again and again.
    ResetDatabase,
    /// The storage refuses everything.
    RefuseStorage,
    /// The network to the storage swallows everything, and then delivers it.
    HoldStorage,
    /// Connections to the storage break in the middle of its answers.
    CutStorage,
    /// A receiver answers 500.
    ReceiverErrors(usize),
    /// A receiver takes connections and says nothing.
    ReceiverHangs(usize),
    /// A receiver resets connections.
    ReceiverResets(usize),
}

/// When it goes wrong, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
    pub(crate) lasts: Duration,
}

/// How many there are of what can be hit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Targets {
    pub(crate) workers: usize,
    pub(crate) servers: usize,
    pub(crate) receivers: usize,
}

/// How far faults are apart, at most: many of them overlap.
const APART: Duration = Duration::from_secs(3);

/// Faults over `span`: every kind once in every round, in an order that the seed decides. A
/// pause comes first, because it lasts longest.
pub(crate) fn schedule(seed: u64, span: Duration, targets: Targets) -> Vec<Planned> {
    let mut rng = StdRng::seed_from_u64(seed);
    let step = APART.min(span / (deck(&mut rng, targets).len() as u32 + 1));
    let mut planned = Vec::new();
    let mut at = step / 2;
    while at < span {
        for fault in deck(&mut rng, targets) {
            if at >= span {
                break;
            }
            planned.push(Planned { at, fault, lasts: lasts(&mut rng, fault) });
            at += step.mul_f64(rng.random_range(0.5..1.5));
        }
    }
    planned
}

fn deck(rng: &mut StdRng, targets: Targets) -> Vec<Fault> {
    let mut any = |count: usize| rng.random_range(0..count);
    let pause = Fault::PauseWorker(any(targets.workers));
    let mut rest = [
        Fault::KillWorker(any(targets.workers)),
        Fault::KillWorker(any(targets.workers)),
        Fault::ReplaceWorker(any(targets.workers)),
        Fault::KillServer(any(targets.servers)),
        Fault::RestartDatabase,
        Fault::HoldDatabase,
        Fault::ResetDatabase,
        Fault::RefuseStorage,
        Fault::HoldStorage,
        Fault::CutStorage,
        Fault::ReceiverErrors(any(targets.receivers)),
        Fault::ReceiverHangs(any(targets.receivers)),
        Fault::ReceiverResets(any(targets.receivers)),
    ];
    rest.shuffle(rng);
    [&[pause], &rest[..]].concat()
}

/// Longer than a lease where a worker is paused; short enough elsewhere that work goes on.
fn lasts(rng: &mut StdRng, fault: Fault) -> Duration {
    let millis = match fault {
        Fault::PauseWorker(_) => 32_000..38_000,
        Fault::KillWorker(_) | Fault::KillServer(_) => 200..2_000,
        Fault::ReplaceWorker(_) | Fault::RestartDatabase => 1..2,
        Fault::HoldDatabase | Fault::HoldStorage => 2_000..12_000,
        Fault::ResetDatabase | Fault::RefuseStorage | Fault::CutStorage => 1_000..4_000,
        Fault::ReceiverErrors(_) | Fault::ReceiverHangs(_) | Fault::ReceiverResets(_) => {
            2_000..10_000
        }
    };
    Duration::from_millis(rng.random_range(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: Targets = Targets { workers: 3, servers: 2, receivers: 2 };

    #[test]
    fn a_seed_gives_the_same_schedule_again_and_another_seed_another() {
        let span = Duration::from_mins(2);
        assert_eq!(schedule(7, span, TARGETS), schedule(7, span, TARGETS));
        assert_ne!(schedule(7, span, TARGETS), schedule(8, span, TARGETS));
    }

    #[test]
    fn even_a_short_run_has_nearly_every_fault_and_a_pause_longer_than_a_lease() {
        for seed in 0..100 {
            let planned = schedule(seed, Duration::from_secs(25), TARGETS);
            assert!(planned.len() >= 10, "{seed}: {}", planned.len());
            assert!(matches!(planned[0].fault, Fault::PauseWorker(_)));
            assert!(planned[0].lasts > reelway::store::LEASE);
            assert!(planned.is_sorted_by_key(|planned| planned.at));
            assert!(planned.iter().all(|planned| planned.at < Duration::from_secs(25)));
        }
    }
}
