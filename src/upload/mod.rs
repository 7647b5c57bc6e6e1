//! Files that callers send: taken in part by part, kept for a while, read as inputs of jobs.
//!
//! A stream of bytes comes in; parts in storage and a row in the store go out. A part counts from
//! the moment in which its row is written, so that whoever is cut off, or whose server is killed,
//! goes on behind the last part, with any server of the same database. What is in storage and does
//! not count goes with the upload.

mod digest;
mod media;
mod receive;

use std::error::Error as _;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::access::{Caller, Project};
use crate::clock::Clock;
use crate::id::{UploadId, fresh};
use crate::job::Owner;
use crate::output::{Storage, StorageError};
use crate::store::{Store, StoreError, Upload};
use crate::task::Failure;

pub use digest::{Checksum, ChecksumKind};
pub use media::{Media, media, media_named};
pub use receive::Taking;

/// What an upload may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// The largest file in bytes.
    pub max_bytes: u64,
    /// How much of a file is one part, and so in memory.
    pub part_bytes: usize,
    /// The most parts of one file.
    pub max_parts: u32,
    /// How long a sender may send nothing.
    pub stall: Duration,
    /// How many bytes must come in every [`Self::stall`] of waiting for them; time spent on
    /// storage does not count.
    pub min_bytes_per_stall: u64,
    /// How long an upload that is not whole is kept after its last byte.
    pub keep_unfinished: Duration,
    /// How long a whole one is kept after it was last used.
    pub keep_finished: Duration,
    /// How many bytes must stay free where storage is a disk of this machine.
    pub reserve_bytes: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            max_bytes: 10 << 30,
            part_bytes: 8 << 20,
            max_parts: 10_000,
            stall: Duration::from_mins(1),
            // 1 KiB/s: slower than any connection that a phone still calls one.
            min_bytes_per_stall: 60 << 10,
            keep_unfinished: Duration::from_hours(24),
            keep_finished: Duration::from_hours(7 * 24),
            reserve_bytes: 256 << 20,
        }
    }
}

/// Takes files in, and gives them out.
#[derive(Clone, Debug)]
pub struct Uploads {
    /// Where it is kept what there is.
    pub store: Arc<dyn Store>,
    /// Where the bytes are.
    pub storage: Storage,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What an upload may cost.
    pub limits: UploadLimits,
}

/// Why a file was not taken in, or not given out.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such upload of this project.
    #[error("there is no such upload")]
    Unknown,
    /// The upload ends elsewhere than where bytes were sent for.
    #[error("the upload has {0} bytes")]
    Elsewhere(u64),
    /// It is larger than this server takes, or than it was said to be.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// It has no bytes.
    #[error("the file has no bytes")]
    Empty,
    /// It came in more pieces than are kept.
    #[error("the file came in more than {0} pieces")]
    TooManyParts(u32),
    /// It is no media.
    #[error(transparent)]
    Unsupported(Failure),
    /// The bytes are not those that the checksum is of.
    #[error("the checksum is of other bytes")]
    Checksum,
    /// There is no room for it.
    #[error("the disk is full")]
    Full,
    /// The sender went away.
    #[error("the bytes broke off")]
    Cut,
    /// The sender sent nothing, or next to nothing, for a while.
    #[error("next to nothing was sent for a while")]
    Stalled,
    /// This server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage failed.
    #[error(transparent)]
    Storage(StorageError),
}

impl From<StorageError> for UploadError {
    fn from(error: StorageError) -> Self {
        if is_full(&error) { Self::Full } else { Self::Storage(error) }
    }
}

/// Whether the disk has no room, below the words that others have put around it.
fn is_full(error: &StorageError) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        next = error.source();
    }
    false
}

