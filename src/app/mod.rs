//! Composition: the one place where long-lived things are made.
//!
//! [`App::open`] builds every part once, in the order in which they depend on each other, and
//! hands each only what it needs. [`App::serve`] lets them run until it is told to stop, and
//! stops them in the order in which nothing is lost.

mod admission;
mod backup;
pub mod command;
mod examine;
mod listen;
mod lock;
mod once;
mod presence;
mod provider;
mod sandbox;
mod serve;
mod shutdown;
mod work;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use url::Url;

use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::id::{WorkerId, fresh};
use crate::input::{Downloads, FetchLimits, Fetcher, Gateway};
use crate::outbound::{Client, Guard, SystemResolver};
use crate::output::{Bucket, Links, Storage};
use crate::store::Store;
use crate::store::sql::SqlStore;
use crate::task::RetryPolicy;
use crate::upload::{UploadLimits, Uploads};
use crate::webhook::{self, Deliverer, Secret, Secrets};
use crate::worker::{Buckets, Engine, EngineSettings, Headroom, Processors, Scratch, Worker};

pub use backup::{backup, restore};
pub use command::{serve, work};
pub use lock::DataDir;
pub use once::Once;
pub use sandbox::Containment;
pub use shutdown::Shutdown;

/// The name under which the store keeps the secret that signs webhooks.
const WEBHOOK_SECRET: &str = "webhook";

/// The name under which the store keeps the secret that signs links.
const LINK_SECRET: &str = "links";

/// The name under which the store keeps the secret that makes sessions of the pages.
const SESSION_SECRET: &str = "sessions";

/// How long an input stays on the worker after its last task, for those that follow.
const KEEP_INPUTS: Duration = Duration::from_mins(1);

/// What is wrong when the scratch folder cannot be made.
const NO_ROOM: &str = "there is no room for work in progress in the data folder";

/// Every long-lived part, ready to run.
#[derive(Debug)]
pub struct App {
    config: Config,
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    storage: Storage,
    guard: Guard,
    client: Client,
    /// None where a provider makes the jobs.
    tools: Option<ffmpeg::Tools>,
    containment: Option<Containment>,
    webhook_secrets: Secrets,
    link_secret: SecretString,
    worker_id: WorkerId,
    role: Role,
    _data_dir: Option<DataDir>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Answers requests and pushes webhooks; works too, unless the settings say otherwise.
    Server,
    /// Works, for a server elsewhere.
    Worker,
}

