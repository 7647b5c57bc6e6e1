//! Claims go to the provider: one POST each, and the lease is spent.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{Instrument as _, Span};

use super::schedule::{SUBMIT_PATIENCE, SUBMIT_WAITS, asked_for, wait};
use super::{Api, Refusal};
use crate::claim::{Held, Interrupt, Perform, persist};
use crate::clock::{Clock, Timestamp};
use crate::job::{Job, Kind};
use crate::store::{Claim, HandOver, Settled, Standing, Store, StoreResult, Word};
use crate::task::{ErrorKind, Failure, Next, RetryPolicy, StageKind, Stages};
use crate::trace;

/// Gives claims to the provider.
pub struct Dispatcher {
    store: Arc<dyn Store>,
    api: Api,
    ask_after: Duration,
    clock: Arc<dyn Clock>,
    chance: fn() -> f64,
    /// Until when the provider asked to be left alone.
    quiet_until: Mutex<Timestamp>,
}

/// Why a claim was not handed over.
enum Kept {
    /// The work was told to stop.
    Stopped(Interrupt),
    /// The provider did not take it.
    Refused(Refusal),
}

impl Dispatcher {
    /// Hands over to the provider behind `api`, which is asked about a job after `ask_after`
    /// without a word.
    ///
    /// `chance` gives numbers from 0 to 1 that spread retries: `rand::random` but in tests.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        api: Api,
        ask_after: Duration,
        clock: Arc<dyn Clock>,
        chance: fn() -> f64,
    ) -> Self {
        let quiet_until = Mutex::new(Timestamp::from_millis(0));
        Self { store, api, ask_after, clock, chance, quiet_until }
    }

    /// What the provider says to the job.
    async fn submit(&self, job: &Job, claim: &Claim, held: &Held) -> Result<Word, Kept> {
        if !Kind::OF_JOBS.contains(&job.spec.options.kind()) {
            return Err(Kept::Refused(Refusal::No(no_copies())));
        }
        if job.spec.via.is_some() {
            return Err(Kept::Refused(Refusal::No(no_buckets())));
        }
        let of = HandOver { job: job.id, seq: job.seq };
        // An answer may have been lost whose job has been spoken of since.
        if let Ok(Some(provider_id)) = self.store.early_word(of).await {
            let standing = Standing::UnderWay { progress: None };
            return Ok(Word { provider_id, of: Some(of), at: None, standing });
        }
        let key = format!("{}-{}", claim.lease.task, job.seq);
        let span = tracing::info_span!("provider");
        let mut submit = pin!(self.api.submit(job, &key).instrument(span));
        let mut may_stop = true;
        loop {
            tokio::select! {
                said = &mut submit => return said.map_err(Kept::Refused),
                () = held.stop().cancelled(), if may_stop => match held.interrupted() {
                    // Whether the provider has it must be known, or it could not be told.
                    Some(Interrupt::Cancelled) | None => may_stop = false,
                    Some(why) => return Err(Kept::Stopped(why)),
                },
            }
        }
    }

    async fn settle(&self, claim: &Claim, said: Result<Word, Kept>) -> StoreResult<Settled> {
        let lease = &claim.lease;
        match said {
            Ok(word) => {
                let hand_over = || self.store.hand_over(lease, &word.provider_id, self.ask_after);
                let settled = persist(hand_over).await?;
                if word.standing.is_final() {
                    self.store.hear(&Word { at: None, ..word }, self.ask_after).await?;
                }
                Ok(settled)
            }
            Err(Kept::Stopped(Interrupt::Lost)) => Ok(Settled::Lost),
            Err(Kept::Stopped(_)) => persist(|| self.store.hand_back(lease)).await,
            Err(Kept::Refused(refusal)) => self.refuse(claim, refusal).await,
        }
    }

    async fn refuse(&self, claim: &Claim, refusal: Refusal) -> StoreResult<Settled> {
        let now = self.clock.now();
        let age = claim.job.state.started_at().map_or(Duration::ZERO, |began| now.since(began));
        let (failure, next) = match refusal {
            Refusal::No(failure) => (failure, Next::End),
            Refusal::Missing(failure) | Refusal::Unreadable(failure) => {
                let next = RetryPolicy::default().after(&failure, claim.tries, (self.chance)());
                (failure, next)
            }
            Refusal::Away { failure, .. } if age >= SUBMIT_PATIENCE => (failure, Next::End),
            Refusal::Away { failure, retry_after } => {
                let (first, longest) = SUBMIT_WAITS;
                let own = wait(age, first, longest, (self.chance)());
                let asked = retry_after.map(asked_for);
                if let Some(asked) = asked {
                    self.be_quiet_until(now.plus(asked));
                }
                (failure, Next::PostponeBy(asked.map_or(own, |asked| asked.max(own))))
            }
        };
        tracing::warn!(error.kind = failure.kind.name(), error = %failure, ?next, "not handed over");
        trace::failed(&Span::current(), failure.kind.name());
        let mut stages = Stages::default();
        stages.begin(StageKind::Encode(claim.job.spec.options.kind()), now);
        stages.fail(&failure, now);
        persist(|| self.store.fail(&claim.lease, stages.clone(), failure.clone(), next)).await
    }

    fn be_quiet_until(&self, at: Timestamp) {
        let mut until = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = at.max(*until);
    }
}

impl Perform for Dispatcher {
    fn has_room(&self) -> bool {
        let until = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.clock.now() >= until
    }

    async fn perform(&self, claim: Claim, held: Held) {
        let said = self.submit(&claim.job, &claim, &held).await;
        let provider_id = said.as_ref().ok().map(|word| word.provider_id.clone());
        match self.settle(&claim, said).await {
            Ok(Settled::Done) => tracing::info!(provider_id, "task settled with the provider"),
            Ok(Settled::Lost) => {
                // The next attempt asks by the same key, so that the provider makes it once.
                tracing::warn!("the lease was lost; another attempt goes on");
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "what the provider said could not be written");
            }
        }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("api", &self.api).finish_non_exhaustive()
    }
}

fn no_copies() -> Failure {
    let message = "this server hands its jobs to a provider, which copies no files for it";
    Failure::new(ErrorKind::ProviderRefused, message)
        .hint("imports and exports are done where REELWAY_ENGINE is local")
}

fn no_buckets() -> Failure {
    let message = "this server hands its jobs to a provider, which cannot use its connections";
    Failure::new(ErrorKind::ProviderRefused, message)
        .hint("send an http or https URL, and no `output` or `connection_id`")
}
