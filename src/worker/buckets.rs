//! Users' own buckets, as a task reaches them: through a connection, behind the guard.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::WorkError;
use crate::connection::{Connection, Keyring};
use crate::id::ConnectionId;
use crate::input::Origin;
use crate::job::{InputUrl, ObjectUrl, Via};
use crate::outbound::{Client, OutboundError};
use crate::output::{Bucket, BucketSettings, Cloud, Storage, StorageError, Stored};
use crate::store::Store;
use crate::task::{ErrorKind, Failure};

/// How long the link to an input is good: longer than a download may take.
const INPUT_LINK_LIFE: Duration = Duration::from_hours(2);

/// Reaches users' own buckets.
#[derive(Clone, Debug)]
pub struct Buckets {
    /// Where connections are kept.
    pub store: Arc<dyn Store>,
    /// Opens their secrets.
    pub keyring: Keyring,
    /// The one client that reaches out for strangers.
    pub client: Client,
}

impl Buckets {
    /// Where the bytes of an input in a user's bucket can be had.
    ///
    /// # Errors
    ///
    /// The connection is gone or cannot be opened, or the URL names no object.
    pub async fn origin(&self, via: &Via, input: &InputUrl) -> Result<Origin, WorkError> {
        let object = input.object().ok_or_else(|| {
            Failure::new(ErrorKind::InputRefused, "the input names no object in a bucket")
        })?;
        let connection = self.connection(via.connection_id).await?.ok_or_else(|| {
            let message = "the connection that leads to the input was deleted";
            Failure::new(ErrorKind::InputUnauthorized, message).hint(MAKE_ANOTHER)
        })?;
        let bucket = self.bucket(&connection, object.bucket())?;
        let signed = bucket.signed(object.key(), INPUT_LINK_LIFE).await.map_err(unusable)?;
        let signed = signed.and_then(|url| InputUrl::parse(url.as_str()).ok());
        let signed = signed.ok_or_else(|| {
            Failure::new(ErrorKind::InputRefused, "the connection makes no link to the input")
        })?;
        Ok(Origin::behind(connection.id, input, signed))
    }

    /// Puts a file into a user's bucket, in the place of whatever is there.
    ///
    /// # Errors
    ///
    /// The connection is gone or cannot be opened, or the bucket does not take the file.
    pub async fn deliver(
        &self,
        via: &Via,
        object: &ObjectUrl,
        file: &Path,
        is_first_attempt: bool,
    ) -> Result<Stored, WorkError> {
        let connection = self.connection(via.connection_id).await?.ok_or_else(|| {
            let message = "the connection that leads to the output was deleted";
            Failure::new(ErrorKind::OutputRefused, message).hint(MAKE_ANOTHER)
        })?;
        let bucket = self.bucket(&connection, object.bucket())?;
        if !is_first_attempt && let Err(error) = bucket.abort_uploads(object.key()).await {
            // What a killed worker left there costs its owner money, and this job nothing.
            tracing::warn!(error = &error as &dyn Error, "leftovers of an upload stay");
        }
        let stored = bucket.replace(object.key(), file).await;
        Ok(stored.map_err(|error| refused(&error))?)
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, WorkError> {
        Ok(self.store.connection(id).await.map_err(|error| {
            tracing::error!(error = &error as &dyn Error, "a connection cannot be read");
            Failure::new(ErrorKind::InternalError, "the job's connection cannot be read")
        })?)
    }

    fn bucket(&self, connection: &Connection, name: &str) -> Result<Storage, WorkError> {
        let opened = self.keyring.open(connection.id, &connection.sealed_secret);
        let secret = opened.map_err(|error| {
            tracing::error!(connection.id = %connection.id, %error, "a connection cannot be opened");
            Failure::new(ErrorKind::InternalError, "the job's connection cannot be opened")
                .hint("whoever runs this server changed REELWAY_SECRET_KEY")
        })?;
        let settings = settings(connection, name, secret);
        let bucket = Bucket::open_guarded(&settings, self.client.clone()).map_err(unusable)?;
        Ok(Storage::bucket(bucket))
    }
}

const MAKE_ANOTHER: &str = "make another one with POST /connections and submit the job again";

fn settings(connection: &Connection, name: &str, secret: SecretString) -> BucketSettings {
    let mut options = vec![
        ("aws_region".to_owned(), connection.region.clone().into()),
        ("aws_access_key_id".to_owned(), connection.access_key_id.clone().into()),
        ("aws_secret_access_key".to_owned(), secret),
    ];
    if let Some(endpoint) = &connection.endpoint {
        let endpoint = endpoint.as_str().trim_end_matches('/').to_owned();
        options.push(("aws_endpoint_url".to_owned(), endpoint.into()));
    }
    BucketSettings { cloud: Cloud::S3, name: name.to_owned(), prefix: String::new(), options }
}

fn unusable(error: StorageError) -> Failure {
    tracing::error!(error = &error as &dyn Error, "a connection cannot be used");
    Failure::new(ErrorKind::InternalError, "the job's connection cannot be used")
}

/// What a user is told whose bucket did not take the file. The bucket's own words stay in the
/// log: they may come from anywhere.
fn refused(error: &StorageError) -> Failure {
    tracing::warn!(error = error as &dyn Error, "a user's bucket did not take an output");
    if let Some(outbound) = outbound_error(error)
        && matches!(outbound, OutboundError::BlockedAddress | OutboundError::BlockedPort)
    {
        return Failure::new(
            ErrorKind::OutputRefused,
            format!("the connection's endpoint: {outbound}"),
        )
        .hint("whoever runs this server can open networks with REELWAY_ALLOW_NETWORKS");
    }
    let (kind, message) = match error {
        StorageError::Store(
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. },
        ) => (ErrorKind::OutputRefused, "the bucket does not let the connection write there"),
        StorageError::Store(object_store::Error::NotFound { .. }) => {
            (ErrorKind::OutputRefused, "there is no such bucket")
        }
        StorageError::Key(_) => (ErrorKind::OutputRefused, "the bucket takes no such key"),
        _ => (ErrorKind::OutputFailed, "the bucket did not take the output"),
    };
    Failure::new(kind, message)
}

/// The guard's own error, below the words that others have put around it.
fn outbound_error(error: &StorageError) -> Option<&OutboundError> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<OutboundError>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
