//! What every place does, each promise once for each place.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use futures::TryStreamExt as _;
use reelway::output::{Bucket, BucketSettings, Cloud, Storage, StorageError};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::server::{ACCESS_KEY_ID, S3Server, SECRET_ACCESS_KEY, files};

/// Three parts, the last of them short.
const LARGE_BYTES: usize = 20 << 20;

/// How long anything may take before it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place, and a look behind it.
pub(crate) struct Place {
    pub(crate) storage: Storage,
    pub(crate) folder: TempDir,
    pub(crate) server: Option<S3Server>,
}

impl Place {
    pub(crate) fn local() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::local(&folder.path().join("files")).expect("a storage");
        Self { storage, folder, server: None }
    }

    pub(crate) async fn s3() -> Self {
        Self::on(S3Server::start().await)
    }

    fn on(server: S3Server) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = bucket(&server.url, SECRET_ACCESS_KEY);
        Self { storage, folder, server: Some(server) }
    }

    /// A file of this many bytes, of which no two parts are alike.
    pub(crate) fn source(&self, size: usize) -> (PathBuf, Vec<u8>) {
        let path = self.folder.path().join(format!("source-{size}"));
        let bytes: Vec<u8> = (0..size).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
        std::fs::write(&path, &bytes).expect("a file");
        (path, bytes)
    }

    /// What is left of uploads.
    fn unfinished(&self) -> Vec<PathBuf> {
        match &self.server {
            Some(server) => server.unfinished(),
            None => files(&self.folder.path().join("files")),
        }
    }
}

/// The bucket `media` of a server, with everything below `made`.
pub(crate) fn bucket(url: &str, secret: &str) -> Storage {
    let option = |name: &str, value: &str| (name.to_owned(), value.into());
    let settings = BucketSettings {
        cloud: Cloud::S3,
        name: "media".to_owned(),
        prefix: "made".to_owned(),
        options: vec![
            option("aws_endpoint_url", url),
            option("aws_allow_http", "true"),
            option("aws_access_key_id", ACCESS_KEY_ID),
            option("aws_secret_access_key", secret),
        ],
    };
    Storage::bucket(Bucket::open(&settings).expect("a bucket"))
}

async fn bytes(storage: &Storage, key: &str, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let stream = storage.get(key, range).await.expect("an object");
    let parts: Vec<Bytes> = stream.try_collect().await.expect("its bytes");
    parts.concat()
}

/// Waits for something that happens elsewhere and cannot call us.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let looked = tokio::time::timeout(PATIENCE, async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !is_so() {
            ticks.tick().await;
        }
    });
    looked.await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"));
}

pub(crate) async fn what_is_put_is_read_whole_and_in_ranges(place: &Place) {
    let (source, whole) = place.source(1000);
    let stored = place.storage.put("job_1/1/video.mp4", &source).await.expect("stored");
    assert_eq!(stored.size_bytes, 1000);
    assert_eq!(stored.sha256, hex::encode(Sha256::digest(&whole)));
    assert_eq!(bytes(&place.storage, "job_1/1/video.mp4", None).await, whole);
    assert_eq!(bytes(&place.storage, "job_1/1/video.mp4", Some(7..14)).await, whole[7..14]);
    assert_eq!(place.storage.size("job_1/1/video.mp4").await.expect("a size"), Some(1000));
}

pub(crate) async fn a_large_file_arrives_whole_in_parts(place: &Place) {
    let (source, whole) = place.source(LARGE_BYTES);
    let stored = place.storage.put("job_1/1/large é ü.mp4", &source).await.expect("stored");
    assert_eq!(stored.size_bytes, LARGE_BYTES as u64);
    assert_eq!(stored.sha256, hex::encode(Sha256::digest(&whole)));
    let read = bytes(&place.storage, "job_1/1/large é ü.mp4", None).await;
    assert!(read == whole, "the bytes are those of the file");
    let around_a_seam = (8 << 20) - 3..(8 << 20) + 3;
    let read = bytes(&place.storage, "job_1/1/large é ü.mp4", Some(around_a_seam.clone())).await;
    assert_eq!(read, whole[around_a_seam.start as usize..around_a_seam.end as usize]);
}

pub(crate) async fn what_is_not_there_is_told_apart_from_trouble(place: &Place) {
    assert_eq!(place.storage.size("job_1/1/none.mp4").await.expect("an answer"), None);
    let missing = place.storage.get("job_1/1/none.mp4", None).await.err();
    assert!(
        matches!(missing, Some(StorageError::Store(object_store::Error::NotFound { .. }))),
        "{missing:?}"
    );
    let unread = place.storage.put("job_1/1/a.mp4", Path::new("/nowhere/a.mp4")).await;
    assert!(matches!(unread, Err(StorageError::Source(_))), "{unread:?}");
}

pub(crate) async fn what_is_there_is_replaced_only_on_purpose(place: &Place) {
    let (first, old) = place.source(100);
    let (second, new) = place.source(200);
    place.storage.put("job_1/1/a.mp4", &first).await.expect("stored");
    let refused = place.storage.put("job_1/1/a.mp4", &second).await;
    assert!(
        matches!(refused, Err(StorageError::Store(object_store::Error::AlreadyExists { .. }))),
        "{refused:?}"
    );
    assert_eq!(bytes(&place.storage, "job_1/1/a.mp4", None).await, old);
    place.storage.replace("job_1/1/a.mp4", &second).await.expect("replaced");
    assert_eq!(bytes(&place.storage, "job_1/1/a.mp4", None).await, new);
}

