//! One attempt: a delivery goes out once, and what was seen goes into the store.
//!
//! In comes a delivery on its lease; out goes one POST, one line of log, and one
//! [`SettleDelivery`]. A receiver that does not answer is no error here: only the store can
//! fail an attempt, and then it is made again when the lease has run out.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, Span, info_span};
use url::Url;

use super::schedule::{Reply, decide, retry_after};
use super::{Limits, Message, Secrets};
use crate::clock::{Clock, Timestamp};
use crate::id::fresh;
use crate::metrics;
use crate::outbound::{Answer, Client, MAX_ANSWER_BYTES, OutboundError};
use crate::output::Links;
use crate::store::{
    AttemptOutcome, AttemptRecord, DueDelivery, EventBody, SettleDelivery, Settled, Store,
    StoreResult,
};
use crate::trace;

/// The waits between tries to write an attempt down: a database that is away for a moment must
/// not make a receiver get the same event twice.
const SETTLE_WAITS: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(10),
];

/// What a delivery is held for beyond the time that sending takes: all [`SETTLE_WAITS`] and the
/// tries themselves.
const SETTLE_TIME: Duration = Duration::from_secs(45);

/// All that an attempt needs.
pub(super) struct Post {
    pub(super) store: Arc<dyn Store>,
    pub(super) client: Client,
    pub(super) links: Links,
    pub(super) secrets: Secrets,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: fn() -> f64,
    pub(super) limits: Limits,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("the job could not be written as JSON")]
    Message(#[from] serde_json::Error),
}

impl Silence {
    const fn class(&self) -> &'static str {
        match self {
            Self::Outbound(error) => error.class(),
            Self::Message(_) => "message",
        }
    }
}

impl Post {
    /// How long a delivery is nobody else's.
    pub(super) fn lease(&self) -> Duration {
        self.limits.timeout + SETTLE_TIME
    }

    /// Makes one attempt and writes it down.
    pub(super) async fn deliver(&self, due: DueDelivery) -> StoreResult<()> {
        let span = span(&due);
        let sent = async {
            let settle = self.attempt(&due).await;
            self.settle(settle).await
        };
        sent.instrument(span).await
    }

    async fn attempt(&self, due: &DueDelivery) -> SettleDelivery {
        let at = self.clock.now();
        let begun = Instant::now();
        let seen = self.send(due, at).await;
        let now = self.clock.now();
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let reply = seen.as_ref().map_or(Reply::None, |answer| Reply::Status {
            code: answer.status,
            retry_after: answer.retry_after.as_deref().and_then(|text| retry_after(text, now)),
        });
        let outcome = decide(reply, due.tries, due.failing_since, now, (self.chance)());
        tell(due, &seen, duration_ms, outcome);
        count(&seen, begun.elapsed(), outcome);
        let record = record(seen, at, duration_ms);
        SettleDelivery { id: due.id, attempt: due.attempt, record, outcome }
    }

    async fn send(&self, due: &DueDelivery, at: Timestamp) -> Result<Answer, Silence> {
        let Message { mut headers, body } = Message::of(due, &self.links, &self.secrets, at)?;
        if let Some(trace) = trace::here().as_ref().or(due.trace.as_ref()) {
            headers.extend(trace::headers(trace));
        }
        let sent = self.client.post(&due.url, headers, body, self.limits.timeout);
        Ok(sent.await?)
    }

    /// Sends a message that tells nothing, once, and says what was seen.
    pub(super) async fn test(&self, url: &Url) -> AttemptRecord {
        let at = self.clock.now();
        let begun = Instant::now();
        let Message { headers, body } = Message::test(fresh(at), &self.secrets, at);
        let sent = self.client.post(url, headers, body, self.limits.timeout).await;
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        record(sent.map_err(Silence::from), at, duration_ms)
    }

    async fn settle(&self, settle: SettleDelivery) -> StoreResult<()> {
        let mut waits = SETTLE_WAITS.into_iter();
        loop {
            match (self.store.settle_delivery(settle.clone()).await, waits.next()) {
                (Ok(Settled::Done), _) => return Ok(()),
                (Ok(Settled::Lost), _) => {
                    tracing::warn!(
                        delivery.id = %settle.id,
                        attempt = settle.attempt,
                        "a webhook took so long that somebody else has it now"
                    );
                    return Ok(());
                }
                (Err(_), Some(wait)) => sleep(wait).await,
                (Err(error), None) => return Err(error),
            }
        }
    }
}

