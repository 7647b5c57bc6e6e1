//! What histories tell, without a store: a model that never comes to the point proves nothing.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use proptest_state_machine::ReferenceStateMachine;
use reelway::job::Status;
use reelway::store::{BeatReply, Settled};

use super::STEPS;
use super::reference::{Reference, Said, Spend, Step};

/// How many histories are looked at.
const HISTORIES: usize = 200;

/// Something that a step may tell: from what was, by the step, to what is.
type Tale = (&'static str, fn(&Reference, &Step, &Reference) -> bool);

const TALES: &[Tale] = &[
    ("a lost worker finishes while another one has the task", |before, step, after| {
        after.said == Said::Settled(Settled::Lost)
            && matches!(step, Step::Spend { lease, spend: Spend::Finish }
                if before.is_in_other_hands(*lease))
    }),
    ("a lost worker beats while another one has the task", |before, step, after| {
        after.said == Said::Replied(BeatReply::Lost)
            && matches!(step, Step::Beat { lease, .. } if before.is_in_other_hands(*lease))
    }),
    ("a lost worker finishes while the task waits", |before, step, _| {
        matches!(step, Step::Spend { lease, spend: Spend::Finish }
            if status(before, *lease) == Status::Queued)
    }),
    ("a lost worker finishes what has failed", |before, step, _| {
        matches!(step, Step::Spend { lease, spend: Spend::Finish }
            if status(before, *lease) == Status::Failed)
    }),
    (
        "a worker finishes after its lease has run out and before the rescue",
        |before, step, after| {
            after.said == Said::Settled(Settled::Done)
                && matches!(step, Step::Spend { lease, spend: Spend::Finish }
                if before.is_overdue(before.leases[*lease]))
        },
    ),
    ("a later attempt finishes", |before, step, after| {
        after.said == Said::Settled(Settled::Done)
            && matches!(step, Step::Spend { lease, spend: Spend::Finish }
                if before.leases[*lease].attempt > 1)
    }),
    ("the files of a deleted job come too late", |before, step, after| {
        after.said == Said::Settled(Settled::Lost)
            && matches!(step, Step::Spend { lease, spend: Spend::Finish }
                if before.holds(before.leases[*lease], before.leases[*lease].worker))
    }),
    ("a lost task is queued again", |before, step, after| {
        matches!(step, Step::Rescue) && becomes(before, Status::Queued, after)
    }),
    ("a task that kills its workers is given up", |before, step, after| {
        matches!(step, Step::Rescue) && becomes(before, Status::Failed, after)
    }),
    ("an unwanted job is cancelled when its worker is lost", |before, step, after| {
        matches!(step, Step::Rescue) && becomes(before, Status::Cancelled, after)
    }),
    ("a worker hears that it must stop", |_, _, after| {
        after.said == Said::Replied(BeatReply::CancelAsked)
    }),
    ("a task is handed back", |_, step, after| {
        after.said == Said::Settled(Settled::Done)
            && matches!(step, Step::Spend { spend: Spend::HandBack, .. })
    }),
    ("a thief has a lease that is good in other hands", |before, step, _| {
        matches!(step, Step::Steal { lease, .. }
            if before.holds(before.leases[*lease], before.leases[*lease].worker))
    }),
    ("an ended job is tried again", |_, _, after| after.said == Said::Retried),
    ("a job ends three times", |_, _, after| after.jobs.iter().any(|job| job.ends.len() > 2)),
    ("the clock goes back", |before, _, after| after.now < before.now),
];

fn status(before: &Reference, lease: usize) -> Status {
    before.jobs[before.leases[lease].job].status
}

fn becomes(before: &Reference, status: Status, after: &Reference) -> bool {
    let mut jobs = before.jobs.iter().zip(&after.jobs);
    jobs.any(|(old, new)| old.status != status && new.status == status)
}

#[test]
fn histories_tell_of_everything_that_can_go_wrong() {
    let mut runner = TestRunner::deterministic();
    let histories = Reference::sequential_strategy(STEPS);
    let mut untold: Vec<Tale> = TALES.to_vec();
    for _ in 0..HISTORIES {
        let history = histories.new_tree(&mut runner).expect("a history");
        let (mut before, steps, _) = history.current();
        for step in &steps {
            let after = Reference::apply(before.clone(), step);
            untold.retain(|(_, is_told)| !is_told(&before, step, &after));
            before = after;
        }
    }
    let untold: Vec<_> = untold.iter().map(|(tale, _)| *tale).collect();
    assert!(untold.is_empty(), "{untold:#?}");
}
