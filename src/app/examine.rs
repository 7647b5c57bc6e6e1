//! What `reelway doctor` asks of others: the database, the receiver of webhooks, their clocks.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::header::{DATE, LOCATION};
use bytes::Bytes;

use crate::cli::{Check, Outside};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{Config, Database};
use crate::outbound::{Call, CallAnswer, Client, Guard, OutboundError, SystemResolver};
use crate::store::sql::{Examined, examine_postgres, examine_sqlite};

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// By how much receivers let the time of a webhook differ (Standard Webhooks 1.0).
const TOLERANCE_MS: i64 = 300_000;

/// A clock that is further off than this will not get better by itself.
const SUSPECT_MS: i64 = 10_000;

/// Asks database and receiver.
pub(super) async fn outside(config: &Config) -> Outside {
    let (database, times) = tokio::join!(database(config), receiver(config));
    let ((database, of_database), (webhook, of_receiver)) = (database, times);
    let clock = match (of_database, of_receiver) {
        (Some(time), _) => clock("the database", time),
        (None, Some(time)) => clock("the receiver of webhooks", time),
        (None, None) => {
            Check::good("clock", "there is nobody else's to compare it with".to_owned())
        }
    };
    Outside { database, webhook, clock }
}

async fn database(config: &Config) -> (Check, Option<Timestamp>) {
    let (place, examined) = match &config.database {
        Database::Sqlite(path) => {
            let place = format!("SQLite at {}", path.display());
            match examine_sqlite(path).await {
                Ok(None) => {
                    let found = format!("{place} is made at the first start");
                    return (Check::good("database", found), None);
                }
                Ok(Some(examined)) => (place, Ok(examined)),
                Err(error) => (place, Err(error)),
            }
        }
        Database::Postgres(settings) => {
            let (host, port) = (settings.server.get_host(), settings.server.get_port());
            (format!("PostgreSQL at {host}:{port}"), examine_postgres(settings).await)
        }
    };
    match examined {
        Ok(examined) => (judge(&place, &examined), examined.now),
        Err(error) => {
            let fix = "check DATABASE_URL: the host, the password, and that the server runs";
            (Check::bad("database", format!("{place} does not answer: {error}"), fix), None)
        }
    }
}

fn judge(place: &str, examined: &Examined) -> Check {
    let Examined { version, is_too_old, shape, known, .. } = examined;
    let found = format!("{place} answers, version {version}");
    match shape {
        _ if *is_too_old => Check::bad("database", found, "use PostgreSQL 13 or later"),
        Some(shape) if shape > known => Check::good(
            "database",
            format!("{found}; a newer Reelway has added to it, which this one passes over"),
        ),
        Some(shape) if shape < known => {
            Check::good("database", format!("{found}; its shape is changed at the next start"))
        }
        Some(_) => Check::good("database", found),
        None => Check::good("database", format!("{found}; its tables are made at the first start")),
    }
}

async fn receiver(config: &Config) -> (Check, Option<Timestamp>) {
    let Some(url) = &config.webhook.url else {
        let found = "each job names its own receiver (`webhook_url`)".to_owned();
        return (Check::good("webhook", found), None);
    };
    let client = Client::new(Guard::new(config.allow_networks.clone()), Arc::new(SystemResolver));
    let headers = HeaderMap::new();
    let call = Call { method: Method::HEAD, url: url.clone(), headers, body: Bytes::new() };
    match client.call(call, PATIENCE).await {
        Ok(answer) => (judge_answer(&answer), date(&answer.headers)),
        Err(error) => {
            let fix = match error {
                OutboundError::BlockedAddress | OutboundError::BlockedPort => {
                    "allow its network with REELWAY_ALLOW_NETWORKS, if it is yours"
                }
                _ => "check REELWAY_WEBHOOK_URL, and that the receiver runs",
            };
            (Check::bad("webhook", format!("the receiver is not reached: {error}"), fix), None)
        }
    }
}

/// Receivers take POST alone: what they say to a HEAD only shows that they are there.
fn judge_answer(answer: &CallAnswer) -> Check {
    let status = answer.status.as_u16();
    let found = format!("the receiver answers (HTTP {status} to a HEAD)");
    if answer.status.is_redirection() || answer.headers.contains_key(LOCATION) {
        let fix = "webhooks follow no redirect: set REELWAY_WEBHOOK_URL to where it leads";
        return Check::doubtful("webhook", found, fix);
    }
    if answer.status.is_server_error() {
        return Check::doubtful("webhook", found, "look at the receiver's own log");
    }
    Check::good("webhook", found)
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let millis = date.duration_since(UNIX_EPOCH).ok()?.as_millis();
    Some(Timestamp::from_millis(i64::try_from(millis).ok()?))
}

fn clock(whose: &str, theirs: Timestamp) -> Check {
    let off = SystemClock.now().millis() - theirs.millis();
    let seconds = off.unsigned_abs().div_ceil(1000);
    let way = if off > 0 { "ahead of" } else { "behind" };
    let fix = "let NTP set the clocks (`timedatectl set-ntp true`)";
    match off.abs() {
        far if far > TOLERANCE_MS => {
            let found = format!("{seconds} s {way} that of {whose}: signatures will be refused");
            Check::bad("clock", found, fix)
        }
        far if far > SUSPECT_MS => {
            Check::doubtful("clock", format!("{seconds} s {way} that of {whose}"), fix)
        }
        _ => Check::good("clock", format!("as that of {whose}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        let line = |ahead_ms: i64| {
            let theirs = Timestamp::from_millis(SystemClock.now().millis() - ahead_ms);
            serde_json::to_value(clock("them", theirs)).expect("JSON")
        };
        for (ahead, verdict) in
            [(0, "good"), (9_000, "good"), (60_000, "doubtful"), (-400_000, "bad")]
        {
            assert_eq!(line(ahead)["verdict"], verdict, "{ahead}");
        }
        assert!(line(-400_000)["found"].as_str().is_some_and(|found| found.contains("behind")));
    }

    #[test]
    fn a_database_is_judged_by_its_version_and_its_shape() {
        let examined = |is_too_old, shape| Examined {
            version: "12".to_owned(),
            is_too_old,
            shape,
            known: 5,
            now: None,
        };
        for (is_too_old, shape, verdict) in [
            (false, Some(5), "good"),
            (false, Some(4), "good"),
            (false, None, "good"),
            (false, Some(6), "good"),
            (true, Some(5), "bad"),
        ] {
            let check = judge("here", &examined(is_too_old, shape));
            let check = serde_json::to_value(check).expect("JSON");
            assert_eq!(check["verdict"], verdict, "{is_too_old} {shape:?}");
        }
    }
}
