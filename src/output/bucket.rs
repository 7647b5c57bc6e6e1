//! A bucket of S3 (and whatever speaks like it), Google Cloud Storage or Azure.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::StorageError;
use super::guarded::Guarded;
use crate::outbound;

/// How long a connection to a bucket may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a bucket may be silent: to take a part, or to send the next bytes.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a request is tried again, and for how long: a worker's task is tried again as a
/// whole, later, so nobody waits here for minutes.
const RETRIES: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);

/// What kinds of files are called in HTTP, by the end of their names.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("mov", "video/quicktime"),
    ("mkv", "video/x-matroska"),
    ("mpeg", "video/mpeg"),
    ("avi", "video/x-msvideo"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("heic", "image/heic"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("gif", "image/gif"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
    ("m4s", "video/iso.segment"),
    ("ts", "video/mp2t"),
    ("vtt", "text/vtt"),
    ("json", "application/json"),
];

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, or a server that speaks like it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// How a bucket is reached.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// Whose it is.
    pub cloud: Cloud,
    /// Its name; Azure calls it a container.
    pub name: String,
    /// What stands in front of every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The cloud's own variables, by their names in lower case (`aws_region`).
    pub options: Vec<(String, SecretString)>,
}

/// A bucket, and what only a bucket can do: sign links, and list uploads that were given up.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    pub(super) http: HttpClient,
    name: String,
    prefix: String,
    signs: bool,
}

#[derive(Clone, Debug)]
enum Client {
    S3(Arc<AmazonS3>),
    Gcs(Arc<GoogleCloudStorage>),
    Azure(Arc<MicrosoftAzure>),
}

impl BucketSettings {
    /// Whether links can be signed here that live as long as they say.
    ///
    /// A link that is signed with borrowed credentials (of a machine, of a role) dies with them,
    /// within hours and without a word.
    #[must_use]
    pub fn signs_links(&self) -> bool {
        let has = |name: &str| self.options.iter().any(|(known, _)| known == name);
        match self.cloud {
            Cloud::S3 => {
                has("aws_access_key_id")
                    && has("aws_secret_access_key")
                    && !has("aws_session_token")
            }
            Cloud::Gcs => has("google_service_account") || has("google_service_account_key"),
            Cloud::Azure => has("azure_storage_account_key"),
        }
    }

    /// The bucket as people write it: `s3://bucket/prefix`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.cloud {
            Cloud::S3 => "s3",
            Cloud::Gcs => "gs",
            Cloud::Azure => "az",
        };
        format!("{scheme}://{}/{}", self.name, self.prefix).trim_end_matches('/').to_owned()
    }
}

impl Bucket {
    /// The operator's own bucket, wherever it is.
    ///
    /// # Errors
    ///
    /// The settings do not fit together.
    pub fn open(settings: &BucketSettings) -> Result<Self, StorageError> {
        let http = ReqwestConnector::default().connect(&client_options().with_allow_http(true))?;
        let client = match settings.cloud {
            Cloud::S3 => Client::S3(Arc::new(s3(settings).build()?)),
            Cloud::Gcs => Client::Gcs(Arc::new(gcs(settings).build()?)),
            Cloud::Azure => Client::Azure(Arc::new(azure(settings).build()?)),
        };
        Ok(Self::of(settings, client, http))
    }

    /// A stranger's S3 bucket, reached through the guard and over nothing else.
    ///
    /// # Errors
    ///
    /// The settings do not fit together.
    pub fn open_guarded(
        settings: &BucketSettings,
        client: outbound::Client,
    ) -> Result<Self, StorageError> {
        let guarded = Guarded(client);
        let http = guarded.connect(&client_options())?;
        let s3 = s3(settings).with_http_connector(guarded).build()?;
        Ok(Self::of(settings, Client::S3(Arc::new(s3)), http))
    }

