//! What must happen: jobs of one task each, leases that are never forgotten, a clock.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::ReferenceStateMachine;
use reelway::clock::Timestamp;
use reelway::job::Status;
use reelway::store::{BeatReply, EventKind, LEASE, Settled};
use reelway::task::{Lane, Next, RetryPolicy};

use crate::fixture::encoding;
use crate::world::NOW;

/// How many workers there are.
pub(super) const WORKERS: usize = 3;

/// How many jobs a history has at most at a time: few, so that much happens to each.
const MAX_JOBS: usize = 3;

/// When a lost task is given up: early, so that short histories come to it.
pub(super) fn policy() -> RetryPolicy {
    // No wait, because the store spreads the waits of tasks that are lost together, in the order of
    // their ids, which the model does not know. `rescue` in the suite looks at the waits.
    RetryPolicy {
        max_tries: 2,
        base: Duration::ZERO,
        spread: Duration::ZERO,
        ..RetryPolicy::default()
    }
}

/// What is done next. Jobs, leases and workers are told by their place.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Submit { lane: Lane, is_told: bool },
    Claim { worker: usize, lane: Lane },
    Beat { lease: usize, percent: f32 },
    Spend { lease: usize, spend: Spend },
    Steal { lease: usize, thief: usize, spend: Spend },
    Cancel { job: usize },
    Retry { job: usize },
    Delete { job: usize },
    Rescue,
    Jump { millis: i64 },
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spend {
    Finish,
    TryAgain { secs: u64 },
    Fail,
    Cancel,
    HandBack,
}

/// What the store must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Settled(Settled),
    Replied(BeatReply),
    Cancelled,
    Asked,
    AlreadyEnded,
    Retried,
    Refused,
    Deleted,
    Unknown,
    Rescued(usize),
}

/// A lease that was given at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaseModel {
    pub(super) job: usize,
    pub(super) worker: usize,
    pub(super) attempt: u32,
}

/// A job with its task.
#[derive(Clone, Debug)]
pub(super) struct JobModel {
    pub(super) lane: Lane,
    pub(super) is_told: bool,
    pub(super) status: Status,
    pub(super) run_at: Timestamp,
    pub(super) attempt: u32,
    pub(super) tries: u32,
    pub(super) progress: f32,
    /// The attempt whose outputs are to be seen.
    pub(super) shown: Option<u32>,
    pub(super) ends: Vec<EventKind>,
    pub(super) is_deleted: bool,
    holder: Option<usize>,
    lease_until: Timestamp,
    is_unwanted: bool,
}

/// The world as it must be.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) now: Timestamp,
    pub(super) jobs: Vec<JobModel>,
    pub(super) leases: Vec<LeaseModel>,
    pub(super) said: Said,
}

impl JobModel {
    fn end(&mut self, status: Status, kind: EventKind) {
        self.status = status;
        self.ends.push(kind);
        self.holder = None;
    }

    fn queue(&mut self, run_at: Timestamp) {
        self.status = Status::Queued;
        self.run_at = run_at;
        self.holder = None;
    }

    /// What somebody asked to stop is cancelled, unless it was finished first.
    fn spend(&mut self, spend: Spend, now: Timestamp) -> Settled {
        match spend {
            Spend::Finish if !self.is_deleted => {
                self.end(Status::Succeeded, EventKind::JobSucceeded);
                self.progress = 100.0;
                self.shown = Some(self.attempt);
            }
            Spend::Finish => {
                self.end(Status::Cancelled, EventKind::JobCancelled);
                return Settled::Lost;
            }
            _ if self.is_unwanted => self.end(Status::Cancelled, EventKind::JobCancelled),
            Spend::Cancel => self.end(Status::Cancelled, EventKind::JobCancelled),
            Spend::Fail => self.end(Status::Failed, EventKind::JobFailed),
            Spend::TryAgain { secs } => self.queue(now.plus(Duration::from_secs(secs))),
            Spend::HandBack => {
                self.queue(now);
                self.tries -= 1;
            }
        }
        Settled::Done
    }

    fn lose(&mut self, now: Timestamp) {
        let next = policy().after_loss(self.tries, 0.0);
        match next {
            _ if self.is_unwanted => self.end(Status::Cancelled, EventKind::JobCancelled),
            Next::RetryIn(wait) | Next::PostponeBy(wait) => self.queue(now.plus(wait)),
            Next::End => self.end(Status::Failed, EventKind::JobFailed),
        }
    }

