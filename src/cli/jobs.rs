//! `reelway jobs`: a page of jobs, or one.

use clap::Args;
use serde_json::Value;

use super::client::{Client, ServerArgs};
use super::{CliError, Terminal, job_id, kind, show};
use crate::clock::{Clock as _, SystemClock};
use crate::job::Status;
use crate::task::Kind;

/// Which jobs to show.
#[derive(Clone, Debug, Args)]
pub struct JobsArgs {
    /// One job, with its stages and outputs
    #[arg(value_name = "ID", value_parser = job_id)]
    pub id: Option<String>,
    /// Only jobs in this status: queued, processing, succeeded, failed or cancelled
    #[arg(long, value_name = "NAME", value_parser = status, conflicts_with = "id")]
    pub status: Option<Status>,
    /// Only jobs of this kind: video, audio, image, animation, `adaptive_video` or probe
    #[arg(long, value_name = "KIND", value_parser = kind, conflicts_with = "id")]
    pub kind: Option<Kind>,
    /// How many at most, 1 to 100, newest first
    #[arg(
        long,
        short = 'n',
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u8).range(1..=100),
        conflicts_with = "id"
    )]
    pub limit: u8,
    /// Write for a person, also into a pipe
    #[arg(long)]
    pub human: bool,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

fn status(text: &str) -> Result<Status, String> {
    Status::from_name(text)
        .ok_or_else(|| format!("it is one of {}", Status::ALL.map(Status::name).join(", ")))
}

/// Shows one job or a page of them.
///
/// # Errors
///
/// The server refuses or cannot be reached.
pub async fn run(args: &JobsArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    match &args.id {
        Some(id) => one(&client, id, args.human, terminal).await,
        None => page(&client, args, terminal).await,
    }
}

async fn one(client: &Client, id: &str, human: bool, terminal: &Terminal) -> Result<(), CliError> {
    let job = client.get(&["jobs", id], &[]).await?;
    if human || terminal.is_read_by_a_person() {
        terminal.line(&show::block(&job))
    } else {
        terminal.json(&job)
    }
}

async fn page(client: &Client, args: &JobsArgs, terminal: &Terminal) -> Result<(), CliError> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.status.map(|status| ("status", status.name().to_owned())));
    query.extend(args.kind.map(|kind| ("kind", kind.name().to_owned())));
    let answer = client.get(&["jobs"], &query).await?;
    let Value::Array(jobs) = answer else {
        return Err(CliError::failed("the server's answer is not a list of jobs"));
    };
    if !args.human && !terminal.is_read_by_a_person() {
        return jobs.iter().try_for_each(|job| terminal.json(job));
    }
    if jobs.is_empty() {
        terminal.say("there are no such jobs; make one with `reelway submit URL --kind video`");
        return Ok(());
    }
    terminal.line(&show::list(&jobs, SystemClock.now(), terminal.width()))
}
