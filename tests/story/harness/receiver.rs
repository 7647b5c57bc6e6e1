//! A webhook receiver as a user would write one, which can also be down.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};

use super::{PATIENCE, WEBHOOK_SECRET};

/// A webhook as it came in.
pub(crate) struct Push {
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) body: Value,
}

impl Push {
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().expect("text")
    }

    /// Whether the reference library accepts the signature.
    pub(crate) fn is_verified(&self) -> bool {
        let verifier = standardwebhooks::Webhook::new(WEBHOOK_SECRET).expect("a secret");
        verifier.verify(&self.raw, &self.headers).is_ok()
    }
}

/// Takes webhooks at `/hook` and answers what it is told to.
pub(crate) struct Receiver {
    pub(crate) url: String,
    answer: Arc<AtomicU16>,
    pushes: Mutex<mpsc::UnboundedReceiver<Push>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let (sender, pushes) = mpsc::unbounded_channel();
        let answer = Arc::new(AtomicU16::new(200));
        let app = Router::new().route("/hook", post(take)).with_state((sender, answer.clone()));
        let url = format!("{}/hook", super::serve_at(address, app).await);
        Self { url, answer, pushes: Mutex::new(pushes) }
    }

    /// What to answer from now on.
    pub(crate) fn answer(&self, status: StatusCode) {
        self.answer.store(status.as_u16(), Ordering::SeqCst);
    }

    /// The next webhook.
    pub(crate) async fn next(&self) -> Push {
        let mut pushes = self.pushes.lock().await;
        let next = tokio::time::timeout(PATIENCE, pushes.recv()).await;
        next.expect("a webhook in time").expect("the receiver runs")
    }

    /// Whether nothing more comes for a while.
    pub(crate) async fn is_quiet_for(&self, span: Duration) -> bool {
        let mut pushes = self.pushes.lock().await;
        tokio::time::timeout(span, pushes.recv()).await.is_err()
    }
}

type Inbox = (mpsc::UnboundedSender<Push>, Arc<AtomicU16>);

async fn take(State((sender, answer)): State<Inbox>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let body = serde_json::from_slice(&raw).expect("JSON");
    sender.send(Push { headers, raw, body }).expect("the story listens");
    StatusCode::from_u16(answer.load(Ordering::SeqCst)).expect("a status")
}
