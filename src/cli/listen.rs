//! `reelway webhooks listen`: a receiver of webhooks for development.
//!
//! Any POST to a loopback port comes in and is checked as a receiver should check it: a wrong
//! signature is answered with 401. One event a line goes out, with what the check said. Bodies over [`MAX_BODY_BYTES`] are refused, and
//! events wait in a queue of [`QUEUE`] while the reader of the output is slow.

use std::sync::Arc;
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
use tokio::sync::{mpsc, oneshot};

use super::output::{clean, time_of_day};
use super::share::bind;
use super::{CliError, Terminal, interrupt};
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::webhook::{Proof, Secret, VerifyError, verify};

/// The largest body.
const MAX_BODY_BYTES: usize = 1 << 20;

/// How many events may wait to be shown before senders have to wait.
const QUEUE: usize = 64;

/// How long answers under way are waited for at the end.
const GRACE: Duration = Duration::from_secs(2);

/// The headers that are shown.
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
    /// The status to answer what is verified with: 500 shows how a sender tries again
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

/// A webhook as it came, and whether it is to be believed.
struct Event {
    at: Timestamp,
    headers: HeaderMap,
    body: Bytes,
    checked: Result<Proof, VerifyError>,
}

impl Event {
    fn new(at: Timestamp, headers: HeaderMap, body: Bytes, secrets: &[Secret]) -> Self {
        let checked = verify(secrets, &headers, &body, at);
        Self { at, headers, body, checked }
    }

    /// Nothing when there was no secret to verify with.
    const fn is_verified(&self) -> Option<bool> {
        match &self.checked {
            Ok(_) => Some(true),
            Err(VerifyError::NoSecret) => None,
            Err(_) => Some(false),
        }
    }
}

#[derive(Clone)]
struct Inbox {
    events: mpsc::Sender<Event>,
    secrets: Arc<[Secret]>,
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
    let address =
        listener.local_addr().map_err(|error| CliError::failed("cannot listen").because(&error))?;
    greet(&format!("http://{address}"), secrets.is_empty(), terminal)?;
    let (events, inbox) = mpsc::channel(QUEUE);
    let router = Router::new()
        .fallback(post(take))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Inbox { events, secrets: secrets.into(), answer: args.answer });
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _sender_is_gone = stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    let shown = receive(args, inbox, terminal).await;
    drop(stop);
    // The last sender should learn that its event came in, but one that hangs is not waited for.
    let _late = tokio::time::timeout(GRACE, server).await;
    shown
}

fn secrets(texts: &[SecretString]) -> Result<Vec<Secret>, CliError> {
    let texts = texts.iter().map(|text| text.expose_secret().trim());
    texts
        .filter(|text| !text.is_empty())
        .map(|text| {
            Secret::parse(text).map_err(|error| {
                CliError::usage("a webhook secret cannot be used")
                    .because(&error)
                    .hint("give it as the sender has it, for example REELWAY_WEBHOOK_SECRET")
            })
        })
        .collect()
}

fn greet(url: &str, is_blind: bool, terminal: &Terminal) -> Result<(), CliError> {
    if !terminal.is_read_by_a_person() {
        return terminal.json(&json!({"listening": url}));
    }
    terminal.say(&format!("listening on {url} until Ctrl-C"));
    if is_blind {
        terminal.say("signatures are not verified: give the sender's secret with --secret; `reelway config show \
             --secrets` shows that of a server here");
    }
    Ok(())
}

