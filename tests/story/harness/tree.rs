//! What a process and everything below it take of the machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(50);

/// Looks at the memory of a process and everything below it until it is dropped.
pub(crate) struct Tree {
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
}

impl Tree {
    /// Of the process `pid`.
    pub(crate) fn of(pid: u32) -> Self {
        let (peak, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (peak.clone(), stop.clone());
        let looking = std::thread::spawn(move || {
            while !end.load(Ordering::SeqCst) {
                seen.fetch_max(memory_bytes(pid), Ordering::SeqCst);
                std::thread::park_timeout(LOOK);
            }
        });
        Self { peak, stop, looking: Some(looking) }
    }

    /// The most that was in use at once, in bytes: memory of its own, not that of shared
    /// libraries, of the process and all below it together.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak.load(Ordering::SeqCst)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(looking) = self.looking.take() {
            looking.thread().unpark();
            looking.join().expect("it looks");
        }
    }
}

/// The processes below `pid`, and itself.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for entry in std::fs::read_dir("/proc").expect("a Linux").filter_map(Result::ok) {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // What has ended meanwhile is nobody's child.
        if let Some(parent) = parent(&entry.path()) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

fn parent(process: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn memory_bytes(pid: u32) -> u64 {
    let page = rustix::param::page_size() as u64;
    let own = |pid: u32| {
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let mut pages = statm.split_whitespace().skip(1).map(str::parse::<u64>);
        let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
        Some(resident.saturating_sub(shared) * page)
    };
    descendants(pid).into_iter().filter_map(own).sum()
}
