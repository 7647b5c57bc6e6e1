//! A key as the store has it.

use super::{Digest, Project, Scopes};
use crate::clock::Timestamp;
use crate::id::KeyId;

/// A key that somebody was given, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its public name, which is also in its text.
    pub id: KeyId,
    /// What it opens.
    pub project: Project,
    /// What its maker calls it.
    pub name: Option<String>,
    /// What it is good for.
    pub scopes: Scopes,
    /// Of its text.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is good for nothing.
    pub expires_at: Option<Timestamp>,
    /// Since when it is good for nothing.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, give or take a minute.
    pub last_used_at: Option<Timestamp>,
}

/// Whether a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Good,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl Standing {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Key {
    /// Whether it is good at this moment.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => Standing::Revoked,
            (None, Some(end)) if end <= now => Standing::Expired,
            (None, _) => Standing::Good,
        }
    }
}