impl App {
    /// Opens the data folder, the database, the storage and the tools.
    ///
    /// # Errors
    ///
    /// What cannot be opened, and what to do about it.
    pub async fn open(config: Config, role: Role) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let data_dir = own_data_dir(&config, role)?;
        let works = role == Role::Worker || config.worker.with_serve;
        let is_local = config.engine == config::Engine::Local;
        let mut tools = if is_local { Some(tools(&config).await?) } else { None };
        if works && let Some(warning) = tools.as_ref().and_then(|tools| unmet(&config, tools)) {
            tracing::warn!("{warning}");
        }
        let containment = if let Some(tools) = tools.as_mut().filter(|_| works) {
            let scratch = Scratch::open(&config.data_dir.join("scratch"), fresh(clock.now()));
            let scratch = scratch.context(NO_ROOM)?;
            let room = scratch.room(fresh(clock.now()), 0).context(NO_ROOM)?;
            Some(sandbox::contain(tools, room.path(), &config.tools).await?)
        } else {
            None
        };
        let store = open_store(&config, clock.clone()).await?;
        let storage = open_storage(&config.storage)?;
        let guard = Guard::new(config.allow_networks.clone());
        Ok(Self {
            worker_id: fresh(clock.now()),
            webhook_secrets: webhook_secrets(&config, store.as_ref()).await?,
            link_secret: store.secret(LINK_SECRET, Secret::generate().text()).await?.into(),
            client: client(&guard),
            guard,
            storage,
            store,
            tools,
            containment,
            clock,
            config,
            role,
            _data_dir: data_dir,
        })
    }

    /// Whether this process works on tasks.
    fn works(&self) -> bool {
        self.role == Role::Worker || self.config.worker.with_serve
    }

    /// Whether what is accepted here waits for ever.
    fn nobody_works(&self) -> bool {
        let worker = &self.config.worker;
        let is_at_work = self.works() && (worker.slots > 0 || worker.light_slots > 0);
        !is_at_work && matches!(self.config.database, config::Database::Sqlite(_))
    }

    /// Where the server of this worker is reached: the beginning of links that its storage cannot
    /// make, as a bucket can.
    fn public_url_of_worker(&self) -> anyhow::Result<Url> {
        let links_lead_elsewhere = self.config.public_urls.is_some()
            || self.storage.link("any", Duration::from_secs(1)).is_some();
        match &self.config.http.public_url {
            Some(url) => Ok(url.clone()),
            None if links_lead_elsewhere => {
                if self.config.public_urls.is_none() {
                    tracing::warn!(
                        "REELWAY_PUBLIC_URL is not set: links to playlists in media_jobs will not \
                         lead to the server"
                    );
                }
                Ok(Url::parse("http://localhost/")?)
            }
            None => anyhow::bail!(
                "this storage makes no links of its own, so that a worker must know how clients \
                 reach the server; set REELWAY_PUBLIC_URL to the server's address"
            ),
        }
    }

    fn links(&self, public_url: &Url) -> Links {
        let (secret, life) = (self.link_secret.clone(), self.config.link_life);
        Links::new(public_url.clone(), secret, life, self.clock.clone())
            .leading_to(self.storage.clone(), self.config.public_urls.clone())
    }

    fn buckets(&self) -> Buckets {
        Buckets {
            store: self.store.clone(),
            keyring: self.config.keyring.clone(),
            client: self.client.clone(),
        }
    }

    fn uploads(&self) -> Uploads {
        Uploads {
            store: self.store.clone(),
            storage: self.storage.clone(),
            clock: self.clock.clone(),
            limits: UploadLimits {
                max_bytes: self.config.limits.input_bytes,
                keep_finished: self.config.keep_uploads,
                ..UploadLimits::default()
            },
        }
    }

    fn worker(&self, tools: &ffmpeg::Tools, links: Links) -> anyhow::Result<Worker> {
        let scratch = Scratch::open(&self.config.data_dir.join("scratch"), self.worker_id)
            .context(NO_ROOM)?;
        let scratch = Arc::new(scratch);
        let config::Worker { min_free_disk_bytes, min_free_memory_bytes, .. } = self.config.worker;
        let limits =
            FetchLimits { max_bytes: self.config.limits.input_bytes, ..Default::default() };
        let fetcher = Fetcher::new(self.client.clone(), limits);
        let inputs = scratch.inputs()?;
        Ok(Worker {
            id: self.worker_id,
            store: self.store.clone(),
            downloads: through_gateway(
                Downloads::new(fetcher, inputs, KEEP_INPUTS, self.clock.clone()),
                &self.config,
                tools,
            ),
            engine: Engine::new(tools.clone(), engine_settings(&self.config)),
            storage: self.storage.clone(),
            uploads: self.uploads(),
            buckets: self.buckets(),
            links,
            scratch,
            headroom: Headroom::new(
                &self.config.data_dir,
                min_free_disk_bytes,
                min_free_memory_bytes,
            ),
            cutting: self.config.worker.cutting,
            admission: admission::of(&self.config.worker),
            processors: Processors::available(),
            retries: RetryPolicy::default(),
            clock: self.clock.clone(),
        })
    }

    fn deliverer(&self, links: Links) -> Deliverer {
        Deliverer::new(
            self.store.clone(),
            self.client.clone(),
            links,
            self.webhook_secrets.clone(),
            self.clock.clone(),
            rand::random,
            webhook::Limits::default(),
        )
    }
}

/// A SQLite file and its folder belong to one process; a server's database to many.
fn own_data_dir(config: &Config, role: Role) -> anyhow::Result<Option<DataDir>> {
    match (&config.database, role) {
        (config::Database::Sqlite(_), Role::Server) => Ok(Some(DataDir::lock(&config.data_dir)?)),
        (config::Database::Sqlite(_), Role::Worker) => anyhow::bail!(
            "a worker shares its database with others, and a SQLite file belongs to one process; \
             set DATABASE_URL=postgres://… for both, or run `reelway serve` alone"
        ),
        (config::Database::Postgres(_), _) => Ok(None),
    }
}

