//! The commands a person types.
//!
//! [`Cli`] is what may be typed; each command has a file of its own. Data goes to standard
//! output, talk to standard error; a person at a terminal gets words and bars, a pipe gets JSON
//! lines. The composition hands in what a command needs from the rest of the product.

mod act;
mod client;
mod deliveries;
mod doctor;
mod error;
mod events;
mod flags;
mod follow;
mod interrupt;
mod jobs;
mod keys;
mod listen;
mod once;
mod output;
mod probe;
mod send;
mod share;
mod show;
mod sketch;
mod submit;
mod terminal;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Flags;
use crate::id::JobId;
use crate::task::Kind;

pub use act::{Act, ActArgs};
pub use deliveries::{DeliveriesArgs, ReplayArgs};
pub use doctor::{Check, DoctorConfig, Outside};
pub use error::{CliError, Exit};
pub use flags::{OfAdaptive, OfAnimation, OfAudio, OfImage, OfKind, OfVideo};
pub use jobs::JobsArgs;
pub use keys::{CreateKeyArgs, ListKeysArgs, RevokeKeysArgs};
pub use listen::ListenArgs;
pub use once::{Made, NotMade, OneShot, Order, Source};
pub use probe::ProbeArgs;
pub use share::ShareArgs;
pub use sketch::{Commands, Sketch};
pub use submit::SubmitArgs;
pub use terminal::Terminal;
pub use watch::WatchArgs;

/// The commands that need nothing but what was typed.
pub mod run {
    pub use super::act::run as act;
    pub use super::deliveries::{list as deliveries, replay};
    pub use super::doctor::run as doctor;
    pub use super::jobs::run as jobs;
    pub use super::keys::{create as create_key, list as list_keys, revoke as revoke_keys};
    pub use super::listen::run as listen;
    pub use super::once::run as once;
    pub use super::probe::run as probe;
    pub use super::share::run as share;
    pub use super::sketch::run as sketch;
    pub use super::submit::run as submit;
    pub use super::watch::run as watch;
}

/// The media pipeline that calls you back.
#[derive(Debug, Parser)]
#[command(name = "reelway", version, about, propagate_version = true)]
#[command(after_help = "Try it: reelway serve, then in another terminal\n  \
    curl -X POST localhost:3000/process -H 'content-type: application/json' \\\n       \
    -d '{\"url\": \"https://…/video.mp4\", \"options\": {\"width\": 640}}'")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What may be done.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, at the start of the process")]
pub enum Command {
    /// Run the server: HTTP API, workers and webhooks in one process
    Serve(Flags),
    /// Work for a server elsewhere, on the same Postgres and storage
    Worker(Flags),
    /// Make a video here and now
    Video(Settled<OneShot<OfVideo>>),
    /// Make an audio file here and now
    Audio(Settled<OneShot<OfAudio>>),
    /// Make a still image here and now
    Image(Settled<OneShot<OfImage>>),
    /// Make an animation here and now
    Animation(Settled<OneShot<OfAnimation>>),
    /// Make a folder of renditions and playlists for adaptive playback
    Adaptive(Settled<OneShot<OfAdaptive>>),
    /// Tell what a media file is
    Probe(Settled<ProbeArgs>),
    /// Send a job to a server
    Submit(SubmitArgs),
    /// Show jobs, or one job
    Jobs(JobsArgs),
    /// Follow jobs until they end
    Watch(WatchArgs),
    /// Stop jobs
    Cancel(ActArgs),
    /// Try failed or cancelled jobs again
    Retry(ActArgs),
    /// Receive, list and replay webhooks
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(Keys),
    /// Serve one local file on loopback, for a server on this machine
    Share(ShareArgs),
    /// Copy the embedded database into one file, also while the server works
    Backup(Settled<BackupArgs>),
    /// Put a copy of the embedded database in its place
    Restore(Settled<RestoreArgs>),
    /// Check what this machine needs, with a fix for what is missing
    Doctor(Flags),
    /// Check or show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Arguments of a command beside the settings.
#[derive(Debug, Args)]
pub struct Settled<A: Args> {
    /// The command's own arguments.
    #[command(flatten)]
    pub args: A,
    /// The settings.
    #[command(flatten)]
    pub settings: Flags,
}

/// What may be done with webhooks.
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Receive webhooks on this machine, check their signatures and print them
    Listen(ListenArgs),
    /// Show the delivery log
    Deliveries(DeliveriesArgs),
    /// Send a delivery again, or all that failed
    Replay(ReplayArgs),
}

/// What may be done with keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and show it, this once
    Create(CreateKeyArgs),
    /// Show keys, with their projects, scopes and last use
    List(ListKeysArgs),
    /// Take keys back for good
    Revoke(RevokeKeysArgs),
}

/// What may be done with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Tell everything that is wrong with the settings
    Check(Flags),
    /// Show every setting, its value and where that came from
    Show(ShowConfig),
}

/// What to copy the database to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file that is made; it must not be there
    #[arg(value_name = "FILE")]
    pub to: PathBuf,
}

/// What to put back.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A file that `reelway backup` has made
    #[arg(value_name = "FILE")]
    pub from: PathBuf,
    /// Also when there is a database: it is kept beside
    #[arg(long)]
    pub force: bool,
}

/// How to show the settings.
#[derive(Debug, Args)]
pub struct ShowConfig {
    /// Show secrets too, the generated webhook secret among them
    #[arg(long)]
    pub secrets: bool,
    /// The settings.
    #[command(flatten)]
    pub settings: Flags,
}

/// Ends a command: shows what went wrong, if anything did, and makes the exit code.
#[must_use]
pub fn end(outcome: Result<(), CliError>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if error.exit() != Exit::ReaderGone {
        Terminal::detect().error(&error);
    }
    error.exit().into()
}

fn job_id(text: &str) -> Result<String, String> {
    match text.parse::<JobId>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a job's id looks like job_01h2xcejqtf2nbrexx3vqjhp41".to_owned()),
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_name(text)
        .filter(|kind| Kind::OF_JOBS.contains(kind))
        .ok_or_else(|| format!("it is one of {}", Kind::OF_JOBS.map(Kind::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn what_may_be_typed_is_consistent() {
        Cli::command().debug_assert();
    }
}
