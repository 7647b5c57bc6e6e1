//! The other engine: jobs are made by a provider that speaks the same API.
//!
//! Claims come in, and each goes to the provider with one POST; then its task waits there without a
//! lease or a slot. What the provider says comes back in any order, by its webhooks through the
//! [`Inbox`] or by the [`Reconciler`] that asks, and ends jobs in the store as a worker would. A
//! provider is never believed without proof: what is not signed is only a reason to ask. [`word`]
//! and [`schedule`] are pure.

mod api;
mod dispatch;
mod inbox;
mod reconcile;
mod refusal;
pub mod schedule;
pub mod word;

pub use api::Api;
pub use dispatch::Dispatcher;
pub use inbox::{Inbox, InboxError};
pub use reconcile::Reconciler;
pub use refusal::Refusal;
