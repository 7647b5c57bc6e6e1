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
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use url::Url;

use super::abandoned::Abandoned;
use super::bucket::Bucket;
use super::root::Root;
use super::upload::{Stored, put_whole, upload};

/// How much of a file is read at once.
const READ_BYTES: usize = 128 << 10;

/// A place for objects: a folder when one machine is enough, a bucket when it is not.
#[derive(Clone, Debug)]
pub struct Storage {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder { objects: Arc<LocalFileSystem>, root: Root, path: PathBuf },
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
        let root = Root::open(folder).map_err(StorageError::Source)?;
        let place = Place::Folder { objects: Arc::new(objects), root, path: folder.to_owned() };
        Ok(Self { place })
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
        let object = self.writable(key).await?;
        upload(self.objects(), &object, path, PutMode::Create).await
    }

    /// The same, in the place of whatever is there.
    ///
    /// # Errors
    ///
    /// As of [`Self::put`].
    pub async fn replace(&self, key: &str, path: &Path) -> Result<Stored, StorageError> {
        let object = self.writable(key).await?;
        upload(self.objects(), &object, path, PutMode::Overwrite).await
    }

    /// Puts a few bytes where nothing is yet; they are there whole or not at all.
    ///
    /// # Errors
    ///
    /// The store does not take them.
    pub async fn put_bytes(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        let object = self.writable(key).await?;
        put_whole(self.objects(), &object, bytes, PutMode::Create).await
    }

    /// Removes one object, if it is there.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let object = self.writable(key).await?;
        match self.objects().delete(&object).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many bytes are free, where the place is a disk of this machine.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        let Place::Folder { path, .. } = &self.place else { return None };
        let space = rustix::fs::statvfs(path.as_path()).ok()?;
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
        let object = self.object(key)?;
        if let Place::Folder { root, .. } = &self.place {
            return read_file(root.clone(), object, range).await;
        }
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let object = self.objects().get_opts(&object, options).await?;
        Ok(object.into_stream().map(|bytes| bytes.map_err(StorageError::from)).boxed())
    }

    /// The size of an object in bytes; none when it is not there.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        let object = self.object(key)?;
        if let Place::Folder { root, .. } = &self.place {
            return match open_file(root.clone(), object).await {
                Ok((_, size)) => Ok(Some(size)),
                Err(StorageError::Store(object_store::Error::NotFound { .. })) => Ok(None),
                Err(error) => Err(error),
            };
        }
        match self.objects().head(&object).await {
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
        if let Place::Folder { root, .. } = &self.place {
            // Half a file stands beside where the whole one would be, and goes with it.
            return blocking(root.clone(), prefix, Root::remove).await;
        }
        let mut found = self.objects().list(Some(&prefix));
        let mut removed = 0;
        while let Some(object) = found.next().await {
            match self.objects().delete(&object?.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => removed += 1,
                Err(error) => return Err(error.into()),
            }
        }
        if let Place::Bucket(bucket) = &self.place {
            bucket.abort_uploads(&prefix).await?;
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

    /// A key that may be written to: in a folder, over no link.
    async fn writable(&self, key: &str) -> Result<Key, StorageError> {
        let object = self.object(key)?;
        if let Place::Folder { root, .. } = &self.place {
            blocking(root.clone(), object.clone(), Root::check).await?;
        }
        Ok(object)
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

/// Asks the disk, where that keeps nobody waiting.
async fn blocking<T: Send + 'static>(
    root: Root,
    key: Key,
    ask: fn(&Root, &str) -> io::Result<T>,
) -> Result<T, StorageError> {
    let path = key.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&root, key.as_ref())).await;
    asked.map_err(io::Error::other).flatten().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            object_store::Error::NotFound { path: path.into(), source: error.into() }.into()
        }
        _ => object_store::Error::Generic { store: "folder", source: error.into() }.into(),
    })
}

/// A file of a folder, and how many bytes it has.
async fn open_file(root: Root, key: Key) -> Result<(std::fs::File, u64), StorageError> {
    blocking(root, key, |root, key| {
        let file = root.file(key)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    })
    .await
}

