//! The provider's API: four requests, each bounded in time and size.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::Refusal;
use super::word::{self, JOB_FIELD, SEQ_FIELD};
use crate::clock::Clock;
use crate::job::Job;
use crate::outbound::{Call, CallAnswer, Client};
use crate::store::{Unwanted, Word};
use crate::trace;
use crate::webhook::schedule::retry_after;

/// How long one request may take. Well below a lease: a claim is kept while it is made.
const TIMEOUT: Duration = Duration::from_secs(20);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A provider that speaks the API. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Client,
    url: Url,
    webhook_url: Url,
    key: SecretString,
    clock: Arc<dyn Clock>,
}

impl Api {
    /// The provider at `url`, which is to tell of ends at `webhook_url`.
    #[must_use]
    pub fn new(
        client: Client,
        url: Url,
        webhook_url: Url,
        key: SecretString,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { client, url, webhook_url, key, clock }
    }

    /// Asks for a job. However often the same hand-over is asked for, it has the same
    /// `Idempotency-Key` and body.
    pub async fn submit(&self, job: &Job, key: &str) -> Result<Word, Refusal> {
        let body = json!({
            "input": job.spec.input.as_str(),
            "kind": job.spec.options.kind().name(),
            "options": job.spec.raw_options,
            "webhook_url": self.webhook_url,
            "metadata": {JOB_FIELD: job.id.to_string(), SEQ_FIELD: job.seq},
        });
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, value(key)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(trace) = trace::here().as_ref().or(job.trace.as_ref()) {
            headers.extend(trace::headers(trace));
        }
        let body = body.to_string().into();
        read(&self.call(Method::POST, self.path(&["jobs"]), headers, body).await?)
    }

    /// Asks how a job stands.
    pub async fn look(&self, id: &str) -> Result<Word, Refusal> {
        let path = self.path(&["jobs", id]);
        read(&self.call(Method::GET, path, HeaderMap::new(), Bytes::new()).await?)
    }

    /// Tells that nobody wants a job any more.
    pub async fn drop_job(&self, id: &str, unwanted: Unwanted) -> Result<(), Refusal> {
        let (method, path) = match unwanted {
            Unwanted::Cancel => (Method::POST, self.path(&["jobs", id, "cancel"])),
            Unwanted::Delete => (Method::DELETE, self.path(&["jobs", id])),
        };
        self.call(method, path, HeaderMap::new(), Bytes::new()).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, Refusal> {
        let mut bearer = value(&format!("Bearer {}", self.key.expose_secret()))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let call = Call { method, url, headers, body };
        let CallAnswer { status, headers, body } = self.client.call(call, TIMEOUT).await?;
        if status.is_success() {
            return Ok(body);
        }
        let wait = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|text| retry_after(text, self.clock.now()));
        Err(Refusal::of(status, &body, wait))
    }

    fn path(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        // A URL of http has always a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text)
        .map_err(|_| Refusal::unreadable("this server's key for the provider cannot be sent"))
}

fn read(body: &[u8]) -> Result<Word, Refusal> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| Refusal::unreadable("the provider's answer is not JSON"))?;
    word::read(&value)
        .map_err(|error| Refusal::unreadable(format!("the provider's answer: {error}")))
}
