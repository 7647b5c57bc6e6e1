//! `reelway probe`: what a media file is, as JSON.

use clap::Args;
use ffmpeg::Facts;
use tokio_util::sync::CancellationToken;

use super::once::{NotMade, Source, stopped_by_interrupt};
use super::{CliError, Terminal};

/// What to look at.
#[derive(Clone, Debug, Args)]
pub struct ProbeArgs {
    /// The input: a file or an http(s) URL
    #[arg(short, long, value_name = "IN")]
    pub input: String,
}

/// Reads the facts of the input with `probe`: indented for a person, a line for a program.
///
/// # Errors
///
/// There is no such input, it is not media, or Ctrl-C.
pub async fn run(
    args: &ProbeArgs,
    terminal: &Terminal,
    probe: impl AsyncFnOnce(&Source, &CancellationToken) -> Result<Facts, NotMade>,
) -> Result<(), CliError> {
    let source = Source::typed(&args.input)?;
    let stop = CancellationToken::new();
    let facts = stopped_by_interrupt(probe(&source, &stop), &stop).await?;
    if !terminal.is_read_by_a_person() {
        return terminal.json(&facts);
    }
    let text = serde_json::to_string_pretty(&facts)
        .map_err(|error| CliError::failed("cannot write the facts").because(&error))?;
    terminal.line(&text)
}