    fn cancel(&mut self) -> Said {
        match self.status {
            _ if self.is_deleted => Said::Unknown,
            Status::Queued => {
                self.end(Status::Cancelled, EventKind::JobCancelled);
                Said::Cancelled
            }
            Status::Processing => {
                self.is_unwanted = true;
                Said::Asked
            }
            Status::Succeeded | Status::Failed | Status::Cancelled => Said::AlreadyEnded,
        }
    }

    fn retry(&mut self, now: Timestamp) -> Said {
        match self.status {
            _ if self.is_deleted => Said::Unknown,
            Status::Failed | Status::Cancelled => {
                self.queue(now);
                self.tries = 0;
                self.progress = 0.0;
                self.is_unwanted = false;
                Said::Retried
            }
            Status::Queued | Status::Processing | Status::Succeeded => Said::Refused,
        }
    }

    fn delete(&mut self) -> Said {
        if self.is_deleted {
            return Said::Unknown;
        }
        match self.status {
            Status::Queued => self.end(Status::Cancelled, EventKind::JobCancelled),
            Status::Processing => self.is_unwanted = true,
            Status::Succeeded | Status::Failed | Status::Cancelled => {}
        }
        self.is_deleted = true;
        self.shown = None;
        Said::Deleted
    }
}

impl Reference {
    /// Whether a lease is still the right to work, in this worker's hands.
    pub(super) fn holds(&self, lease: LeaseModel, worker: usize) -> bool {
        let job = &self.jobs[lease.job];
        job.status == Status::Processing
            && job.attempt == lease.attempt
            && job.holder == Some(worker)
    }

    /// Whether a lease was lost and its task is another claim's now.
    pub(super) fn is_in_other_hands(&self, lease: usize) -> bool {
        let lease = self.leases[lease];
        let job = &self.jobs[lease.job];
        job.status == Status::Processing && job.attempt > lease.attempt
    }

    /// Whether there may be one more job.
    fn has_room(&self) -> bool {
        self.jobs.iter().filter(|job| !job.is_deleted).count() < MAX_JOBS
    }

    /// Whether a lease has run out and nobody has noticed.
    pub(super) fn is_overdue(&self, lease: LeaseModel) -> bool {
        self.holds(lease, lease.worker) && self.jobs[lease.job].lease_until <= self.now
    }

    fn submit(&mut self, lane: Lane, is_told: bool) {
        self.jobs.push(JobModel {
            lane,
            is_told,
            status: Status::Queued,
            run_at: self.now,
            attempt: 0,
            tries: 0,
            progress: 0.0,
            shown: None,
            ends: Vec::new(),
            is_deleted: false,
            holder: None,
            lease_until: self.now,
            is_unwanted: false,
        });
    }

    /// Takes all that is due: whose turn it is among them is no matter of leases.
    fn claim(&mut self, worker: usize, lane: Lane) {
        let is_due = |job: &JobModel| {
            job.status == Status::Queued && job.lane == lane && job.run_at <= self.now
        };
        let due: Vec<usize> =
            (0..self.jobs.len()).filter(|place| is_due(&self.jobs[*place])).collect();
        for place in due {
            let job = &mut self.jobs[place];
            job.status = Status::Processing;
            job.attempt += 1;
            job.tries += 1;
            job.holder = Some(worker);
            job.lease_until = self.now.plus(LEASE);
            self.leases.push(LeaseModel { job: place, worker, attempt: job.attempt });
        }
    }

    fn beat(&mut self, lease: LeaseModel, percent: f32) -> BeatReply {
        if !self.holds(lease, lease.worker) {
            return BeatReply::Lost;
        }
        let job = &mut self.jobs[lease.job];
        job.lease_until = self.now.plus(LEASE);
        job.progress = job.progress.max(encoding(percent).progress());
        if job.is_unwanted { BeatReply::CancelAsked } else { BeatReply::Held }
    }

    fn spend(&mut self, lease: LeaseModel, worker: usize, spend: Spend) -> Settled {
        let job = &self.jobs[lease.job];
        let is_told_again = matches!(spend, Spend::Finish) && job.shown == Some(lease.attempt);
        if is_told_again {
            Settled::Done
        } else if self.holds(lease, worker) {
            self.jobs[lease.job].spend(spend, self.now)
        } else {
            Settled::Lost
        }
    }

