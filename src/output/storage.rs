//! Where outputs are kept.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, WriteMultipart};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

/// How much of a file is in memory while it goes into storage.
const PART_BYTES: usize = 8 << 20;

/// How many parts may be on their way at once.
const PARTS_IN_FLIGHT: usize = 4;

/// A store of objects: a folder today, a bucket when one machine is not enough.
#[derive(Clone, Debug)]
pub struct Storage {
    objects: Arc<dyn ObjectStore>,
}

/// What went into storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes in lower-case hex.
    pub sha256: String,
}

/// Why storage did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file to be stored could not be read.
    #[error("the file to be stored could not be read")]
    Source(#[source] io::Error),
    /// The store refused or could not be reached.
    #[error("the storage did not do as asked")]
    Store(#[from] object_store::Error),
    /// A key that the server did not make.
    #[error("this is no storage key")]
    Key(#[from] object_store::path::Error),
}

impl Storage {
    /// A folder of the file system, made when it is not there. What is written is synced to the
    /// disk before it counts as stored.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or opened.
    pub fn local(folder: &Path) -> Result<Self, StorageError> {
        std::fs::create_dir_all(folder).map_err(StorageError::Source)?;
        let objects =
            LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true).with_fsync(true);
        Ok(Self { objects: Arc::new(objects) })
    }

    /// Streams the file at `path` into storage; it is there whole or not at all.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the store does not take it; then nothing is left behind.
    pub async fn put(&self, key: &str, path: &Path) -> Result<Stored, StorageError> {
        let key = Key::parse(key)?;
        let mut file = tokio::fs::File::open(path).await.map_err(StorageError::Source)?;
        let mut upload = WriteMultipart::new_with_chunk_size(
            self.objects.put_multipart(&key).await?,
            PART_BYTES,
        );
        match copy(&mut file, &mut upload).await {
            Ok(stored) => {
                upload.finish().await?;
                Ok(stored)
            }
            Err(error) => {
                if let Err(abort) = upload.abort().await {
                    tracing::warn!(error = %abort, "an unfinished upload could not be removed");
                }
                Err(error)
            }
        }
    }

    /// The bytes of an object, or of a `range` of it.
    ///
    /// # Errors
    ///
    /// There is no such object, or the store cannot be reached.
    pub async fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, StorageError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let object = self.objects.get_opts(&Key::parse(key)?, options).await?;
        Ok(object.into_stream().map(|bytes| bytes.map_err(StorageError::from)).boxed())
    }

    /// Removes every object below `prefix`; returns how many there were.
    ///
    /// # Errors
    ///
    /// The store cannot be reached; some objects may be left, and calling again is safe.
    pub async fn remove(&self, prefix: &str) -> Result<u64, StorageError> {
        let prefix = Key::parse(prefix)?;
        let mut found = self.objects.list(Some(&prefix));
        let mut removed = 0;
        while let Some(object) = found.next().await {
            self.objects.delete(&object?.location).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

async fn copy(
    file: &mut tokio::fs::File,
    upload: &mut WriteMultipart,
) -> Result<Stored, StorageError> {
    let mut digest = Sha256::new();
    let mut size_bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).await.map_err(StorageError::Source)?;
        if read == 0 {
            return Ok(Stored { size_bytes, sha256: hex::encode(digest.finalize()) });
        }
        digest.update(&buffer[..read]);
        size_bytes += read as u64;
        upload.wait_for_capacity(PARTS_IN_FLIGHT).await?;
        upload.write(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    async fn bytes(storage: &Storage, key: &str, range: Option<Range<u64>>) -> Vec<u8> {
        let stream = storage.get(key, range).await.expect("an object");
        let parts: Vec<Bytes> = stream.try_collect().await.expect("its bytes");
        parts.concat()
    }

    #[tokio::test]
    async fn what_is_put_can_be_read_in_parts_and_removed_by_prefix() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("source");
        std::fs::write(&source, b"hello, storage").expect("a file");
        let storage = Storage::local(&folder.path().join("files")).expect("a storage");

        let stored = storage.put("job_1/1/video.mp4", &source).await.expect("stored");
        assert_eq!(stored.size_bytes, 14);
        assert_eq!(stored.sha256, hex::encode(Sha256::digest(b"hello, storage")));
        assert_eq!(bytes(&storage, "job_1/1/video.mp4", None).await, b"hello, storage");
        assert_eq!(bytes(&storage, "job_1/1/video.mp4", Some(7..14)).await, b"storage");

        storage.put("job_1/2/video.mp4", &source).await.expect("stored");
        assert_eq!(storage.remove("job_1/1").await.expect("removed"), 1);
        assert!(storage.get("job_1/1/video.mp4", None).await.is_err());
        assert_eq!(bytes(&storage, "job_1/2/video.mp4", None).await.len(), 14);
    }

    #[tokio::test]
    async fn a_key_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::local(folder.path()).expect("a storage");
        assert!(storage.get("../etc/passwd", None).await.is_err());
        assert!(storage.get("a/../../b", None).await.is_err());
    }
}
