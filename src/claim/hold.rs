//! A lease as the work sees it: a place to tell progress, and a reason to stop.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::heart::Attempt;
use crate::clock::Clock;
use crate::id::TaskId;
use crate::metrics;
use crate::store::{Beat, Lease};
use crate::task::{Failure, StageKind, Stages};

/// Why work stops before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Somebody cancelled the job.
    Cancelled,
    /// The lease is not ours any more: nothing may be written.
    Lost,
    /// This process ends: the task goes back untouched.
    Shutdown,
}

/// What is known about a lease while it is held.
#[derive(Debug)]
pub struct Hold {
    beat: Beat,
    stages: Mutex<Stages>,
    told: Mutex<Stages>,
    renewed: Mutex<Instant>,
    interrupt: OnceLock<Interrupt>,
    stop: CancellationToken,
    clock: Arc<dyn Clock>,
}

impl Hold {
    /// A hold on a lease that was asked for at `since`.
    pub(super) fn new(lease: &Lease, since: Instant, clock: Arc<dyn Clock>) -> Self {
        let stages = Stages::default();
        let Lease { task, worker, attempt, .. } = *lease;
        Self {
            beat: Beat { task, worker, attempt, stages: stages.clone() },
            stages: Mutex::new(stages.clone()),
            told: Mutex::new(stages),
            renewed: Mutex::new(since),
            interrupt: OnceLock::new(),
            stop: CancellationToken::new(),
            clock,
        }
    }

    /// The task that is held.
    #[must_use]
    pub const fn task(&self) -> TaskId {
        self.beat.task
    }

    /// Which claim of it.
    pub(super) const fn attempt(&self) -> Attempt {
        (self.beat.task, self.beat.attempt)
    }

    /// A new stage begins; the one before it has ended well.
    pub fn begin(&self, kind: StageKind) {
        lock(&self.stages).begin(kind, self.clock.now());
    }

    /// The present stage has come to `percent`.
    pub fn advance(&self, percent: f32) {
        lock(&self.stages).advance(percent);
    }

    /// Something about the present stage, for a person.
    pub fn note(&self, text: String) {
        lock(&self.stages).note(text);
    }

    /// What was done in the present stage, for whoever asks how the job was made.
    pub fn sum_up(&self, text: &str) {
        lock(&self.stages).sum_up(text);
    }

    /// What was done in the last stage of a kind that has begun, for whoever asks.
    pub fn sum_up_on(&self, kind: StageKind, text: String) {
        lock(&self.stages).sum_up_on(kind, text);
    }

    /// The last stage has ended well.
    pub fn succeed(&self) {
        lock(&self.stages).succeed(self.clock.now());
    }

    /// The present stage has failed.
    pub fn fail(&self, failure: &Failure) {
        lock(&self.stages).fail(failure, self.clock.now());
    }

    /// The present stage was cancelled.
    pub fn cancel(&self) {
        lock(&self.stages).cancel(self.clock.now());
    }

    /// The stages so far.
    #[must_use]
    pub fn stages(&self) -> Stages {
        lock(&self.stages).clone()
    }

    /// Tells the work to stop; the first reason stands.
    pub fn interrupt(&self, why: Interrupt) {
        // A second reason changes nothing: the work is already on its way out.
        if self.interrupt.set(why).is_ok() && why == Interrupt::Lost {
            metrics::LEASES_LOST.add(1, &[]);
        }
        self.stop.cancel();
    }

    /// Why the work must stop, if it must.
    #[must_use]
    pub fn interrupted(&self) -> Option<Interrupt> {
        self.interrupt.get().copied()
    }

    /// Cancelled when the work must stop.
    #[must_use]
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether something has happened since the last beat.
    pub(super) fn has_news(&self) -> bool {
        *lock(&self.told) != *lock(&self.stages)
    }

    pub(super) fn beat(&self) -> Beat {
        let stages = self.stages();
        lock(&self.told).clone_from(&stages);
        Beat { stages, ..self.beat.clone() }
    }

    pub(super) fn renewed(&self, at: Instant) {
        *lock(&self.renewed) = at;
    }

    pub(super) fn renewed_at(&self) -> Instant {
        *lock(&self.renewed)
    }
}

/// A [`Hold`] that the heart beats for until it is dropped.
#[derive(Debug)]
pub struct Held {
    pub(super) hold: Arc<Hold>,
    pub(super) heart: Arc<super::Heart>,
    pub(super) span: Span,
}

impl Held {
    /// The same, whose work is said and measured in `span`.
    pub(super) fn within(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// What is said and measured of the work belongs here.
    #[must_use]
    pub const fn span(&self) -> &Span {
        &self.span
    }
}

impl std::ops::Deref for Held {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.heart.let_go(self.hold.attempt());
    }
}

/// A panic elsewhere leaves plain values behind: they can be used.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
