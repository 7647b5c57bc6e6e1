//! From text to values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::http::HeaderValue;
use bytesize::ByteSize;
use ipnet::IpNet;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use super::Purpose;
use super::cloud::{self, Place};
use super::pieces;
use super::sources::{Source, Sources};
use super::{
    Config, Database, Encoder, Extras, Http, InputGateway, Log, LogFormat, Problem, Problems,
    Sandbox, Storage, Tools, Webhook, Worker,
};
use crate::connection::Keyring;
use crate::output::{MAX_LINK_LIFE, PublicUrls};
use crate::store::sql::{HintsFrom, PostgresSettings};
use crate::task::Kind;
use crate::worker::{Cutting, Retention};

/// Where things are kept when nobody says otherwise.
const DATA_DIR: &str = "./data";

/// The configuration, unless something without a stand-in is wrong; every problem is told.
pub(super) fn config(
    sources: &Sources,
    problems: &mut Problems,
    purpose: Purpose,
) -> Option<Config> {
    let mut read = Reader { sources, problems, purpose };
    let data_dir = read.text("data_dir").map_or_else(|| PathBuf::from(DATA_DIR), PathBuf::from);
    let database = read.database();
    let storage = read.storage(&data_dir);
    let http = read.http();
    let link_life = read.parsed("link_life", link_life).unwrap_or(Duration::from_hours(24));
    let template = |text: &str| PublicUrls::parse(text).map_err(str::to_owned);
    let public_urls = read.parsed("public_url_template", template);
    let keyring = read.parsed("secret_key", keyring).unwrap_or_default();
    let webhook = read.webhook();
    let provider = read.provider();
    let engine = read.engine(provider.is_some());
    let allow_networks = read.list("allow_networks", network);
    let worker = read.worker();
    let input_gateway = read.parsed("input_gateway", InputGateway::parse).unwrap_or_default();
    let limits = read.limits();
    let retention = read.retention();
    let keep_uploads =
        read.parsed("keep_uploads", duration).unwrap_or(Duration::from_hours(7 * 24));
    let log = read.log();
    let traces = read.traces();
    let tools = Tools {
        ffmpeg: read.text("ffmpeg").map(PathBuf::from),
        ffprobe: read.text("ffprobe").map(PathBuf::from),
        encoder: read.parsed("encoder", Encoder::parse).unwrap_or_default(),
        sandbox: read.parsed("sandbox", Sandbox::parse).unwrap_or_default(),
        extras: read.parsed("sandbox_extras", Extras::parse).unwrap_or_default(),
    };
    let http = http.inspect(|http| read.check_reach(engine, provider.as_ref(), http));
    // Only here may a problem end the reading: everything has been looked at.
    Some(Config {
        http: http?,
        database: database.unwrap_or_else(|| Database::Sqlite(data_dir.join("reelway.db"))),
        storage: storage?,
        data_dir,
        link_life,
        public_urls,
        keyring,
        webhook,
        engine,
        provider,
        allow_networks,
        worker,
        input_gateway,
        limits,
        retention,
        keep_uploads,
        tools,
        log,
        traces,
    })
}

pub(super) struct Reader<'a> {
    pub(super) sources: &'a Sources,
    pub(super) problems: &'a mut Problems,
    pub(super) purpose: Purpose,
}

