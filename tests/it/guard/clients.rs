//! Every client that reaches out for somebody, as it is, and how each tells of an end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reelway::access::{By, Project};
use reelway::clock::{ManualClock, SystemClock, Timestamp};
use reelway::connection::{Connection, Keyring};
use reelway::id::fresh;
use reelway::input::{Downloads, FetchError, FetchLimits, Fetcher, Gateway};
use reelway::job::{InputUrl, Via};
use reelway::outbound::Client;
use reelway::provider::{Api, Refusal};
use reelway::store::sql::SqlStore;
use reelway::store::{DeliveryState, Store as _};
use reelway::task::Failure;
use reelway::webhook::{Deliverer, Limits, Secrets};
use reelway::worker::Buckets;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::app::TestApp;
use crate::webhook::{SECRET, Sender};

/// A key for the secrets of connections.
const SEAL: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The largest input.
const MAX_INPUT_BYTES: u64 = 128 << 10;

/// What is put into a bucket.
const MADE: &[u8] = b"made";

/// The first part of an input that comes by parts, which is half of it, and the rest.
static HALF: [u8; HALF_BYTES] = [0; HALF_BYTES];
const HALF_BYTES: usize = 256 << 10;

/// How long a webhook may take: a database is waited for beside it, so that time is real.
pub(super) const WEBHOOK_TIMEOUT: Duration = Duration::from_millis(800);

/// A client that reaches out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Fetches inputs.
    Input,
    /// Fetches later parts of inputs that are read while they come.
    Part,
    /// Fetches what `subtitle_url` names.
    Subtitles,
    /// Fetches what `encryption.key_url` names.
    Key,
    /// Pushes ends of jobs.
    Webhook,
    /// Puts outputs into users' own buckets.
    Bucket,
    /// Hands jobs over to a provider.
    Provider,
}

impl Who {
    pub(super) const ALL: [Self; 7] = [
        Self::Input,
        Self::Part,
        Self::Subtitles,
        Self::Key,
        Self::Webhook,
        Self::Bucket,
        Self::Provider,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Part => "input by parts",
            Self::Subtitles => "subtitle_url",
            Self::Key => "key_url",
            Self::Webhook => "webhook",
            Self::Bucket => "bucket",
            Self::Provider => "provider",
        }
    }

    /// Whether nothing but the network is waited for, so that waits may be skipped.
    pub(super) const fn may_jump(self) -> bool {
        !matches!(self, Self::Webhook)
    }

    /// The most bytes of an answer that it reads.
    pub(super) const fn reads_at_most(self) -> u64 {
        match self {
            Self::Input | Self::Subtitles => MAX_INPUT_BYTES,
            Self::Part => 2 * HALF_BYTES as u64,
            Self::Key => 16,
            Self::Webhook => 16 << 10,
            Self::Bucket | Self::Provider => 4 << 20,
        }
    }

    /// The headers of a good answer beside its length, and its body.
    pub(super) const fn good(self) -> (&'static str, &'static [u8]) {
        match self {
            Self::Input => ("", b"\0\0\0\x20ftypisom and a film"),
            Self::Part => ("content-range: bytes 262144-524287/524288\r\netag: \"1\"\r\n", &HALF),
            Self::Subtitles => ("", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n"),
            Self::Key => ("", b"sixteen bytes..."),
            Self::Webhook => ("", b"thanks"),
            // The same for the PUT and for the HEAD that looks at what is there.
            Self::Bucket => ("etag: \"1\"\r\n", MADE),
            Self::Provider => ("", br#"{"id": "p1", "status": "queued"}"#),
        }
    }

    /// The status of a good answer.
    pub(super) const fn good_status(self) -> &'static str {
        match self {
            Self::Part => "206 Partial Content",
            _ => "200 OK",
        }
    }

    /// What is answered before anything else.
    pub(super) fn first(self) -> Option<Vec<u8>> {
        let head = "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-262143/524288\r\n\
                    etag: \"1\"\r\ncontent-length: 262144\r\n\r\n";
        (self == Self::Part).then(|| [head.as_bytes(), &HALF].concat())
    }

    /// Goes to `url`, `times` times; how that ended the last time, in a word or two.
    pub(super) async fn ask(self, url: &str, client: Client, times: usize) -> String {
        match self {
            Self::Input => fetched(url, client, times, Small::No).await,
            // A later part is a second request already.
            Self::Part => by_parts(url, client).await,
            Self::Subtitles => fetched(url, client, times, Small::Subtitles).await,
            Self::Key => fetched(url, client, times, Small::Key).await,
            Self::Webhook => pushed(url, client, times).await,
            Self::Bucket => delivered(url, client, times).await,
            Self::Provider => handed_over(url, client, times).await,
        }
    }
}

