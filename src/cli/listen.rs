//! `reelway webhooks listen`: a receiver of webhooks for development.
//!
//! Any POST to a loopback port comes in and is checked as a receiver should check it; one event
//! a line goes out, with what the check said. Bodies over [`MAX_BODY_BYTES`] are refused, and
//! events wait in a queue of [`QUEUE`] while the reader of the output is slow.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use clap::Args;
use console::style;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::output::{clean, time_of_day};
use super::share::bind;
use super::{CliError, Terminal, interrupt};
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::webhook::{Secret, VerifyError, verify};

/// The largest body.
const MAX_BODY_BYTES: usize = 1 << 20;

/// How many events may wait to be shown before senders have to wait.
const QUEUE: usize = 64;

/// The headers that are shown, beside those of signatures.
const HEADERS: [&str; 7] = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "ittybit-signature",
    "webhook-attempt",
    "user-agent",
    "content-type",
];

/// How to receive webhooks.
#[derive(Clone, Debug, Args)]
pub struct ListenArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 4000)]
    pub port: u16,
    /// The sender's secret, several separated by commas; without one nothing is verified
    #[arg(
        long,
        value_name = "whsec_…",
        env = "REELWAY_WEBHOOK_SECRET",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = secret_text
    )]
    pub secret: Vec<SecretString>,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this many seconds; exit code 1 when --count events have not come by then
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
    /// The status to answer with: 500 shows how a sender tries again
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = answer_status)]
    pub answer: StatusCode,
}

#[expect(clippy::unnecessary_wraps, reason = "clap's parsers of values may fail")]
fn secret_text(text: &str) -> Result<SecretString, String> {
    Ok(text.into())
}

fn answer_status(text: &str) -> Result<StatusCode, String> {
    let status = text.parse::<u16>().ok().filter(|status| (200..600).contains(status));
    status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or_else(|| "a status is from 200 to 599".to_owned())
}

/// A webhook as it came.
struct Event {
    at: Timestamp,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Clone)]
struct Inbox {
    events: mpsc::Sender<Event>,
    answer: StatusCode,
}

/// Receives and shows webhooks until the count, the time or Ctrl-C ends it.
///
/// # Errors
///
/// The port is taken, a secret cannot be used, or too few events came in time.
pub async fn run(args: &ListenArgs, terminal: &Terminal) -> Result<(), CliError> {
    let secrets = secrets(&args.secret)?;
    let listener = bind(args.port).await?;
    let address = listener
        .local_addr()
        .map_err(|error| CliError::failed("cannot listen").because(&error))?;
    greet(&format!("http://{address}"), secrets.is_empty(), terminal)?;
    let (events, inbox) = mpsc::channel(QUEUE);
    let router = Router::new()
        .fallback(post(take))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Inbox { events, answer: args.answer });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    // Answers under way are finished, so that the last sender learns that its event came in.
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _sender_dropped = stopped.await;
    });
    let show = async {
        let shown = receive(args, inbox, &secrets, terminal).await;
        drop(stop);
        shown
    };
    let (served, shown) = tokio::join!(server.into_future(), show);
    shown.and_then(|()| {
        served.map_err(|error| CliError::failed("cannot receive").because(&error))
    })
}