impl Reader<'_> {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.sources.said(key).map(|(value, _)| value)
    }

    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (value, source) = self.sources.said(key)?;
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.problems.add(Problem { subject: subject(key, source), message, hint: None });
                None
            }
        }
    }

    pub(super) fn list<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let all = |text: &str| {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(&parse).collect::<Result<Vec<T>, String>>()
        };
        self.parsed(key, all).unwrap_or_default()
    }

    fn database(&mut self) -> Option<Database> {
        let hints = self.parsed("database_direct_url", hints_from);
        let connections = self.parsed("database_connections", connections);
        let database = self.parsed("database_url", database)?;
        Some(match database {
            Database::Postgres(settings) => Database::Postgres(Box::new(PostgresSettings {
                hints: hints.unwrap_or(settings.hints),
                connections: connections.unwrap_or(settings.connections),
                ..*settings
            })),
            sqlite @ Database::Sqlite(_) => sqlite,
        })
    }

    fn storage(&mut self, data_dir: &Path) -> Option<Storage> {
        if self.sources.said("storage").is_none() {
            return Some(Storage::Folder(data_dir.join("files")));
        }
        match self.parsed("storage", cloud::place)? {
            Place::Folder(folder) => Some(Storage::Folder(folder)),
            Place::Bucket { cloud, name, prefix } => cloud::bucket(cloud, name, prefix, self),
        }
    }

    fn webhook(&mut self) -> Webhook {
        Webhook {
            url: self.parsed("webhook_url", http_url),
            secrets: self.list("webhook_secret", secret),
            operations: self.parsed("operations_url", http_url),
        }
    }

    fn worker(&mut self) -> Worker {
        let kinds = self.list("kinds", kind);
        Worker {
            with_serve: !self.parsed("no_workers", switch).unwrap_or(false),
            kinds: if kinds.is_empty() { Kind::ALL.to_vec() } else { kinds },
            threads: self.parsed("threads", at_least_one),
            memory_bytes: self.parsed("memory", size),
            max_together: self.parsed("max_together", together).unwrap_or(4),
            cutting: Cutting {
                when: self.parsed("pieces", pieces::when).unwrap_or_default(),
                wanted_secs: self.parsed("piece_secs", pieces::secs).unwrap_or(30.0),
            },
            max_running_per_key: self.parsed("max_running_per_key", at_least_one),
            min_free_disk_bytes: self.parsed("min_free_disk", size).unwrap_or(1 << 30),
            min_free_memory_bytes: self.parsed("min_free_memory", size).unwrap_or(256 << 20),
            health_port: self.parsed("health_port", number),
            slots: self.parsed("slots", slots).unwrap_or_else(default_slots),
            light_slots: self.parsed("light_slots", slots).unwrap_or(2),
            drain: self.parsed("drain", duration).unwrap_or(Duration::from_secs(25)),
        }
    }

    fn retention(&mut self) -> Retention {
        let usual = Retention::default();
        Retention {
            jobs: self.parsed("keep_jobs", keep).unwrap_or(usual.jobs),
            outputs: self.parsed("keep_outputs", keep).unwrap_or(usual.outputs),
            deliveries: self.parsed("keep_deliveries", duration).unwrap_or(usual.deliveries),
        }
    }

    fn log(&mut self) -> Log {
        Log {
            filter: self.parsed("log", log_filter).unwrap_or_else(|| "info".to_owned()),
            format: self.parsed("log_format", log_format),
        }
    }

    fn http(&mut self) -> Option<Http> {
        let api_keys = self.list("api_key", secret);
        let bind = self.bind()?;
        let is_open = api_keys.is_empty() && !bind.ip().is_loopback();
        if is_open && self.purpose == Purpose::Listen {
            self.problems.add(Problem {
                subject: self
                    .sources
                    .said("bind")
                    .or_else(|| self.sources.said("port"))
                    .map_or_else(|| "bind".to_owned(), |(_, source)| subject("bind", source)),
                message: format!("{} can be reached by anyone, and there is no API key", bind.ip()),
                hint: Some(
                    "set REELWAY_API_KEY to a long random text, or REELWAY_BIND=127.0.0.1"
                        .to_owned(),
                ),
            });
        }
        let platform = self.sources.platform_domain.as_deref();
        let public_url = self
            .parsed("public_url", http_url)
            .or_else(|| platform.and_then(|domain| Url::parse(&format!("https://{domain}")).ok()));
        let max_queued = self.parsed("max_queued", number).unwrap_or(10_000);
        let max_connections = self.max_connections();
        let linger = self.parsed("linger", duration).unwrap_or_default();
        let cors_origins = self.list("cors_origins", origin);
        let trusted_proxies = self.list("trusted_proxies", network);
        let rates = self.rates();
        Some(Http {
            bind,
            api_keys,
            rates,
            trusted_proxies,
            public_url,
            max_queued,
            max_connections,
            linger,
            cors_origins,
        })
    }

    /// A `PORT` in the environment is how platforms say "be reachable": it opens the bind.
    fn bind(&mut self) -> Option<SocketAddr> {
        let from_platform = matches!(self.sources.said("port"), Some((_, Source::Env(_))));
        let port_was_said = self.sources.said("port").is_some();
        let port = self.parsed("port", port);
        let default: IpAddr =
            if from_platform { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::LOCALHOST.into() };
        let bind = match self.sources.said("bind") {
            Some(_) => self.parsed("bind", address)?,
            None => (default, None),
        };
        match (bind, port) {
            ((ip, None), Some(port)) => Some(SocketAddr::new(ip, port)),
            ((ip, own_port), None) if !port_was_said => {
                Some(SocketAddr::new(ip, own_port.unwrap_or(3000)))
            }
            ((ip, Some(own_port)), Some(port)) if own_port == port => {
                Some(SocketAddr::new(ip, port))
            }
            ((_, Some(own_port)), Some(port)) => {
                self.problems.add(Problem {
                    subject: "bind".to_owned(),
                    message: format!("its port {own_port} is not the port {port} set elsewhere"),
                    hint: Some("give the port once".to_owned()),
                });
                None
            }
            (_, None) => None,
        }
    }
}

fn subject(key: &str, source: &Source) -> String {
    match source {
        Source::File(path) => format!("{key} ({})", path.display()),
        source => source.to_string(),
    }
}

