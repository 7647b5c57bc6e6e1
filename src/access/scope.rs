//! What a key is good for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that a key may be good for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub enum Scope {
    /// To make, stop, retry and delete: jobs, uploads, connections, replays.
    #[serde(rename = "jobs:write")]
    JobsWrite,
    /// To look at them.
    #[serde(rename = "jobs:read")]
    JobsRead,
    /// To get the bytes of files without a link.
    #[serde(rename = "files:read")]
    FilesRead,
    /// All of it in the key's own project; and the keys of all projects, and the audit log.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::JobsWrite, Self::JobsRead, Self::FilesRead, Self::Admin];

    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JobsWrite => "jobs:write",
            Self::JobsRead => "jobs:read",
            Self::FilesRead => "files:read",
            Self::Admin => "admin",
        }
    }

    /// The scope called `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Everything that a key is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// What a key is good for when nobody says otherwise: all but the keys themselves.
    #[must_use]
    pub fn usual() -> Self {
        [Scope::JobsWrite, Scope::JobsRead, Scope::FilesRead].into_iter().collect()
    }

    /// What an administrator's key is good for.
    #[must_use]
    pub fn admin() -> Self {
        [Scope::Admin].into_iter().collect()
    }

    /// Whether they are good for this. An administrator's are good for everything.
    #[must_use]
    pub fn permit(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }

    /// Whether they are good for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// Their names with a space between, as in the database.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::name).collect();
        f.write_str(&names.join(" "))
    }
}

/// Why a text is no list of scopes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope `{0}`")]
pub struct ScopesError(String);

impl FromStr for Scopes {
    type Err = ScopesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scope = |name| Scope::from_name(name).ok_or_else(|| ScopesError(name.to_owned()));
        text.split_whitespace().map(scope).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_and_an_administrator_may_do_everything() {
        let usual = Scopes::usual();
        assert_eq!(usual.to_string(), "jobs:write jobs:read files:read");
        assert_eq!(usual.to_string().parse(), Ok(usual.clone()));
        assert_eq!("".parse(), Ok(Scopes::default()));
        assert_eq!("jobs:read all".parse::<Scopes>(), Err(ScopesError("all".to_owned())));
        for scope in Scope::ALL {
            assert!(Scopes::admin().permit(scope));
            assert_eq!(usual.permit(scope), scope != Scope::Admin);
            assert!(!Scopes::default().permit(scope));
            assert_eq!(serde_json::to_value(scope).ok(), Some(scope.name().into()));
        }
    }
}
