//! Takes Reelway's webhooks: checks who sent them, keeps each event once, answers at once.

use std::env;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sqlx::SqlitePool;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let secret = env::var("REELWAY_WEBHOOK_SECRET").context("REELWAY_WEBHOOK_SECRET")?;
    let port = env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    serve(listener, "sqlite://receiver.db?mode=rwc", &secret).await
}

/// Answers `POST /webhooks/reelway` until the process ends.
pub(crate) async fn serve(
    listener: TcpListener,
    database: &str,
    secret: &str,
) -> anyhow::Result<()> {
    let webhook = Webhook::new(secret)?;
    let db = SqlitePool::connect(database).await?;
    sqlx::query(
        "
        create table if not exists webhook_events (
            id text primary key,
            body text not null,
            received_at text not null default current_timestamp,
            handled_at text
        )
        ",
    )
    .execute(&db)
    .await?;
    let receiver = Receiver { webhook: Arc::new(webhook), db };
    let app = Router::new().route("/webhooks/reelway", post(take)).with_state(receiver);
    axum::serve(listener, app).await?;
    Ok(())
}

#[derive(Clone)]
struct Receiver {
    webhook: Arc<Webhook>,
    db: SqlitePool,
}

type Answer = (StatusCode, &'static str);

/// `Bytes`, not `Json`: the signature is over the bytes as they came.
async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Answer {
    // All three headers, at most five minutes old or early, any of the signatures.
    if receiver.webhook.verify(&body, &headers).is_err() {
        return (StatusCode::UNAUTHORIZED, "the signature does not hold");
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    // The same event may come twice; the primary key lets it in once.
    let insert = sqlx::query(
        "
        insert into webhook_events (id, body)
        values ($1, $2)
        on conflict (id) do nothing
        ",
    )
    .bind(id)
    .bind(String::from_utf8_lossy(&body));
    // What follows from it is done by whoever reads the rows that nobody has handled.
    match insert.execute(&receiver.db).await {
        Ok(done) if done.rows_affected() == 1 => (StatusCode::OK, "stored"),
        Ok(_) => (StatusCode::OK, "seen before"),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not stored"),
    }
}