impl Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn record(seen: Result<Answer, Silence>, at: Timestamp, duration_ms: u64) -> AttemptRecord {
    match seen {
        Ok(answer) => AttemptRecord {
            at,
            duration_ms,
            status: Some(answer.status),
            error: None,
            response: Some(readable(&answer.body)).filter(|text| !text.is_empty()),
        },
        Err(silence) => AttemptRecord {
            at,
            duration_ms,
            status: None,
            error: Some(silence.class().to_owned()),
            response: None,
        },
    }
}

/// The text as the log can keep it: not every database takes a NUL, and marks in the place of
/// broken bytes must not make it longer than it may be.
fn readable(body: &str) -> String {
    let mut text = body.replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(MAX_ANSWER_BYTES));
    text
}

/// What is said and measured of an attempt is said of this webhook; each attempt is a span of its
/// own in the trace of the job.
fn span(due: &DueDelivery) -> Span {
    let (event, delivery, attempt) = (due.event, due.id, due.attempt);
    let span = match &due.body {
        EventBody::Job(job) => info_span!(
            "webhook", job.id = %job.id, event.id = %event, delivery.id = %delivery, attempt
        ),
        EventBody::Batch(batch) => info_span!(
            "webhook", batch.id = %batch.id, event.id = %event, delivery.id = %delivery, attempt
        ),
        EventBody::Condition(_) => {
            info_span!("webhook", event.id = %event, delivery.id = %delivery, attempt)
        }
    };
    trace::join(&span, due.trace.as_ref());
    span
}

/// One line for each attempt. The URL is not in it: receivers put keys into theirs.
fn tell(
    due: &DueDelivery,
    seen: &Result<Answer, Silence>,
    duration_ms: u64,
    outcome: AttemptOutcome,
) {
    let status = seen.as_ref().ok().map(|answer| answer.status);
    let error = seen.as_ref().err().map(ToString::to_string);
    let span = Span::current();
    if let Some(status) = status {
        trace::note(&span, "http.response.status_code", i64::from(status));
    }
    if outcome != AttemptOutcome::Delivered {
        trace::failed(&span, seen.as_ref().map_or_else(Silence::class, |_| "not delivered"));
    }
    let message = match outcome {
        AttemptOutcome::Delivered => {
            tracing::info!(
                event.id = %due.event,
                delivery.id = %due.id,
                attempt = due.attempt,
                status,
                duration_ms,
                "webhook delivered"
            );
            return;
        }
        AttemptOutcome::RetryIn(_) => "webhook not delivered, will be tried again",
        AttemptOutcome::Failed => "webhook not delivered, no attempt is left",
        AttemptOutcome::Disable => "webhook not delivered, its destination is disabled",
    };
    let retry_in_secs = match outcome {
        AttemptOutcome::RetryIn(wait) => Some(wait.as_secs()),
        _ => None,
    };
    tracing::warn!(
        event.id = %due.event,
        delivery.id = %due.id,
        attempt = due.attempt,
        status,
        error,
        duration_ms,
        retry_in_secs,
        "{message}"
    );
}

fn count(seen: &Result<Answer, Silence>, took: Duration, outcome: AttemptOutcome) {
    let outcome = match outcome {
        AttemptOutcome::Delivered => "delivered",
        AttemptOutcome::RetryIn(_) => "retried",
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::Disable => "disabled",
    };
    let answer = match seen {
        Ok(answer) => match answer.status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
        Err(silence) => silence.class(),
    };
    metrics::WEBHOOK_ATTEMPTS.add(1, &[outcome, answer]);
    metrics::WEBHOOK_SECONDS.observe(took.as_secs_f64(), &[outcome]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_as_text_of_at_most_16_kib() {
        assert_eq!(readable("ok"), "ok");
        assert_eq!(readable("a\0b"), "a\u{fffd}b");
        let long = "é".repeat(MAX_ANSWER_BYTES);
        assert_eq!(readable(&long).len(), MAX_ANSWER_BYTES);
        let odd = format!("x{long}");
        assert_eq!(readable(&odd).len(), MAX_ANSWER_BYTES - 1);
        assert!(readable(&"\0".repeat(MAX_ANSWER_BYTES)).len() <= MAX_ANSWER_BYTES);
    }

    #[test]
    fn a_delivery_is_held_longer_than_sending_and_writing_down_can_take() {
        let waits: Duration = SETTLE_WAITS.iter().sum();
        assert!(SETTLE_TIME >= waits * 2);
    }
}
