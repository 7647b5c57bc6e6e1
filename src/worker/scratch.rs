//! Room for work in progress, gone when the work is.
//!
//! `{data dir}/scratch/{worker}/` belongs to one process, which holds a lock on `.lock` in it
//! for as long as it lives. Whatever lies beside it without a living owner was left by a
//! process that was killed, and is swept at the next start.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::id::{TaskId, WorkerId};
use crate::store::PieceLease;

/// The lock by which a folder shows that its owner lives.
const LOCK: &str = ".lock";

/// Held while a folder is made or swept, so that one starting process does not sweep the folder
/// that another has made but not locked yet.
const GATE: &str = ".gate";

/// This process's folder for work in progress.
#[derive(Debug)]
pub struct Scratch {
    parent: PathBuf,
    folder: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes the folder of `worker` below `parent`, and sweeps what dead workers left there.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or read.
    pub fn open(parent: &Path, worker: WorkerId) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        // Absolute, because ffmpeg runs in a folder of its own.
        let parent = parent.canonicalize()?;
        let gate = File::create(parent.join(GATE))?;
        gate.lock()?;
        let folder = parent.join(worker.to_string());
        fs::create_dir(&folder)?;
        let lock = File::create_new(folder.join(LOCK))?;
        lock.lock()?;
        sweep(&parent, &folder);
        Ok(Self { parent, folder, _lock: lock })
    }

    /// Sweeps what workers that died meanwhile left beside this one's folder.
    ///
    /// # Errors
    ///
    /// The folder above cannot be read.
    pub fn sweep_others(&self) -> io::Result<()> {
        let gate = File::create(self.parent.join(GATE))?;
        gate.lock()?;
        sweep(&self.parent, &self.folder);
        Ok(())
    }

    /// The folder for downloads.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn inputs(&self) -> io::Result<PathBuf> {
        let folder = self.folder.join("inputs");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// An empty folder for one attempt at a task.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn room(&self, task: TaskId, attempt: u32) -> io::Result<Room> {
        self.room_called(&format!("{task}-{attempt}"))
    }

    /// An empty folder for one try of a piece.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn piece_room(&self, lease: &PieceLease) -> io::Result<Room> {
        let PieceLease { task, position, attempt, tries, .. } = lease;
        self.room_called(&format!("{task}-{attempt}-{position}-{tries}"))
    }

    fn room_called(&self, name: &str) -> io::Result<Room> {
        let folder = self.folder.join(name);
        fs::create_dir(&folder)?;
        Ok(Room { folder })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// A folder for one attempt; gone when it is dropped.
#[derive(Debug)]
pub struct Room {
    folder: PathBuf,
}

impl Room {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

fn sweep(parent: &Path, own: &Path) {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(%error, "work left behind cannot be looked for");
            return;
        }
    };
    for folder in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if folder != own && folder.is_dir() && !is_owned(&folder) {
            tracing::info!(folder = %folder.display(), "removing what a lost process left behind");
            remove(&folder);
        }
    }
}

/// Whether a living process holds the folder's lock.
fn is_owned(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "a scratch folder cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::fresh;

    #[test]
    fn what_a_dead_worker_left_is_swept_and_what_a_living_one_has_is_not() {
        let parent = tempfile::tempdir().expect("a folder");
        let now = Timestamp::from_millis(1);
        let left = parent.path().join("wrk_dead");
        fs::create_dir_all(left.join("task_1-1")).expect("a folder");
        File::create(left.join(LOCK)).expect("a lock that nobody holds");

        let living = Scratch::open(parent.path(), fresh(now)).expect("a scratch");
        assert!(!left.exists());
        let room = living.room(fresh(now), 1).expect("a room");
        fs::create_dir_all(left.join("task_2-1")).expect("a folder of one that died later");
        living.sweep_others().expect("swept");
        assert!(!left.exists() && room.path().exists());
        let _second = Scratch::open(parent.path(), fresh(now)).expect("another scratch");
        assert!(room.path().exists());
    }

    #[test]
    fn a_room_is_gone_when_the_work_is() {
        let parent = tempfile::tempdir().expect("a folder");
        let now = Timestamp::from_millis(1);
        let scratch = Scratch::open(parent.path(), fresh(now)).expect("a scratch");
        let room = scratch.room(fresh(now), 1).expect("a room");
        let folder = room.path().to_owned();
        fs::write(folder.join("half.mp4"), b"half").expect("a file");
        drop(room);
        assert!(!folder.exists());
    }
}