/// The programs, checked.
///
/// # Errors
///
/// One of them is missing or too old.
pub async fn tools(config: &Config) -> Result<ffmpeg::Tools, ffmpeg::ToolsError> {
    let usual = ffmpeg::Limits::default();
    let memory_bytes = config.limits.ffmpeg_memory_bytes;
    let limits = ffmpeg::Limits {
        wall: config.limits.task,
        memory_bytes,
        // Four times as much, as by default: stacks and mapped files count whole.
        address_space_bytes: memory_bytes.saturating_mul(4).max(usual.address_space_bytes),
        ..usual
    };
    let config::Tools { ffmpeg, ffprobe, .. } = &config.tools;
    let tools = ffmpeg::Tools::find(ffmpeg.as_deref(), ffprobe.as_deref(), limits).await?;
    let tools = if config.tools.extras.namespaces {
        tools
    } else {
        tools.in_sandbox(tools.sandbox().without_namespaces())
    };
    Ok(match config.tools.encoder.wanted() {
        wanted if wanted.is_empty() => tools,
        wanted => Box::pin(tools.with_hardware(&wanted)).await,
    })
}

/// What the settings ask of the programs and do not get.
fn unmet(config: &Config, tools: &ffmpeg::Tools) -> Option<String> {
    config.tools.encoder.missed(!tools.hardware().is_empty())
}

/// The one client that reaches out.
fn client(guard: &Guard) -> Client {
    Client::new(guard.clone(), Arc::new(SystemResolver))
}

/// Gets inputs within the limits of these settings.
fn fetcher(config: &Config) -> Fetcher {
    let guard = Guard::new(config.allow_networks.clone());
    let limits = FetchLimits { max_bytes: config.limits.input_bytes, ..FetchLimits::default() };
    Fetcher::new(client(&guard), limits)
}

/// The same downloads, read while they come where that is wanted and ffmpeg can be held to it.
fn through_gateway(downloads: Downloads, config: &Config, tools: &ffmpeg::Tools) -> Downloads {
    if config.input_gateway == config::InputGateway::Never || !tools.sandbox().has_tcp_ports() {
        return downloads;
    }
    match Gateway::open() {
        Ok(gateway) => downloads.through(gateway),
        Err(error) => {
            tracing::warn!(%error, "inputs are downloaded before they are read: there is no port");
            downloads
        }
    }
}

/// What the engine may do under these settings.
#[must_use]
pub fn engine_settings(config: &Config) -> EngineSettings {
    EngineSettings {
        threads: config.worker.threads,
        max_duration_secs: config.limits.input_duration.as_secs_f64(),
        max_pixels: config.limits.input_pixels,
        max_streams: config.limits.input_streams,
        max_fps: config.limits.output_fps,
        ..EngineSettings::default()
    }
}

/// The storage of these settings.
///
/// # Errors
///
/// The folder cannot be made, or the bucket's settings do not fit together.
pub fn open_storage(settings: &config::Storage) -> anyhow::Result<Storage> {
    let opened = match settings {
        config::Storage::Folder(folder) => Storage::local(folder),
        config::Storage::Bucket(settings) => Bucket::open(settings).map(Storage::bucket),
    };
    opened.with_context(|| format!("outputs cannot be kept in {settings}"))
}

/// The database of these settings.
///
/// # Errors
///
/// It cannot be opened or migrated.
pub async fn open_store(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    let operations = config.webhook.operations.clone();
    let store = match &config.database {
        config::Database::Sqlite(path) => SqlStore::sqlite(path, clock)
            .await
            .with_context(|| format!("the database {} cannot be opened", path.display()))?,
        config::Database::Postgres(settings) => {
            SqlStore::postgres(settings).await.with_context(|| {
                let server = &settings.server;
                format!(
                    "the database at {}:{} cannot be opened; is DATABASE_URL right?",
                    server.get_host(),
                    server.get_port()
                )
            })?
        }
    };
    Ok(Arc::new(store.telling(operations)))
}

/// The secrets that sign webhooks: those of the settings, else the server's own, made once.
///
/// # Errors
///
/// The store fails, or a secret cannot be one.
pub async fn webhook_secrets(config: &Config, store: &dyn Store) -> anyhow::Result<Secrets> {
    let said = &config.webhook.secrets;
    if said.is_empty() {
        let kept = store.secret(WEBHOOK_SECRET, Secret::generate().text()).await?;
        return Ok(Secrets::parse([kept.as_str()])?);
    }
    Ok(Secrets::parse(said.iter().map(secrecy::ExposeSecret::expose_secret))?)
}
