//! Whoever has passed the door.

use std::fmt;
use std::net::IpAddr;

use super::{Key, Project, Scope, Scopes};

/// The public name of a key: the id of one that was made here, a part of the digest of one that
/// the settings name, and empty where none was needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The key with this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether no key was needed.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who calls, and what is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// With which key.
    pub key: KeyName,
    /// What the key opens.
    pub project: Project,
    /// What it is good for.
    pub scopes: Scopes,
    /// From where, as far as that is known.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The administrator: whoever has a key of the settings, or calls a server without keys.
    #[must_use]
    pub fn admin(key: KeyName) -> Self {
        Self { key, project: Project::DEFAULT, scopes: Scopes::admin(), address: None }
    }

    /// Whoever has this key.
    #[must_use]
    pub fn with(key: &Key) -> Self {
        Self {
            key: KeyName::named(key.id.to_string()),
            project: key.project.clone(),
            scopes: key.scopes.clone(),
            address: None,
        }
    }

    /// The same, calling from here.
    #[must_use]
    pub fn calling_from(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// Whether the caller may do this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.permit(scope)
    }
}
