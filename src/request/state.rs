//! What the handlers are given.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Auth, RateLimits, Readiness, TrustedProxies};
use crate::clock::Clock;
use crate::connection::Keyring;
use crate::job::Job;
use crate::job::view::JobView;
use crate::output::{Links, Storage};
use crate::provider::Inbox;
use crate::store::Store;
use crate::upload::Uploads;

/// Whether inputs and webhooks may be at this address: the guard's answer.
pub type MayReach = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Asks the rest of the process how ready it is; must not block.
pub type ReadinessProbe = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// What the handlers are given. Every layer of the router clones it for every request, so that it
/// is one pointer.
#[derive(Clone)]
pub struct AppState(Arc<AppParts>);

/// What the state is made of.
#[derive(Clone)]
pub struct AppParts {
    /// Where jobs are kept.
    pub store: Arc<dyn Store>,
    /// Where outputs are kept.
    pub storage: Storage,
    /// Takes in files that callers send.
    pub uploads: Uploads,
    /// How callers reach this server.
    pub public_url: Url,
    /// Makes and checks links to outputs.
    pub links: Links,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who may call.
    pub auth: Auth,
    /// How often.
    pub rates: RateLimits,
    /// Whose word counts about where a request comes from.
    pub proxies: TrustedProxies,
    /// Takes webhooks of the provider, where there is one.
    pub provider: Option<Inbox>,
    /// Seals the secrets of connections.
    pub keyring: Keyring,
    /// How much a caller may ask for.
    pub limits: RequestLimits,
    /// Where pushes go when a job names no `webhook_url` of its own.
    pub default_webhook_url: Option<Url>,
    /// Whose pages may call from a browser: origins such as `https://app.example.com`.
    pub cors_origins: Vec<HeaderValue>,
    /// Refuses literal private addresses when a job is submitted, not only when it runs.
    pub may_reach: MayReach,
    /// What `/readyz` says about this process.
    pub readiness: ReadinessProbe,
    /// Cancelled when the server stops: open event streams end, `/readyz` says no.
    pub shutdown: CancellationToken,
}

impl From<AppParts> for AppState {
    fn from(parts: AppParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

impl AppState {
    /// The job as it goes onto the wire, with fresh links.
    #[must_use]
    pub fn view(&self, job: &Job) -> JobView {
        JobView::of(job).linked(|key| self.links.link(key))
    }
}

/// How much a caller may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The largest JSON body in bytes.
    pub max_body_bytes: usize,
    /// The most tasks in one batch.
    pub max_tasks: usize,
    /// A submission is refused with 429 when more tasks than this would wait.
    pub max_queued: u64,
    /// The most event streams open at once.
    pub max_event_streams: usize,
    /// How long a request may take until its answer begins, event streams apart.
    pub answer_within: Duration,
    /// How long `cancel` waits for a running job to stop before it answers.
    pub cancel_wait: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            max_tasks: 50,
            max_queued: 10_000,
            max_event_streams: 256,
            answer_within: Duration::from_secs(30),
            cancel_wait: Duration::from_secs(3),
        }
    }
}
