//! A cgroup for each process: memory and processes, counted and bounded by the kernel.
//!
//! Only where the server's own cgroup is its own to divide (version 2, `Delegate=` in systemd).
//! The server moves itself into one leaf, every process that is started into another. What the
//! watchdog sees ten times a second the kernel then sees at once, children included. Where there
//! is no such cgroup nothing is lost but that.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

/// The leaf that the server itself is in.
const OWN: &str = "server";

/// How the leaves of processes are called, before the server's number and theirs.
const LEAF: &str = "run-";

/// Most threads and processes of one leaf. An encoder has some for each processor.
const PROCESSES: &str = "4096";

/// The controllers that are used.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// The cgroup of this server, divided into leaves. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cgroup(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    next: AtomicU64,
    /// Leaves that were not empty yet when their process had ended.
    left: Mutex<Vec<PathBuf>>,
}

/// Why there is no cgroup to divide.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// The kernel or the container shows none of version 2.
    #[error("this process is in no cgroup of version 2")]
    None,
    /// It is the machine's, and not for one server to divide.
    #[error("this process is in the root of all cgroups")]
    Root,
    /// A controller is not there.
    #[error("the cgroup {} has no controller {controller}", folder.display())]
    Controller {
        /// Which cgroup.
        folder: PathBuf,
        /// Such as `memory`.
        controller: &'static str,
    },
    /// It belongs to somebody else, or others are in it.
    #[error("the cgroup {} is not this server's own", folder.display())]
    NotOurs {
        /// Which cgroup.
        folder: PathBuf,
        /// What was refused.
        #[source]
        source: io::Error,
    },
}

impl Cgroup {
    /// Divides the cgroup that this process is in, and moves the process into a leaf of it.
    pub fn divide_own() -> Result<Self, CgroupError> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let ours = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::divide(&own_folder(&table, &ours).ok_or(CgroupError::None)?)
    }

    /// The same with the cgroup at `folder`.
    pub fn divide(folder: &Path) -> Result<Self, CgroupError> {
        // A server that was started in a leaf, or starts again in its own, divides what is above.
        let folder = match folder.parent() {
            Some(above) if folder.file_name().is_some_and(|name| name == OWN) => above,
            _ => folder,
        };
        if !folder.join("cgroup.type").exists() {
            return Err(CgroupError::Root);
        }
        let there = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
        let lacks = |controller: &&str| !there.split_whitespace().any(|it| it == *controller);
        if let Some(controller) = CONTROLLERS.into_iter().find(lacks) {
            return Err(CgroupError::Controller { folder: folder.to_owned(), controller });
        }
        hand_down(folder)
            .map_err(|source| CgroupError::NotOurs { folder: folder.to_owned(), source })?;
        sweep(folder);
        let (next, left) = (AtomicU64::default(), Mutex::default());
        Ok(Self(Arc::new(Inner { folder: folder.to_owned(), next, left })))
    }

    /// A leaf for one process, which may have so much memory.
    pub(crate) fn leaf(&self, memory_bytes: u64) -> io::Result<Leaf> {
        self.0.left().retain(|folder| !is_gone(folder));
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let folder = self.0.folder.join(format!("{LEAF}{}-{number}", std::process::id()));
        fs::create_dir(&folder)?;
        let mut leaf = Leaf { folder, procs: None, parent: self.0.clone() };
        let set = |name: &str, value: &str| fs::write(leaf.folder.join(name), value);
        set("memory.max", &memory_bytes.to_string())?;
        // Not there where the kernel does not count swap.
        set("memory.swap.max", "0").or_else(unless_missing)?;
        set("memory.oom.group", "1").or_else(unless_missing)?;
        set("pids.max", PROCESSES)?;
        leaf.procs = Some(fs::File::create(leaf.folder.join("cgroup.procs"))?.into());
        Ok(leaf)
    }
}

impl Inner {
    fn left(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cgroup of one process; what is still in it ends with it.
#[derive(Debug)]
pub(crate) struct Leaf {
    folder: PathBuf,
    /// Where a process writes 0 to come in.
    procs: Option<OwnedFd>,
    parent: Arc<Inner>,
}

impl Leaf {
    /// The door, for a child that is about to come in: once.
    pub(crate) fn door(&mut self) -> Option<OwnedFd> {
        self.procs.take()
    }

    /// Whether the kernel has ended a process for want of memory.
    pub(crate) fn was_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|number| number.trim().parse::<u64>().ok()).is_some_and(|kills| kills > 0)
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        // Older kernels have no such file; the process group has been signalled in any case.
        let _killed = fs::OpenOptions::new()
            .write(true)
            .open(self.folder.join("cgroup.kill"))
            .and_then(|mut file| io::Write::write_all(&mut file, b"1"));
        if !is_gone(&self.folder) {
            self.parent.left().push(self.folder.clone());
        }
    }
}

/// Whether a leaf could be removed, or has been. One with a process in it cannot.
fn is_gone(folder: &Path) -> bool {
    match fs::remove_dir(folder) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Ok(()),
        _ => Err(error),
    }
}

/// Gives the controllers to the leaves. A cgroup that does cannot have processes of its own: this
/// one goes into a leaf first.
fn hand_down(folder: &Path) -> io::Result<()> {
    let given = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
    if CONTROLLERS.iter().all(|wanted| given.split_whitespace().any(|it| it == *wanted)) {
        return Ok(());
    }
    let own = folder.join(OWN);
    match fs::create_dir(&own) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let us = std::process::id().to_string();
    fs::write(own.join("cgroup.procs"), &us)?;
    let all = CONTROLLERS.map(|controller| format!("+{controller}")).join(" ");
    fs::write(folder.join("cgroup.subtree_control"), all).inspect_err(|_| {
        // Others are in it. Back to them, so that nothing has changed.
        let _back = fs::write(folder.join("cgroup.procs"), &us);
        is_gone(&own);
    })
}

