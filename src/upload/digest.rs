//! Digests over bytes that come in pieces, some of them to another process.

use sha1::Sha1;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256};

/// SHA-256 over all bytes of an upload so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Sha256);

impl Running {
    /// Goes on from a state that was kept; none when there is no such state.
    pub(super) fn from_state(state: &str) -> Option<Self> {
        let bytes = hex::decode(state).ok()?;
        let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).ok()?;
        Sha256::deserialize(&state).ok().map(Self)
    }

    /// The state as it can be kept.
    pub(super) fn state(&self) -> String {
        hex::encode(self.0.serialize())
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest in lower-case hex.
    pub(super) fn finish(&self) -> String {
        hex::encode(self.0.clone().finalize())
    }
}

/// What a sender says its bytes are.
#[derive(Clone, Debug)]
pub struct Checksum {
    running: Hash,
    expected: Vec<u8>,
}

/// How a checksum is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumKind {
    /// SHA-1, which tus asks every server to know.
    Sha1,
    /// SHA-256.
    Sha256,
}

#[derive(Clone, Debug)]
enum Hash {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// Expects bytes with this digest.
    #[must_use]
    pub fn new(kind: ChecksumKind, expected: Vec<u8>) -> Self {
        let running = match kind {
            ChecksumKind::Sha1 => Hash::Sha1(Sha1::default()),
            ChecksumKind::Sha256 => Hash::Sha256(Sha256::default()),
        };
        Self { running, expected }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.running {
            Hash::Sha1(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
        }
    }

    pub(super) fn holds(self) -> bool {
        match self.running {
            Hash::Sha1(hash) => hash.finalize().as_slice() == self.expected,
            Hash::Sha256(hash) => hash.finalize().as_slice() == self.expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_digest_that_was_kept_goes_on_as_if_it_had_not_been(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6)
        ) {
            let mut running = Running::default();
            for piece in &pieces {
                running = Running::from_state(&running.state()).expect("a state");
                running.update(piece);
            }
            prop_assert_eq!(running.finish(), hex::encode(Sha256::digest(pieces.concat())));
        }
    }

    #[test]
    fn what_is_no_state_is_none() {
        for text in ["", "zz", "00", &"00".repeat(105)] {
            let _known = Running::from_state(text);
        }
        assert!(Running::from_state("zz").is_none() && Running::from_state("00").is_none());
    }

    #[test]
    fn a_checksum_holds_for_its_bytes_alone() {
        for (kind, digest) in [
            (ChecksumKind::Sha1, Sha1::digest(b"abc").to_vec()),
            (ChecksumKind::Sha256, Sha256::digest(b"abc").to_vec()),
        ] {
            for (bytes, holds) in [(&b"abc"[..], true), (b"abd", false), (b"", false)] {
                let mut checksum = Checksum::new(kind, digest.clone());
                checksum.update(bytes);
                assert_eq!(checksum.holds(), holds, "{kind:?} {bytes:?}");
            }
        }
    }
}
