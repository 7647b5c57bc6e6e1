//! `reelway webhooks deliveries` and `replay`: what was pushed, and pushing it again.

use std::time::Duration;

use clap::Args;
use console::style;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs};
use super::output::{age, clean, table};
use super::{CliError, Terminal, job_id};
use crate::clock::{Clock as _, SystemClock, Timestamp};

/// Which deliveries to list.
#[derive(Clone, Debug, Args)]
pub struct DeliveriesArgs {
    /// Only those of this job
    #[arg(long, value_name = "ID", value_parser = job_id)]
    pub job: Option<String>,
    /// Only those in this state: pending, delivered, failed or held
    #[arg(long, value_name = "NAME", value_parser = ["pending", "delivered", "failed", "held"])]
    pub state: Option<String>,
    /// How many at most, 1 to 100, newest first
    #[arg(
        long,
        short = 'n',
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    pub limit: u8,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Which deliveries to push again.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct ReplayArgs {
    /// The deliveries, as `reelway webhooks deliveries` names them
    #[arg(
        value_name = "ID",
        required_unless_present = "failed_since",
        conflicts_with = "failed_since",
        value_parser = delivery_id
    )]
    pub ids: Vec<String>,
    /// All that failed or are held and are not older than this, such as 2h or 3days
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub failed_since: Option<Duration>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

fn delivery_id(text: &str) -> Result<String, String> {
    match text.parse::<crate::id::DeliveryId>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a delivery's id is `dlv_` and 26 letters and digits".to_owned()),
    }
}

/// Lists deliveries, newest first.
///
/// # Errors
///
/// The server refuses or cannot be reached.
pub async fn list(args: &DeliveriesArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.job.clone().map(|id| ("job_id", id)));
    query.extend(args.state.clone().map(|state| ("state", state)));
    let answer = client.get(&["webhooks", "deliveries"], &query).await?;
    let Value::Array(deliveries) = answer else {
        return Err(CliError::failed("the server's answer is not a list of deliveries"));
    };
    if !terminal.is_read_by_a_person() {
        return deliveries.iter().try_for_each(|delivery| terminal.json(delivery));
    }
    if deliveries.is_empty() {
        terminal.say("there are no such deliveries");
        return Ok(());
    }
    terminal.line(&shown(&deliveries, SystemClock.now(), terminal.width()))
}

/// What of a delivery is shown to a person.
#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    job_id: Option<String>,
    #[serde(default)]
    batch_id: Option<String>,
    url: String,
    state: String,
    created_at: Timestamp,
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
struct Attempt {
    status: Option<u16>,
    error: Option<String>,
}

fn shown(deliveries: &[Value], now: Timestamp, width: usize) -> String {
    let heading = ["ID", "TYPE", "STATE", "TRIES", "LAST", "AGE", "JOB", "URL"].map(str::to_owned);
    let rows = deliveries.iter().map(|delivery| match Row::deserialize(delivery) {
        Ok(row) => row.cells(now),
        Err(_) => std::array::from_fn(|column| match column {
            7 => clean(&delivery.to_string()),
            _ => "?".to_owned(),
        }),
    });
    table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>(), width)
}

impl Row {
    fn cells(&self, now: Timestamp) -> [String; 8] {
        let last = self.attempts.last().map(|attempt| match (attempt.status, &attempt.error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => clean(error),
            (None, None) => String::new(),
        });
        let state = style(clean(&self.state));
        let state = match self.state.as_str() {
            "delivered" => state.green(),
            "failed" | "held" => state.red(),
            _ => state.dim(),
        };
        [
            clean(&self.id),
            clean(&self.kind),
            state.to_string(),
            self.attempts.len().to_string(),
            last.unwrap_or_default(),
            age(now.millis() - self.created_at.millis()),
            clean(self.job_id.as_ref().or(self.batch_id.as_ref()).map_or("", String::as_str)),
            clean(&self.url),
        ]
    }
}

/// Pushes deliveries again, from the first attempt on.
///
/// # Errors
///
/// The server refuses or cannot be reached.
pub async fn replay(args: &ReplayArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    if let Some(since) = args.failed_since {
        let body = json!({"since": SystemClock.now().minus(since).millis().max(0)});
        let answer = client.post(&["webhooks", "deliveries", "replay"], &[], &[], &body).await?;
        if !terminal.is_read_by_a_person() {
            return terminal.json(&answer);
        }
        let count = answer.get("replayed").and_then(Value::as_u64).unwrap_or_default();
        return terminal.line(&format!("{count} deliveries are on their way again"));
    }
    for id in &args.ids {
        let path = ["webhooks", "deliveries", id, "replay"];
        let delivery = client.post(&path, &[], &[], &json!({})).await?;
        if terminal.is_read_by_a_person() {
            terminal.line(&format!("{id}  on its way again"))?;
        } else {
            terminal.json(&delivery)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_a_table_with_the_last_answer() {
        let delivery = |state: &str, attempts: Value| {
            json!({
                "id": "dlv_1", "event_id": "evt_1", "type": "job.succeeded", "job_id": "job_1",
                "url": "https://a.example/hook", "state": state, "attempt": 1,
                "next_attempt_at": null, "created_at": 0, "finished_at": null, "attempts": attempts,
            })
        };
        let deliveries = [
            delivery(
                "delivered",
                json!([{"at": 0, "duration_ms": 3, "status": 200, "error": null, "response": ""}]),
            ),
            delivery(
                "pending",
                json!([{"at": 0, "duration_ms": 3, "status": null, "error": "connect", "response": null}]),
            ),
            delivery("held", json!([])),
        ];
        let shown = shown(&deliveries, Timestamp::from_millis(7_200_000), 100);
        insta::assert_snapshot!(console::strip_ansi_codes(&shown), @r"
        ID     TYPE           STATE      TRIES  LAST     AGE  JOB    URL
        dlv_1  job.succeeded  delivered  1      200      2 h  job_1  https://a.example/hook
        dlv_1  job.succeeded  pending    1      connect  2 h  job_1  https://a.example/hook
        dlv_1  job.succeeded  held       0               2 h  job_1  https://a.example/hook
        ");
    }
}
