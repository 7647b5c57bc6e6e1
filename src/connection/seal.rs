//! Secrets at rest: XChaCha20-Poly1305 under a key from the settings.
//!
//! A sealed secret is bound to the connection and the field that it belongs to, so that nobody
//! who can write to the database can move it to another one. It names the key that it was sealed
//! with: keys are rotated by putting a new one in front of the old.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

use crate::id::ConnectionId;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// How a sealed secret begins, so that another way of sealing can be told apart.
const VERSION: &str = "v1";

/// The keys that secrets are sealed with: the first seals, all of them open.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: Arc<[Key]>,
}

struct Key {
    /// The beginning of its digest: says which key it is and nothing about it.
    id: String,
    bytes: SecretBox<[u8; KEY_BYTES]>,
}

/// A secret that only a [`Keyring`] with its key can read.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 32 bytes, written in hex or base64")]
pub struct KeyError;

/// Why a sealed secret stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with a key that is not here.
    #[error("the key that the secret was sealed with is not among this server's keys")]
    UnknownKey,
    /// It was not sealed here, or not for this connection.
    #[error("the sealed secret was tampered with")]
    Forged,
}

impl Keyring {
    /// Reads keys; none of them make a keyring that seals nothing.
    ///
    /// # Errors
    ///
    /// One of them is no key.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, KeyError> {
        let keys: Result<Arc<[Key]>, KeyError> = texts.into_iter().map(Key::parse).collect();
        Ok(Self { keys: keys? })
    }

    /// Whether there is a key to seal with.
    #[must_use]
    pub fn can_seal(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Seals the secret of a connection with the first key; none without a key.
    #[must_use]
    pub fn seal(&self, id: ConnectionId, secret: &SecretString) -> Option<Sealed> {
        let key = self.keys.first()?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let (msg, aad) = (secret.expose_secret().as_bytes(), bound_to(id));
        let payload = Payload { msg, aad: aad.as_bytes() };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload).ok()?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Some(Sealed(format!("{VERSION}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Opens the sealed secret of a connection.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(&self, id: ConnectionId, sealed: &Sealed) -> Result<SecretString, OpenError> {
        let mut parts = sealed.0.splitn(3, '.');
        let (Some(VERSION), Some(key_id), Some(text)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(OpenError::Forged);
        };
        let key = self.keys.iter().find(|key| key.id == key_id).ok_or(OpenError::UnknownKey)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| OpenError::Forged)?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Forged)?;
        let aad = bound_to(id);
        let payload = Payload { msg, aad: aad.as_bytes() };
        let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload);
        let secret = opened.map_err(|_| OpenError::Forged)?;
        String::from_utf8(secret).map(SecretString::from).map_err(|_| OpenError::Forged)
    }
}

/// What a sealed secret belongs to.
fn bound_to(id: ConnectionId) -> String {
    format!("reelway {id} secret_access_key")
}

impl Key {
    fn parse(text: &str) -> Result<Self, KeyError> {
        let bare = text.trim().trim_end_matches('=');
        let bytes = hex::decode(bare)
            .or_else(|_| STANDARD_NO_PAD.decode(bare))
            .or_else(|_| URL_SAFE_NO_PAD.decode(bare))
            .map_err(|_| KeyError)?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| KeyError)?;
        let id = hex::encode(&Sha256::digest(bytes)[..4]);
        Ok(Self { id, bytes: SecretBox::new(Box::new(bytes)) })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl Sealed {
    /// A sealed secret as it was kept.
    #[must_use]
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The text to keep.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::fresh;

    const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const NEW: &str = "/+7dzLuqmYh3ZlVEMyIRAP/u3cy7qpmId2ZVRDMiEQA=";

    fn keyring(texts: &[&str]) -> Keyring {
        Keyring::parse(texts.iter().copied()).expect("keys")
    }

    fn connection() -> ConnectionId {
        fresh(Timestamp::from_millis(1))
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_for_its_connection_alone() {
        let (keyring, id) = (keyring(&[OLD]), connection());
        let sealed = keyring.seal(id, &"wJalr/secret".into()).expect("sealed");
        assert!(!sealed.text().contains("secret"), "{}", sealed.text());
        let opened = keyring.open(id, &sealed).expect("opened");
        assert_eq!(opened.expose_secret(), "wJalr/secret");
        assert_ne!(keyring.seal(id, &"wJalr/secret".into()), Some(sealed.clone()));

        let other = keyring.open(connection(), &sealed);
        assert!(matches!(other, Err(OpenError::Forged)), "moved to another connection");
        let other = self::keyring(&[NEW]).open(id, &sealed);
        assert!(matches!(other, Err(OpenError::UnknownKey)), "{other:?}");
    }

    #[test]
    fn every_changed_letter_is_found_out() {
        let (keyring, id) = (keyring(&[OLD]), connection());
        let text = keyring.seal(id, &"s".into()).expect("sealed").text().to_owned();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = Sealed::from_text(String::from_utf8(bytes).expect("text"));
            assert!(keyring.open(id, &changed).is_err(), "letter {at}");
        }
        for short in ["", "v1", "v1..", "v1.630dcd29.AAAA", "v2.a.b"] {
            assert!(keyring.open(id, &Sealed::from_text(short.to_owned())).is_err(), "{short}");
        }
    }

    #[test]
    fn a_new_key_in_front_seals_and_the_old_one_still_opens() {
        let id = connection();
        let old = keyring(&[OLD]).seal(id, &"old".into()).expect("sealed");
        let both = keyring(&[NEW, OLD]);
        assert_eq!(both.open(id, &old).expect("opened").expose_secret(), "old");
        let new = both.seal(id, &"new".into()).expect("sealed");
        assert!(keyring(&[OLD]).open(id, &new).is_err());
        assert_eq!(keyring(&[NEW]).open(id, &new).expect("opened").expose_secret(), "new");
    }

    #[test]
    fn only_32_bytes_are_a_key_and_nothing_shows_them() {
        for wrong in ["", "secret", &OLD[..62], &NEW[..40], &format!("{OLD}00")] {
            assert!(Keyring::parse([wrong]).is_err(), "{wrong}");
        }
        let url_safe = NEW.replace('/', "_").replace('+', "-");
        assert!(Keyring::parse([url_safe.as_str()]).is_ok());
        assert!(!keyring(&[]).can_seal());
        assert_eq!(keyring(&[]).seal(connection(), &"s".into()), None);
        let shown = format!("{:?} {:?}", keyring(&[OLD]), Sealed::from_text("v1.x".to_owned()));
        assert!(!shown.contains("0001") && !shown.contains("v1"), "{shown}");
    }
}
