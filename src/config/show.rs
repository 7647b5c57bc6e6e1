//! The settings as people read them.

use std::fmt::Write as _;

use url::Url;

use super::cloud::{CLOUD_VARIABLES, Variable};
use super::setting::{SETTINGS, Setting};
use super::sources::Sources;

const HIDDEN: &str = "(hidden; --secrets shows it)";

/// `config show`: a line a setting with its value and where that came from.
#[must_use]
pub fn shown(sources: &Sources, with_secrets: bool) -> String {
    let width = SETTINGS.iter().map(|setting| setting.key.len()).max().unwrap_or(0);
    let lines = SETTINGS.iter().fold(String::new(), |mut lines, setting| {
        let (value, source) = match sources.said(setting.key) {
            Some((_, source)) if setting.secret && !with_secrets => {
                (HIDDEN.to_owned(), source.to_string())
            }
            Some((value, source)) if with_secrets => (value.to_owned(), source.to_string()),
            Some((value, source)) => (without_password(value), source.to_string()),
            None if setting.default.is_empty() => ("-".to_owned(), "not set".to_owned()),
            None => (setting.default.to_owned(), "default".to_owned()),
        };
        // Writing to a string cannot fail.
        let _ok = writeln!(lines, "{:width$}  {value}  [{source}]", setting.key);
        lines
    });
    let set = CLOUD_VARIABLES
        .iter()
        .filter_map(|variable| Some((variable, sources.cloud.get(variable.name)?)));
    set.fold(lines, |mut lines, (variable, value)| {
        let value = if variable.secret && !with_secrets { HIDDEN } else { value };
        let _ok = writeln!(lines, "{:width$}  {value}  [environment]", variable.name);
        lines
    })
}

/// A URL without the password in it; everything else as it is.
fn without_password(value: &str) -> String {
    let Ok(mut url) = Url::parse(value) else { return value.to_owned() };
    if url.password().is_some() && url.set_password(Some("…")).is_ok() {
        url.to_string().replace("%E2%80%A6", "…")
    } else {
        value.to_owned()
    }
}

/// `docs/config.md`: the reference page.
#[must_use]
pub fn reference() -> String {
    let head = "# Settings\n\n\
        Made from the table in `src/config/setting.rs`; a test keeps the two together.\n\n\
        A flag wins over the environment, the environment over `reelway.toml` (or the file named \
        by `--config`). `reelway config check` names everything that is wrong at once, and \
        `REELWAY_…` variables that are a slip of one below and do nothing; `reelway config show` says \
        where each value came from.\n\n\
        Sizes are written like `500MB` or `10GiB`, durations like `30s`, `10m` or `6h`.\n\n\
        | key of `reelway.toml` | flag | environment | default | what it does |\n\
        |---|---|---|---|---|\n";
    let page = SETTINGS.iter().fold(head.to_owned(), |page, setting| page + &row(setting));
    let clouds = "\n## Variables of the clouds\n\n\
        With storage in a bucket, the variables of its cloud are read as its own tools read them. \
        They are neither flags nor keys of the file. [storage.md](storage.md) has examples.\n\n\
        | environment | what it says |\n\
        |---|---|\n";
    CLOUD_VARIABLES.iter().fold(page + clouds, |page, Variable { name, help, .. }| {
        page + &format!("| `{name}` | {help} |\n")
    })
}

fn row(setting: &Setting) -> String {
    let env: Vec<String> = setting.env.iter().map(|name| format!("`{name}`")).collect();
    let cell = |text: &str| text.replace('|', "\\|");
    format!(
        "| `{}` | `--{} {}` | {} | {} | {} |\n",
        setting.key,
        setting.flag(),
        cell(setting.shape),
        env.join(", "),
        if setting.default.is_empty() { "–" } else { setting.default },
        cell(setting.help),
    )
}