    fn rescue(&mut self) -> usize {
        let now = self.now;
        let lost = self
            .jobs
            .iter_mut()
            .filter(|job| job.status == Status::Processing && job.lease_until <= now);
        lost.map(|job| job.lose(now)).count()
    }
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let start = Self { now: NOW, jobs: Vec::new(), leases: Vec::new(), said: Said::Nothing };
        Just(start).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let mut steps = vec![
            (5, claims().boxed()),
            (3, Just(Step::Rescue).boxed()),
            (3, select(JUMPS).prop_map(|millis| Step::Jump { millis }).boxed()),
        ];
        if state.has_room() {
            steps.push((3, submissions().boxed()));
        }
        if !state.jobs.is_empty() {
            let job = 0..state.jobs.len();
            steps.push((1, job.clone().prop_map(|job| Step::Cancel { job }).boxed()));
            steps.push((2, job.clone().prop_map(|job| Step::Retry { job }).boxed()));
            steps.push((1, job.prop_map(|job| Step::Delete { job }).boxed()));
        }
        if !state.leases.is_empty() {
            // Leases among them that were lost or spent long ago.
            steps.push((3, work((0..state.leases.len()).boxed())));
        }
        let held: Vec<usize> = (0..state.leases.len())
            .filter(|place| state.holds(state.leases[*place], state.leases[*place].worker))
            .collect();
        if !held.is_empty() {
            steps.push((4, work(select(held).boxed())));
        }
        let haunted: Vec<usize> =
            (0..state.leases.len()).filter(|place| state.is_in_other_hands(*place)).collect();
        if !haunted.is_empty() {
            steps.push((5, work(select(haunted).boxed())));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Submit { .. } => state.has_room(),
            Step::Beat { lease, .. } | Step::Spend { lease, .. } => *lease < state.leases.len(),
            Step::Steal { lease, thief, .. } => {
                state.leases.get(*lease).is_some_and(|lease| lease.worker != *thief)
            }
            Step::Cancel { job } | Step::Retry { job } | Step::Delete { job } => {
                *job < state.jobs.len()
            }
            Step::Claim { .. } | Step::Rescue | Step::Jump { .. } => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.said = match *step {
            Step::Submit { lane, is_told } => {
                state.submit(lane, is_told);
                Said::Nothing
            }
            Step::Claim { worker, lane } => {
                state.claim(worker, lane);
                Said::Nothing
            }
            Step::Beat { lease, percent } => {
                Said::Replied(state.beat(state.leases[lease], percent))
            }
            Step::Spend { lease, spend } => {
                let lease = state.leases[lease];
                Said::Settled(state.spend(lease, lease.worker, spend))
            }
            Step::Steal { lease, thief, spend } => {
                Said::Settled(state.spend(state.leases[lease], thief, spend))
            }
            Step::Cancel { job } => state.jobs[job].cancel(),
            Step::Retry { job } => {
                let now = state.now;
                state.jobs[job].retry(now)
            }
            Step::Delete { job } => state.jobs[job].delete(),
            Step::Rescue => Said::Rescued(state.rescue()),
            Step::Jump { millis } => {
                let now = state.now.millis() + millis;
                state.now = Timestamp::from_millis(now.max(NOW.millis()));
                Said::Nothing
            }
        };
        state
    }
}

/// By how much the clock jumps: to both sides of a lease's end, past every wait, and back.
const JUMPS: &[i64] = &[1, 5_000, 29_999, 30_000, 30_000, 61_000, 400_000, -1, -45_000];

fn submissions() -> impl Strategy<Value = Step> {
    (select(&Lane::ALL[..]), any::<bool>())
        .prop_map(|(lane, is_told)| Step::Submit { lane, is_told })
}

fn claims() -> impl Strategy<Value = Step> {
    (0..WORKERS, select(&Lane::ALL[..])).prop_map(|(worker, lane)| Step::Claim { worker, lane })
}

/// What is done with a lease.
fn work(lease: BoxedStrategy<usize>) -> BoxedStrategy<Step> {
    let beat =
        (lease.clone(), 0.0_f32..100.0).prop_map(|(lease, percent)| Step::Beat { lease, percent });
    let spend = (lease.clone(), spends()).prop_map(|(lease, spend)| Step::Spend { lease, spend });
    let steal = (lease, 0..WORKERS, spends()).prop_map(|(lease, thief, spend)| Step::Steal {
        lease,
        thief,
        spend,
    });
    prop_oneof![3 => beat, 5 => spend, 1 => steal].boxed()
}

fn spends() -> impl Strategy<Value = Spend> {
    prop_oneof![
        Just(Spend::Finish),
        (0_u64..60).prop_map(|secs| Spend::TryAgain { secs }),
        Just(Spend::Fail),
        Just(Spend::Cancel),
        Just(Spend::HandBack),
    ]
}
