//! Namespaces: a network without anybody in it, and names and queues of its own.
//!
//! What bubblewrap would put around a process, without bubblewrap: it needs mounts, which
//! Landlock refuses, and a second process, which seccomp refuses. Nothing that a process does
//! in here is seen outside, even where a filter of calls has a hole. Where the kernel or a
//! container's runtime gives none, there are none: the box is whole without.

use std::ffi::CStr;
use std::io;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, UnshareFlags};

use crate::fork::{before_exec, unshare};

/// Most threads and processes at once. An encoder has some for each processor; a process that
/// makes them without end stops here. Counted where the user is the process's own.
const THREADS: u64 = 4096;

/// How a process comes into namespaces of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spaces {
    /// By the power of a superuser, who goes on seeing everybody's files by their owners.
    Power,
    /// By a user namespace, in which its user is the only one.
    User,
}

/// What a child does to come into its namespaces: made before the fork.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    flags: UnshareFlags,
    /// What is written where, so that the user keeps its number.
    maps: Vec<(&'static CStr, String)>,
}

impl Spaces {
    /// The namespaces that can be had here: found out by a child that tries.
    pub(super) fn detect() -> Option<Self> {
        let powers = rustix::thread::capabilities(None).ok()?.effective;
        let spaces = if powers.contains(CapabilitySet::SYS_ADMIN) {
            Self::Power
        } else if powers.contains(CapabilitySet::DAC_OVERRIDE) {
            // In a user namespace it would lose the power over files of other owners.
            return None;
        } else {
            Self::User
        };
        can_enter(&spaces.entry(false)).then_some(spaces)
    }

    /// The way into them; with the network of the machine where `tcp` is asked for.
    pub(super) fn entry(self, tcp: bool) -> Entry {
        let mut flags = UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
        if !tcp {
            flags |= UnshareFlags::NEWNET;
        }
        if self == Self::Power {
            return Entry { flags, maps: Vec::new() };
        }
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        let maps = vec![
            (c"/proc/self/setgroups", "deny".to_owned()),
            (c"/proc/self/uid_map", format!("{user} {user} 1\n")),
            (c"/proc/self/gid_map", format!("{group} {group} 1\n")),
        ];
        Entry { flags: flags | UnshareFlags::NEWUSER, maps }
    }
}

impl Entry {
    /// Runs in the child between fork and exec, where only system calls are allowed.
    pub(super) fn enter(&self) -> io::Result<()> {
        if self.maps.is_empty() {
            return Ok(unshare(self.flags)?);
        }
        unshare(self.flags)?;
        for (path, text) in &self.maps {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            let map = rustix::fs::open(*path, flags, Mode::empty())?;
            if rustix::io::write(&map, text.as_bytes())? != text.len() {
                return Err(Errno::IO.into());
            }
        }
        let most = Some(THREADS);
        let ours = rustix::process::getrlimit(Resource::Nproc).maximum;
        if ours.is_none_or(|ours| ours > THREADS) {
            rustix::process::setrlimit(Resource::Nproc, Rlimit { current: most, maximum: most })?;
        }
        Ok(())
    }

    /// Whether the process keeps nothing of the powers it came with.
    pub(super) fn ends_powers(&self) -> bool {
        !self.maps.is_empty()
    }
}

/// Whether a child comes in. It ends there: no program is started.
fn can_enter(entry: &Entry) -> bool {
    #[expect(clippy::disallowed_methods, reason = "nothing is started, see below")]
    let mut command = Command::new("/");
    let entry = entry.clone();
    before_exec(&mut command, move || entry.enter().and(Err(Errno::CANCELED.into())));
    command.spawn().is_err_and(|error| error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()))
}
