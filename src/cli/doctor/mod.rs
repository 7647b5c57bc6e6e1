//! `reelway doctor`: what this machine needs to run Reelway, each with a verdict and a fix.
//!
//! The settings come in, one line a check goes out. Nothing is changed: what is written to see
//! whether it can be written is removed at once.

mod disk;
mod net;
mod sandbox;
mod storage;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;

use console::style;
use serde::Serialize;
use url::Url;

use super::output::clean;
use super::{CliError, Terminal};
use crate::config::{self, Config};

/// The settings that are looked at.
#[derive(Clone, Debug)]
pub struct DoctorConfig {
    /// Where database, scratch and outputs are.
    pub data_dir: PathBuf,
    /// Where outputs are kept.
    pub storage: config::Storage,
    /// Where the server listens.
    pub bind: SocketAddr,
    /// How clients reach the server, when it is said.
    pub public_url: Option<Url>,
    /// ffmpeg, when its path is said.
    pub ffmpeg: Option<PathBuf>,
    /// ffprobe, when its path is said.
    pub ffprobe: Option<PathBuf>,
    /// What happens where they cannot be boxed in.
    pub sandbox: config::Sandbox,
    /// What is put around the box.
    pub extras: config::Extras,
    /// What is to encode videos.
    pub encoder: config::Encoder,
    /// The provider that makes the jobs, when it is not this machine.
    pub provider: Option<config::Provider>,
}

impl From<&Config> for DoctorConfig {
    fn from(config: &Config) -> Self {
        Self {
            data_dir: config.data_dir.clone(),
            storage: config.storage.clone(),
            bind: config.http.bind,
            public_url: config.http.public_url.clone(),
            ffmpeg: config.tools.ffmpeg.clone(),
            ffprobe: config.tools.ffprobe.clone(),
            sandbox: config.tools.sandbox,
            extras: config.tools.extras,
            encoder: config.tools.encoder,
            provider: match config.engine {
                config::Engine::Local => None,
                config::Engine::Ittybit => config.provider.clone(),
            },
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, but perhaps not as meant.
    Doubtful,
    /// It does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    /// Something that is as it should be.
    #[must_use]
    pub fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), fix: None }
    }

    /// Something that works, but perhaps not as meant.
    #[must_use]
    pub fn doubtful(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = Some(fix.into());
        Self { check, verdict: Verdict::Doubtful, found: found.into(), fix }
    }

    /// Something that does not work.
    #[must_use]
    pub fn bad(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::doubtful(check, found, fix) }
    }

    fn pretty(&self) -> String {
        let mark = match self.verdict {
            Verdict::Good => style("ok  ").green(),
            Verdict::Doubtful => style("hm  ").yellow(),
            Verdict::Bad => style("BAD ").red(),
        };
        let mut line = format!("{mark}  {:<10}  {}", self.check, clean(&self.found));
        if let Some(fix) = &self.fix {
            line.push_str(&format!("\n                  fix: {}", clean(fix)));
        }
        line
    }
}

/// What was asked of others.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The database.
    pub database: Check,
    /// The receiver of webhooks.
    pub webhook: Check,
    /// This machine's clock against another's.
    pub clock: Check,
}

/// Looks at everything and shows each check as it is done.
///
/// # Errors
///
/// A check is bad.
pub async fn run(
    config: &DoctorConfig,
    outside: impl Future<Output = Outside>,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let mut bad = 0;
    let mut show = |checks: Vec<Check>| {
        checks.into_iter().try_for_each(|check| {
            bad += usize::from(check.verdict == Verdict::Bad);
            if terminal.is_read_by_a_person() {
                terminal.line(&check.pretty())
            } else {
                terminal.json(&check)
            }
        })
    };
    show(match &config.provider {
        None => {
            let (ffmpeg, ffprobe) = (config.ffmpeg.as_deref(), config.ffprobe.as_deref());
            tools::check(ffmpeg, ffprobe, config).await
        }
        Some(provider) => vec![engine(provider)],
    })?;
    show(disk::check(&config.data_dir))?;
    show(storage::check(&config.storage).await)?;
    show(vec![net::check_port(config.bind).await])?;
    show(vec![net::check_public_url(config.public_url.as_ref(), config.bind)])?;
    let Outside { database, webhook, clock } = outside.await;
    show(vec![database, webhook, clock])?;
    match bad {
        0 => Ok(()),
        1 => Err(CliError::failed("one check is bad")),
        _ => Err(CliError::failed(format!("{bad} checks are bad"))),
    }
}

/// Where a provider makes the jobs, no programs are needed.
fn engine(provider: &config::Provider) -> Check {
    let found = format!("jobs are made by the provider at {}", provider.api_url);
    if provider.webhook_secrets.is_empty() {
        let found = format!("{found}, whose webhooks are not believed");
        let fix = "set ITTYBIT_WEBHOOK_SECRET to the secret that it signs them with";
        return Check::doubtful("engine", found, fix);
    }
    Check::good("engine", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_check_shows_its_fix() {
        let check = Check::bad("port", "127.0.0.1:3000 is taken", "choose another");
        insta::assert_snapshot!(console::strip_ansi_codes(&check.pretty()), @r"
        BAD   port        127.0.0.1:3000 is taken
                          fix: choose another
        ");
    }
}
