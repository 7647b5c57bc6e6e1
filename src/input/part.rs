//! A file on its way to the disk: gone again unless it is kept.

use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};

use super::sniff::{HEAD_BYTES, sniff};
use crate::task::{ErrorKind, Failure};

/// How much is gathered before it goes to the disk.
const BUFFER_BYTES: usize = 1 << 20;

/// How much is written between two looks at the free space.
const SPACE_CHECK_BYTES: u64 = 64 << 20;

/// What a file is fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// ffmpeg: what cannot be media is refused by its first bytes.
    Media,
    /// Somebody who looks at all of it.
    Any,
}

impl Content {
    fn check(self, head: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Media => sniff(head).check(),
            Self::Any => Ok(()),
        }
    }
}

/// A file that is being written. Dropping it removes the file.
pub(super) struct PartFile {
    path: PathBuf,
    writer: BufWriter<File>,
    size_bytes: u64,
    head: Vec<u8>,
    reserve_bytes: u64,
    content: Content,
    checked_at: u64,
    is_kept: bool,
}

impl PartFile {
    /// A new file at `path`, readable by this user alone. There must be none yet.
    ///
    /// Opens without a pause in between: a caller that went away in one would leave the file.
    pub(super) fn create(
        path: &Path,
        reserve_bytes: u64,
        content: Content,
    ) -> Result<Self, Failure> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let file = File::from_std(file.map_err(|error| disk(&error))?);
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            size_bytes: 0,
            head: Vec::with_capacity(HEAD_BYTES),
            reserve_bytes,
            content,
            checked_at: 0,
            is_kept: false,
        })
    }

    /// How many bytes have been written.
    pub(super) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Refuses to go on when `coming` more bytes would not leave the reserve free.
    pub(super) fn check_space(&self, coming: u64) -> Result<(), Failure> {
        check_space(&self.path, coming, self.reserve_bytes)
    }

    /// Appends `bytes`; looks at the first ones as soon as they are there.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let was_short = self.head.len() < HEAD_BYTES;
        if was_short {
            let wanted = bytes.len().min(HEAD_BYTES - self.head.len());
            self.head.extend_from_slice(&bytes[..wanted]);
        }
        if was_short && self.head.len() == HEAD_BYTES {
            self.content.check(&self.head)?;
        }
        self.writer.write_all(bytes).await.map_err(|error| disk(&error))?;
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes - self.checked_at >= SPACE_CHECK_BYTES {
            self.checked_at = self.size_bytes;
            self.check_space(0)?;
        }
        Ok(())
    }

    /// Throws away what has been written.
    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        let emptied = async {
            self.writer.flush().await?;
            self.writer.get_mut().set_len(0).await?;
            self.writer.get_mut().rewind().await
        };
        emptied.await.map_err(|error| disk(&error))?;
        self.size_bytes = 0;
        self.checked_at = 0;
        self.head.clear();
        Ok(())
    }

    /// Ends the file: not empty, of a kind that may be media, for reading only.
    pub(super) async fn keep(mut self) -> Result<u64, Failure> {
        if self.size_bytes == 0 {
            return Err(Failure::new(ErrorKind::InputEmpty, "the file has no bytes"));
        }
        self.content.check(&self.head)?;
        let ended = async {
            self.writer.flush().await?;
            let mode = std::fs::Permissions::from_mode(0o400);
            self.writer.get_mut().set_permissions(mode).await
        };
        ended.await.map_err(|error| disk(&error))?;
        self.is_kept = true;
        Ok(self.size_bytes)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_kept {
            remove(&self.path);
        }
    }
}

/// Refuses what would not leave so many bytes free on the disk of the file at `path`.
pub(super) fn check_space(path: &Path, coming: u64, reserve_bytes: u64) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let space = rustix::fs::statvfs(folder).map_err(|error| disk(&error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < coming.saturating_add(reserve_bytes) {
        return Err(full());
    }
    Ok(())
}

/// Removes a file that this server made.
pub(super) fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "a downloaded file could not be removed"),
    }
}

fn full() -> Failure {
    Failure::new(ErrorKind::DiskFull, "there is no room on this worker's disk for the input")
}

/// What an error of the disk means.
pub(super) fn disk(error: &io::Error) -> Failure {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return full();
    }
    tracing::error!(%error, "the input could not be written to the disk");
    Failure::new(ErrorKind::InternalError, "the input could not be written to this worker's disk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_full_quota_are_told_apart_from_other_troubles() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert_eq!(disk(&kind.into()).kind, ErrorKind::DiskFull);
        }
        let enospc = io::Error::from(rustix::io::Errno::NOSPC);
        assert_eq!(disk(&enospc).kind, ErrorKind::DiskFull);
        assert_eq!(disk(&io::ErrorKind::PermissionDenied.into()).kind, ErrorKind::InternalError);
    }

    #[tokio::test]
    async fn a_file_that_is_there_is_never_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, b"mine").expect("a file");
        assert!(PartFile::create(&path, 0, Content::Media).is_err());
        std::fs::remove_file(&path).expect("the file");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).expect("a link");
        assert!(PartFile::create(&path, 0, Content::Media).is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[tokio::test]
    async fn what_is_not_kept_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let mut part = PartFile::create(&path, 0, Content::Media).expect("a file");
        part.write(b"\0\0\0\x20ftyp").await.expect("written");
        assert!(path.exists());
        drop(part);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_restart_forgets_the_first_bytes_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let mut part = PartFile::create(&path, 0, Content::Media).expect("a file");
        part.write(b"\0\0\0\x20ftypisom and more").await.expect("written");
        part.restart().await.expect("emptied");
        part.write(b"\x1a\x45\xdf\xa3").await.expect("written");
        assert_eq!(part.keep().await.expect("kept"), 4);
        assert_eq!(std::fs::read(&path).expect("the file"), b"\x1a\x45\xdf\xa3");
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o400);
    }
}
