//! `reelway cancel` and `reelway retry`: the same request for each of some jobs.
//!
//! A job that refuses does not keep the others from being asked; the command then fails.

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs};
use super::{CliError, Terminal, job_id};

/// Which jobs are meant.
#[derive(Clone, Debug, Args)]
pub struct ActArgs {
    /// The jobs
    #[arg(value_name = "ID", required = true, value_parser = job_id)]
    pub ids: Vec<String>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What is asked of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Stop, wherever it is.
    Cancel,
    /// Go back into the queue.
    Retry,
}

impl Act {
    const fn route(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
        }
    }
}

/// Asks each job in turn.
///
/// # Errors
///
/// A job refused, or the server cannot be reached.
pub async fn run(act: Act, args: &ActArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let mut refused = 0;
    for id in &args.ids {
        match client.post(&["jobs", id, act.route()], &[], &[], &json!({})).await {
            Ok(job) => tell(id, &job, terminal)?,
            Err(error) if error.is_passing() || args.ids.len() == 1 => return Err(error.into()),
            Err(error) => {
                refused += 1;
                terminal.error(&CliError::from(error).detail(format!("this was {id}")));
            }
        }
    }
    match refused {
        0 => Ok(()),
        _ => Err(CliError::failed(format!("{refused} of {} jobs refused", args.ids.len()))),
    }
}

fn tell(id: &str, job: &Value, terminal: &Terminal) -> Result<(), CliError> {
    if !terminal.is_read_by_a_person() {
        return terminal.json(job);
    }
    let status = job.get("status").and_then(Value::as_str).unwrap_or_default();
    terminal.line(&format!("{id}  {}", super::output::clean(status)))
}
