//! The folder that storage lies in, and the way to what is below it: over no symbolic link.
//!
//! The server makes every name below the folder, and no link. One that is there all the same was
//! planted, by whoever else can write to the disk, and leads somewhere else: what it leads to is
//! neither read, nor written, nor removed. Each step of a way is opened from the one before it, so
//! that nothing can change under it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;

/// A step on the way down: never over a link, never kept by children.
const STEP: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How deep folders are looked into; keys have a handful of segments.
const MAX_DEPTH: usize = 64;

/// A folder, held open.
#[derive(Clone, Debug)]
pub(super) struct Root {
    folder: Arc<OwnedFd>,
}

impl Root {
    /// The folder at `path`, which may be a link itself: its owner has chosen it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let folder = openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { folder: Arc::new(folder) })
    }

    /// Refuses a key whose folders lead over a link. What is not there yet is fine.
    pub(super) fn check(&self, key: &str) -> io::Result<()> {
        self.parent(key).map(drop)
    }

    /// The file of a key, to be read; an error of the kind `NotFound` where there is none.
    pub(super) fn file(&self, key: &str) -> io::Result<File> {
        let (parent, name) = self.parent(key)?;
        let parent = parent.ok_or(io::ErrorKind::NotFound)?;
        // Without waiting, should it be a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&parent, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => return Err(planted()),
            Err(error) => return Err(error.into()),
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Removes everything below a prefix, and itself; a link is removed and not followed. Returns
    /// how many whole files there were.
    pub(super) fn remove(&self, prefix: &str) -> io::Result<u64> {
        let (parent, name) = self.parent(prefix)?;
        let Some(parent) = parent else { return Ok(0) };
        match kind(parent.as_fd(), name)? {
            Some(FileType::Directory) => remove_folder(parent.as_fd(), name, 0),
            Some(FileType::Symlink) => {
                unlinkat(&parent, name, AtFlags::empty())?;
                Ok(0)
            }
            _ => Ok(0),
        }
    }

    /// The folder that the last segment of a key lies in, if it is there, and that segment.
    fn parent<'k>(&self, key: &'k str) -> io::Result<(Option<OwnedFd>, &'k str)> {
        let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
        let mut at = self.folder.as_fd().try_clone_to_owned()?;
        for name in folders.split('/').filter(|name| !name.is_empty()) {
            at = match openat(&at, name, STEP, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok((None, name)),
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    return match kind(at.as_fd(), name)? {
                        Some(FileType::Symlink) => Err(planted()),
                        _ => Ok((None, name)),
                    };
                }
                Err(error) => return Err(error.into()),
            };
        }
        Ok((Some(at), name))
    }
}

/// What lies under a name, itself.
fn kind(folder: BorrowedFd<'_>, name: &str) -> io::Result<Option<FileType>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn remove_folder(
    parent: BorrowedFd<'_>,
    name: impl rustix::path::Arg + Copy,
    depth: usize,
) -> io::Result<u64> {
    if depth == MAX_DEPTH {
        return Err(io::Error::other("folders are nested too deep"));
    }
    let folder = match openat(parent, name, STEP, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut removed = 0;
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match unlinkat(&folder, name, AtFlags::empty()) {
            // Half a file has a number in its name; it is gone too, and was no object.
            Ok(()) => removed += u64::from(!is_half(OsStr::from_bytes(name.to_bytes()))),
            Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => {
                removed += remove_folder(folder.as_fd(), name, depth + 1)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        // Somebody else was faster, or put something there just now.
        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => Ok(removed),
        Err(error) => Err(error.into()),
    }
}

fn is_half(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'#')
}

fn planted() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a symbolic link lies in storage")
}