fn default_slots() -> u32 {
    let processors = available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(processors / 2).unwrap_or(1).max(1)
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is not a whole number that can be used here"))
}

fn port(text: &str) -> Result<u16, String> {
    number(text).map_err(|_| format!("`{text}` is no port, a whole number from 0 to 65535"))
}

/// How many tasks one ffmpeg may make, of which more would wait for each other's memory.
fn together(text: &str) -> Result<u32, String> {
    match at_least_one(text)? {
        number @ ..=16 => Ok(number),
        _ => Err("at most 16 are made by one ffmpeg".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<u32, String> {
    match number(text)? {
        0 => Err("at least 1 is needed".to_owned()),
        number => Ok(number),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_name(text).ok_or_else(|| {
        let kinds = Kind::ALL.map(Kind::name).join(", ");
        format!("there is no kind `{text}`; there are {kinds}")
    })
}

fn slots(text: &str) -> Result<u32, String> {
    match number(text)? {
        slots if slots > 1024 => Err("at most 1024 make sense".to_owned()),
        slots => Ok(slots),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is not a duration such as 30s, 10m or 6h"))
}

/// A time to keep things; none is for ever.
fn keep(text: &str) -> Result<Option<Duration>, String> {
    match text {
        "forever" => Ok(None),
        text => duration(text).map(Some),
    }
}

fn link_life(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        life if life > MAX_LINK_LIFE => Err("a link lives at most 7 days".to_owned()),
        life if life < Duration::from_secs(1) => Err("a link lives at least 1 s".to_owned()),
        life => Ok(life),
    }
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    let size: ByteSize =
        text.parse().map_err(|_| format!("`{text}` is not a size such as 500MB or 10GiB"))?;
    Ok(size.as_u64())
}

pub(super) fn secret(text: &str) -> Result<SecretString, String> {
    if text.len() < 8 {
        Err("a secret has at least 8 characters".to_owned())
    } else {
        Ok(text.into())
    }
}

/// What a browser sends as `Origin`, and nothing else: `*` would be a key in everybody's pages.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let shape = "it is a scheme and a host such as https://app.example.com, without a path";
    let url = Url::parse(text).map_err(|_| shape)?;
    let is_bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    let origin = url.origin();
    if !is_bare || !origin.is_tuple() {
        return Err(shape.to_owned());
    }
    HeaderValue::try_from(origin.ascii_serialization()).map_err(|_| shape.to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is not a network such as 10.0.0.0/8"))
}

pub(super) fn http_url(text: &str) -> Result<Url, String> {
    let wrong = || format!("`{text}` is not a URL such as https://media.example.com");
    let url = Url::parse(text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(wrong()) }
}

fn address(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip(), Some(address.port())));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    match bare {
        "localhost" => Ok((Ipv4Addr::LOCALHOST.into(), None)),
        bare => bare
            .parse()
            .map(|ip| (ip, None))
            .map_err(|_| format!("`{text}` is not an IP address such as 0.0.0.0")),
    }
}

/// A database's URL; it may hold a password, so that no message repeats it.
fn database(text: &str) -> Result<Database, String> {
    match text.split_once(':') {
        Some(("sqlite", path)) => {
            Ok(Database::Sqlite(PathBuf::from(path.strip_prefix("//").unwrap_or(path))))
        }
        Some(("postgres" | "postgresql", _)) => {
            let server = postgres(text)?;
            let hints = HintsFrom::Server;
            Ok(Database::Postgres(Box::new(PostgresSettings { server, hints, connections: 10 })))
        }
        Some((scheme, _)) => {
            Err(format!("jobs are kept in sqlite: or postgres:, not in {scheme}:"))
        }
        None => Err("it is a URL such as sqlite:///var/lib/reelway/reelway.db or \
                     postgres://user:password@host/database"
            .to_owned()),
    }
}

fn postgres(text: &str) -> Result<PgConnectOptions, String> {
    // Its errors do not repeat the URL, but name the part that is wrong.
    text.parse().map_err(|error: sqlx::Error| match error {
        sqlx::Error::Configuration(cause) => format!("the postgres URL is wrong: {cause}"),
        error => error.to_string(),
    })
}

fn hints_from(text: &str) -> Result<HintsFrom, String> {
    match text {
        "none" => Ok(HintsFrom::PollAlone),
        url => postgres(url).map(|server| HintsFrom::Direct(Box::new(server))),
    }
}

fn connections(text: &str) -> Result<u32, String> {
    match number(text)? {
        0 | 1 => Err("at least 2 are needed".to_owned()),
        connections => Ok(connections),
    }
}

fn keyring(text: &str) -> Result<Keyring, String> {
    let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
    Keyring::parse(keys).map_err(|error| format!("{error}; `openssl rand -hex 32` makes one"))
}

fn log_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("`{text}` is not a filter: {error}")),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is neither text nor json")),
    }
}
