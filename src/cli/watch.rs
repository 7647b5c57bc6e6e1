//! `reelway watch`: jobs followed to their ends, with a bar each.

use std::sync::Mutex;

use clap::Args;
use futures::future::join_all;
use serde_json::Value;

use super::client::{Client, ServerArgs};
use super::follow::{Glance, follow};
use super::output::clean;
use super::terminal::Bars;
use super::{CliError, Terminal, interrupt, job_id, show};
use crate::job::Status;

/// The most jobs that are watched at once.
const MAX_JOBS: usize = 64;

/// Which jobs to watch.
#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// The jobs, at most 64
    #[arg(value_name = "ID", required = true, num_args = 1..=MAX_JOBS, value_parser = job_id)]
    pub ids: Vec<String>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Follows jobs until all have ended.
///
/// # Errors
///
/// A job failed or was cancelled, the server is lost, or Ctrl-C.
pub async fn run(args: &WatchArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    verdict(&until_interrupted(&client, &args.ids, terminal).await?)
}

/// Follows jobs to their ends and shows how each ended.
///
/// # Errors
///
/// The server is lost, or Ctrl-C.
pub(super) async fn until_interrupted(
    client: &Client,
    ids: &[String],
    terminal: &Terminal,
) -> Result<Vec<Value>, CliError> {
    tokio::select! {
        ended = to_the_end(client, ids, terminal) => ended,
        () = interrupt::asked() => Err(CliError::interrupted()
            .detail("the jobs go on; stop one with `reelway cancel ID`")),
    }
}

async fn to_the_end(
    client: &Client,
    ids: &[String],
    terminal: &Terminal,
) -> Result<Vec<Value>, CliError> {
    let bars = terminal.bars();
    let ends = join_all(ids.iter().map(|id| one(client, id, terminal, &bars))).await;
    let jobs = ends.into_iter().collect::<Result<Vec<Value>, CliError>>()?;
    if terminal.is_read_by_a_person() {
        jobs.iter().try_for_each(|job| terminal.line(&show::block(job)))?;
    }
    Ok(jobs)
}

async fn one(
    client: &Client,
    id: &str,
    terminal: &Terminal,
    bars: &Bars,
) -> Result<Value, CliError> {
    let bar = bars.add(id);
    let last = Mutex::new(None);
    let failed_line = Mutex::new(None);
    let seen = |glance: Glance, job: &Value| {
        let kind = job.get("kind").and_then(Value::as_str).unwrap_or_default();
        let what = format!("{} {}", clean(kind), glance.status.name());
        bar.show(glance.progress.unwrap_or(0.0), &what);
        let Ok(mut last) = last.lock() else { return };
        if terminal.is_read_by_a_person() || last.replace(glance) == Some(glance) {
            return;
        }
        if let (Err(error), Ok(mut failed)) = (terminal.json(job), failed_line.lock()) {
            failed.get_or_insert(error);
        }
    };
    let job = follow(client, id, &seen).await?;
    match failed_line.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(job),
    }
}

/// An error unless every job has succeeded.
pub(super) fn verdict(jobs: &[Value]) -> Result<(), CliError> {
    let text = |job: &Value, path: &str| {
        job.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let lost: Vec<&Value> =
        jobs.iter().filter(|job| text(job, "/status") != Status::Succeeded.name()).collect();
    let Some(first) = lost.first() else { return Ok(()) };
    let message = text(first, "/error/message");
    let mut what = format!("{} {}", text(first, "/id"), text(first, "/status"));
    if !message.is_empty() {
        what.push_str(&format!(": {message}"));
    }
    let mut failed = CliError::failed(what);
    for job in &lost[1..] {
        failed = failed.detail(format!("{} {}", text(job, "/id"), text(job, "/status")));
    }
    let hint = text(first, "/error/hint");
    Err(if hint.is_empty() { failed } else { failed.hint(hint) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_job_that_did_not_succeed_is_the_error() {
        let good = json!({"id": "job_1", "status": "succeeded"});
        let bad = json!({
            "id": "job_2",
            "status": "failed",
            "error": {"kind": "input_corrupt", "message": "the file is broken", "hint": "send it again"},
        });
        let gone = json!({"id": "job_3", "status": "cancelled", "error": null});
        assert_eq!(verdict(&[good.clone(), good.clone()]), Ok(()));
        let error = verdict(&[good, bad, gone]).expect_err("two did not succeed");
        insta::assert_snapshot!(error, @r"
        job_2 failed: the file is broken
          job_3 cancelled
        hint: send it again
        ");
    }
}
