//! A key as its bearer has it: `rw_{id}_{random}{checksum}`.
//!
//! `rw_` says whose key it is, so that scanners of source code find one that was leaked. The id
//! finds its row. The random part is 43 letters and digits, 256 bits: nobody guesses it, so that
//! a plain SHA-256 is enough to keep. The checksum tells a slip of the pen from an unknown key
//! without asking the database.

use std::fmt;
use std::str::FromStr;

use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::id::KeyId;

/// How a key begins.
const PREFIX: &str = "rw_";

/// How many letters and digits of an id follow.
const ID_LEN: usize = 26;

/// How many random letters and digits there are: 43 times log2(62) is 256 bits.
const RANDOM_LEN: usize = 43;

/// How many letters and digits a checksum of 32 bits takes.
const CHECKSUM_LEN: usize = 6;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What is kept of a key: the SHA-256 of its text.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether both are of the same text; takes as long whether they are or not.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Its first digits in hex: enough to tell digests apart, and nothing to guess a text by.
    #[must_use]
    pub fn beginning(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", self.beginning())
    }
}

/// In hex, as in the database.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 digits of hex")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        Ok(Self(bytes))
    }
}

/// What a well-formed text says of itself. Whether there is such a key is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The key that it claims to be.
    pub id: KeyId,
    /// What that key's row must have.
    pub digest: Digest,
}

/// Why a text is no key of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It does not look like one.
    #[error("it is no key that a Reelway server has made")]
    Foreign,
    /// It looks like one, and a part of it is missing or wrong.
    #[error("a part of it is missing or wrong")]
    Damaged,
}

impl FromStr for Presented {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(PREFIX).ok_or(TextError::Foreign)?;
        let (id, secret) = rest.split_once('_').ok_or(TextError::Damaged)?;
        let is_whole = id.len() == ID_LEN
            && secret.len() == RANDOM_LEN + CHECKSUM_LEN
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_whole {
            return Err(TextError::Damaged);
        }
        let (said, sum) = text.split_at(text.len() - CHECKSUM_LEN);
        if checksum(said) != sum {
            return Err(TextError::Damaged);
        }
        let id = format!("key_{id}").parse().map_err(|_| TextError::Damaged)?;
        Ok(Self { id, digest: Digest::of(text) })
    }
}

/// The text of a new key: told once to whoever asked for it, and kept by nobody here.
#[must_use]
pub fn fresh_text(id: KeyId) -> SecretString {
    let name = id.to_string();
    let name = name.rsplit('_').next().unwrap_or_default();
    let random = Alphanumeric.sample_string(&mut rand::rng(), RANDOM_LEN);
    let said = format!("{PREFIX}{name}_{random}");
    let sum = checksum(&said);
    SecretString::from(said + &sum)
}

/// CRC-32 in base 62, always as long.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % DIGITS.len()];
        rest /= DIGITS.len();
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::fresh;

    fn made() -> (KeyId, String) {
        let id = fresh(Timestamp::from_millis(1_764_000_000_000));
        (id, fresh_text(id).expose_secret().to_owned())
    }

    #[test]
    fn a_text_says_which_key_it_is() {
        let (id, text) = made();
        assert_eq!(text.len(), 79, "{text}");
        let presented: Presented = text.parse().expect("a key");
        assert_eq!(presented, Presented { id, digest: Digest::of(&text) });
        assert_ne!(made().1, made().1);
    }

    #[test]
    fn a_slip_of_the_pen_is_seen_without_the_database() {
        let (_, text) = made();
        for at in PREFIX.len()..text.len() {
            let mut slipped = text.clone().into_bytes();
            slipped[at] = if slipped[at] == b'0' { b'1' } else { b'0' };
            let slipped = String::from_utf8(slipped).expect("ASCII");
            assert_eq!(slipped.parse::<Presented>(), Err(TextError::Damaged), "{slipped}");
            assert_eq!(text[..at].parse::<Presented>(), Err(TextError::Damaged), "cut at {at}");
        }
        for more in [format!("{text}0"), format!("{text}\n"), format!("{text}é")] {
            assert_eq!(more.parse::<Presented>(), Err(TextError::Damaged));
        }
        for foreign in ["", "rw", "sk_live_1", "a long random text", "Rw_1"] {
            assert_eq!(foreign.parse::<Presented>(), Err(TextError::Foreign), "{foreign}");
        }
    }

    #[test]
    fn a_checksum_is_always_as_long_and_tells_texts_apart() {
        assert_eq!(checksum(""), "000000");
        assert_eq!(checksum("123456789"), "3jZRME");
        assert_ne!(checksum("a"), checksum("b"));
    }

    #[test]
    fn a_digest_reads_back_and_shows_only_its_beginning() {
        let digest = Digest::of("secret");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_ne!(digest, Digest::of("Secret"));
        assert!("00".parse::<Digest>().is_err() && "zz".repeat(32).parse::<Digest>().is_err());
        assert_eq!(format!("{digest:?}"), "Digest(2bb80d537b1d…)");
    }
}
