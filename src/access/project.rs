//! What jobs, files, connections and deliveries belong to.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a project: a key sees what is in its own, and nothing else.
///
/// A project is not made or removed: it is there as soon as a key names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Project(Cow<'static, str>);

impl Project {
    /// Where everything is when nobody says otherwise.
    pub const DEFAULT: Self = Self(Cow::Borrowed("default"));

    /// Whose the events about the server itself are: nobody's. No key can name it, and only
    /// administrators are shown what is in it.
    pub const OPERATIONS: Self = Self(Cow::Borrowed("~operations"));

    /// The longest name.
    pub const MAX_LEN: usize = 64;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Project> for String {
    fn from(project: Project) -> Self {
        project.0.into_owned()
    }
}

impl TryFrom<String> for Project {
    type Error = ProjectError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Why a text cannot be the name of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a project's name is 1 to 64 of a-z, 0-9, `-` and `_`, and begins with a letter or a digit"
)]
pub struct ProjectError;

impl FromStr for Project {
    type Err = ProjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins_well = text.bytes().next().is_some_and(is_plain);
        let goes_on_well = text.bytes().all(|byte| is_plain(byte) || b"-_".contains(&byte));
        if begins_well && goes_on_well && text.len() <= Self::MAX_LEN {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(ProjectError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_the_same_for_everybody() {
        for good in ["default", "a", "7", "team-a_2", &"x".repeat(64)] {
            assert_eq!(good.parse::<Project>().map(|project| project.to_string()), Ok(good.into()));
        }
        for bad in ["", "-a", "_", "Team", "a b", "a/b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Project>(), Err(ProjectError), "{bad:?}");
        }
        assert_eq!("default".parse(), Ok(Project::DEFAULT));
        let nobodys = Project::OPERATIONS.as_str();
        assert_eq!(nobodys.parse::<Project>(), Err(ProjectError), "no key can name it");
    }
}
