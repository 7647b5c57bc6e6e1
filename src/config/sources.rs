//! Where settings come from: flags, then the environment, then `reelway.toml`, then defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::cloud::{CLOUD_VARIABLES, Variable};
use super::flags::Flags;
use super::setting::{SETTINGS, Setting};
use super::{Problem, Problems};
use crate::job::options::closest;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "reelway.toml";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag.
    Flag(String),
    /// An environment variable.
    Env(&'static str),
    /// A key of a file.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Env(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What was said about the settings, as text, and by whom.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    values: BTreeMap<&'static str, (String, Source)>,
    /// The platform's name for this server, from which a public URL can be made.
    pub(super) platform_domain: Option<String>,
    /// The clouds' own variables that are set.
    pub(super) cloud: BTreeMap<&'static str, String>,
}

impl Sources {
    /// Gathers what flags, the environment and the file say. Problems are added to `problems`.
    pub(super) fn gather(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
        problems: &mut Problems,
    ) -> Self {
        let mut values = from_file(flags.file.as_deref(), problems);
        for setting in SETTINGS {
            let set = |name: &&'static str| {
                env(name).filter(|value| !value.is_empty()).map(|value| (value, Source::Env(name)))
            };
            if let Some(said) = setting.env.iter().find_map(set) {
                values.insert(setting.key, said);
            }
            if let Some(value) = flags.values.get(setting.key) {
                values.insert(setting.key, (value.clone(), Source::Flag(setting.flag())));
            }
        }
        let platform_domain = env("RAILWAY_PUBLIC_DOMAIN").filter(|domain| !domain.is_empty());
        let cloud = CLOUD_VARIABLES.iter().filter_map(|Variable { name, .. }| {
            Some((*name, env(name).filter(|value| !value.is_empty())?))
        });
        Self { values, platform_domain, cloud: cloud.collect() }
    }

    /// What was said about the setting with this key.
    #[must_use]
    pub fn said(&self, key: &str) -> Option<(&str, &Source)> {
        self.values.get(key).map(|(value, source)| (value.as_str(), source))
    }
}

type Values = BTreeMap<&'static str, (String, Source)>;

fn from_file(named: Option<&Path>, problems: &mut Problems) -> Values {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Values::new();
        }
        Err(error) => {
            problems.add(Problem::file(path, format!("cannot be read: {error}")));
            return Values::new();
        }
    };
    match text.parse::<toml::Table>() {
        Ok(table) => from_table(path, table, problems),
        Err(error) => {
            problems.add(Problem::file(path, error.to_string().trim_end().to_owned()));
            Values::new()
        }
    }
}

fn from_table(path: &Path, table: toml::Table, problems: &mut Problems) -> Values {
    let mut values = Values::new();
    for (key, value) in table {
        let Some(setting) = Setting::find(&key) else {
            let meant = closest(&key, SETTINGS.iter().map(|setting| setting.key));
            let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
            problems.add(Problem::file(path, format!("there is no setting `{key}`")).hint(hint));
            continue;
        };
        match as_text(&value) {
            Some(text) => {
                values.insert(setting.key, (text, Source::File(path.to_owned())));
            }
            None => problems.add(Problem::file(path, format!("`{key}` must be {}", setting.shape))),
        }
    }
    values
}

/// A TOML value as it would stand in an environment variable.
fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            items.iter().map(as_text).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
