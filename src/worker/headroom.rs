//! Whether this machine has room for more work.
//!
//! A task that is claimed with a full disk fails, or takes the others with it. So the worker
//! looks before it claims, and leaves the task to a machine that has room.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytesize::ByteSize;

use crate::metrics;

/// What must be free before a task is claimed.
#[derive(Debug)]
pub struct Headroom {
    folder: PathBuf,
    min_disk_bytes: u64,
    min_memory_bytes: u64,
    told: Mutex<Option<Resource>>,
}

/// What work needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Space on the disk of the data folder.
    Disk,
    /// Memory, of the machine or of the container.
    Memory,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk space",
            Self::Memory => "memory",
        })
    }
}

impl Headroom {
    /// Room on the disk of `folder` and in memory; 0 asks for none.
    #[must_use]
    pub fn new(folder: &Path, min_disk_bytes: u64, min_memory_bytes: u64) -> Self {
        Self { folder: folder.to_owned(), min_disk_bytes, min_memory_bytes, told: Mutex::default() }
    }

    /// Whether there is room; says so in the log when that has changed.
    pub fn is_there(&self) -> bool {
        let short = self.shortage();
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *told != short {
            if let Some(resource) = short {
                tracing::warn!(
                    %resource,
                    min_disk = %ByteSize(self.min_disk_bytes),
                    min_memory = %ByteSize(self.min_memory_bytes),
                    "too little is free: no task is claimed until there is more"
                );
            } else {
                tracing::info!("there is room again: tasks are claimed");
            }
            *told = short;
        }
        short.is_none()
    }

    /// What there is too little of.
    #[must_use]
    pub fn shortage(&self) -> Option<Resource> {
        let lacks = |free: Option<u64>, min: u64| min > 0 && free.is_some_and(|free| free < min);
        let (disk, memory) = (free_disk_bytes(&self.folder), free_memory_bytes());
        for (gauge, free) in [(metrics::DISK_FREE, disk), (metrics::MEMORY_FREE, memory)] {
            if let Some(free) = free {
                gauge.set(free as f64, &[]);
            }
        }
        if lacks(disk, self.min_disk_bytes) {
            Some(Resource::Disk)
        } else if lacks(memory, self.min_memory_bytes) {
            Some(Resource::Memory)
        } else {
            None
        }
    }
}

/// What an ordinary process may still write on the disk of `folder`; none when nobody can say.
pub(super) fn free_disk_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What can still be had of the machine's memory, or of the container's when that is less.
#[must_use]
pub fn free_memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let read = |name| fs::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok();
    let container = left(read("memory.max"), read("memory.current"));
    machine.into_iter().chain(container).min()
}

/// `MemAvailable` in bytes (the manual page `proc_meminfo`).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// What a control group (version 2) has left of its limit; none when it has no limit (`max`).
fn left(limit: Option<String>, used: Option<String>) -> Option<u64> {
    let limit: u64 = limit?.trim().parse().ok()?;
    let used: u64 = used?.trim().parse().ok()?;
    Some(limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_read_as_the_kernel_tells_it() {
        let meminfo = "MemTotal:       24000000 kB\nMemAvailable:    1000 kB\nBuffers: 1 kB\n";
        assert_eq!(available(meminfo), Some(1_024_000));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(left(text("1000\n"), text("400\n")), Some(600));
        assert_eq!(left(text("1000\n"), text("1400\n")), Some(0));
        assert_eq!(left(text("max\n"), text("400\n")), None);
        assert_eq!(left(None, text("400\n")), None);
    }

    #[test]
    fn a_disk_with_less_than_asked_for_is_short_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Headroom::new(folder.path(), u64::MAX, 0).shortage(), Some(Resource::Disk));
        assert_eq!(Headroom::new(folder.path(), 0, u64::MAX).shortage(), Some(Resource::Memory));
        assert!(Headroom::new(folder.path(), 1, 1).is_there());
        assert!(Headroom::new(folder.path(), 0, 0).is_there());
    }
}
