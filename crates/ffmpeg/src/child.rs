//! The one place that starts a process, contained.
//!
//! A program and its arguments come in, a running process and its two pipes go out. The
//! process leads a group of its own, gets no environment, no standard input and no new
//! privileges, has its limits set by the kernel, is boxed in by the [`Sandbox`], dies with its
//! parent and is killed and reaped when its [`Child`] is dropped.
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

use crate::cgroup::{Cgroup, Leaf};
use crate::fork::before_exec;
use crate::{Limits, Sandbox, Scope};

/// Where programs are looked for by a child; its whole environment but for the locale.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Files a child may have open: libraries are closed once mapped, and threads share the rest.
const OPEN_FILES: u64 = 64;

/// A name of an environment, and what it stands for.
pub(crate) type Variable = (&'static str, OsString);

pub(crate) fn variable((name, value): (&'static str, &str)) -> Variable {
    (name, value.into())
}

/// What holds inside a process: made before the fork, applied between fork and exec.
#[derive(Clone, Debug)]
pub(crate) struct Containment {
    bounds: Bounds,
    sandbox: Sandbox,
    scope: Scope,
    cgroup: Option<(Cgroup, u64)>,
    environment: Vec<Variable>,
}

/// What the kernel holds a process to by numbers, and with whom it dies.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    limits: [(Resource, u64); 4],
    nice: i32,
    parent: Option<Pid>,
}

impl Containment {
    /// For one process, which is given what is in `scope`.
    pub(crate) fn prepare(limits: &Limits, sandbox: Sandbox, scope: Scope) -> Self {
        Self { bounds: Bounds::of(limits), sandbox, scope, cgroup: None, environment: Vec::new() }
    }

    /// The same in a cgroup of its own, with so much memory.
    pub(crate) fn within(self, cgroup: Option<&Cgroup>, memory_bytes: u64) -> Self {
        Self { cgroup: cgroup.cloned().map(|cgroup| (cgroup, memory_bytes)), ..self }
    }

    /// The same with these words in its environment.
    pub(crate) fn with_environment(self, environment: Vec<Variable>) -> Self {
        Self { environment, ..self }
    }

    /// A cgroup for one process. The watchdog looks at its memory in any case: without one the
    /// work goes on.
    fn leaf(&self) -> Option<Leaf> {
        let (cgroup, memory_bytes) = self.cgroup.as_ref()?;
        let leaf = cgroup.leaf(*memory_bytes);
        leaf.inspect_err(|error| tracing::warn!(%error, "a process has no cgroup of its own")).ok()
    }

    /// Everything that allocates or may take a lock happens here, in the parent.
    fn apply_to(
        &self,
        command: &mut std::process::Command,
        leaf: Option<&mut Leaf>,
    ) -> io::Result<()> {
        let bounds = self.bounds;
        before_exec(command, move || bounds.apply());
        if let Some(door) = leaf.and_then(Leaf::door) {
            // Before the namespaces, in which its own cgroup is the whole world.
            before_exec(command, move || Ok(rustix::io::write(&door, b"0").map(drop)?));
        }
        self.sandbox.confine(command, &self.scope)
    }
}

impl Bounds {
    fn of(limits: &Limits) -> Self {
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
    leaf: Option<Leaf>,
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
        .envs(containment.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut leaf = containment.leaf();
    containment.apply_to(&mut command, leaf.as_mut())?;
    let mut command = tokio::process::Command::from(command);
    let mut inner = command.kill_on_drop(true).spawn()?;
    let group = inner.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let (stdout, stderr) = (inner.stdout.take(), inner.stderr.take());
    let child = Child { inner, group, leaf };
    match (stdout, stderr) {
        (Some(stdout), Some(stderr)) => Ok((child, Pipes { stdout, stderr })),
        _ => Err(io::Error::other("the process has no pipes")),
    }
}

impl Child {
    /// How much memory the process has now, in bytes; `None` once it has ended.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.inner.id()?)).ok()?;
        let resident: u64 = pages.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(resident.saturating_mul(rustix::param::page_size() as u64))
    }

    /// How much of the processors' time the process has had; `None` once it has ended.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.inner.id()?)).ok()?;
        // Its name, in brackets, may have anything in it.
        let (_, numbers) = stat.rsplit_once(')')?;
        let ticks = |text: &str| text.parse::<u64>().ok();
        let mut spent = numbers.split_ascii_whitespace().skip(11).map_while(ticks);
        let ticks = spent.next()? + spent.next()?;
        Some(
            Duration::from_secs(ticks)
                / u32::try_from(rustix::param::clock_ticks_per_second()).ok()?,
        )
    }

    /// Whether the kernel has ended a process of its cgroup for want of memory.
    pub(crate) fn was_out_of_memory(&self) -> bool {
        self.leaf.as_ref().is_some_and(Leaf::was_out_of_memory)
    }

    /// Waits for the end and reaps; whatever the leader has left behind is killed. May be dropped
    /// and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.inner.wait().await?;
        self.signal(Signal::KILL);
        self.group = None;
        Ok(status)
    }

    /// Asks the group to end, waits `grace`, kills what is left, and reaps.
    pub(crate) async fn end(&mut self, grace: Duration) -> io::Result<()> {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            if let Ok(ended) = tokio::time::timeout(grace, self.wait()).await {
                return ended.map(drop);
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Cause, RunError, Tools};

    /// Runs a script in ffmpeg's place, in a folder where it may write; what it wrote to `said`.
    async fn run(script: &str) -> String {
        run_within(Limits::default(), script).await.unwrap()
    }

    async fn run_within(limits: Limits, script: &str) -> Result<String, RunError> {
        let folder = tempfile::tempdir().unwrap();
        let (program, made) = (folder.path().join("ffmpeg"), folder.path().join("made"));
        let answer = "case \"$*\" in *-version*|*-encoders*) echo ffmpeg version 5.1; exit;; esac";
        std::fs::write(&program, format!("#!/bin/sh\n{answer}\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(&made).unwrap();
        std::fs::write(folder.path().join("private"), "private").unwrap();
        let tools = Tools::find(Some(&program), None, limits).await.unwrap();
        let scope = Scope { write: vec![made.clone()], ..Scope::default() };
        let (outputs, stop) = ([made.join("said")], CancellationToken::new());
        tools.run_argv(&[], scope, &outputs, |_| {}, &stop).await?;
        Ok(std::fs::read_to_string(&outputs[0]).unwrap())
    }

    #[tokio::test]
    async fn a_script_in_place_of_ffmpeg_starts_programs_and_stays_in_the_box() {
        let said = run("{ echo begins; cat ../private; cat /etc/passwd; ls /usr; } > said").await;
        assert!(said.starts_with("begins\n") && said.contains("bin\n"), "{said}");
        assert!(!said.contains("private") && !said.contains("root:"), "{said}");
    }

    #[tokio::test]
    async fn what_a_leader_leaves_behind_ends_with_it() {
        let said = run("(exec >&- 2>&-; sleep 300) & echo $! > said").await;
        let left = Pid::from_raw(said.trim().parse().unwrap()).unwrap();
        let gone = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            while rustix::process::test_kill_process(left).is_ok() {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    }

    #[tokio::test]
    async fn the_environment_is_empty_but_for_the_path_and_the_locale() {
        let said = run("env > said").await;
        let names = said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        // The shell adds one of its own.
        let mut names: Vec<_> = names.filter(|name| *name != "PWD").collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
    }

    #[tokio::test]
    async fn the_kernel_bounds_open_files_address_space_and_core_dumps() {
        let said = run("{ ulimit -n; ulimit -v; ulimit -c; } > said").await;
        assert_eq!(said, "64\n16777216\n0\n");
    }

    #[tokio::test]
    async fn a_program_is_nicer_than_the_process_that_starts_it() {
        let ours = rustix::process::getpriority_process(None).unwrap();
        let wanted = (ours + Limits::default().nice).min(19);
        assert_eq!(run("nice > said").await.trim(), wanted.to_string());
    }

    #[tokio::test]
    async fn a_process_that_takes_more_memory_than_it_may_is_killed() {
        let limits = Limits { memory_bytes: 8 << 20, ..Limits::default() };
        // The shell itself holds what it read, and would hold it for ever.
        let script = "held=$(yes | head -c 30000000); while :; do sleep 60; done";
        let error = run_within(limits, script).await.unwrap_err();
        let is_out_of_memory = matches!(error, RunError::Refused { cause: Cause::OutOfMemory, .. });
        assert!(is_out_of_memory, "{error:?}");
    }
}