/// Comes in: any POST. The sender waits while the queue is full.
async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let event = Event::new(SystemClock.now(), headers, body, &inbox.secrets);
    let is_refused = event.is_verified() == Some(false);
    match inbox.events.send(event).await {
        Ok(()) if is_refused => StatusCode::UNAUTHORIZED,
        Ok(()) => inbox.answer,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn receive(
    args: &ListenArgs,
    mut inbox: mpsc::Receiver<Event>,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let mut seen = 0;
    let time_is_up = async {
        match args.timeout {
            Some(secs) => tokio::time::sleep(Duration::from_secs(secs)).await,
            None => std::future::pending().await,
        }
    };
    let all_shown = async {
        while args.count.is_none_or(|count| seen < count) {
            let Some(event) = inbox.recv().await else {
                return Err(CliError::failed("cannot receive any more"));
            };
            show(&event, terminal)?;
            seen += 1;
        }
        Ok(())
    };
    tokio::select! {
        shown = all_shown => return shown,
        () = interrupt::asked() => return Ok(()),
        () = time_is_up => {}
    }
    match args.count {
        Some(count) if seen < count => Err(CliError::failed(format!(
            "{seen} of {count} events came in {} s",
            args.timeout.unwrap_or_default()
        ))
        .hint("`reelway webhooks deliveries` shows what the server has tried to send")),
        _ => Ok(()),
    }
}

/// An event as a line of JSON.
#[derive(Debug, PartialEq, Serialize)]
struct Line {
    received_at: Timestamp,
    /// Nothing when there was no secret to verify with.
    verified: Option<bool>,
    /// Why it is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    headers: Map<String, Value>,
    /// As JSON, else as text.
    body: Value,
}

impl Line {
    fn of(event: &Event) -> Self {
        let verified = event.is_verified();
        let refused = event.checked.as_ref().err().filter(|_| verified == Some(false));
        let reason = refused.map(|error| format!("{error}; {}", error.hint()));
        let headers = HEADERS.iter().filter_map(|name| {
            let value = event.headers.get(*name)?;
            Some(((*name).to_owned(), String::from_utf8_lossy(value.as_bytes()).into()))
        });
        let body = serde_json::from_slice(&event.body)
            .unwrap_or_else(|_| String::from_utf8_lossy(&event.body).into());
        Self { received_at: event.at, verified, reason, headers: headers.collect(), body }
    }

    /// For a person: when, what, whose, whether it is to be believed, and what was made.
    fn pretty(&self) -> String {
        let text = |path| self.body.pointer(path).and_then(Value::as_str).map(clean);
        let time = time_of_day(self.received_at.millis());
        let kind = text("/type").unwrap_or_else(|| "a POST".to_owned());
        let subject = text("/id").or_else(|| text("/batch_id")).unwrap_or_default();
        let verdict = match self.verified {
            Some(true) => style("verified").green(),
            Some(false) => style("NOT verified").red(),
            None => style("not checked").dim(),
        };
        let mut lines = vec![format!("{time}  {kind}  {subject}  {verdict}")];
        lines.extend(self.reason.clone());
        lines.extend(text("/output/url").or_else(|| text("/output_url")));
        lines.extend(text("/error/message"));
        lines.join("\n           ")
    }
}

fn show(event: &Event, terminal: &Terminal) -> Result<(), CliError> {
    let line = Line::of(event);
    if terminal.is_read_by_a_person() {
        terminal.line(&line.pretty())
    } else {
        terminal.json(&line)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::webhook::sign;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    /// An event signed with `secret`, seen by a receiver that knows `known`.
    fn event(secret: &Secret, body: &'static str, known: &[Secret]) -> Event {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_static("evt_1"));
        headers.insert("webhook-timestamp", NOW.secs().into());
        let signed =
            sign::signatures(std::slice::from_ref(secret), "evt_1", NOW.secs(), body.as_bytes());
        headers.insert("webhook-signature", signed);
        Event::new(NOW, headers, Bytes::from_static(body.as_bytes()), known)
    }

    #[test]
    fn an_event_is_shown_with_what_it_proves() {
        let (ours, theirs) = (Secret::generate(), Secret::generate());
        let body = r#"{"type": "job.succeeded", "id": "job_1", "output": {"url": "http://a/b"}}"#;
        let shown = |known: &[Secret]| {
            let line = Line::of(&event(&ours, body, known));
            console::strip_ansi_codes(&line.pretty()).into_owned()
        };
        insta::assert_snapshot!(shown(std::slice::from_ref(&ours)), @r"
        16:00:00Z  job.succeeded  job_1  verified
                   http://a/b
        ");
        insta::assert_snapshot!(shown(&[theirs]), @r"
        16:00:00Z  job.succeeded  job_1  NOT verified
                   no signature fits the body and the secret; compare the secrets, and check the bytes as they came, before any JSON is parsed
                   http://a/b
        ");
        insta::assert_snapshot!(shown(&[]), @r"
        16:00:00Z  job.succeeded  job_1  not checked
                   http://a/b
        ");
    }

    #[test]
    fn a_body_that_is_no_json_is_shown_as_text() {
        let line = Line::of(&event(&Secret::generate(), "hello", &[]));
        assert_eq!((line.body, line.verified), (Value::from("hello"), None));
    }

    #[test]
    fn an_answer_is_a_status_that_ends_a_request() {
        assert_eq!(answer_status("503"), Ok(StatusCode::SERVICE_UNAVAILABLE));
        for text in ["100", "600", "ok", ""] {
            assert!(answer_status(text).is_err(), "{text}");
        }
    }
}
