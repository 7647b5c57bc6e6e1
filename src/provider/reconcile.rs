//! Asks about jobs whose webhook is overdue, and tells of those that nobody wants.
//!
//! A webhook that was lost is so only late. The store says what is due, each for one process at a
//! time; what was learned goes into the store like a webhook.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::schedule::{JOB_PATIENCE, LONGEST_ASK, MAX_MISSED, MAX_TELLS, asked_for, wait};
use super::{Api, Refusal};
use crate::store::{Asked, Overdue, Standing, Store, StoreResult, Unwanted, Word};
use crate::task::{ErrorKind, Failure};

/// How often is looked for what is due, and by how much that is spread.
const POLL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(1));

/// How many requests are made at once.
const AT_ONCE: u32 = 16;

/// How long nobody else speaks about a job: longer than a request and its end can take.
const LEASE: Duration = Duration::from_mins(1);

/// Speaks with the provider about what is due.
pub struct Reconciler {
    store: Arc<dyn Store>,
    api: Api,
    ask_after: Duration,
    chance: fn() -> f64,
}

impl Reconciler {
    /// Speaks with the provider behind `api`, first after `ask_after` without a word.
    ///
    /// `chance` gives numbers from 0 to 1 that spread the waits: `rand::random` but in tests.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, api: Api, ask_after: Duration, chance: fn() -> f64) -> Self {
        Self { store, api, ask_after, chance }
    }

    /// Speaks until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let spoken = stop.run_until_cancelled(self.round()).await;
            if let Some(Err(error)) = &spoken {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "jobs at the provider wait: what is due cannot be read or written"
                );
            }
            if matches!(spoken, Some(Ok(spoken)) if spoken == AT_ONCE as usize) {
                continue;
            }
            let pause = POLL.0 + POLL.1.mul_f64((self.chance)().clamp(0.0, 1.0));
            stop.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// Speaks once about what is due; returns about how many jobs.
    ///
    /// # Errors
    ///
    /// The store did not answer. What was not written is asked again.
    pub async fn round(&self) -> StoreResult<usize> {
        let overdue = self.store.overdue(AT_ONCE, LEASE).await?;
        let all = overdue.iter().map(|overdue| async {
            match overdue.unwanted {
                None => self.ask(overdue).await,
                Some(unwanted) => self.tell(overdue, unwanted).await,
            }
        });
        let done: StoreResult<Vec<()>> = join_all(all).await.into_iter().collect();
        done.map(|spoken| spoken.len())
    }

    async fn ask(&self, overdue: &Overdue) -> StoreResult<()> {
        let again = wait(overdue.away_for, self.ask_after, LONGEST_ASK, (self.chance)());
        let (standing, asked) = match self.api.look(&overdue.provider_id).await {
            Ok(word) => (Some(word.standing), Asked::AgainIn(again)),
            Err(Refusal::Missing(_)) if overdue.missed + 1 >= MAX_MISSED => {
                (Some(lost("the provider does not know this job any more")), Asked::AgainIn(again))
            }
            Err(Refusal::Missing(_)) => (None, Asked::MissedAgainIn(again)),
            Err(refusal) => (None, Asked::AgainIn(after(&refusal, again))),
        };
        let standing = match standing {
            // It was asked, and still names no output.
            Some(Standing::Unproven) => Some(Standing::Failed { failure: no_output() }),
            Some(standing) if standing.is_final() => Some(standing),
            _ if overdue.away_for >= JOB_PATIENCE => {
                Some(lost("the provider did not come to an end with this job in three days"))
            }
            standing => standing,
        };
        let Some(standing) = standing else { return self.store.asked(overdue, asked).await };
        let is_final = standing.is_final();
        let provider_id = overdue.provider_id.clone();
        let word = Word { provider_id, of: None, at: None, standing };
        self.store.hear(&word, self.ask_after).await?;
        if is_final {
            tracing::info!(job.id = %overdue.job, "a job's end was asked for, its webhook did not come");
            return Ok(());
        }
        self.store.asked(overdue, asked).await
    }

    async fn tell(&self, overdue: &Overdue, unwanted: Unwanted) -> StoreResult<()> {
        let again = wait(overdue.away_for, self.ask_after, LONGEST_ASK, (self.chance)());
        let asked = match self.api.drop_job(&overdue.provider_id, unwanted).await {
            // It is gone, or has ended, or such a wish is unknown: there is nothing more to say.
            Ok(()) | Err(Refusal::Missing(_)) => Asked::Done,
            Err(Refusal::No(failure)) if failure.kind == ErrorKind::ProviderRefused => Asked::Done,
            Err(_) if overdue.missed + 1 >= MAX_TELLS => {
                tracing::warn!(
                    job.id = %overdue.job,
                    provider_id = overdue.provider_id,
                    "the provider could not be told that a job is not wanted"
                );
                Asked::Done
            }
            Err(refusal) => Asked::MissedAgainIn(after(&refusal, again)),
        };
        self.store.asked(overdue, asked).await
    }
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler").field("api", &self.api).finish_non_exhaustive()
    }
}

fn lost(message: &str) -> Standing {
    let failure = Failure::new(ErrorKind::ProviderLost, message);
    Standing::Failed { failure: failure.hint("retry the job: it is handed over anew") }
}

fn no_output() -> Failure {
    let message = "the provider says that the job has succeeded, and names no output";
    Failure::new(ErrorKind::ProviderUnreadable, message)
}

/// The wait after a refusal: at least as long as the provider asked for.
fn after(refusal: &Refusal, again: Duration) -> Duration {
    match refusal {
        Refusal::Away { retry_after: Some(asked), .. } => again.max(asked_for(*asked)),
        Refusal::No(failure) => {
            tracing::error!(error = %failure, "the provider does not let itself be asked");
            again
        }
        _ => again,
    }
}
