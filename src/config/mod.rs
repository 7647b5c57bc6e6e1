//! Every setting: its name, default, source and meaning.
//!
//! Flags, environment and `reelway.toml` come in as text; a [`Config`] in which everything is
//! valid goes out, or the list of everything that is not. After that nobody reads the
//! environment any more.

mod access;
mod cloud;
mod encoder;
mod flags;
mod gateway;
mod limits;
mod parse;
mod pieces;
mod provider;
mod sandbox;
mod setting;
mod show;
mod sources;
mod stray;
mod traces;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::HeaderValue;
use ipnet::IpNet;
use secrecy::SecretString;
use url::{Host, Url};

use crate::access::Rates;
use crate::connection::Keyring;
use crate::output::{BucketSettings, PublicUrls};
use crate::store::sql::PostgresSettings;
use crate::task::Kind;
use crate::worker::{Cutting, Retention};

pub use cloud::{CLOUD_VARIABLES, Variable};
pub use encoder::Encoder;
pub use flags::Flags;
pub use gateway::InputGateway;
pub use sandbox::{Extras, Sandbox};
pub use setting::{SETTINGS, Setting};
pub use show::{reference, shown};
pub use sources::{Source, Sources};
pub use stray::strays;
pub use traces::{Sampling, Traces};

/// Everything that can be decided from outside, valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener and its clients.
    pub http: Http,
    /// Where things are kept on this machine.
    pub data_dir: PathBuf,
    /// Where jobs are kept.
    pub database: Database,
    /// Where outputs are kept.
    pub storage: Storage,
    /// Signed links to outputs live this long.
    pub link_life: Duration,
    /// Where outputs are public, when they are.
    pub public_urls: Option<PublicUrls>,
    /// Seals the secrets of connections.
    pub keyring: Keyring,
    /// Where ends of jobs go and how they are signed.
    pub webhook: Webhook,
    /// Who makes the jobs.
    pub engine: Engine,
    /// Who can make them in place of this server's workers, when there is somebody.
    pub provider: Option<Provider>,
    /// Private networks that may be reached.
    pub allow_networks: Vec<IpNet>,
    /// How much is worked on at once.
    pub worker: Worker,
    /// Whether inputs may be read while they come.
    pub input_gateway: InputGateway,
    /// What one input may cost.
    pub limits: Limits,
    /// How long things are kept.
    pub retention: Retention,
    /// How long an uploaded file is kept after its last use.
    pub keep_uploads: Duration,
    /// The programs.
    pub tools: Tools,
    /// What is logged and how.
    pub log: Log,
    /// Where traces go, when they go anywhere.
    pub traces: Option<Traces>,
}

/// What the settings are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To listen: what is open to everybody must have a key.
    Listen,
    /// For anything else; a `PORT` that stands in the environment asks for nothing.
    Other,
}

/// Where jobs are kept.
#[derive(Clone, Debug)]
pub enum Database {
    /// In a file.
    Sqlite(PathBuf),
    /// On a server that many processes share.
    Postgres(Box<PostgresSettings>),
}

/// Where outputs are kept.
#[derive(Clone, Debug)]
pub enum Storage {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    Bucket(BucketSettings),
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket(bucket) => f.write_str(&bucket.url()),
        }
    }
}

/// The listener and its clients.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Keys that clients may send; empty only when `bind` is a loopback address.
    pub api_keys: Vec<SecretString>,
    /// How often clients may ask.
    pub rates: Rates,
    /// The proxies that are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How clients reach the server; the bound address when it is not said.
    pub public_url: Option<Url>,
    /// Tasks that may wait before new ones are refused.
    pub max_queued: u64,
    /// Connections that may be open at once.
    pub max_connections: usize,
    /// How long requests are still taken after the end was asked for.
    pub linger: Duration,
    /// Whose pages may call from a browser.
    pub cors_origins: Vec<HeaderValue>,
}

/// Where ends of jobs go and how they are signed.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// For jobs that name none.
    pub url: Option<Url>,
    /// Empty when the server's own is to be used.
    pub secrets: Vec<SecretString>,
    /// Where conditions of the server itself are told.
    pub operations: Option<Url>,
}

