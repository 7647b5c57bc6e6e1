//! HTTP in: a valid job out, or a 4xx that says what to do.
//!
//! What comes in is bytes from anyone; what goes out to the store is [`crate::job::JobSpec`],
//! which cannot be wrong in itself. Every answer that is not a success is a [`Problem`], and
//! every answer has an `x-request-id`. Handlers hold no state and do no work: they never fetch
//! an input, run ffmpeg or call a webhook.

mod accept;
mod address;
mod auth;
mod batches;
mod body;
mod buckets;
mod connections;
mod cors;
mod deliveries;
mod envelope;
mod events;
mod fields;
mod files;
mod health;
mod idempotency;
mod inside;
mod jobs;
mod kept;
mod keys;
mod limits;
mod list;
mod may;
mod metrics;
mod openapi;
mod peer;
mod problem;
mod process;
mod provider;
mod range;
mod router;
mod segment;
mod state;
mod submit;
mod tasks;
mod tus;
mod upload;

pub use address::TrustedProxies;
pub use auth::Auth;
pub use health::{Readiness, Slots};
pub use inside::{connect, keep, make_key, submit};
pub use limits::{Place, Places, RateLimits};
pub use openapi::options_schemas;
pub use peer::Peer;
pub use problem::Problem;
pub use range::Ranged;
pub use router::{health_router, router, router_with, uploads};
pub use state::{AppParts, AppState, MayReach, ReadinessProbe, RequestLimits};
