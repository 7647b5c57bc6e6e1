//! Who makes the jobs.

use std::time::Duration;

use url::Url;

use super::parse::{Reader, duration, http_url, secret};
use super::{Engine, Http, Problem, Provider, Purpose};

impl Reader<'_> {
    pub(super) fn provider(&mut self) -> Option<Provider> {
        let api_url = self.parsed("ittybit_api_url", http_url);
        let webhook_secrets = self.list("ittybit_webhook_secret", secret);
        let ask_after = self.parsed("ittybit_ask_after", ask_after);
        let usual = || Url::parse("https://api.ittybit.com").ok();
        Some(Provider {
            api_key: self.parsed("ittybit_api_key", secret)?,
            api_url: api_url.or_else(usual)?,
            webhook_secrets,
            ask_after: ask_after.unwrap_or(Duration::from_secs(30)),
        })
    }

    pub(super) fn engine(&mut self, has_provider: bool) -> Engine {
        let usual = if has_provider { Engine::Ittybit } else { Engine::Local };
        let engine = self.parsed("engine", engine).unwrap_or(usual);
        if engine == Engine::Ittybit && self.sources.said("ittybit_api_key").is_none() {
            self.problems.add(Problem {
                subject: "engine".to_owned(),
                message: "jobs are to be made by a provider, and there is no key for it".to_owned(),
                hint: Some("set ITTYBIT_API_KEY, or REELWAY_ENGINE=local".to_owned()),
            });
        }
        engine
    }

    /// A provider elsewhere must find the way back, or every webhook would be lost.
    pub(super) fn check_reach(&mut self, engine: Engine, provider: Option<&Provider>, http: &Http) {
        let Some(provider) = provider.filter(|_| engine == Engine::Ittybit) else { return };
        let bound = || Url::parse(&format!("http://{}", http.bind)).ok();
        let Some(public_url) = http.public_url.clone().or_else(bound) else { return };
        if self.purpose == Purpose::Listen && !provider.could_reach(&public_url) {
            self.problems.add(Problem {
                subject: "public_url".to_owned(),
                message: format!(
                    "the provider at {} cannot tell of its jobs at {public_url}, which leads no \
                     further than this machine",
                    provider.api_url
                ),
                hint: Some(
                    "set REELWAY_PUBLIC_URL to the address at which the internet reaches this server"
                        .to_owned(),
                ),
            });
        }
    }
}

fn engine(text: &str) -> Result<Engine, String> {
    match text {
        "local" => Ok(Engine::Local),
        "ittybit" => Ok(Engine::Ittybit),
        _ => Err(format!("`{text}` is neither local nor ittybit")),
    }
}

fn ask_after(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        wait if wait < Duration::from_secs(1) => Err("at least 1 s is needed".to_owned()),
        wait => Ok(wait),
    }
}