/// Who makes the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Workers with ffmpeg.
    Local,
    /// A provider that speaks the API of Ittybit.
    Ittybit,
}

/// Somebody who makes jobs in place of workers.
#[derive(Clone, Debug)]
pub struct Provider {
    /// This server's key there.
    pub api_key: SecretString,
    /// Where its API begins.
    pub api_url: Url,
    /// What its webhooks are signed with; empty when they are not believed.
    pub webhook_secrets: Vec<SecretString>,
    /// How long a job may be there without a word.
    pub ask_after: Duration,
}

impl Provider {
    /// Whether the provider could reach a server at `public_url`: one elsewhere does not reach this
    /// machine's own addresses.
    #[must_use]
    pub fn could_reach(&self, public_url: &Url) -> bool {
        !is_own(public_url) || is_own(&self.api_url)
    }
}

/// Whether a URL leads no further than this machine.
fn is_own(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    }
}

/// What is worked on here, and how much at once.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Whether `serve` works at all.
    pub with_serve: bool,
    /// Slots of the heavy lane.
    pub slots: u32,
    /// Slots of the light lane.
    pub light_slots: u32,
    /// The kinds that are worked on.
    pub kinds: Vec<Kind>,
    /// Threads of each decoder and encoder; a share of the processors when not said.
    pub threads: Option<u32>,
    /// Memory of all ffmpeg together in bytes, 0 for no limit; what is free when not said.
    pub memory_bytes: Option<u64>,
    /// How many videos of one input are made by one ffmpeg at most.
    pub max_together: u32,
    /// When long videos are made in pieces.
    pub cutting: Cutting,
    /// How many tasks of one key may run at the same time, in all workers together.
    pub max_running_per_key: Option<u32>,
    /// What must be free on the disk before a task is claimed, in bytes.
    pub min_free_disk_bytes: u64,
    /// What must be free of memory before a task is claimed, in bytes.
    pub min_free_memory_bytes: u64,
    /// Where a process that only works answers health checks, if anywhere.
    pub health_port: Option<u16>,
    /// How long running work may go on after SIGTERM.
    pub drain: Duration,
}

/// What one input may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest input in bytes.
    pub input_bytes: u64,
    /// Longest input.
    pub input_duration: Duration,
    /// Largest picture of an input in pixels.
    pub input_pixels: u64,
    /// Most streams of an input.
    pub input_streams: u32,
    /// Most pictures a second of an output.
    pub output_fps: f64,
    /// Longest run of one ffmpeg.
    pub task: Duration,
    /// Most memory of one ffmpeg in bytes.
    pub ffmpeg_memory_bytes: u64,
}

/// The programs; looked for in `PATH` when not said.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    /// ffmpeg.
    pub ffmpeg: Option<PathBuf>,
    /// ffprobe.
    pub ffprobe: Option<PathBuf>,
    /// What encodes videos.
    pub encoder: Encoder,
    /// What happens where they cannot be boxed in.
    pub sandbox: Sandbox,
    /// What is put around the box.
    pub extras: Extras,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct Log {
    /// A `tracing` filter.
    pub filter: String,
    /// Text or JSON; by the kind of standard error when not said.
    pub format: Option<LogFormat>,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

impl Config {
    /// Reads the settings from flags, this process's environment and `reelway.toml`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, together.
    pub fn load(flags: &Flags, purpose: Purpose) -> Result<(Self, Sources), Problems> {
        Self::load_from(flags, &|name| std::env::var(name).ok(), purpose)
    }

    /// The same with another environment.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, together.
    pub fn load_from(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
        purpose: Purpose,
    ) -> Result<(Self, Sources), Problems> {
        let mut problems = Problems::default();
        let sources = Sources::gather(flags, env, &mut problems);
        let config = parse::config(&sources, &mut problems, purpose);
        match config {
            Some(config) if problems.0.is_empty() => Ok((config, sources)),
            _ => Err(problems),
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings cannot be used")?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    subject: String,
    message: String,
    hint: Option<String>,
}

impl Problem {
    fn file(path: &Path, message: String) -> Self {
        Self { subject: path.display().to_string(), message, hint: None }
    }

    fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
