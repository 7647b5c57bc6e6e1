//! Where outputs are kept: a folder of this machine, or a bucket.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::client::HttpError;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::signer::Method;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode};
use url::Url;

use super::abandoned::Abandoned;
use super::bucket::Bucket;
use super::upload::{Stored, put_whole, upload};

/// A place for objects: a folder when one machine is enough, a bucket when it is not.
#[derive(Clone, Debug)]
pub struct Storage {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder { objects: Arc<LocalFileSystem>, root: PathBuf },
    Bucket(Arc<Bucket>),
}

/// Why storage did not do as asked. The words are for the log: they have the store's own in them.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file to be stored could not be read.
    #[error("the file to be stored could not be read: {0}")]
    Source(#[source] io::Error),
    /// The store refused or could not be reached.
    #[error("the storage did not do as asked: {0}")]
    Store(#[from] object_store::Error),
    /// A key that the server did not make.
    #[error("this is no storage key")]
    Key(#[from] object_store::path::Error),
    /// What arrived is not what was sent.
    #[error("the storage has {found_bytes} bytes of the {sent_bytes} that were sent")]
    Size {
        /// How many bytes were sent.
        sent_bytes: u64,
        /// How many bytes are there.
        found_bytes: u64,
    },
    /// The bucket could not be reached.
    #[error("the bucket could not be reached: {0}")]
    Unreachable(#[source] HttpError),
    /// The bucket's list of unfinished uploads cannot be understood.
    #[error("the bucket's list of unfinished uploads cannot be read")]
    Listing,
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
        Ok(Self { place: Place::Folder { objects: Arc::new(objects), root: folder.to_owned() } })
    }

    /// A bucket.
    #[must_use]
    pub fn bucket(bucket: Bucket) -> Self {
        Self { place: Place::Bucket(Arc::new(bucket)) }
    }

    /// Streams the file at `path` into storage; it is there whole or not at all. A file of one
    /// part is refused where something is there already.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the store does not take it; then nothing is left behind.
    pub async fn put(&self, key: &str, path: &Path) -> Result<Stored, StorageError> {
        upload(self.objects(), &self.object(key)?, path, PutMode::Create).await
    }

    /// The same, in the place of whatever is there.
    ///
    /// # Errors
    ///
    /// As of [`Self::put`].
    pub async fn replace(&self, key: &str, path: &Path) -> Result<Stored, StorageError> {
        upload(self.objects(), &self.object(key)?, path, PutMode::Overwrite).await
    }

    /// Puts a few bytes where nothing is yet; they are there whole or not at all.
    ///
    /// # Errors
    ///
    /// The store does not take them.
    pub async fn put_bytes(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        put_whole(self.objects(), &self.object(key)?, bytes, PutMode::Create).await
    }

    /// Removes one object, if it is there.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        match self.objects().delete(&self.object(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many bytes are free, where the place is a disk of this machine.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        let Place::Folder { root, .. } = &self.place else { return None };
        let space = rustix::fs::statvfs(root.as_path()).ok()?;
        Some(space.f_bavail.saturating_mul(space.f_frsize))
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
        let object = self.objects().get_opts(&self.object(key)?, options).await?;
        Ok(object.into_stream().map(|bytes| bytes.map_err(StorageError::from)).boxed())
    }

    /// The size of an object in bytes; none when it is not there.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        match self.objects().head(&self.object(key)?).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes every object below `prefix`, and what is left of uploads to there that were given
    /// up; returns how many objects there were.
    ///
    /// # Errors
    ///
    /// The store cannot be reached; some objects may be left, and calling again is safe.
    pub async fn remove(&self, prefix: &str) -> Result<u64, StorageError> {
        let prefix = self.object(prefix)?;
        let mut found = self.objects().list(Some(&prefix));
        let mut removed = 0;
        while let Some(object) = found.next().await {
            match self.objects().delete(&object?.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => removed += 1,
                Err(error) => return Err(error.into()),
            }
        }
        match &self.place {
            // Half a file stands beside where the whole one would be, and in no listing.
            Place::Folder { root, .. } => remove_folder(&root.join(prefix.as_ref())).await?,
            Place::Bucket(bucket) => drop(bucket.abort_uploads(&prefix).await?),
        }
        Ok(removed)
    }

    /// Ends unfinished uploads to `key` or below it: of workers that were killed.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    pub async fn abort_uploads(&self, key: &str) -> Result<Abandoned, StorageError> {
        match &self.place {
            // Nobody pays for half a file on this disk; it goes with its folder.
            Place::Folder { .. } => Ok(Abandoned::Aborted(0)),
            Place::Bucket(bucket) => bucket.abort_uploads(&self.object(key)?).await,
        }
    }

    /// A link to the object that opens it for `life` without asking this server, where the
    /// place can make one on the spot.
    #[must_use]
    pub fn link(&self, key: &str, life: Duration) -> Option<Url> {
        match &self.place {
            Place::Folder { .. } => None,
            Place::Bucket(bucket) => bucket.link(&self.object(key).ok()?, life),
        }
    }

    /// A signed link to the object, however long it takes to make one; none of a folder.
    ///
    /// # Errors
    ///
    /// The bucket's credentials cannot be had.
    pub async fn signed(&self, key: &str, life: Duration) -> Result<Option<Url>, StorageError> {
        let Place::Bucket(bucket) = &self.place else { return Ok(None) };
        Ok(Some(bucket.signer().signed_url(Method::GET, &self.object(key)?, life).await?))
    }

    /// The whole key of an object, with what stands in front of every key of a bucket.
    #[must_use]
    pub fn full_key(&self, key: &str) -> String {
        self.object(key).map_or_else(|_| key.to_owned(), |key| key.as_ref().to_owned())
    }

    fn objects(&self) -> &dyn ObjectStore {
        match &self.place {
            Place::Folder { objects, .. } => objects.as_ref(),
            Place::Bucket(bucket) => bucket.objects(),
        }
    }

    fn object(&self, key: &str) -> Result<Key, StorageError> {
        let below = Key::parse(key)?;
        if below.as_ref().is_empty() {
            // It would name everything that is there.
            return Err(object_store::path::Error::EmptySegment { path: key.to_owned() }.into());
        }
        match &self.place {
            Place::Bucket(bucket) if !bucket.prefix().is_empty() => {
                Ok(Key::parse(format!("{}/{below}", bucket.prefix()))?)
            }
            Place::Folder { .. } | Place::Bucket(_) => Ok(below),
        }
    }
}

/// Removes what is left of a folder, if it is one.
async fn remove_folder(path: &Path) -> Result<(), StorageError> {
    match tokio::fs::remove_dir_all(path).await {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(()),
            _ => Err(StorageError::Source(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_cannot_leave_the_folder_or_name_all_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::local(folder.path()).expect("a storage");
        assert!(storage.get("../etc/passwd", None).await.is_err());
        assert!(storage.get("a/../../b", None).await.is_err());
        for all in ["", "/"] {
            assert!(matches!(storage.remove(all).await, Err(StorageError::Key(_))), "{all:?}");
        }
    }
}