/// The bytes of a file, or of a `range` of it.
async fn read_file(
    root: Root,
    key: Key,
    range: Option<Range<u64>>,
) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, StorageError> {
    let (file, size) = open_file(root, key).await?;
    let range = range.unwrap_or(0..size);
    if range.end > size {
        return Err(StorageError::Size { sent_bytes: range.end, found_bytes: size });
    }
    let mut file = tokio::fs::File::from_std(file);
    file.seek(io::SeekFrom::Start(range.start)).await.map_err(StorageError::Source)?;
    let bytes = ReaderStream::with_capacity(file.take(range.end - range.start), READ_BYTES);
    Ok(bytes.map(|bytes| bytes.map_err(StorageError::Source)).boxed())
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

    /// A storage in which links were planted, and the folder that they lead to.
    fn with_links() -> (tempfile::TempDir, Storage, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (folder.path().join("files"), folder.path().join("outside"));
        std::fs::create_dir_all(outside.join("deep")).expect("a folder");
        std::fs::create_dir_all(inside.join("job/1")).expect("a folder");
        for name in ["secret", "deep/secret"] {
            std::fs::write(outside.join(name), b"secret").expect("a file");
        }
        std::fs::write(inside.join("job/1/own"), b"own").expect("a file");
        let link = |to: &Path, at: &str| {
            std::os::unix::fs::symlink(to, inside.join(at)).expect("a link");
        };
        link(&outside, "linked");
        link(&outside, "job/1/folder");
        link(&outside.join("secret"), "job/1/file");
        link(Path::new("own"), "job/1/sibling");
        let storage = Storage::local(&inside).expect("a storage");
        (folder, storage, outside)
    }

    fn untouched(outside: &Path) {
        for name in ["secret", "deep/secret"] {
            let bytes = std::fs::read(outside.join(name)).expect("it is there");
            assert_eq!(bytes, b"secret", "{name}");
        }
        let count = std::fs::read_dir(outside).expect("a folder").count();
        assert_eq!(count, 2, "nothing was added");
    }

    #[tokio::test]
    async fn nothing_is_read_over_a_link() {
        let (_folder, storage, _) = with_links();
        let links = ["linked/secret", "linked/deep/secret", "job/1/folder/secret", "job/1/file"];
        for key in links.into_iter().chain(["job/1/sibling"]) {
            assert!(storage.get(key, None).await.is_err(), "{key}");
            assert!(storage.size(key).await.is_err(), "{key}");
        }
        assert_eq!(storage.size("job/1/own").await.expect("a size"), Some(3));
        for nothing in ["job/1/none", "job/none/own", "job/1/own/below", "job/1"] {
            assert_eq!(storage.size(nothing).await.expect("an answer"), None, "{nothing}");
        }
    }

    #[tokio::test]
    async fn nothing_is_written_or_deleted_over_a_link() {
        let (folder, storage, outside) = with_links();
        let made = folder.path().join("made");
        std::fs::write(&made, b"made").expect("a file");
        for key in ["linked/new", "linked/deep/new", "job/1/folder/new", "job/1/folder/secret"] {
            assert!(storage.put(key, &made).await.is_err(), "{key}");
            assert!(storage.replace(key, &made).await.is_err(), "{key}");
            assert!(storage.put_bytes(key, Bytes::from_static(b"x")).await.is_err(), "{key}");
            assert!(storage.delete(key).await.is_err(), "{key}");
        }
        assert!(storage.put("job/1/file", &made).await.is_err(), "something is there");
        storage.replace("job/1/file", &made).await.expect("the link gives way");
        assert_eq!(storage.size("job/1/file").await.expect("a size"), Some(4));
        untouched(&outside);
    }

    #[tokio::test]
    async fn what_is_removed_takes_links_with_it_and_nothing_that_they_lead_to() {
        let (folder, storage, outside) = with_links();
        assert!(storage.remove("linked/deep").await.is_err());
        storage.remove("job/1").await.expect("removed");
        assert!(!folder.path().join("files/job/1").exists());
        storage.remove("linked").await.expect("removed");
        assert!(!folder.path().join("files/linked").exists());
        assert_eq!(storage.remove("nothing").await.expect("an answer"), 0);
        untouched(&outside);
    }

    #[tokio::test]
    async fn a_part_of_a_file_is_read_and_no_more_than_there_is() {
        let (_folder, storage, _) = with_links();
        let read = async |range| {
            let bytes = storage.get("job/1/own", range).await?;
            let pieces: Vec<Bytes> = bytes.map(|piece| piece.expect("bytes")).collect().await;
            Ok::<_, StorageError>(pieces.concat())
        };
        assert_eq!(read(None).await.expect("all"), b"own");
        assert_eq!(read(Some(1..2)).await.expect("a part"), b"w");
        assert!(matches!(read(Some(1..4)).await, Err(StorageError::Size { .. })));
    }
}
