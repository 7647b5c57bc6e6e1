//! A server whose jobs end when a test says so, and the deliverer that tells of it.

use std::sync::Arc;
use std::time::Duration;

use reelway::id::JobId;
use reelway::outbound::{Client, Guard, TableResolver};
use reelway::store::{Delivery, DeliveryFilter, Store as _};
use reelway::webhook::{Deliverer, Limits, Secrets};
use serde_json::json;

use crate::app::{OURS, TestApp};

/// What receivers know, unless a test rotates it.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

pub(crate) struct Sender {
    pub(crate) app: TestApp,
}

impl Sender {
    pub(crate) async fn new() -> Self {
        Self { app: TestApp::with(|state| state.may_reach = Arc::new(|_| true)).await }
    }

    /// A deliverer that may reach loopback, with no jitter.
    pub(crate) fn deliverer(&self) -> Deliverer {
        self.deliverer_with(|| 0.5, Limits::default())
    }

    pub(crate) fn deliverer_with(&self, chance: fn() -> f64, limits: Limits) -> Deliverer {
        let secrets = Secrets::parse([SECRET]).expect("a secret");
        self.build(client(&["127.0.0.0/8"], TableResolver::default()), secrets, chance, limits)
    }

    pub(crate) fn deliverer_signing(&self, secrets: &[&str]) -> Deliverer {
        let secrets = Secrets::parse(secrets.iter().copied()).expect("secrets");
        let client = client(&["127.0.0.0/8"], TableResolver::default());
        self.build(client, secrets, || 0.5, Limits::default())
    }

    pub(crate) fn deliverer_through(&self, client: Client) -> Deliverer {
        let secrets = Secrets::parse([SECRET]).expect("a secret");
        self.build(client, secrets, || 0.5, Limits::default())
    }

    fn build(
        &self,
        client: Client,
        secrets: Secrets,
        chance: fn() -> f64,
        limits: Limits,
    ) -> Deliverer {
        let TestApp { store, links, clock, .. } = &self.app;
        let (store, links, clock) = (store.clone(), links.clone(), clock.clone());
        Deliverer::new(store, client, links, secrets, clock, chance, limits)
    }

    /// Submits a job and cancels it at once: it has ended, and `webhook_url` is to be told.
    pub(crate) async fn end_job(&self, webhook_url: &str) -> JobId {
        let id = self.submit(webhook_url).await;
        let cancelled = self.app.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
        assert_eq!(cancelled.json()["status"], "cancelled");
        id
    }

    /// Submits a job whose end `webhook_url` is to be told.
    pub(crate) async fn submit(&self, webhook_url: &str) -> JobId {
        let body = json!({
            "input": "https://example.com/in.mp4", "kind": "video", "webhook_url": webhook_url
        });
        let answer = self.app.post("/jobs", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().expect("an id").parse().expect("a job's id")
    }

    /// Moves the clock to when the next delivery is due, not a moment further; tells how far.
    pub(crate) async fn until_due(&self) -> Option<Duration> {
        use reelway::clock::Clock as _;
        let due = self.app.store.next_delivery_at().await.expect("an answer")?;
        let wait = due.since(self.app.clock.now());
        self.app.clock.advance(wait);
        Some(wait)
    }

    /// The one delivery of a job, from the log.
    pub(crate) async fn delivery(&self, job: JobId) -> Delivery {
        let filter = DeliveryFilter { job_id: Some(job), limit: 10, ..DeliveryFilter::default() };
        let mut log = self.app.store.deliveries(OURS, &filter).await.expect("the log");
        assert_eq!(log.len(), 1, "{log:?}");
        log.remove(0)
    }
}

/// A client that may reach these networks beside the public internet.
pub(crate) fn client(allow: &[&str], resolver: TableResolver) -> Client {
    let allow = allow.iter().map(|network| network.parse().expect("a network")).collect();
    let roots = rustls::RootCertStore::empty();
    Client::with_roots(Guard::new(allow), Arc::new(resolver), roots)
}