fn told(failure: &Failure) -> String {
    let again = if failure.kind.is_retryable() { "again" } else { "fail" };
    format!("{again} {}", failure.kind.name())
}

#[derive(Clone, Copy)]
enum Small {
    No,
    Subtitles,
    Key,
}

async fn fetched(url: &str, client: Client, times: usize, small: Small) -> String {
    let Ok(input) = InputUrl::parse(url) else { return "not a URL".to_owned() };
    let limits = FetchLimits {
        max_bytes: MAX_INPUT_BYTES,
        // Time is skipped where nothing happens, and short where something happens all the time.
        headers: Duration::from_secs(1),
        reserve_bytes: 0,
        resume_pause: Duration::from_millis(1),
        ..FetchLimits::default()
    };
    let fetcher = Fetcher::new(client, limits);
    let mut last = String::new();
    for _ in 0..times {
        let folder = tempfile::tempdir().expect("a folder");
        let ended = fetch(&fetcher, &input, folder.path(), small).await;
        if !matches!(small, Small::No) || ended.is_err() {
            let left = std::fs::read_dir(folder.path()).expect("a folder").count();
            assert_eq!(left, 0, "{url}: files are left");
        }
        last = match ended {
            Ok(()) => "ok".to_owned(),
            Err(FetchError::Failed(failure)) => told(&failure),
            Err(FetchError::Stopped) => "stopped".to_owned(),
        };
    }
    last
}

/// All of an input that comes by parts.
async fn by_parts(url: &str, client: Client) -> String {
    let Ok(input) = InputUrl::parse(url) else { return "not a URL".to_owned() };
    let limits = FetchLimits {
        max_bytes: 2 * HALF_BYTES as u64,
        headers: Duration::from_secs(1),
        reserve_bytes: 0,
        resume_pause: Duration::from_millis(1),
        ..FetchLimits::default()
    };
    let fetcher = Fetcher::new(client, limits);
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, stop) = (ManualClock::at(Timestamp::from_millis(0)), CancellationToken::new());
    let below = folder.path().to_owned();
    let downloads = Downloads::new(fetcher, below, Duration::ZERO, Arc::new(clock));
    let downloads = downloads.through(Gateway::open().expect("a port"));
    let since = Timestamp::from_millis(0);
    let ended = match downloads.get(&input, since, |_, _| {}, &stop).await {
        Ok(input) => input.whole(|_, _| {}, &stop).await.map(drop),
        Err(error) => Err(error),
    };
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "{url}: files are left");
    match ended {
        Ok(()) => "ok".to_owned(),
        Err(FetchError::Failed(failure)) => told(&failure),
        Err(FetchError::Stopped) => "stopped".to_owned(),
    }
}

async fn fetch(
    fetcher: &Fetcher,
    input: &InputUrl,
    folder: &Path,
    small: Small,
) -> Result<(), FetchError> {
    let stop = CancellationToken::new();
    match small {
        Small::No => fetcher.fetch(input, &folder.join("input"), |_, _| {}, &stop).await.map(drop),
        Small::Subtitles => fetcher.subtitles(input, folder, &stop).await.map(drop),
        Small::Key => {
            let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
            let folder = folder.join("inputs");
            let downloads = Downloads::new(fetcher.clone(), folder, Duration::ZERO, clock);
            downloads.key::<16>(input.url(), &stop).await.map(drop)
        }
    }
}