impl Uploads {
    /// Begins an upload of `size` bytes, if that is known.
    ///
    /// # Errors
    ///
    /// It is empty, larger than this server takes, or there is no room for it.
    pub async fn begin(
        &self,
        caller: &Caller,
        size: Option<u64>,
        name: Option<String>,
        metadata: Option<String>,
    ) -> Result<Upload, UploadError> {
        match size {
            Some(0) => return Err(UploadError::Empty),
            Some(size) if size > self.limits.max_bytes => {
                return Err(UploadError::TooLarge(self.limits.max_bytes));
            }
            _ => self.check_room(size.unwrap_or(0))?,
        }
        let now = self.clock.now();
        let upload = Upload {
            id: fresh(now),
            project: caller.project.clone(),
            owner: Owner::from(caller),
            name,
            media: None,
            metadata,
            size,
            received: 0,
            part_count: 0,
            digest_state: None,
            sha256: None,
            created_at: now,
            expires_at: now.plus(self.limits.keep_unfinished),
            finished_at: None,
        };
        self.store.begin_upload(&upload).await?;
        Ok(upload)
    }

    fn check_room(&self, coming: u64) -> Result<(), UploadError> {
        match self.storage.free_bytes() {
            Some(free) if free < coming.saturating_add(self.limits.reserve_bytes) => {
                Err(UploadError::Full)
            }
            _ => Ok(()),
        }
    }

    /// The upload of this project.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn find(&self, project: &Project, id: UploadId) -> Result<Upload, UploadError> {
        self.store.upload(project, id).await?.ok_or(UploadError::Unknown)
    }

    /// The whole file of this project, which is kept longer because it is used.
    ///
    /// # Errors
    ///
    /// There is none, or it is not whole.
    pub async fn make_use_of(
        &self,
        project: &Project,
        id: UploadId,
    ) -> Result<Upload, UploadError> {
        let keep = self.limits.keep_finished;
        self.store.use_upload(project, id, keep).await?.ok_or(UploadError::Unknown)
    }

    /// Removes an upload and its bytes.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn remove(&self, project: &Project, id: UploadId) -> Result<(), UploadError> {
        if !self.store.remove_upload(project, id).await? {
            return Err(UploadError::Unknown);
        }
        if let Err(error) = self.storage.remove(&folder(id)).await {
            // The store has doomed them: the sweep will find them.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the bytes of an upload stay for the sweep");
        }
        Ok(())
    }

    /// The bytes of a whole file, or of a `range` of it.
    ///
    /// # Errors
    ///
    /// The store cannot be reached; a part that cannot be read ends the stream.
    pub async fn read(
        &self,
        upload: &Upload,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, UploadError> {
        let wanted = range.unwrap_or(0..upload.received);
        let parts = self.store.upload_parts(upload).await?;
        let pieces = parts.into_iter().filter_map(move |part| {
            let from = wanted.start.max(part.start);
            let to = wanted.end.min(part.start + part.size);
            (from < to).then(|| (part.key, from - part.start..to - part.start))
        });
        let storage = self.storage.clone();
        let read = move |(key, range): (String, Range<u64>)| {
            let storage = storage.clone();
            async move { storage.get(&key, Some(range)).await }
        };
        Ok(stream::iter(pieces.collect::<Vec<_>>()).then(read).try_flatten().boxed())
    }
}

/// Where all parts of an upload lie in storage.
fn folder(id: UploadId) -> String {
    format!("uploads/{id}")
}

/// What a file is called, without folders and what no screen can show; none when nothing is left.
#[must_use]
pub fn shown_name(name: &str) -> Option<String> {
    const LONGEST: usize = 255;
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_last_of_a_path_and_can_be_shown() {
        for (sent, shown) in [
            ("clip.mp4", Some("clip.mp4")),
            ("/home/zoë/Mein Film.mov", Some("Mein Film.mov")),
            (r"C:\fakepath\clip.mp4", Some("clip.mp4")),
            ("a\nb\0.mp4", Some("ab.mp4")),
            ("", None),
            ("folder/", None),
            ("\u{7}", None),
        ] {
            assert_eq!(shown_name(sent).as_deref(), shown, "{sent:?}");
        }
        assert_eq!(shown_name(&"é".repeat(300)).map(|name| name.chars().count()), Some(255));
    }

    #[test]
    fn a_full_disk_is_seen_below_the_words_of_others() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = StorageError::Store(object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(full),
        });
        assert!(matches!(UploadError::from(error), UploadError::Full));
        let other = StorageError::Source(io::ErrorKind::PermissionDenied.into());
        assert!(matches!(UploadError::from(other), UploadError::Storage(_)));
    }
}
