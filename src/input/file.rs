//! An input on this worker's disk: whole, or coming.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ffmpeg::{Facts, Loopback, Media};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::download::Seat;
use super::gateway::{Cache, Ticket};
use super::part;
use super::sniff::{HEAD_BYTES, sniff};
use super::{FetchError, Origin};
use crate::task::{ErrorKind, Failure};

/// An input on this worker's disk: downloaded and shared, or a file of the user's own.
///
/// A downloaded one may still be coming: [`Self::media`] can be read all the same, and
/// [`Self::whole`] waits for its last byte. The file is there at least as long as this value. A downloaded one is removed some time
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

/// A downloaded file, or one that is read while it comes; dropping it removes the file.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) path: PathBuf,
    pub(super) size_bytes: u64,
    pub(super) origin: Origin,
    pub(super) known: Known,
    pub(super) stand_in: OnceLock<Box<StandIn>>,
    /// How it comes, if not all of it was here from the start.
    pub(super) coming: Option<Coming>,
}

/// A file that comes as it is read.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) cache: Arc<Cache>,
    /// Where it is read, if it can be before it is whole.
    pub(super) ticket: Option<Ticket>,
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.cache.close();
    }
}

impl Stored {
    /// How many bytes of it are on the disk.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.coming.as_ref().map_or(self.size_bytes, |coming| coming.cache.here_bytes())
    }

    /// Whether the source of what is missing has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.cache.failure().is_some())
    }

    /// Nobody holds it: nothing comes until somebody does.
    pub(super) fn rest(&self) {
        if let Some(coming) = &self.coming {
            coming.cache.rest();
        }
    }

    /// Somebody holds it again.
    pub(super) fn wake(&self) {
        if let Some(coming) = &self.coming {
            coming.cache.wake();
        }
    }

    /// What ffmpeg is to read.
    fn media(&self) -> Media {
        let coming = self.coming.as_ref().filter(|coming| !coming.cache.is_whole());
        let place = coming.and_then(|coming| {
            Some((&coming.cache, coming.ticket.as_ref()?, coming.cache.demuxer()?))
        });
        match place {
            None => Media::File(self.path.clone()),
            Some((cache, ticket, demuxer)) => Media::Loopback(Loopback {
                port: ticket.port,
                secret: ticket.secret.clone(),
                demuxer,
                size_bytes: self.size_bytes,
                waiting: cache.waiting().clone(),
            }),
        }
    }
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

    /// Where the file is, once all of it is there, which this sees to and waits for; `on_bytes` is
    /// told how much there is. It must not be written to, moved or removed.
    ///
    /// # Errors
    ///
    /// What is missing cannot be had, or `stop` is cancelled.
    pub async fn whole(
        &self,
        on_bytes: impl FnMut(u64, Option<u64>) + Send,
        stop: &CancellationToken,
    ) -> Result<&Path, FetchError> {
        if let Some(cache) = self.cache() {
            let whole = stop.run_until_cancelled(cache.whole(on_bytes)).await;
            whole.ok_or(FetchError::Stopped)??;
        }
        Ok(self.place())
    }

    /// Where the file is, or is going to be.
    pub(super) fn place(&self) -> &Path {
        match &self.place {
            Place::Own { path, .. } => path,
            Place::Downloaded(stored) => &stored.path,
        }
    }

    /// The folder of a file that was downloaded, where there is room for what stands in for it.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Own { .. } => None,
            Place::Downloaded(stored) => stored.path.parent(),
        }
    }

    /// What ffmpeg is to read: the file itself, the port where it is read while it comes, or what
    /// stands in for it.
    #[must_use]
    pub fn media(&self) -> Media {
        match (self.stand_in().get(), &self.place) {
            (Some(stand_in), _) => Media::from(&stand_in.path),
            (None, Place::Own { path, .. }) => Media::from(path),
            (None, Place::Downloaded(stored)) => stored.media(),
        }
    }

    /// Whether something else is read in its place.
    #[must_use]
    pub fn has_stand_in(&self) -> bool {
        self.stand_in().get().is_some()
    }

    /// Has all of it come from now on, as fast as it does: all of it is going to be read.
    pub fn read_ahead(&self) {
        if let Some(cache) = self.cache() {
            cache.fill();
        }
    }

    /// Comes back when the source of what is still missing has failed; never for a file that was
    /// here from the start.
    pub async fn broke(&self) {
        match self.cache() {
            Some(cache) => cache.broke().await,
            None => std::future::pending().await,
        }
    }

    /// Says how it came, for a person, where it is read while it comes.
    #[must_use]
    pub fn how_it_came(&self) -> Option<String> {
        self.cache().map(|cache| cache.told())
    }

    /// Whether all that was read of it was as it is at its source: what ffmpeg makes of a file
    /// that breaks off is no output.
    ///
    /// # Errors
    ///
    /// The source failed.
    pub fn check_source(&self) -> Result<(), Failure> {
        match self.cache().and_then(|cache| cache.failure()) {
            None => Ok(()),
            Some(failure) => Err(failure),
        }
    }

    fn cache(&self) -> Option<&Arc<Cache>> {
        match &self.place {
            Place::Own { .. } => None,
            Place::Downloaded(stored) => stored.coming.as_ref().map(|coming| &coming.cache),
        }
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
        assert_eq!((input.media(), input.size_bytes()), (Media::from(&path), 12));
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
