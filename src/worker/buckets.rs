//! Users' own buckets, as a task reaches them: through a connection, behind the guard.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::WorkError;
use crate::access::Project;
use crate::connection::{Connection, Keyring};
use crate::id::ConnectionId;
use crate::input::Origin;
use crate::job::{InputUrl, ObjectUrl, Via};
use crate::outbound::{Client, OutboundError, Target};
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
    pub async fn origin(
        &self,
        project: &Project,
        via: &Via,
        input: &InputUrl,
    ) -> Result<Origin, WorkError> {
        let object = input.object().ok_or_else(|| {
            Failure::new(ErrorKind::InputRefused, "the input names no object in a bucket")
        })?;
        let connection = self.connection(project, via.connection_id).await?.ok_or_else(|| {
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
        (project, via): (&Project, &Via),
        object: &ObjectUrl,
        file: &Path,
        is_first_attempt: bool,
    ) -> Result<Stored, WorkError> {
        let connection = self.connection(project, via.connection_id).await?.ok_or_else(|| {
            let message = "the connection that leads to the output was deleted";
            Failure::new(ErrorKind::OutputRefused, message).hint(MAKE_ANOTHER)
        })?;
        self.check_endpoint(&connection)?;
        let bucket = self.bucket(&connection, object.bucket())?;
        if !is_first_attempt && let Err(error) = bucket.abort_uploads(object.key()).await {
            // What a killed worker left there costs its owner money, and this job nothing.
            tracing::warn!(error = &error as &dyn Error, "leftovers of an upload stay");
        }
        let stored = bucket.replace(object.key(), file).await;
        Ok(stored.map_err(|error| refused(&error))?)
    }

    async fn connection(
        &self,
        project: &Project,
        id: ConnectionId,
    ) -> Result<Option<Connection>, WorkError> {
        Ok(self.store.connection(project, id).await.map_err(|error| {
            tracing::error!(error = &error as &dyn Error, "a connection cannot be read");
            Failure::new(ErrorKind::InternalError, "the job's connection cannot be read")
        })?)
    }

    /// Refuses what could never be reached. The library that speaks to buckets is not asked: it
    /// panics on what is no address of a request.
    fn check_endpoint(&self, connection: &Connection) -> Result<(), Failure> {
        let Some(endpoint) = &connection.endpoint else { return Ok(()) };
        match Target::of(endpoint, self.client.guard()) {
            Ok(_) => Ok(()),
            Err(error) => Err(endpoint_refused(&error)),
        }
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
        && is_blocked(outbound)
    {
        return endpoint_refused(outbound);
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

const fn is_blocked(error: &OutboundError) -> bool {
    matches!(error, OutboundError::BlockedAddress | OutboundError::BlockedPort)
}

fn endpoint_refused(error: &OutboundError) -> Failure {
    let message = format!("the connection's endpoint: {error}");
    let failure = Failure::new(ErrorKind::OutputRefused, message);
    failure.hint(if is_blocked(error) {
        "whoever runs this server can open networks with REELWAY_ALLOW_NETWORKS"
    } else {
        MAKE_ANOTHER
    })
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

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::access::By;
    use crate::clock::{SystemClock, Timestamp};
    use crate::id::fresh;
    use crate::outbound::TableResolver;
    use crate::outbound::loopback::{Act, Server, answer, client, ok, redirect};
    use crate::store::Submitted;
    use crate::store::sql::SqlStore;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    /// Buckets behind a guard for which 127.0.0.2 is public, and a connection to `endpoint`.
    async fn behind(endpoint: Url, names: TableResolver) -> (Buckets, Via, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("reelway.db");
        let store = SqlStore::sqlite(&path, Arc::new(SystemClock)).await.expect("a database");
        let keyring = Keyring::parse([KEY]).expect("a key");
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
        let added = store.add_connection(&connection, &By::default(), None).await.expect("kept");
        assert_eq!(added, Submitted::Accepted);
        std::fs::write(folder.path().join("made"), b"made").expect("a file");
        let buckets = Buckets { store: Arc::new(store), keyring, client: client(names) };
        (buckets, Via { connection_id: id, output: None }, folder)
    }

    async fn delivered(endpoint: Url, names: TableResolver) -> Result<Stored, Failure> {
        let (buckets, via, folder) = behind(endpoint, names).await;
        let object = "s3://media/out.mp4".parse().expect("an object");
        let delivered = buckets
            .deliver((&Project::DEFAULT, &via), &object, &folder.path().join("made"), true)
            .await;
        delivered.map_err(WorkError::into_failure)
    }

    #[tokio::test]
    async fn an_endpoint_at_a_private_address_is_never_asked() {
        let private = Server::start_at("127.0.0.1:0", |_, _| ok(b"secret")).await;
        let names = || {
            TableResolver::default()
                .with("private.example", &["127.0.0.1"])
                .with("mixed.example", &["127.0.0.2", "127.0.0.1"])
        };
        for host in
            ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "private.example", "mixed.example"]
        {
            let refused = delivered(private.named("http", host, "/"), names()).await;
            let failure = refused.expect_err(host);
            assert_eq!(failure.kind, ErrorKind::OutputRefused, "{host}: {failure:?}");
            assert!(failure.hint.expect("advice").contains("REELWAY_ALLOW_NETWORKS"), "{host}");
        }
        assert!(private.requests().await.is_empty());
    }

    #[tokio::test]
    async fn an_endpoint_that_sends_elsewhere_is_not_followed() {
        let elsewhere = Server::start(|_, _| ok(b"")).await;
        let location = elsewhere.url("/media/out.mp4").to_string();
        let endpoint = Server::start(move |_, _| redirect("307 Temporary", &location)).await;
        let refused = delivered(endpoint.url("/"), TableResolver::default()).await;
        assert_eq!(refused.expect_err("no bucket").kind, ErrorKind::OutputFailed);
        assert_eq!(endpoint.requests().await.len(), 1);
        assert!(elsewhere.requests().await.is_empty());
    }

    #[tokio::test]
    async fn a_bucket_that_is_not_there_is_no_reason_to_try_again() {
        for (status, kind) in [
            ("404 Not Found", ErrorKind::OutputRefused),
            ("403 Forbidden", ErrorKind::OutputRefused),
            ("400 Bad Request", ErrorKind::OutputFailed),
        ] {
            let error = b"<Error><Code>NoSuchBucket</Code><Message>at 10.0.0.1</Message></Error>";
            let acts = vec![Act::Send(answer(status, "content-length: 70\r\n", error))];
            let endpoint = Server::start(move |_, _| acts.clone()).await;
            let failure = delivered(endpoint.url("/"), TableResolver::default()).await;
            let failure = failure.expect_err("no bucket");
            assert_eq!(failure.kind, kind, "{status}");
            assert!(!failure.message.contains("10.0.0.1"), "{failure:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut() {
        let head = answer("403 Forbidden", "content-type: application/xml\r\n", b"<Error>");
        let acts = vec![Act::Send(head), Act::SendForever(vec![b'x'; 1 << 16])];
        let endpoint = Server::start(move |_, _| acts.clone()).await;
        let refused = delivered(endpoint.url("/"), TableResolver::default()).await;
        assert_eq!(refused.expect_err("no bucket").kind, ErrorKind::OutputFailed);
    }

    #[tokio::test]
    async fn an_input_is_linked_for_a_while_and_named_without_its_signature() {
        let endpoint = Url::parse("https://s3.example.com").expect("a URL");
        let (buckets, via, _folder) = behind(endpoint, TableResolver::default()).await;
        let input = InputUrl::parse("s3://media/a b.mp4").expect("an input");
        let origin = buckets.origin(&Project::DEFAULT, &via, &input).await.expect("an origin");
        assert_eq!(origin.name(), format!("{} s3://media/a b.mp4", via.connection_id));
        let shown = format!("{origin:?}");
        assert!(!shown.contains("X-Amz"), "{shown}");
    }

    #[tokio::test]
    async fn a_connection_that_is_gone_or_sealed_with_another_key_fails_the_job() {
        let endpoint = Url::parse("https://s3.example.com").expect("a URL");
        let (mut buckets, via, _folder) = behind(endpoint, TableResolver::default()).await;
        let input = InputUrl::parse("s3://media/a.mp4").expect("an input");
        buckets.keyring = Keyring::parse([&*"aa".repeat(32)]).expect("a key");
        let failure =
            buckets.origin(&Project::DEFAULT, &via, &input).await.expect_err("it cannot be opened");
        assert_eq!(failure.into_failure().kind, ErrorKind::InternalError);
        assert!(
            buckets
                .store
                .delete_connection(&Project::DEFAULT, via.connection_id, &By::default())
                .await
                .expect("an answer")
        );
        let failure =
            buckets.origin(&Project::DEFAULT, &via, &input).await.expect_err("it is gone");
        assert_eq!(failure.into_failure().kind, ErrorKind::InputUnauthorized);
    }
}
