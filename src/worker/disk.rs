//! Whether a disk fills up, for whoever looks after it.
//!
//! [`Headroom`](super::Headroom) decides from one moment to the next; this says it once, and again
//! only after there was clearly enough.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::headroom::free_disk_bytes;
use crate::store::{Disk, DiskLow, Room};

/// The disk of a data folder.
#[derive(Debug)]
pub struct DiskWatch {
    host: String,
    folder: PathBuf,
    min_free_bytes: u64,
    noted: Option<Room>,
}

impl DiskWatch {
    /// The disk of `folder` on `host`, of which so much should be free; 0 asks for nothing.
    #[must_use]
    pub fn new(host: &str, folder: &Path, min_free_bytes: u64) -> Self {
        Self { host: host.to_owned(), folder: folder.to_owned(), min_free_bytes, noted: None }
    }

    /// What the disk has come to, when that was not noted yet.
    #[must_use]
    pub fn look(&self) -> Option<(Disk, Room)> {
        let free_bytes = free_disk_bytes(&self.folder)?;
        let room = room(self.noted, free_bytes, self.min_free_bytes)?;
        if self.noted == Some(room) {
            return None;
        }
        let told = DiskLow {
            host: self.host.clone(),
            folder: self.folder.display().to_string(),
            free_bytes,
            min_free_bytes: self.min_free_bytes,
        };
        let device = std::fs::metadata(&self.folder).ok()?.dev();
        Some((Disk { device, told }, room))
    }

    /// It is noted now.
    pub fn note(&mut self, room: Room) {
        self.noted = Some(room);
    }
}

/// There is enough again when a quarter more than the least is free: a disk at its limit would come
/// and go. Between the two nothing changes.
fn room(noted: Option<Room>, free_bytes: u64, min_free_bytes: u64) -> Option<Room> {
    if free_bytes < min_free_bytes {
        Some(Room::Low)
    } else if free_bytes >= min_free_bytes.saturating_add(min_free_bytes / 4) {
        Some(Room::Enough)
    } else {
        noted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_at_its_limit_does_not_come_and_go() {
        let mut noted = None;
        let mut seen = Vec::new();
        for free in [110, 99, 100, 124, 99, 125, 101, 99, 200] {
            noted = room(noted, free, 100);
            seen.push(noted);
        }
        let (low, enough) = (Some(Room::Low), Some(Room::Enough));
        assert_eq!(seen, [None, low, low, low, low, enough, enough, low, enough]);
        assert_eq!(room(None, 0, 0), enough, "nothing is asked for");
    }

    #[test]
    fn what_was_noted_is_not_said_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut watch = DiskWatch::new("one", folder.path(), u64::MAX);
        let (disk, room) = watch.look().expect("news");
        assert_eq!((room, disk.told.min_free_bytes), (Room::Low, u64::MAX));
        assert!(watch.look().is_some(), "it could not be noted");
        watch.note(room);
        assert_eq!(watch.look(), None);
    }
}
