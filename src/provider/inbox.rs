//! A provider's webhooks come in.
//!
//! With a secret each must be signed, and what it says is so. Without one nobody can say who sent
//! it: then nothing in it is believed but that something may have happened to that job, and the
//! provider is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::Value;

use super::word::{self, Unreadable};
use crate::clock::Clock;
use crate::store::{Heard, Standing, Store, StoreError, Word};
use crate::webhook::{Secrets, VerifyError, verify};

/// Takes webhooks of a provider. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    store: Arc<dyn Store>,
    secrets: Option<Secrets>,
    ask_after: Duration,
    clock: Arc<dyn Clock>,
}

/// Why a webhook was not taken.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// It does not prove where it comes from.
    #[error(transparent)]
    Unproven(#[from] VerifyError),
    /// It is not JSON.
    #[error("the webhook is not JSON")]
    NotJson(#[from] serde_json::Error),
    /// It tells of no job.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Inbox {
    /// Takes what is signed with one of `secrets`, or anything as a hint where there is none.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        secrets: Option<Secrets>,
        ask_after: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, secrets, ask_after, clock }
    }

    /// Takes one webhook; once this is answered, it is on disk.
    ///
    /// # Errors
    ///
    /// See [`InboxError`].
    pub async fn take(&self, headers: &HeaderMap, body: &[u8]) -> Result<Heard, InboxError> {
        if let Some(secrets) = &self.secrets {
            verify(secrets.as_slice(), headers, body, self.clock.now())?;
        }
        let value: Value = serde_json::from_slice(body)?;
        let said = word::read(&value)?;
        let word = if self.secrets.is_some() {
            said
        } else {
            Word { of: None, at: None, standing: Standing::Unproven, ..said }
        };
        let heard = self.store.hear(&word, self.ask_after).await?;
        tracing::info!(provider_id = word.provider_id, ?heard, "the provider told of a job");
        Ok(heard)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("is_signed", &self.secrets.is_some()).finish_non_exhaustive()
    }
}
