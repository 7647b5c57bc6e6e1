//! Signatures over a webhook, made and checked.
//!
//! Pure. In come secrets, the raw body and the names that go with it; out come the values of
//! `webhook-signature` ([Standard Webhooks] 1.0) and `Ittybit-Signature`, or a verdict on those
//! of somebody else. Signatures are compared in constant time, and no error holds a secret.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks

mod secret;
#[cfg(test)]
mod tests;
mod verify;

use axum::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub use secret::{Secret, SecretError, Secrets};
pub use verify::{HeaderField, Proof, TOLERANCE, VerifyError, verify};

/// The event's name: the same at every attempt.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

/// Unix seconds of the attempt.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

/// Signatures in the manner of Standard Webhooks, separated by spaces.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The one signature that receivers written for Ittybit look for.
pub const ITTYBIT_SIGNATURE: HeaderName = HeaderName::from_static("ittybit-signature");

/// The only version of Standard Webhooks signatures that shares a secret.
const VERSION: &str = "v1";

/// The value of `webhook-signature`: one `v1,…` for each secret, in their order.
///
/// While a secret is being replaced both sign, so that a receiver may know either. `id` must
/// not hold a full stop: the signed bytes are `{id}.{timestamp_secs}.{body}`.
#[must_use]
pub fn signatures(secrets: &[Secret], id: &str, timestamp_secs: i64, body: &[u8]) -> HeaderValue {
    let timestamp = timestamp_secs.to_string();
    let signed: Vec<String> = secrets
        .iter()
        .map(|secret| STANDARD.encode(standard_mac(secret, id, &timestamp, body)))
        .map(|signature| format!("{VERSION},{signature}"))
        .collect();
    ascii(signed.join(" "))
}

/// The value of `Ittybit-Signature`: HMAC-SHA256 of the body alone in lower-case hex, keyed with
/// the secret's text as it is configured, `whsec_` and all.
#[must_use]
pub fn ittybit_signature(secret: &Secret, body: &[u8]) -> HeaderValue {
    ascii(hex::encode(ittybit_mac(secret, body)))
}

fn standard_mac(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
    mac(secret.key(), &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
}

fn ittybit_mac(secret: &Secret, body: &[u8]) -> [u8; 32] {
    mac(secret.text().as_bytes(), &[body])
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Text that is made here of base64, hex, digits and the like.
pub(super) fn ascii(text: String) -> HeaderValue {
    #[expect(clippy::expect_used, reason = "no character of it is outside ASCII's visible ones")]
    HeaderValue::try_from(text).expect("a header value")
}
