//! `reelway keys create`, `list` and `revoke`: who may use a server.

use std::time::Duration;

use clap::Args;
use console::style;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs};
use super::output::{age, clean, table};
use super::{CliError, Terminal};
use crate::access::{Project, Scope};
use crate::clock::{Clock as _, SystemClock, Timestamp};

/// Which key to make.
#[derive(Clone, Debug, Args)]
pub struct CreateKeyArgs {
    /// What it is for, such as "the shop's backend"
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// The project that it opens; that of the key in use when nothing is said
    #[arg(long, value_name = "NAME", value_parser = project)]
    pub project: Option<Project>,
    /// What it is good for: jobs:write, jobs:read, files:read, admin; all but admin when nothing is said
    #[arg(long, value_name = "SCOPE[,SCOPE…]", value_delimiter = ',', value_parser = scope)]
    pub scopes: Vec<Scope>,
    /// How long it is good, such as 90days
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub expires: Option<Duration>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Which keys to list.
#[derive(Clone, Debug, Args)]
pub struct ListKeysArgs {
    /// Expired and revoked ones too
    #[arg(long)]
    pub all: bool,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Which keys to take back.
#[derive(Clone, Debug, Args)]
pub struct RevokeKeysArgs {
    /// The keys, as `reelway keys list` names them
    #[arg(value_name = "ID", required = true, value_parser = key_id)]
    pub ids: Vec<String>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

fn project(text: &str) -> Result<Project, String> {
    text.parse().map_err(|error: crate::access::ProjectError| error.to_string())
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::from_name(text)
        .ok_or_else(|| format!("it is one of {}", Scope::ALL.map(Scope::name).join(", ")))
}

/// A key itself must not be typed where its id belongs: it would stand in the shell's history.
fn key_id(text: &str) -> Result<String, String> {
    match text.parse::<crate::id::KeyId>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            Err("a key's id is `key_` and 26 letters and digits; not the key itself".to_owned())
        }
    }
}

/// Makes a key, and tells it this once: alone on standard output, or as JSON in a pipe.
///
/// # Errors
///
/// The server refuses or cannot be reached.
pub async fn create(args: &CreateKeyArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let mut body = json!({"name": args.name, "project": args.project});
    if !args.scopes.is_empty() {
        body["scopes"] = args.scopes.iter().map(|scope| scope.name()).collect();
    }
    if let Some(good_for) = args.expires {
        body["expires_at"] = json!(SystemClock.now().plus(good_for));
    }
    let made = client.post(&["keys"], &[], &[], &body).await?;
    if !terminal.is_read_by_a_person() {
        return terminal.json(&made);
    }
    let Some(text) = made.get("key").and_then(Value::as_str) else {
        return Err(CliError::failed("the server's answer has no key in it"));
    };
    terminal.line(&clean(text))?;
    terminal.say("keep it now: it is shown this once, and the server does not know it any more");
    Ok(())
}

/// Lists keys, newest first.
///
/// # Errors
///
/// The server refuses or cannot be reached.
pub async fn list(args: &ListKeysArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let mut keys = all(&client).await?;
    keys.retain(|key| args.all || key["status"] == "active");
    if !terminal.is_read_by_a_person() {
        return keys.iter().try_for_each(|key| terminal.json(key));
    }
    if keys.is_empty() {
        terminal.say("there are no such keys; make one with `reelway keys create`");
        return Ok(());
    }
    terminal.line(&shown(&keys, SystemClock.now(), terminal.width()))
}

/// The most keys that the server puts into one answer.
const PAGE: usize = 100;

/// Every key, page by page.
async fn all(client: &Client) -> Result<Vec<Value>, CliError> {
    let mut keys: Vec<Value> = Vec::new();
    loop {
        let last = keys.last().and_then(|key| key["id"].as_str()).map(str::to_owned);
        let after = last.map(|id| ("after", id));
        let query: Vec<_> = after.into_iter().chain([("limit", PAGE.to_string())]).collect();
        let Value::Array(page) = client.get(&["keys"], &query).await? else {
            return Err(CliError::failed("the server's answer is not a list of keys"));
        };
        let is_last = page.len() < PAGE;
        keys.extend(page);
        if is_last {
            return Ok(keys);
        }
    }
}

/// What of a key is shown to a person.
#[derive(Deserialize)]
struct Row {
    id: String,
    name: Option<String>,
    project: String,
    scopes: Vec<String>,
    status: String,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

fn shown(keys: &[Value], now: Timestamp, width: usize) -> String {
    let heading = ["ID", "PROJECT", "STATUS", "USED", "EXPIRES", "SCOPES", "NAME"];
    let rows = keys.iter().map(|key| match Row::deserialize(key) {
        Ok(row) => row.cells(now),
        Err(_) => std::array::from_fn(|column| match column {
            6 => clean(&key.to_string()),
            _ => "?".to_owned(),
        }),
    });
    let heading = std::iter::once(heading.map(str::to_owned));
    table(&heading.chain(rows).collect::<Vec<_>>(), width)
}

impl Row {
    fn cells(&self, now: Timestamp) -> [String; 7] {
        let status = style(clean(&self.status));
        let status = if self.status == "active" { status.green() } else { status.red() };
        let ago = |at: Timestamp| age(now.millis() - at.millis());
        let left = |at: Timestamp| match at.millis() - now.millis() {
            left if left > 0 => format!("in {}", age(left)),
            _ => format!("{} ago", ago(at)),
        };
        [
            clean(&self.id),
            clean(&self.project),
            status.to_string(),
            self.last_used_at.map_or_else(|| "never".to_owned(), ago),
            self.expires_at.map_or_else(|| "never".to_owned(), left),
            clean(&self.scopes.join(",")),
            clean(self.name.as_deref().unwrap_or_default()),
        ]
    }
}

/// Takes keys back: they open nothing from then on.
///
/// # Errors
///
/// The server refuses or cannot be reached.
pub async fn revoke(args: &RevokeKeysArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    for id in &args.ids {
        client.raw(reqwest::Method::DELETE, &["keys", id], &[], None).await?;
        if terminal.is_read_by_a_person() {
            terminal.line(&format!("{id}  revoked"))?;
        } else {
            terminal.json(&json!({"id": id, "status": "revoked"}))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_a_table_with_their_last_use_and_their_end() {
        let key = |status: &str, name: &str, used: Value, expires: Value| {
            json!({
                "id": "key_1", "object": "key", "name": name, "project": "team-a",
                "scopes": ["jobs:write", "jobs:read"], "status": status, "created_at": 0,
                "expires_at": expires, "revoked_at": null, "last_used_at": used,
            })
        };
        let keys = [
            key("active", "the app", json!(7_080_000), Value::Null),
            key("active", "a \u{1b}[2J shell", Value::Null, json!(14_400_000)),
            key("expired", "", json!(0), json!(3_600_000)),
        ];
        let shown = shown(&keys, Timestamp::from_millis(7_200_000), 100);
        insta::assert_snapshot!(console::strip_ansi_codes(&shown), @r"
        ID     PROJECT  STATUS   USED   EXPIRES  SCOPES                NAME
        key_1  team-a   active   2 min  never    jobs:write,jobs:read  the app
        key_1  team-a   active   never  in 2 h   jobs:write,jobs:read  a �[2J shell
        key_1  team-a   expired  2 h    1 h ago  jobs:write,jobs:read
        ");
    }

    #[test]
    fn a_key_is_not_taken_for_its_id() {
        assert!(key_id("key_01h2xcejqtf2nbrexx3vqjhp41").is_ok());
        for wrong in ["rw_01h2xcejqtf2nbrexx3vqjhp41_x", "key_1", "job_01h2xcejqtf2nbrexx3vqjhp41"]
        {
            assert!(key_id(wrong).is_err(), "{wrong}");
        }
    }
}