/// Removes the leaves of servers that were killed; systemd does so by itself.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(LEAF)?.split_once('-'));
        let lives = |pid: &str| Path::new("/proc").join(pid).exists();
        if owner.is_some_and(|(pid, _)| !lives(pid)) {
            is_gone(&entry.path());
        }
    }
}

/// The folder of the cgroup that this process is in, from the kernel's tables of mounts and of
/// cgroups.
fn own_folder(mounts: &str, cgroups: &str) -> Option<PathBuf> {
    let ours = cgroups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        let is_cgroup = kind.split(' ').next() == Some("cgroup2");
        let below = Path::new("/").join(ours);
        let below = below.strip_prefix(root).ok().filter(|_| is_cgroup)?.to_owned();
        Some(Path::new(at).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a cgroup with these controllers.
    fn like_a_cgroup(controllers: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("cgroup.type", "domain\n");
        write("cgroup.controllers", controllers);
        write("cgroup.subtree_control", "");
        folder
    }

    #[test]
    fn the_server_moves_aside_and_each_process_has_a_leaf_with_its_limits() {
        let folder = like_a_cgroup("cpu memory pids\n");
        let at = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let cgroup = Cgroup::divide(folder.path()).unwrap();
        assert_eq!(at("server/cgroup.procs"), std::process::id().to_string());
        assert_eq!(at("cgroup.subtree_control"), "+memory +pids");
        let (first, mut second) = (cgroup.leaf(1 << 30).unwrap(), cgroup.leaf(7).unwrap());
        assert_ne!(first.folder, second.folder);
        let read = |leaf: &Leaf, name: &str| fs::read_to_string(leaf.folder.join(name)).unwrap();
        assert_eq!(read(&first, "memory.max"), "1073741824");
        assert_eq!(read(&second, "memory.max"), "7");
        assert_eq!(read(&first, "memory.swap.max"), "0");
        assert_eq!(read(&first, "pids.max"), PROCESSES);
        let door = second.door().unwrap();
        rustix::io::write(&door, b"0").unwrap();
        assert_eq!(read(&second, "cgroup.procs"), "0");
        assert!(second.door().is_none());
    }

    #[test]
    fn the_kernel_tells_whether_it_was_the_memory() {
        let folder = like_a_cgroup("memory pids\n");
        let leaf = Cgroup::divide(folder.path()).unwrap().leaf(1).unwrap();
        assert!(!leaf.was_out_of_memory());
        for (events, wanted) in
            [("low 0\nmax 9\noom 1\noom_kill 0\n", false), ("oom_kill 1\n", true)]
        {
            fs::write(leaf.folder.join("memory.events"), events).unwrap();
            assert_eq!(leaf.was_out_of_memory(), wanted, "{events}");
        }
    }

    #[test]
    fn what_cannot_be_divided_is_left_as_it_is() {
        let without = like_a_cgroup("cpu pids\n");
        let refused = Cgroup::divide(without.path()).unwrap_err().to_string();
        assert!(refused.contains("memory"), "{refused}");
        assert!(!without.path().join("server").exists());
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(Cgroup::divide(root.path()), Err(CgroupError::Root)));
        // Where others are in it the kernel refuses to hand its controllers down.
        let shared = like_a_cgroup("memory pids\n");
        fs::remove_file(shared.path().join("cgroup.subtree_control")).unwrap();
        fs::create_dir(shared.path().join("cgroup.subtree_control")).unwrap();
        let refused = Cgroup::divide(shared.path()).unwrap_err();
        assert!(matches!(refused, CgroupError::NotOurs { .. }), "{refused:?}");
        let back = fs::read_to_string(shared.path().join("cgroup.procs")).unwrap();
        assert_eq!(back, std::process::id().to_string());
    }

    #[test]
    fn leaves_of_a_server_that_was_killed_are_swept_and_those_of_others_are_not() {
        let folder = like_a_cgroup("memory pids\n");
        let (dead, alive) =
            (format!("run-{}-3", u32::MAX), format!("run-{}-3", std::process::id()));
        for name in [&*dead, &*alive, "other"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Cgroup::divide(&folder.path().join("server")).unwrap();
        let is_there = |name: &str| folder.path().join(name).exists();
        assert!(!is_there(&dead) && is_there(&alive) && is_there("other"));
    }

    #[test]
    fn our_own_cgroup_is_found_below_any_mount() {
        let mount = |root: &str, at: &str| {
            format!(
                "29 24 0:25 / /proc rw - proc proc rw\n30 24 0:26 {root} {at} rw - cgroup2 none rw\n"
            )
        };
        let found =
            |mounts: &str, ours: &str| own_folder(mounts, ours).map(|it| it.display().to_string());
        let whole = mount("/", "/sys/fs/cgroup");
        let service = "0::/system.slice/reelway.service\n";
        let wanted = Some("/sys/fs/cgroup/system.slice/reelway.service".to_owned());
        assert_eq!(found(&whole, service), wanted);
        assert_eq!(found(&whole, "0::/\n"), Some("/sys/fs/cgroup/".to_owned()));
        let part = mount("/system.slice", "/cgroup");
        assert_eq!(found(&part, service), Some("/cgroup/reelway.service".to_owned()));
        assert_eq!(found(&mount("/other", "/cgroup"), service), None);
        assert_eq!(found(&whole, "4:memory:/x\n"), None);
        assert_eq!(found("", service), None);
    }
}
