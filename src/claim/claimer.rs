//! Takes what there is room for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

use super::heart::Heart;
use super::hold::Held;
use crate::id::WorkerId;
use crate::metrics;
use crate::store::{Claim, PieceClaim, Store, Want};
use crate::task::{Kind, Lane};
use crate::trace;

/// How long the queue is left alone when it was empty and nobody hints, at least.
const POLL: Duration = Duration::from_secs(2);

/// By how much that is spread, so that many workers do not ask at once.
const SPREAD: Duration = Duration::from_secs(3);

/// What may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Only jobs of these kinds.
    pub kinds: Vec<Kind>,
    /// No more of one owner than this at the same time, in all workers together.
    pub per_owner: Option<u32>,
    /// How many more tasks of the same input may come with one, to be made with it.
    pub companions: u32,
    /// Whether slots that nobody needs help with others' long videos.
    pub pieces: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self { kinds: Kind::ALL.to_vec(), per_owner: None, companions: 0, pieces: false }
    }
}

/// What is done with a claim.
pub trait Perform: Send + Sync + 'static {
    /// Whether there is room for more work, beside free slots.
    fn has_room(&self) -> bool {
        true
    }

    /// Works on the claim and spends its lease.
    fn perform(&self, claim: Claim, held: Held) -> impl Future<Output = ()> + Send;

    /// Makes a piece of another's task and spends its lease; stops when `end` is cancelled. Who
    /// cannot lets the lease run out.
    fn perform_piece(
        &self,
        _piece: PieceClaim,
        _end: CancellationToken,
    ) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The same for a claim with its companions, which share its slot; who knows nothing better
    /// works on one after the other.
    fn perform_together(
        &self,
        first: (Claim, Held),
        companions: Vec<(Claim, Held)>,
    ) -> impl Future<Output = ()> + Send {
        async {
            for (claim, held) in std::iter::once(first).chain(companions) {
                let span = held.span().clone();
                self.perform(claim, held).instrument(span).await;
            }
        }
    }
}

/// Room for work, by lane.
#[derive(Clone, Debug)]
pub struct Slots {
    heavy: Arc<Semaphore>,
    light: Arc<Semaphore>,
    freed: Arc<Notify>,
}

impl Slots {
    /// Room for so many tasks of each lane.
    #[must_use]
    pub fn new(heavy: u32, light: u32) -> Self {
        let room = |slots: u32| Arc::new(Semaphore::new(slots as usize));
        Self { heavy: room(heavy), light: room(light), freed: Arc::default() }
    }

    fn free(&self) -> Want {
        let free = |room: &Semaphore| u32::try_from(room.available_permits()).unwrap_or(u32::MAX);
        Want { heavy: free(&self.heavy), light: free(&self.light), ..Want::default() }
    }

    /// Takes a slot that [`Slots::free`] has just shown; the claimer alone takes any.
    fn take(&self, lane: Lane) -> Option<Taken> {
        let room = match lane {
            Lane::Heavy => &self.heavy,
            Lane::Light => &self.light,
        };
        let permit = room.clone().try_acquire_owned().ok()?;
        Some(Taken { permit: Some(permit), freed: self.freed.clone() })
    }
}

/// A slot in use.
struct Taken {
    permit: Option<OwnedSemaphorePermit>,
    freed: Arc<Notify>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        // First the room, then the call: the claimer counts when it hears it.
        drop(self.permit.take());
        self.freed.notify_one();
    }
}

/// Takes tasks from the store as long as there is room, and sets them to work.
#[derive(Debug)]
pub struct Claimer<P> {
    /// Where tasks come from.
    pub store: Arc<dyn Store>,
    /// Who we are.
    pub worker: WorkerId,
    /// Room for work.
    pub slots: Slots,
    /// What may be taken.
    pub terms: Terms,
    /// Keeps the leases.
    pub heart: Arc<Heart>,
    /// Does the work.
    pub perform: Arc<P>,
    /// The work under way, for whoever waits for its end.
    pub tracker: TaskTracker,
}

