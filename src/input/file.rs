//! A whole input on this worker's disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ffmpeg::Facts;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;

use super::Origin;
use super::download::Seat;
use super::part;
use super::sniff::{HEAD_BYTES, sniff};
use crate::task::{ErrorKind, Failure};

/// A whole input on this worker's disk: downloaded and shared, or a file of the user's own.
///
/// The file is there at least as long as this value. A downloaded one is removed some time
/// after the last of them is gone; the user's own is never touched.
#[derive(Debug)]
pub struct InputFile {
    // Before the seat: who leaves last must leave no file open behind.
    place: Place,
    _seat: Option<Seat>,
}

/// A file that is read in place of an input that ffmpeg does not open.
#[derive(Debug)]
pub struct StandIn {
    /// The folder that it is in, which goes with it.
    pub folder: TempDir,
    /// Where it is.
    pub path: PathBuf,
}

/// What is known of a file: nothing yet, its facts, or why it can never be used.
///
/// Whoever finds nothing finds it out and writes it here with the lock in hand; the others wait.
pub type Known = Mutex<Option<Result<Facts, Failure>>>;

#[derive(Debug)]
enum Place {
    Own { path: PathBuf, size_bytes: u64, known: Known, stand_in: OnceLock<Box<StandIn>> },
    Downloaded(Arc<Stored>),
}

/// A downloaded file; dropping it removes the file.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) path: PathBuf,
    pub(super) size_bytes: u64,
    pub(super) origin: Origin,
    pub(super) known: Known,
    pub(super) stand_in: OnceLock<Box<StandIn>>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        part::remove(&self.path);
    }
}

impl InputFile {
    /// The user's own file at `path`, for commands that run here and now.
    ///
    /// # Errors
    ///
    /// There is no such file, it cannot be read, it is a folder or a device, it is empty, or
    /// its first bytes say that it is no media.
    pub async fn local(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| {
            let (kind, message) = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    (ErrorKind::InputNotFound, "there is no such file")
                }
                io::ErrorKind::PermissionDenied => {
                    (ErrorKind::InputUnauthorized, "the file may not be read")
                }
                _ => (ErrorKind::InputUnavailable, "the file cannot be read"),
            };
            Failure::new(kind, message)
        };
        // ffmpeg runs in a folder of its own, where a relative name would mean another file.
        let path = std::path::absolute(path).map_err(unreadable)?;
        // Asked before it is opened: opening a pipe waits for somebody to write to it.
        let facts = tokio::fs::metadata(&path).await.map_err(unreadable)?;
        if !facts.is_file() {
            return Err(Failure::new(ErrorKind::InputRefused, "this is not a regular file"));
        }
        let file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        file.take(HEAD_BYTES as u64).read_to_end(&mut head).await.map_err(unreadable)?;
        if head.is_empty() {
            return Err(Failure::new(ErrorKind::InputEmpty, "the file has no bytes"));
        }
        sniff(&head).check()?;
        let (size_bytes, known, stand_in) = (facts.len(), Known::default(), OnceLock::new());
        let place = Place::Own { path, size_bytes, known, stand_in };
        Ok(Self { place, _seat: None })
    }

    /// A downloaded file, held by one of its users.
    pub(super) const fn downloaded(stored: Arc<Stored>, seat: Seat) -> Self {
        Self { place: Place::Downloaded(stored), _seat: Some(seat) }
    }

    /// Where the file is. It must not be written to, moved or removed.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.place {
            Place::Own { path, .. } => path,
            Place::Downloaded(stored) => &stored.path,
        }
    }

    /// What ffmpeg is to read: the file itself, or what stands in for it.
    #[must_use]
    pub fn media_path(&self) -> &Path {
        self.stand_in().get().map_or(self.path(), |stand_in| &stand_in.path)
    }

    /// Has `stand_in` be read in its place from now on. There is one at most.
    pub fn replace(&self, stand_in: StandIn) {
        // Whoever comes second has made the same.
        let _second = self.stand_in().set(Box::new(stand_in));
    }

    fn stand_in(&self) -> &OnceLock<Box<StandIn>> {
        match &self.place {
            Place::Own { stand_in, .. } => stand_in,
            Place::Downloaded(stored) => &stored.stand_in,
        }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match &self.place {
            Place::Own { size_bytes, .. } => *size_bytes,
            Place::Downloaded(stored) => stored.size_bytes,
        }
    }

    /// What is known of it, shared by all who hold the same file.
    #[must_use]
    pub fn known(&self) -> &Known {
        match &self.place {
            Place::Own { known, .. } => known,
            Place::Downloaded(stored) => &stored.known,
        }
    }

    /// Where it was downloaded from; `None` for the user's own file.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match &self.place {
            Place::Own { .. } => None,
            Place::Downloaded(stored) => Some(&stored.origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_the_users_own_is_read_and_never_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("clip.mp4");
        std::fs::write(&path, b"\0\0\0\x20ftypisom").expect("a file");
        let input = InputFile::local(&path).await.expect("an input");
        assert_eq!((input.path(), input.size_bytes()), (path.as_path(), 12));
        assert!(input.origin().is_none());
        drop(input);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_is_no_media_file_is_refused_with_its_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("empty"), b"").expect("a file");
        std::fs::write(at("list.mp4"), b"#EXTM3U\n/etc/passwd").expect("a file");
        for (path, kind) in [
            (at("missing"), ErrorKind::InputNotFound),
            (at("empty/below"), ErrorKind::InputNotFound),
            (folder.path().to_owned(), ErrorKind::InputRefused),
            ("/dev/zero".into(), ErrorKind::InputRefused),
            (at("empty"), ErrorKind::InputEmpty),
            (at("list.mp4"), ErrorKind::InputUnsupported),
        ] {
            let refused = InputFile::local(&path).await.expect_err("refused");
            assert_eq!(refused.kind, kind, "{}", path.display());
            assert!(!refused.message.contains('/'), "{refused}");
        }
    }
}
