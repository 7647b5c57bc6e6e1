//! Whether a webhook comes from somebody who knows the secret.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::{
    ITTYBIT_SIGNATURE, Secret, VERSION, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
    ittybit_mac, standard_mac,
};
use crate::clock::Timestamp;

/// How far a signature's time may be from ours, either way.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// What a webhook has proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its sender knew the secret within the last minutes, and this is its name.
    Standard {
        /// The event's name, to tell the same event sent twice.
        id: String,
        /// Unix seconds of the attempt.
        timestamp_secs: i64,
    },
    /// Its sender knew the secret once: the body is theirs, and may be sent again by anyone who
    /// has seen it.
    Ittybit,
}

/// Why a webhook proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// There is nothing to check with.
    #[error("no webhook secret is configured")]
    NoSecret,
    /// There is nothing to check.
    #[error("the webhook is not signed")]
    Unsigned,
    /// One of the three headers of Standard Webhooks is not there.
    #[error("the header {0} is missing")]
    Missing(HeaderField),
    /// A header came twice, and the two might be read differently by two readers.
    #[error("the header {0} came more than once")]
    Repeated(HeaderField),
    /// A header does not hold what it must.
    #[error("the header {0} cannot be read")]
    Unreadable(HeaderField),
    /// The signature was made too long ago.
    #[error("the webhook was signed {secs} s ago, more than 300 s")]
    TooOld {
        /// How long ago.
        secs: u64,
    },
    /// The signature will be made in the future.
    #[error("the webhook was signed {secs} s ahead of this clock, more than 300 s")]
    TooNew {
        /// How far ahead.
        secs: u64,
    },
    /// Every signature is of a version that is not known here.
    #[error("webhook-signature holds no v1 signature")]
    UnknownVersion,
    /// No signature fits any secret.
    #[error("no signature fits the body and the secret")]
    WrongSignature,
}

/// A header by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderField {
    WebhookId,
    WebhookTimestamp,
    WebhookSignature,
    IttybitSignature,
}

impl HeaderField {
    const fn name(self) -> HeaderName {
        match self {
            Self::WebhookId => WEBHOOK_ID,
            Self::WebhookTimestamp => WEBHOOK_TIMESTAMP,
            Self::WebhookSignature => WEBHOOK_SIGNATURE,
            Self::IttybitSignature => ITTYBIT_SIGNATURE,
        }
    }
}

impl std::fmt::Display for HeaderField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name().as_str())
    }
}

impl VerifyError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::NoSecret => "set REELWAY_WEBHOOK_SECRET to the sender's secret",
            Self::Unsigned => {
                "send webhook-id, webhook-timestamp and webhook-signature, or Ittybit-Signature"
            }
            Self::Missing(_) => {
                "Standard Webhooks needs all three headers; a proxy may have removed one"
            }
            Self::Repeated(_) => "send the header once; a proxy may have added it again",
            Self::Unreadable(HeaderField::WebhookTimestamp) => {
                "webhook-timestamp is in whole seconds since 1970, in digits"
            }
            Self::Unreadable(HeaderField::WebhookId) => {
                "webhook-id is text without full stops, at least one character"
            }
            Self::Unreadable(HeaderField::WebhookSignature) => {
                "webhook-signature is v1, a comma and the base64 of 32 bytes, several apart by spaces"
            }
            Self::Unreadable(HeaderField::IttybitSignature) => {
                "Ittybit-Signature is 64 characters of hex"
            }
            Self::TooOld { .. } | Self::TooNew { .. } => {
                "check the clocks of both machines; each attempt must be signed anew"
            }
            Self::UnknownVersion => {
                "sign with the shared secret (v1), not with a private key (v1a)"
            }
            Self::WrongSignature => {
                "compare the secrets, and check the bytes as they came, before any JSON is parsed"
            }
        }
    }
}

/// Whether `headers` prove that `body` comes from somebody who knows one of `secrets`.
///
/// A webhook that has any header of Standard Webhooks is judged by these alone; only one that
/// has none is judged by `Ittybit-Signature`. Signatures of unknown versions are skipped.
pub fn verify(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Proof, VerifyError> {
    if secrets.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    let standard = [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE];
    if standard.iter().any(|name| headers.contains_key(name)) {
        verify_standard(secrets, headers, body, now)
    } else if headers.contains_key(ITTYBIT_SIGNATURE) {
        verify_ittybit(secrets, headers, body)
    } else {
        Err(VerifyError::Unsigned)
    }
}

fn verify_standard(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Proof, VerifyError> {
    let id = the_one(headers, HeaderField::WebhookId)?;
    let timestamp = the_one(headers, HeaderField::WebhookTimestamp)?;
    let signatures = the_one(headers, HeaderField::WebhookSignature)?;
    if id.is_empty() || id.contains('.') {
        return Err(VerifyError::Unreadable(HeaderField::WebhookId));
    }
    let timestamp_secs = seconds(timestamp)?;
    check_age(timestamp_secs, now.secs())?;
    let sent = known_signatures(signatures)?;
    let fits = secrets.iter().any(|secret| {
        let ours = standard_mac(secret, id, timestamp, body);
        sent.iter().any(|theirs| same(&ours, theirs))
    });
    if fits {
        Ok(Proof::Standard { id: id.to_owned(), timestamp_secs })
    } else {
        Err(VerifyError::WrongSignature)
    }
}

fn verify_ittybit(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Proof, VerifyError> {
    let field = HeaderField::IttybitSignature;
    let theirs =
        hex::decode(the_one(headers, field)?).map_err(|_| VerifyError::Unreadable(field))?;
    if secrets.iter().any(|secret| same(&ittybit_mac(secret, body), &theirs)) {
        Ok(Proof::Ittybit)
    } else {
        Err(VerifyError::WrongSignature)
    }
}

fn the_one(headers: &HeaderMap, field: HeaderField) -> Result<&str, VerifyError> {
    let mut values = headers.get_all(field.name()).iter();
    let value = values.next().ok_or(VerifyError::Missing(field))?;
    if values.next().is_some() {
        return Err(VerifyError::Repeated(field));
    }
    value.to_str().map_err(|_| VerifyError::Unreadable(field))
}

/// Digits only: a sign or a space would be signed differently by a reader that drops it.
fn seconds(text: &str) -> Result<i64, VerifyError> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
    number.flatten().ok_or(VerifyError::Unreadable(HeaderField::WebhookTimestamp))
}

fn check_age(signed_secs: i64, now_secs: i64) -> Result<(), VerifyError> {
    let secs = signed_secs.abs_diff(now_secs);
    if secs <= TOLERANCE.as_secs() {
        Ok(())
    } else if signed_secs < now_secs {
        Err(VerifyError::TooOld { secs })
    } else {
        Err(VerifyError::TooNew { secs })
    }
}

/// The signatures of the version that is known here, at least one.
fn known_signatures(list: &str) -> Result<Vec<Vec<u8>>, VerifyError> {
    let mut known = list
        .split(' ')
        .filter_map(|entry| entry.split_once(','))
        .filter(|(version, _)| *version == VERSION)
        .peekable();
    if known.peek().is_none() {
        return Err(VerifyError::UnknownVersion);
    }
    let decoded: Vec<_> = known.filter_map(|(_, text)| STANDARD.decode(text).ok()).collect();
    if decoded.is_empty() {
        return Err(VerifyError::Unreadable(HeaderField::WebhookSignature));
    }
    Ok(decoded)
}

fn same(ours: &[u8], theirs: &[u8]) -> bool {
    ours.ct_eq(theirs).into()
}
