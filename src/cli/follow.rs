//! A job followed to its end over `GET /jobs/{id}/events`.
//!
//! The stream is for what happens on the way; the job itself is always asked for by
//! `GET /jobs/{id}`, so a stream that breaks off, is buffered by a proxy or misses an event
//! costs time and never the result.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::CliError;
use super::client::{Client, ClientError};
use super::events::Events;
use crate::job::Status;

/// How often in a row nothing may be heard before the job is left alone: about a minute.
const MAX_SILENT_TRIES: u32 = 10;

/// What is looked at in a job on its way.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Glance {
    /// How it stands.
    pub status: Status,
    /// Per cent.
    #[serde(default)]
    pub progress: Option<f32>,
}

/// Follows a job to its end, showing every change to `seen`; returns the ended job.
///
/// # Errors
///
/// The server refuses, or was not heard for [`MAX_SILENT_TRIES`] tries.
pub(super) async fn follow(
    client: &Client,
    id: &str,
    seen: &(dyn Fn(Glance, &Value) + Sync),
) -> Result<Value, CliError> {
    let mut silent = 0;
    loop {
        match look(client, id, seen).await {
            Ok(Look::Ended(job)) => return Ok(job),
            Ok(Look::Heard) => silent = 0,
            Ok(Look::Silent) => silent += 1,
            Err(error) if error.is_passing() && silent < MAX_SILENT_TRIES => silent += 1,
            Err(error) => return Err(lost(error.into(), id)),
        }
        if silent >= MAX_SILENT_TRIES * 2 {
            return Err(lost(CliError::failed("the server sends no events"), id));
        }
        tokio::time::sleep(pause(silent)).await;
    }
}

fn lost(error: CliError, id: &str) -> CliError {
    error.detail(format!("the job goes on; see it with `reelway jobs {id}`"))
}

/// From one second to eight.
fn pause(silent: u32) -> Duration {
    Duration::from_secs(1 << silent.min(3))
}

enum Look {
    Ended(Value),
    Heard,
    Silent,
}

/// One look at the job and, while it goes on, one stream of its events.
async fn look(
    client: &Client,
    id: &str,
    seen: &(dyn Fn(Glance, &Value) + Sync),
) -> Result<Look, ClientError> {
    let job = client.get(&["jobs", id], &[]).await?;
    if show(&job, seen) {
        return Ok(Look::Ended(job));
    }
    let heard = stream(client, id, seen).await?;
    let job = client.get(&["jobs", id], &[]).await?;
    Ok(if show(&job, seen) {
        Look::Ended(job)
    } else if heard {
        Look::Heard
    } else {
        Look::Silent
    })
}

/// Whether anything was heard before the stream ended or told of the job's end.
async fn stream(
    client: &Client,
    id: &str,
    seen: &(dyn Fn(Glance, &Value) + Sync),
) -> Result<bool, ClientError> {
    let mut response = client.events(&["jobs", id, "events"]).await?;
    let mut events = Events::default();
    let mut heard = false;
    loop {
        let bytes = match response.chunk().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(heard),
            // What has been heard counts: the next look asks for the job itself.
            Err(_) if heard => return Ok(true),
            Err(error) => return Err(client.broken(error)),
        };
        let Ok(whole) = events.feed(&bytes) else { return Ok(heard) };
        for data in whole {
            let Ok(job) = serde_json::from_slice(&data) else { continue };
            heard = true;
            if show(&job, seen) {
                return Ok(true);
            }
        }
    }
}

/// Shows what a job or an event says; returns whether it is the end.
fn show(job: &Value, seen: &(dyn Fn(Glance, &Value) + Sync)) -> bool {
    let Ok(glance) = Glance::deserialize(job) else { return false };
    seen(glance, job);
    glance.status.is_final()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_between_tries_grow_and_end_at_eight_seconds() {
        let pauses: Vec<u64> = (0..6).map(|silent| pause(silent).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
    }
}