async fn pushed(url: &str, client: Client, times: usize) -> String {
    if InputUrl::parse(url).is_err() {
        return "not a URL".to_owned();
    }
    let sender = Sender::new().await;
    let mut job = sender.end_job(url).await;
    let TestApp { store, links, clock, .. } = &sender.app;
    let limits = Limits { timeout: WEBHOOK_TIMEOUT, ..Limits::default() };
    let secrets = Secrets::parse([SECRET]).expect("a secret");
    let (store, links, clock) = (store.clone(), links.clone(), clock.clone());
    let deliverer = Deliverer::new(store, client, links, secrets, clock, || 0.5, limits);
    for _ in 0..times {
        if sender.until_due().await.is_none() {
            job = sender.end_job(url).await;
            sender.until_due().await.expect("a push that is due");
        }
        assert_eq!(deliverer.round().await.expect("a store"), 1);
    }
    let delivery = sender.delivery(job).await;
    let last = delivery.attempts.last().expect("an attempt");
    let why = || last.error.clone().or(last.status.map(|status| status.to_string()));
    match delivery.state {
        DeliveryState::Delivered => "ok".to_owned(),
        DeliveryState::Pending => format!("again {}", why().expect("a reason")),
        state => format!("{state:?} {}", why().expect("a reason")).to_lowercase(),
    }
}

async fn delivered(url: &str, client: Client, times: usize) -> String {
    let Ok(endpoint) = Url::parse(url) else { return "not a URL".to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("reelway.db");
    let store = SqlStore::sqlite(&database, Arc::new(SystemClock)).await.expect("a database");
    let keyring = Keyring::parse([SEAL]).expect("a key");
    let id = fresh(Timestamp::from_millis(1));
    let connection = Connection {
        id,
        project: Project::DEFAULT,
        name: None,
        endpoint: Some(endpoint),
        region: "us-east-1".to_owned(),
        access_key_id: "key id".to_owned(),
        sealed_secret: keyring.seal(id, &"secret".into()).expect("sealed"),
        created_at: Timestamp::from_millis(1),
    };
    store.add_connection(&connection, &By::default(), None).await.expect("kept");
    let made = folder.path().join("made");
    std::fs::write(&made, MADE).expect("a file");
    let buckets = Buckets { store: Arc::new(store), keyring, client };
    let via = Via { connection_id: id, output: None };
    let object = "s3://media/out.mp4".parse().expect("an object");
    let mut last = String::new();
    for _ in 0..times {
        let ended = buckets.deliver((&Project::DEFAULT, &via), &object, &made, true).await;
        last = ended.map_or_else(|error| told(&error.into_failure()), |_| "ok".to_owned());
    }
    last
}

async fn handed_over(url: &str, client: Client, times: usize) -> String {
    let Ok(url) = Url::parse(url) else { return "not a URL".to_owned() };
    let app = TestApp::new().await;
    let id = app.submit("video").await.parse().expect("an id");
    let job = app.store.job(&Project::DEFAULT, id).await.expect("an answer").expect("a job");
    let back = Url::parse("https://media.example.com/webhooks/ittybit").expect("a URL");
    let api = Api::new(client, url, back, "the-key".into(), app.clock.clone());
    let mut last = String::new();
    for _ in 0..times {
        last = match api.submit(&job, "key").await {
            Ok(_) => "ok".to_owned(),
            Err(Refusal::No(failure)) => told(&failure),
            Err(Refusal::Away { failure, .. } | Refusal::Unreadable(failure)) => told(&failure),
            Err(Refusal::Missing(failure)) => format!("missing: {}", told(&failure)),
        };
    }
    last
}