pub(crate) async fn removing_a_prefix_leaves_what_is_beside_it(place: &Place) {
    let (source, _) = place.source(10);
    for key in ["job_1/1/a.mp4", "job_1/1/b/c.mp4", "job_1/10/a.mp4", "job_10/1/a.mp4"] {
        place.storage.put(key, &source).await.expect("stored");
    }
    assert_eq!(place.storage.remove("job_1/1").await.expect("removed"), 2);
    for (key, is_there) in
        [("job_1/1/a.mp4", false), ("job_1/1/b/c.mp4", false), ("job_1/10/a.mp4", true)]
    {
        let found = place.storage.size(key).await.expect("an answer");
        assert_eq!(found.is_some(), is_there, "{key}");
    }
    assert_eq!(place.storage.remove("job_1/1").await.expect("nothing left"), 0);
    assert_eq!(place.storage.remove("job_1").await.expect("removed"), 1);
    assert!(place.storage.size("job_10/1/a.mp4").await.expect("an answer").is_some());
}

/// What is on the disk while an upload is in its middle; then nobody waits for it any more.
async fn give_up_in_the_middle(place: &Place, key: &'static str) -> Vec<PathBuf> {
    // A pipe that gives two parts and then no more keeps the upload where it is.
    let pipe = place.folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("a pipe");
    let (storage, source) = (place.storage.clone(), pipe.clone());
    let upload = tokio::spawn(async move { storage.put(key, &source).await });
    let writer = tokio::task::spawn_blocking(move || {
        let mut writer = std::fs::OpenOptions::new().write(true).open(pipe).expect("a reader");
        writer.write_all(&vec![7; 17 << 20]).expect("a reader");
        writer
    });
    let writer = writer.await.expect("written");
    eventually("parts arrive", || !place.unfinished().is_empty()).await;
    let unfinished = place.unfinished();
    upload.abort();
    drop(writer);
    unfinished
}

pub(crate) async fn an_upload_that_nobody_waits_for_leaves_nothing(place: &Place) {
    give_up_in_the_middle(place, "job_1/1/a.mp4").await;
    eventually("nothing is left", || place.unfinished().is_empty()).await;
    assert_eq!(place.storage.size("job_1/1/a.mp4").await.expect("an answer"), None);
}

#[tokio::test]
async fn half_a_file_of_a_killed_worker_goes_with_its_folder() {
    let place = Place::local();
    let unfinished = give_up_in_the_middle(&place, "job_1/1/a.mp4").await;
    eventually("nothing is left", || place.unfinished().is_empty()).await;
    let half = unfinished.first().expect("half a file");
    std::fs::create_dir_all(half.parent().expect("a folder")).expect("a folder");
    std::fs::write(half, b"half").expect("what a killed worker leaves");
    let (source, _) = place.source(10);
    place.storage.put("job_1/10/a.mp4", &source).await.expect("stored");
    assert_eq!(place.storage.remove("job_1/1").await.expect("removed"), 0);
    assert!(!half.exists(), "{}", half.display());
    assert!(place.storage.size("job_1/10/a.mp4").await.expect("an answer").is_some());
}

macro_rules! contract {
    ($($promise:ident),+; seen from behind: $behind:ident;) => {
        mod on_a_folder {
            use super::Place;
            $(#[tokio::test] async fn $promise() { super::$promise(&Place::local()).await })+
            #[tokio::test] async fn $behind() { super::$behind(&Place::local()).await }
        }

        mod on_s3 {
            use super::Place;
            $(#[tokio::test] async fn $promise() { super::$promise(&Place::s3().await).await })+
            #[tokio::test] async fn $behind() { super::$behind(&Place::s3().await).await }
        }

        /// Every promise that is seen from the front, each on a place that was emptied.
        pub(crate) async fn holds(place: impl AsyncFn() -> Place) {
            $($promise(&place().await).await;)+
        }
    };
}

contract! {
    what_is_put_is_read_whole_and_in_ranges,
    a_large_file_arrives_whole_in_parts,
    what_is_not_there_is_told_apart_from_trouble,
    what_is_there_is_replaced_only_on_purpose,
    removing_a_prefix_leaves_what_is_beside_it;
    seen from behind: an_upload_that_nobody_waits_for_leaves_nothing;
}

#[tokio::test]
async fn a_part_that_is_refused_ends_the_upload_and_leaves_nothing() {
    let server = S3Server::refusing(|request| {
        let query = request.uri().query().unwrap_or_default();
        query.contains("partNumber=2").then_some(StatusCode::BAD_REQUEST)
    });
    let place = Place::on(server.await);
    let server = place.server.as_ref().expect("a server");
    let (source, _) = place.source(LARGE_BYTES);
    let refused = place.storage.put("job_1/1/a.mp4", &source).await;
    assert!(matches!(refused, Err(StorageError::Store(_))), "{refused:?}");
    assert_eq!(server.unfinished(), Vec::<PathBuf>::new());
    assert_eq!(place.storage.size("job_1/1/a.mp4").await.expect("an answer"), None);
}

#[tokio::test]
async fn a_prefix_stands_in_front_of_every_key() {
    let place = Place::s3().await;
    let (source, whole) = place.source(10);
    place.storage.put("job_1/1/a.mp4", &source).await.expect("stored");
    let object = place.server.as_ref().expect("a server").object("made/job_1/1/a.mp4");
    assert_eq!(std::fs::read(object).expect("an object"), whole);
    assert_eq!(place.storage.full_key("job_1/1/a.mp4"), "made/job_1/1/a.mp4");
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let place = Place::s3().await;
    let url = &place.server.as_ref().expect("a server").url;
    let stranger = bucket(url, "another-secret-access-key");
    let (source, _) = place.source(10);
    assert!(stranger.put("job_1/1/a.mp4", &source).await.is_err());
    assert_eq!(place.storage.size("job_1/1/a.mp4").await.expect("an answer"), None);
}
