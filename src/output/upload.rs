//! One file on its way into storage: streamed, hashed, whole or not at all.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::StorageError;

/// How much of a file is one part, unless it would take more parts than a store allows.
const PART_BYTES: u64 = 8 << 20;

/// The most parts that S3 allows in one upload.
const MAX_PARTS: u64 = 10_000;

/// How many parts may be on their way at once: with the one that is being read, 40 MiB.
const PARTS_IN_FLIGHT: usize = 4;

/// How long parts on their way may take before an upload that has failed is aborted all the same.
const LAST_PARTS: Duration = Duration::from_secs(10);

/// How much is read and hashed before others get a turn on this thread.
const READ_BYTES: usize = 1 << 20;

/// What went into storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes in lower-case hex.
    pub sha256: String,
}

/// Streams the file at `path` to `key`. Dropping the future ends the upload like an error does:
/// nothing is left behind.
///
/// What goes in one part can be refused where something is there already ([`PutMode::Create`]);
/// a larger file replaces it, since no upload in parts can be made conditional.
pub(super) async fn upload(
    objects: &dyn ObjectStore,
    key: &Key,
    path: &Path,
    mode: PutMode,
) -> Result<Stored, StorageError> {
    let mut source = Source::open(path).await?;
    let first = source.part().await?;
    if (first.len() as u64) < source.part_bytes {
        put_whole(objects, key, first, mode).await?;
    } else {
        put_parts(objects, key, first, &mut source).await?;
    }
    let stored = source.stored();
    check_size(objects, key, stored.size_bytes).await?;
    Ok(stored)
}

pub(super) async fn put_whole(
    objects: &dyn ObjectStore,
    key: &Key,
    bytes: Bytes,
    mode: PutMode,
) -> Result<(), StorageError> {
    let put = objects.put_opts(key, bytes.clone().into(), PutOptions::from(mode)).await;
    match put {
        // The operator has said that the server knows no conditions.
        Err(object_store::Error::NotImplemented { .. }) => objects.put(key, bytes.into()).await?,
        put => put?,
    };
    Ok(())
}

async fn put_parts(
    objects: &dyn ObjectStore,
    key: &Key,
    first: Bytes,
    source: &mut Source,
) -> Result<(), StorageError> {
    let mut upload =
        Upload { target: Some(objects.put_multipart(key).await?), parts: JoinSet::new() };
    let sent = async {
        let mut part = first;
        while !part.is_empty() {
            upload.put(part).await?;
            part = source.part().await?;
        }
        upload.complete().await
    };
    match sent.await {
        Ok(()) => Ok(()),
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

/// A store answers for every part; whether it has put all of them together is seen here.
async fn check_size(
    objects: &dyn ObjectStore,
    key: &Key,
    sent_bytes: u64,
) -> Result<(), StorageError> {
    match objects.head(key).await {
        Ok(found) if found.size == sent_bytes => Ok(()),
        Ok(found) => Err(StorageError::Size { sent_bytes, found_bytes: found.size }),
        // A key that may write and not read is a careful one.
        Err(object_store::Error::PermissionDenied { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The file, read part by part and hashed on the way.
struct Source {
    file: File,
    part_bytes: u64,
    size_bytes: u64,
    digest: Sha256,
}

impl Source {
    async fn open(path: &Path) -> Result<Self, StorageError> {
        let opened = async {
            let file = File::open(path).await?;
            let size_bytes = file.metadata().await?.len();
            Ok::<_, io::Error>((file, size_bytes))
        };
        let (file, expected_bytes) = opened.await.map_err(StorageError::Source)?;
        let part_bytes = PART_BYTES.max(expected_bytes.div_ceil(MAX_PARTS));
        Ok(Self { file, part_bytes, size_bytes: 0, digest: Sha256::new() })
    }

    /// The next part; a shorter one is the last, an empty one is behind the end.
    async fn part(&mut self) -> Result<Bytes, StorageError> {
        let wanted = self.part_bytes as usize;
        let mut part = Vec::new();
        while part.len() < wanted {
            let (from, room) = (part.len(), READ_BYTES.min(wanted - part.len()));
            let mut piece = (&mut self.file).take(room as u64);
            if piece.read_to_end(&mut part).await.map_err(StorageError::Source)? == 0 {
                break;
            }
            self.digest.update(&part[from..]);
        }
        self.size_bytes += part.len() as u64;
        Ok(part.into())
    }

    fn stored(self) -> Stored {
        Stored { size_bytes: self.size_bytes, sha256: hex::encode(self.digest.finalize()) }
    }
}

/// An upload in parts; dropped before its end it is aborted in the background.
struct Upload {
    /// Gone once the upload has come to its end.
    target: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<object_store::Result<()>>,
}

impl Upload {
    async fn put(&mut self, part: Bytes) -> Result<(), StorageError> {
        while self.parts.len() >= PARTS_IN_FLIGHT {
            self.wait_for_one().await?;
        }
        if let Some(target) = &mut self.target {
            self.parts.spawn(target.put_part(part.into()));
        }
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<(), StorageError> {
        match self.parts.join_next().await {
            Some(Ok(sent)) => Ok(sent?),
            Some(Err(lost)) => Err(StorageError::Source(io::Error::other(lost))),
            None => Ok(()),
        }
    }

    async fn complete(&mut self) -> Result<(), StorageError> {
        while !self.parts.is_empty() {
            self.wait_for_one().await?;
        }
        if let Some(target) = &mut self.target {
            target.complete().await?;
        }
        self.target = None;
        Ok(())
    }

    async fn abort(&mut self) {
        if let Some(target) = self.target.take() {
            abort(target, std::mem::take(&mut self.parts)).await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(target) = self.target.take() else { return };
        let parts = std::mem::take(&mut self.parts);
        // Without a runtime the process is ending; the sweep finds what is left.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(abort(target, parts));
        }
    }
}

/// No part may arrive after the abort: it would stay for ever. A server goes on with a request
/// whose sender has gone, so what is on its way is waited for.
async fn abort(mut target: Box<dyn MultipartUpload>, mut parts: JoinSet<object_store::Result<()>>) {
    let all_sent = async { while parts.join_next().await.is_some() {} };
    if timeout(LAST_PARTS, all_sent).await.is_err() {
        parts.shutdown().await;
    }
    if let Err(error) = target.abort().await {
        tracing::warn!(%error, "an unfinished upload could not be removed; the sweep tries again");
    }
}
