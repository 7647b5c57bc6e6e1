//! What sender and receiver share.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

/// How the text of a Standard Webhooks secret begins.
const PREFIX: &str = "whsec_";

/// How many random bytes a Standard Webhooks secret may have.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How many random bytes a generated secret has.
const FRESH_BYTES: usize = 32;

/// What sender and receiver share.
///
/// Written `whsec_` and the base64 of 24 to 64 random bytes, the key is those bytes. Any other
/// text is taken as it stands: its bytes are the key, so that a secret made for Ittybit goes on
/// working. A Standard Webhooks library is then given the text's bytes, not the text.
#[derive(Clone, Debug)]
pub struct Secret {
    text: SecretString,
    key: SecretSlice<u8>,
}

/// Why a text cannot be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is nothing in it.
    #[error("a webhook secret must not be empty")]
    Empty,
    /// A space or line break came along.
    #[error("a webhook secret must not begin or end with spaces or line breaks")]
    Spaces,
    /// It claims to be base64 and is not.
    #[error("what follows whsec_ in a webhook secret must be base64 with its padding")]
    NotBase64,
    /// The key is too short to be safe or too long to be one.
    #[error("a whsec_ webhook secret must hold 24 to 64 bytes, this one holds {bytes}")]
    Length {
        /// How many bytes it holds.
        bytes: usize,
    },
}

impl Secret {
    /// A new secret of 32 random bytes.
    #[must_use]
    pub fn generate() -> Self {
        let key: [u8; FRESH_BYTES] = rand::random();
        let text = format!("{PREFIX}{}", STANDARD.encode(key));
        Self { text: text.into(), key: key.to_vec().into() }
    }

    /// Reads a secret as it is configured.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if text.trim().is_empty() {
            return Err(SecretError::Empty);
        }
        if text.trim() != text {
            return Err(SecretError::Spaces);
        }
        let key = text.strip_prefix(PREFIX).map_or_else(|| Ok(text.into()), standard_key)?;
        Ok(Self { text: text.into(), key: key.into() })
    }

    /// The text, for whoever keeps it or configures a receiver with it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.expose_secret()
    }

    pub(super) fn key(&self) -> &[u8] {
        self.key.expose_secret()
    }
}

fn standard_key(encoded: &str) -> Result<Vec<u8>, SecretError> {
    let key = STANDARD.decode(encoded).map_err(|_| SecretError::NotBase64)?;
    if KEY_BYTES.contains(&key.len()) {
        Ok(key)
    } else {
        Err(SecretError::Length { bytes: key.len() })
    }
}

/// The secrets that sign: at least one, the newest first.
///
/// All of them sign in `webhook-signature`. `Ittybit-Signature` has room for one: the newest.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Reads secrets as they are configured, the newest first.
    ///
    /// No text at all is [`SecretError::Empty`].
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, SecretError> {
        let secrets = texts.into_iter().map(Secret::parse).collect::<Result<Vec<_>, _>>()?;
        if secrets.is_empty() { Err(SecretError::Empty) } else { Ok(Self(secrets)) }
    }

    /// The secret that signs alone where there is room for one.
    #[must_use]
    pub fn newest(&self) -> &Secret {
        &self.0[0]
    }

    /// The secrets, newest first; never empty.
    #[must_use]
    pub fn as_slice(&self) -> &[Secret] {
        &self.0
    }
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self(vec![secret])
    }
}
