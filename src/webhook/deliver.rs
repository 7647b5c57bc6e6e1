//! The loop that sends what is due.
//!
//! It claims deliveries as long as there is room, lets each go its own way, and claims again as
//! soon as one has ended: a receiver that hangs takes up its own places and nobody else's. When
//! nothing is due it waits for a hint, for the next delivery's time, or for a poll. An error of
//! the store is waited out; only the shutdown ends the loop.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Secrets;
use super::attempt::Post;
use crate::clock::Clock;
use crate::outbound::Client;
use crate::output::Links;
use crate::store::{AttemptRecord, DueDelivery, Store, StoreError, StoreResult};

/// How long sends under way may go on after the shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(15);

/// The first and the longest wait while the store does not answer.
const OUTAGE_WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How much is sent at once, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many deliveries may be under way.
    pub in_flight: u32,
    /// How many of them may go to one destination.
    pub per_destination: u32,
    /// How long one may take in all.
    pub timeout: Duration,
    /// How long to wait at most before looking for deliveries again.
    pub poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 64,
            per_destination: 4,
            timeout: Duration::from_secs(15),
            poll: Duration::from_secs(5),
        }
    }
}

/// Sends what is due, signed and retried.
#[derive(Clone, Debug)]
pub struct Deliverer {
    post: Arc<Post>,
}

impl Deliverer {
    /// A deliverer of what `store` holds, through the guard of `client`.
    ///
    /// `chance` gives numbers from 0 to 1 that spread retries and polls: `rand::random` but in
    /// tests.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        client: Client,
        links: Links,
        secrets: Secrets,
        clock: Arc<dyn Clock>,
        chance: fn() -> f64,
        limits: Limits,
    ) -> Self {
        Self { post: Arc::new(Post { store, client, links, secrets, clock, chance, limits }) }
    }

    /// Claims once, sends all that was claimed and waits for it; returns how many went out.
    ///
    /// # Errors
    ///
    /// The store did not answer. What was sent and not written down is sent again later.
    pub async fn round(&self) -> StoreResult<usize> {
        let due = self.claim(self.post.limits.in_flight).await?;
        let sends = due.into_iter().map(|due| self.post.deliver(due));
        let settled: StoreResult<Vec<()>> = join_all(sends).await.into_iter().collect();
        settled.map(|sent| sent.len())
    }

    /// Sends a message of the type [`TEST`](super::message::TEST), once and through the same guard,
    /// and says what was seen. Nothing of it is kept.
    pub async fn test(&self, url: &Url) -> AttemptRecord {
        self.post.test(url).await
    }

    /// Sends what is due until `shutdown`, then finishes what is under way within 15 s.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut sends = JoinSet::new();
        let mut outage = Outage::default();
        while !shutdown.is_cancelled() {
            // Enabled before the claim, so that no hint is lost between the two.
            let mut hint = pin!(self.post.store.hints().delivery_due.notified());
            hint.as_mut().enable();
            match self.fill(&mut sends).await {
                Ok(pause) => {
                    outage.is_over();
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        Some(sent) = sends.join_next() => report(sent),
                        () = hint => {}
                        () = sleep(pause) => {}
                    }
                }
                Err(error) => {
                    let pause = self.spread(outage.goes_on(&error));
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = sleep(pause) => {}
                    }
                }
            }
            while let Some(sent) = sends.try_join_next() {
                report(sent);
            }
        }
        drain(sends).await;
    }

    /// Claims what there is room for and starts it; returns how long to wait for more.
    async fn fill(&self, sends: &mut JoinSet<StoreResult<()>>) -> StoreResult<Duration> {
        let Post { store, clock, limits, .. } = self.post.as_ref();
        let poll = self.spread(limits.poll);
        let under_way = u32::try_from(sends.len()).unwrap_or(u32::MAX);
        let room = limits.in_flight.saturating_sub(under_way);
        if room == 0 {
            return Ok(poll);
        }
        let before = clock.now();
        for due in self.claim(room).await? {
            let post = self.post.clone();
            sends.spawn(async move { post.deliver(due).await });
        }
        // What was due before the claim and was not claimed has to wait for its destination.
        let next = store.next_delivery_at().await?.filter(|at| *at > before);
        Ok(next.map_or(poll, |at| at.since(clock.now()).min(poll)))
    }

    async fn claim(&self, limit: u32) -> StoreResult<Vec<DueDelivery>> {
        let Post { store, limits, .. } = self.post.as_ref();
        store.claim_deliveries(limit, limits.per_destination, self.post.lease()).await
    }

    fn spread(&self, wait: Duration) -> Duration {
        wait.mul_f64(0.8 + 0.4 * (self.post.chance)().clamp(0.0, 1.0))
    }
}

/// A time without the store: told once when it begins and once when it is over.
#[derive(Debug, Default)]
struct Outage {
    tries: u32,
}

impl Outage {
    /// Counts one more failure; returns how long to leave the store alone.
    fn goes_on(&mut self, error: &StoreError) -> Duration {
        if self.tries == 0 {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "webhooks wait: what is due cannot be read"
            );
        }
        let (first, longest) = OUTAGE_WAITS;
        let wait = first.saturating_mul(2_u32.saturating_pow(self.tries)).min(longest);
        self.tries = self.tries.saturating_add(1);
        wait
    }

    fn is_over(&mut self) {
        if self.tries > 0 {
            tracing::info!(tries = self.tries, "webhooks go on: what is due can be read again");
            self.tries = 0;
        }
    }
}

async fn drain(mut sends: JoinSet<StoreResult<()>>) {
    let all = async {
        while let Some(sent) = sends.join_next().await {
            report(sent);
        }
    };
    if timeout(DRAIN, all).await.is_err() {
        tracing::warn!(
            count = sends.len(),
            "webhooks were cut off by the shutdown; each is sent again when its lease has run out"
        );
    }
}

fn report(sent: Result<StoreResult<()>, JoinError>) {
    match sent {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(
            error = &error as &dyn std::error::Error,
            "a webhook went out and could not be written down; it is sent again"
        ),
        Err(error) => tracing::error!(
            error = &error as &dyn std::error::Error,
            "a webhook's task ended on its own; it is sent again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_stays_away_is_asked_less_and_less_often() {
        let mut outage = Outage::default();
        let error = StoreError::Database(sqlx::Error::PoolClosed);
        let waits: Vec<u64> = (0..9).map(|_| outage.goes_on(&error).as_millis() as u64).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        outage.is_over();
        assert_eq!(outage.goes_on(&error), OUTAGE_WAITS.0);
    }
}
