//! The parts that speak with a provider, where the settings name one.

use anyhow::{Context as _, bail};
use url::Url;

use super::App;
use crate::config::{self, Engine};
use crate::provider::{Api, Dispatcher, Inbox, Reconciler};
use crate::webhook::Secrets;

/// Where a provider tells of its jobs, below the server's public URL.
const WEBHOOK_PATH: [&str; 2] = ["webhooks", "ittybit"];

impl App {
    /// Who makes the jobs, for the log.
    pub(super) const fn engine_name(&self) -> &'static str {
        match self.config.engine {
            Engine::Local => "local",
            Engine::Ittybit => "ittybit",
        }
    }

    /// Gives claims to the provider.
    pub(super) fn dispatcher(&self, public_url: &Url) -> anyhow::Result<Dispatcher> {
        let settings = self.config.provider.as_ref().context("the engine is a provider")?;
        if !settings.could_reach(public_url) {
            bail!(
                "the provider at {} cannot tell of its jobs at {public_url}; set \
                 REELWAY_PUBLIC_URL to the address at which the internet reaches the server",
                settings.api_url
            );
        }
        let api = self.api(settings, public_url)?;
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Ok(Dispatcher::new(store, api, settings.ask_after, clock, rand::random))
    }

    /// Asks the provider about what it has, also when new jobs are made here again.
    pub(super) fn reconciler(&self, public_url: &Url) -> anyhow::Result<Option<Reconciler>> {
        let Some(settings) = &self.config.provider else { return Ok(None) };
        let api = self.api(settings, public_url)?;
        Ok(Some(Reconciler::new(self.store.clone(), api, settings.ask_after, rand::random)))
    }

    /// Takes the provider's webhooks.
    pub(super) fn inbox(&self) -> anyhow::Result<Option<Inbox>> {
        let Some(settings) = &self.config.provider else { return Ok(None) };
        let said = &settings.webhook_secrets;
        let secrets = if said.is_empty() {
            tracing::warn!(
                "the provider's webhooks are not believed, only a reason to ask it; set \
                 ITTYBIT_WEBHOOK_SECRET to the secret that it signs with"
            );
            None
        } else {
            let secrets = Secrets::parse(said.iter().map(secrecy::ExposeSecret::expose_secret));
            Some(secrets.context("ITTYBIT_WEBHOOK_SECRET cannot be used")?)
        };
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Ok(Some(Inbox::new(store, secrets, settings.ask_after, clock)))
    }

    fn api(&self, settings: &config::Provider, public_url: &Url) -> anyhow::Result<Api> {
        let mut webhook_url = public_url.clone();
        webhook_url
            .path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{public_url} has no path"))?
            .pop_if_empty()
            .extend(WEBHOOK_PATH);
        let (key, clock) = (settings.api_key.clone(), self.clock.clone());
        Ok(Api::new(self.client.clone(), settings.api_url.clone(), webhook_url, key, clock))
    }
}