    fn of(settings: &BucketSettings, client: Client, http: HttpClient) -> Self {
        let BucketSettings { name, prefix, .. } = settings.clone();
        Self { client, http, name, prefix, signs: settings.signs_links() }
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands in front of every key.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn objects(&self) -> &dyn ObjectStore {
        match &self.client {
            Client::S3(s3) => s3.as_ref(),
            Client::Gcs(gcs) => gcs.as_ref(),
            Client::Azure(azure) => azure.as_ref(),
        }
    }

    pub(super) fn signer(&self) -> &dyn Signer {
        match &self.client {
            Client::S3(s3) => s3.as_ref(),
            Client::Gcs(gcs) => gcs.as_ref(),
            Client::Azure(azure) => azure.as_ref(),
        }
    }

    /// Where uploads in parts can be aborted by their name. Azure forgets parts by itself, a
    /// week after the last one.
    pub(super) fn uploads(&self) -> Option<&dyn MultipartStore> {
        match &self.client {
            Client::S3(s3) => Some(s3.as_ref()),
            Client::Gcs(gcs) => Some(gcs.as_ref()),
            Client::Azure(_) => None,
        }
    }

    /// A link to the object, if one can be signed here and now that lives for `life`.
    pub(super) fn link(&self, key: &Key, life: Duration) -> Option<Url> {
        if !self.signs {
            return None;
        }
        let options = match &self.client {
            // Its signature covers a fixed list of parameters.
            Client::Azure(_) => SignedUrlOptions::default(),
            Client::S3(_) | Client::Gcs(_) => SignedUrlOptions::default()
                .with_query([("response-content-disposition", disposition(key))]),
        };
        // With a key at hand this is arithmetic, over at the first look.
        let signed = self.signer().signed_url_opts(Method::GET, key, life, &options).now_or_never();
        match signed? {
            Ok(url) => Some(url),
            Err(error) => {
                tracing::warn!(%error, "a link could not be signed; the server's own is given");
                None
            }
        }
    }
}

/// Shown in place when it can do nothing but be seen or heard, else saved to disk.
fn disposition(key: &Key) -> String {
    let name = key.filename().unwrap_or_default();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect();
    let end = name.rsplit('.').next().unwrap_or_default();
    let is_media = MEDIA_TYPES.iter().any(|(known, kind)| {
        *known == end && ["video/", "audio/", "image/"].iter().any(|it| kind.starts_with(it))
    });
    format!("{}; filename=\"{name}\"", if is_media { "inline" } else { "attachment" })
}

fn client_options() -> ClientOptions {
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        // A whole request has no limit: an output may be large and its reader slow.
        .with_timeout_disabled()
        .with_read_timeout(READ_TIMEOUT);
    MEDIA_TYPES
        .iter()
        .fold(options, |options, (end, kind)| options.with_content_type_for_suffix(*end, *kind))
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(3),
        ..BackoffConfig::default()
    };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT }
}

fn s3(settings: &BucketSettings) -> AmazonS3Builder {
    let bare = AmazonS3Builder::new()
        .with_client_options(client_options())
        .with_retry(retries())
        .with_bucket_name(&settings.name);
    settings.options.iter().fold(bare, |builder, (name, value)| {
        match name.parse::<AmazonS3ConfigKey>() {
            Ok(key) => builder.with_config(key, value.expose_secret()),
            Err(_) => builder,
        }
    })
}

fn gcs(settings: &BucketSettings) -> GoogleCloudStorageBuilder {
    let bare = GoogleCloudStorageBuilder::new()
        .with_client_options(client_options())
        .with_retry(retries())
        .with_bucket_name(&settings.name);
    settings.options.iter().fold(bare, |builder, (name, value)| {
        match name.parse::<GoogleConfigKey>() {
            Ok(key) => builder.with_config(key, value.expose_secret()),
            Err(_) => builder,
        }
    })
}

fn azure(settings: &BucketSettings) -> MicrosoftAzureBuilder {
    let bare = MicrosoftAzureBuilder::new()
        .with_client_options(client_options())
        .with_retry(retries())
        .with_container_name(&settings.name);
    settings.options.iter().fold(bare, |builder, (name, value)| {
        match name.parse::<AzureConfigKey>() {
            Ok(key) => builder.with_config(key, value.expose_secret()),
            Err(_) => builder,
        }
    })
}
