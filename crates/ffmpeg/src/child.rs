//! The one place that starts a process, contained.
//!
//! A program and its arguments come in, a running process and its two pipes go out. The
//! process leads a group of its own, gets no environment, no standard input and no new
//! privileges, has its limits set by the kernel, dies with its parent and is killed and reaped
//! when its [`Child`] is dropped. What else is to hold inside it belongs into [`Containment`].
//!
//! "Dies with its parent" is a promise of the kernel about the *thread* that started it. Start
//! from an async task of the runtime or from its main thread; never from `spawn_blocking` and
//! never from a task that uses `block_in_place`: those threads end while the process is at
//! work, and it would be killed.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::process::{ChildStderr, ChildStdout};

use crate::Limits;

/// Where programs are looked for by a child; its whole environment but for the locale.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Files a child may have open: libraries are closed once mapped, and threads share the rest.
const OPEN_FILES: u64 = 128;

/// What holds inside a process: made before the fork, applied between fork and exec.
#[derive(Clone, Debug)]
pub(crate) struct Containment {
    limits: [(Resource, u64); 4],
    nice: i32,
    parent: Option<Pid>,
}

impl Containment {
    /// Everything that allocates or may take a lock happens here, in the parent.
    pub(crate) fn prepare(limits: &Limits) -> Self {
        let wanted = [
            (Resource::As, limits.address_space_bytes),
            (Resource::Fsize, limits.output_bytes),
            (Resource::Nofile, OPEN_FILES),
            (Resource::Core, 0),
        ];
        let parent = i32::try_from(std::process::id()).ok().and_then(Pid::from_raw);
        Self { limits: wanted.map(within_ours), nice: limits.nice.clamp(0, 19), parent }
    }

    /// Runs in the child between fork and exec, where only system calls are allowed: no
    /// allocation, no lock, no panic.
    fn apply(&self) -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != self.parent {
            return Err(Errno::SRCH.into()); // the parent died before it could be watched
        }
        rustix::thread::set_no_new_privs(true)?;
        for (resource, bound) in self.limits {
            let bound = Some(bound);
            rustix::process::setrlimit(resource, Rlimit { current: bound, maximum: bound })?;
        }
        rustix::process::nice(self.nice)?;
        Ok(())
    }
}

/// A limit cannot be above the one we live under ourselves; without privileges asking is an
/// error.
fn within_ours((resource, wanted): (Resource, u64)) -> (Resource, u64) {
    let ours = rustix::process::getrlimit(resource).maximum;
    (resource, ours.map_or(wanted, |ours| wanted.min(ours)))
}

/// The two ends a process writes to.
pub(crate) struct Pipes {
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

/// A process and its group, killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    inner: tokio::process::Child,
    /// The group, until its leader has been reaped: after that its number may be another's.
    group: Option<Pid>,
}

/// Starts `program` in `folder` with `argv`.
pub(crate) fn spawn(
    program: &Path,
    argv: &[OsString],
    folder: &Path,
    containment: &Containment,
) -> io::Result<(Child, Pipes)> {
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a process")]
    let mut command = std::process::Command::new(program);
    command
        .args(argv)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let containment = containment.clone();
    #[expect(unsafe_code, reason = "limits are set between fork and exec")]
    // SAFETY: `apply` makes system calls only, as its contract says.
    unsafe {
        command.pre_exec(move || containment.apply());
    }
    let mut command = tokio::process::Command::from(command);
    let mut inner = command.kill_on_drop(true).spawn()?;
    let group = inner.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let (stdout, stderr) = (inner.stdout.take(), inner.stderr.take());
    let child = Child { inner, group };
    match (stdout, stderr) {
        (Some(stdout), Some(stderr)) => Ok((child, Pipes { stdout, stderr })),
        _ => Err(io::Error::other("the process has no pipes")),
    }
}

impl Child {
    /// Waits for the end and reaps. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.inner.wait().await?;
        self.group = None;
        Ok(status)
    }

    /// Asks the group to end, waits `grace`, kills what is left, and reaps.
    pub(crate) async fn end(&mut self, grace: Duration) -> io::Result<()> {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            if tokio::time::timeout(grace, self.inner.wait()).await.is_ok_and(|ended| ended.is_ok())
            {
                self.group = None;
                return Ok(());
            }
        }
        self.signal(Signal::KILL);
        self.wait().await.map(drop)
    }

    fn signal(&self, signal: Signal) {
        let Some(group) = self.group else { return };
        match rustix::process::kill_process_group(group, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => tracing::warn!(%error, "could not signal a process group"),
        }
    }
}

impl Drop for Child {
    /// The group first; the runtime then reaps the leader.
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
