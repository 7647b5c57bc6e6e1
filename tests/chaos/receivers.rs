//! Webhook receivers that write down what they see, and can be in trouble.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::fleet::WEBHOOK_SECRET;
use crate::history::Push;
use crate::proxy::{Mode, Proxy};

/// A receiver behind a wire that can be cut.
pub(crate) struct Receiver {
    pub(crate) url: String,
    wire: Proxy,
    desk: Arc<Desk>,
}

struct Desk {
    status: AtomicU16,
    pushes: Mutex<Vec<Push>>,
}

/// How a receiver can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Answers 500.
    Errors,
    /// Takes the connection and says nothing.
    Hangs,
    /// Resets every connection.
    Resets,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let desk = Arc::new(Desk { status: AtomicU16::new(200), pushes: Mutex::default() });
        let app = Router::new().route("/hook", post(take)).with_state(desk.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let wire = Proxy::to(&listener.local_addr().expect("an address").to_string()).await;
        tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { url: format!("http://{}/hook", wire.address), wire, desk }
    }

    pub(crate) fn be(&self, mood: Mood) {
        let status = if mood == Mood::Errors { 500 } else { 200 };
        self.desk.status.store(status, Ordering::SeqCst);
        self.wire.set(match mood {
            Mood::Well | Mood::Errors => Mode::Pass,
            Mood::Hangs => Mode::Hold,
            Mood::Resets => Mode::Reset,
        });
    }

    /// What has come so far.
    pub(crate) fn pushes(&self) -> Vec<Push> {
        self.desk.pushes.lock().expect("nobody panics here").clone()
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let status = desk.status.load(Ordering::SeqCst);
    let push = read(&headers, &raw, status == 200);
    desk.pushes.lock().expect("nobody panics here").push(push);
    StatusCode::from_u16(status).expect("a status")
}

fn read(headers: &HeaderMap, raw: &[u8], was_taken: bool) -> Push {
    let verifier = standardwebhooks::Webhook::new(WEBHOOK_SECRET).expect("a secret");
    let body: Value = serde_json::from_slice(raw).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let hashes = body["outputs"].as_array().into_iter().flatten();
    Push {
        event: id.unwrap_or_default().to_owned(),
        job: text("id"),
        kind: text("type"),
        seq: body["seq"].as_i64().unwrap_or_default(),
        hashes: hashes.filter_map(|file| file["sha256"].as_str().map(str::to_owned)).collect(),
        is_genuine: verifier.verify(raw, headers).is_ok(),
        was_taken,
    }
}
