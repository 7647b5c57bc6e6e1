//! Why a provider did not do what it was asked for, and what that means for the job.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::word::words;
use crate::outbound::OutboundError;
use crate::task::{ErrorKind, Failure};

/// Why a provider did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It says no, and would say so again.
    No(Failure),
    /// It cannot be reached or has no time; perhaps it did what it was asked for.
    Away {
        /// How it is away.
        failure: Failure,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// There is no such thing.
    Missing(Failure),
    /// What it says cannot be understood; perhaps it did what it was asked for.
    Unreadable(Failure),
}

impl Refusal {
    /// What `status` means, with the body that came with it.
    #[must_use]
    pub fn of(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Self {
        let code = status.as_u16();
        let said = said(body);
        match code {
            401 | 403 => Self::No(
                Failure::new(
                    ErrorKind::ProviderUnauthorized,
                    format!("the provider does not take this server's key ({code})"),
                )
                .hint("whoever runs this server should check ITTYBIT_API_KEY, and retry the job"),
            ),
            402 => Self::No(
                Failure::new(
                    ErrorKind::ProviderNoCredit,
                    "this server's account at the provider has no credit left (402)",
                )
                .hint("whoever runs this server should top it up, and retry the job"),
            ),
            404 | 410 => Self::Missing(
                Failure::new(
                    ErrorKind::ProviderUnreadable,
                    format!("the provider has no such thing ({code})"),
                )
                .hint("whoever runs this server should check ITTYBIT_API_URL"),
            ),
            408 | 425 | 429 | 500..=599 => Self::Away {
                failure: Failure::new(
                    ErrorKind::ProviderUnavailable,
                    format!("the provider has no time for this job ({code})"),
                ),
                retry_after,
            },
            400..=499 => Self::No(Failure::new(
                ErrorKind::ProviderRefused,
                said.unwrap_or_else(|| format!("the provider does not take this job ({code})")),
            )),
            _ => Self::unreadable(format!("the provider answered {code}")),
        }
    }

    /// An answer that says nothing.
    #[must_use]
    pub fn unreadable(message: impl Into<String>) -> Self {
        let failure = Failure::new(ErrorKind::ProviderUnreadable, message);
        Self::Unreadable(failure.hint("whoever runs this server should check ITTYBIT_API_URL"))
    }
}

impl From<OutboundError> for Refusal {
    fn from(error: OutboundError) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "the provider cannot be asked");
        let message = format!("the provider could not be asked: {error}");
        let failure = Failure::new(ErrorKind::ProviderUnavailable, message);
        Self::Away { failure, retry_after: None }
    }
}

/// The provider's own words: `{message}`, or `{error: {message}}`, or `{error}`.
fn said(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = &body["error"];
    let said = [&body["message"], &error["message"], error].into_iter().find_map(Value::as_str);
    said.map(words).filter(|words| !words.is_empty())
}