impl<P: Perform> Claimer<P> {
    /// Claims until `stop`; what has been claimed goes on, in the tracker.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if self.round().await > 0 {
                continue;
            }
            let pause = POLL + SPREAD.mul_f64(rand::random());
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.store.hints().task_due.notified() => {}
                () = self.slots.freed.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Claims once for all free slots; returns how many tasks were taken, or pieces where no task
    /// waits: who helps must not be missed by those who come later.
    async fn round(&self) -> usize {
        let Terms { kinds, per_owner, companions, pieces } = self.terms.clone();
        let want = Want { kinds, per_owner, companions, ..self.slots.free() };
        if want.is_nothing() || !self.perform.has_room() {
            return 0;
        }
        let asked = Instant::now();
        let can_help = pieces && want.heavy > 0;
        match self.store.claim(self.worker, want).await {
            Ok(claims) if claims.is_empty() && can_help => self.help().await,
            Ok(claims) => {
                let taken = claims.iter().map(|claim| 1 + claim.companions.len()).sum();
                claims.into_iter().for_each(|claim| self.start(claim, asked));
                taken
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "nothing can be claimed");
                0
            }
        }
    }

    /// Takes a piece of a long video, if there is one; returns how many.
    async fn help(&self) -> usize {
        match self.store.claim_piece(self.worker, None).await {
            Ok(Some(piece)) => {
                let slot = self.slots.take(Lane::Heavy);
                let (perform, end) = (self.perform.clone(), self.heart.end().clone());
                let span = piece_span(&piece);
                let work = async move {
                    perform.perform_piece(piece, end).await;
                    drop(slot);
                };
                self.tracker.spawn(work.instrument(span));
                1
            }
            Ok(None) => 0,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "no piece can be claimed"
                );
                0
            }
        }
    }

    fn start(&self, mut claim: Claim, asked: Instant) {
        let slot = self.slots.take(claim.lane);
        let companions = std::mem::take(&mut claim.companions);
        let hold = |claim: Claim| {
            count(&claim);
            let held = self.heart.hold(&claim.lease, asked).within(span(&claim));
            (claim, held)
        };
        let first = hold(claim);
        let companions: Vec<_> = companions.into_iter().map(hold).collect();
        let perform = self.perform.clone();
        self.tracker.spawn(async move {
            if companions.is_empty() {
                let span = first.1.span().clone();
                perform.perform(first.0, first.1).instrument(span).await;
            } else {
                perform.perform_together(first, companions).await;
            }
            drop(slot);
        });
    }
}

/// What is said and measured of a claim, from here to its end, is said of this task: each attempt
/// is a span of its own in the trace of the job.
fn span(Claim { job, lease, .. }: &Claim) -> Span {
    let (id, attempt) = (lease.task, lease.attempt);
    let span = tracing::info_span!("task", job.id = %job.id, task.id = %id, task.attempt = attempt);
    trace::join(&span, job.trace.as_ref());
    trace::note(&span, "job.kind", job.spec.options.kind().name());
    span
}

/// The same of a piece.
fn piece_span(PieceClaim { job, lease, .. }: &PieceClaim) -> Span {
    let (id, piece) = (lease.task, lease.position);
    let span = tracing::info_span!("piece", job.id = %job.id, task.id = %id, piece);
    trace::join(&span, job.trace.as_ref());
    span
}

fn count(claim: &Claim) {
    let (lane, kind) = (claim.lane.name(), claim.job.spec.options.kind().name());
    metrics::CLAIMS.add(1, &[lane, kind]);
    if claim.tries == 1
        && let Some(started_at) = claim.job.state.started_at()
    {
        let waited = started_at.since(claim.job.created_at);
        metrics::WAIT_SECONDS.observe(waited.as_secs_f64(), &[lane]);
    }
}
