//! Whether the other end of a connection still takes part.
//!
//! Three silences end a connection: no request came in time, no further one came, or nobody takes
//! the answer. Waiting for ourselves is none of them: a handler that works and an event stream
//! with nothing to tell may take as long as they take.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// How long the other end may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// From the connection to the end of its first request's head.
    pub(super) first_request: Duration,
    /// From an answer to the end of the next request's head.
    pub(super) next_request: Duration,
    /// While it takes nothing of an answer that is there.
    pub(super) taking: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(10),
            // Longer than proxies keep a connection that they think is open.
            next_request: Duration::from_secs(75),
            taking: Duration::from_mins(2),
        }
    }
}

/// How the other end went silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// It never finished a request.
    NeverAsked,
    /// It has all its answers and asks no more.
    Idle,
    /// It does not take an answer.
    NotTaking,
}

/// What is known of a connection's other end.
#[derive(Debug)]
pub(super) struct Pulse {
    patience: Patience,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    has_asked: bool,
    /// Requests whose answers are not over.
    open: usize,
    /// Those of them that wait for us.
    ours: usize,
    /// When the other end last did anything, or had last to wait for us.
    since: Instant,
}

/// A request from its head to the last byte of its answer.
#[derive(Debug)]
pub(super) struct Turn {
    pulse: Arc<Pulse>,
    is_ours: bool,
}

/// The body of an answer, which sees whether it is taken.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    turn: Turn,
}

impl Pulse {
    /// A connection that was just made.
    pub(super) fn new(patience: Patience) -> Arc<Self> {
        let state = State { has_asked: false, open: 0, ours: 0, since: Instant::now() };
        Arc::new(Self { patience, state: Mutex::new(state) })
    }

    /// A request has come; the next move is ours.
    pub(super) fn turn(self: &Arc<Self>) -> Turn {
        let mut state = self.state();
        state.has_asked = true;
        state.open += 1;
        state.ours += 1;
        state.since = Instant::now();
        Turn { pulse: self.clone(), is_ours: true }
    }

    /// Comes back when the other end has been silent for too long.
    pub(super) async fn silence(&self) -> Silence {
        loop {
            let (until, silence) = self.deadline();
            if until <= Instant::now() {
                return silence;
            }
            // Whatever happens meanwhile makes the deadline later, so that it need not wake us.
            sleep_until(until).await;
        }
    }

    fn deadline(&self) -> (Instant, Silence) {
        let state = self.state();
        let Patience { first_request, next_request, taking } = self.patience;
        match *state {
            State { has_asked: false, since, .. } => (since + first_request, Silence::NeverAsked),
            State { open: 0, since, .. } => (since + next_request, Silence::Idle),
            State { ours: 0, since, .. } => (since + taking, Silence::NotTaking),
            // Ours: looked at again when the earliest silence after it could be over.
            State { .. } => (Instant::now() + taking.min(next_request), Silence::NotTaking),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain numbers: no panic leaves them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The answer with this body goes out.
    pub(super) fn answer(self, body: Body) -> Answer {
        Answer { body, turn: self }
    }

    /// Whose move is next.
    fn is_now(&mut self, ours: bool) {
        let mut state = self.pulse.state();
        state.since = Instant::now();
        match (self.is_ours, ours) {
            (true, false) => state.ours -= 1,
            (false, true) => state.ours += 1,
            (true, true) | (false, false) => {}
        }
        self.is_ours = ours;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.is_now(false);
        self.pulse.state().open -= 1;
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        // Asked for the next frame, so the last one was taken.
        this.turn.is_now(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        first_request: Duration::from_secs(1),
        next_request: Duration::from_secs(10),
        taking: Duration::from_secs(100),
    };

    /// How long it takes until the other end counts as silent, in seconds, and how it does.
    async fn silent_after(pulse: &Pulse) -> (u64, Silence) {
        let began = Instant::now();
        let silence = pulse.silence().await;
        (began.elapsed().as_secs(), silence)
    }

    #[tokio::test(start_paused = true)]
    async fn each_silence_has_its_own_patience() {
        let pulse = Pulse::new(PATIENCE);
        assert_eq!(silent_after(&pulse).await, (1, Silence::NeverAsked));
        let mut turn = pulse.turn();
        turn.is_now(false);
        assert_eq!(silent_after(&pulse).await, (100, Silence::NotTaking));
        drop(turn);
        assert_eq!(silent_after(&pulse).await, (10, Silence::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_us_is_no_silence() {
        let pulse = Pulse::new(PATIENCE);
        let (_thinking, mut other) = (pulse.turn(), pulse.turn());
        other.is_now(false);
        let day = tokio::time::timeout(Duration::from_hours(24), pulse.silence());
        assert!(day.await.is_err(), "one answer is still being made");
    }
}
