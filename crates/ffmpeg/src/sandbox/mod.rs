//! The box around every process: what it may open, call and reach, held by the kernel.
//!
//! A [`Scope`] says what one run is given; [`Sandbox::confine`] makes a command that gets that
//! and nothing else. Two layers stand for themselves: Landlock (files, TCP ports, signals) and
//! seccomp (system calls). Namespaces are put around them where the machine gives any.
//! Everything is made before the fork and applied by the child right before it becomes the
//! program, which cannot undo it.
//!
//! What the box never does: trust the program's arguments. They are a layer of their own, in
//! [`crate::policy`].

mod calls;
mod files;
mod program;
mod spaces;
mod trial;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{ABI, RulesetStatus};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

pub use trial::TrialError;

use self::calls::Allowance;
use self::program::Program;
use self::spaces::Spaces;
use crate::fork::before_exec;

/// What this kernel can hold a process to. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    landlock: Option<ABI>,
    seccomp: bool,
    spaces: Option<Spaces>,
}

/// What one process is given, beside its libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Files it reads, and folders it reads everything in.
    pub read: Vec<PathBuf>,
    /// Folders in which it makes, writes and removes files.
    pub write: Vec<PathBuf>,
    /// A port it may reach by TCP over IPv4; nothing else of the network in any case.
    pub tcp_port: Option<u16>,
    /// Devices that it opens and commands; none but for an encoder in hardware.
    pub devices: Vec<PathBuf>,
}

/// How much of the box this kernel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// All of it.
    Full,
    /// Some of it.
    Partial {
        /// What is not there.
        missing: Vec<Layer>,
    },
    /// Nothing of it.
    None {
        /// What is not there.
        missing: Vec<Layer>,
    },
}

/// A layer of the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Files, TCP ports, signals.
    Landlock,
    /// System calls.
    Seccomp,
    /// A network, names and queues of its own: more than a whole box needs.
    Namespaces,
    /// Memory and processes, counted by the kernel: more than a whole box needs.
    Cgroup,
}

impl Sandbox {
    /// What this kernel has, and lets us use.
    #[must_use]
    pub fn detect() -> Self {
        let (landlock, seccomp) = (files::version(), calls::are_there());
        Self { landlock, seccomp, spaces: Spaces::detect() }
    }

    /// The layers that are used.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let layers = [
            (Layer::Landlock, self.landlock.is_some()),
            (Layer::Seccomp, self.seccomp),
            (Layer::Namespaces, self.spaces.is_some()),
        ];
        layers.into_iter().filter_map(|(layer, is_used)| is_used.then_some(layer)).collect()
    }

    /// How much of the box that is.
    ///
    /// Of Landlock any version will do: what the first ones do not see, seccomp refuses
    /// altogether. A run with a [`Scope::tcp_port`] needs version 4.
    #[must_use]
    pub fn level(&self) -> Level {
        match (self.landlock, self.seccomp) {
            (Some(_), true) => Level::Full,
            (Some(_), false) => Level::Partial { missing: vec![Layer::Seccomp] },
            (None, true) => Level::Partial { missing: vec![Layer::Landlock] },
            (None, false) => Level::None { missing: vec![Layer::Landlock, Layer::Seccomp] },
        }
    }

    /// The version of Landlock that is used, at most the newest that this crate knows.
    #[must_use]
    pub fn landlock_version(&self) -> Option<u32> {
        self.landlock.map(|version| version as u32)
    }

    /// Whether a run can be given one TCP port without being given them all.
    #[must_use]
    pub fn has_tcp_ports(&self) -> bool {
        self.landlock >= Some(files::TCP) && self.seccomp
    }

    /// The same without Landlock, to see what seccomp holds by itself.
    #[must_use]
    pub const fn without_landlock(self) -> Self {
        Self { landlock: None, ..self }
    }

    /// The same without seccomp, to see what Landlock holds by itself.
    #[must_use]
    pub const fn without_seccomp(self) -> Self {
        Self { seccomp: false, ..self }
    }

    /// The same without namespaces.
    #[must_use]
    pub const fn without_namespaces(self) -> Self {
        Self { spaces: None, ..self }
    }

    /// The same with a user of its own for every process, as a server has it that is no
    /// superuser.
    #[must_use]
    pub fn with_own_users(self) -> Self {
        Self { spaces: self.spaces.map(|_| Spaces::User), ..self }
    }

    /// The same on the first kernel that had Landlock, Linux 5.13.
    #[must_use]
    pub fn with_first_landlock(self) -> Self {
        Self { landlock: self.landlock.map(|_| ABI::V1), ..self }
    }

    /// Has `command` run with what is in `scope` and nothing else.
    ///
    /// Its program is named by an absolute path. Steps given to the command afterwards are
    /// confined already. A path in `scope` that leads nowhere gives nothing.
    pub fn confine(&self, command: &mut Command, scope: &Scope) -> io::Result<()> {
        let path = Path::new(command.get_program());
        if !path.is_absolute() {
            return Err(Errno::INVAL.into());
        }
        if scope.tcp_port.is_some() && !self.has_tcp_ports() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let program = Program::read(path)?;
        let rules = match self.landlock {
            Some(version) => files::rules(version, path, &program, scope).map(Some),
            None => Ok(None),
        };
        let mut rules = rules.map_err(io::Error::other)?;
        let allowance = Allowance {
            tcp: scope.tcp_port.is_some(),
            forks: program == Program::Script,
            signals: self.landlock >= Some(files::SIGNALS),
        };
        let filters = if self.seccomp {
            Some(calls::filters(allowance).map_err(io::Error::other)?)
        } else {
            None
        };
        let entry = self.spaces.map(|spaces| spaces.entry(scope.tcp_port.is_some()));
        let fewer = match &entry {
            Some(entry) if entry.ends_powers() => Some(no_capabilities()),
            _ => fewer_capabilities()?,
        };
        before_exec(command, move || {
            rustix::thread::set_no_new_privs(true)?;
            // First, for it takes calls and powers that the others take away.
            if let Some(entry) = &entry {
                entry.enter()?;
            }
            if let Some(fewer) = fewer {
                set_capabilities(None, fewer)?;
            }
            if let Some(rules) = rules.take() {
                let status = rules.restrict_self().map_err(|_| Errno::PERM)?;
                if status.ruleset == RulesetStatus::NotEnforced {
                    return Err(Errno::PERM.into());
                }
            }
            for filter in filters.iter().flatten() {
                seccompiler::apply_filter(filter).map_err(|_| Errno::PERM)?;
            }
            Ok(())
        });
        Ok(())
    }
}

/// Of a superuser's powers only the one over permissions of files, which Landlock bounds; nothing
/// to do for anybody else.
fn fewer_capabilities() -> io::Result<Option<CapabilitySets>> {
    let ours = capabilities(None)?;
    let kept = CapabilitySet::DAC_OVERRIDE;
    let fewer = CapabilitySets {
        effective: ours.effective & kept,
        permitted: ours.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    Ok((!ours.permitted.is_empty()).then_some(fewer))
}

/// What is left of them in a user namespace: there one would hold them all.
fn no_capabilities() -> CapabilitySets {
    let none = CapabilitySet::empty();
    CapabilitySets { effective: none, permitted: none, inheritable: none }
}

impl Level {
    /// What is not there.
    #[must_use]
    pub fn missing(&self) -> &[Layer] {
        match self {
            Self::Full => &[],
            Self::Partial { missing } | Self::None { missing } => missing,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Full => "full",
            Self::Partial { .. } => "partial",
            Self::None { .. } => "none",
        })
    }
}

impl Layer {
    /// What a kernel and what stands between it and us must have for this layer.
    #[must_use]
    pub const fn needs(self) -> &'static str {
        match self {
            Self::Landlock => {
                "Linux 5.13 or later with `landlock` among its security modules \
                 (/sys/kernel/security/lsm, or `lsm=landlock,…` at boot), and a container \
                 runtime that lets the landlock_* calls through"
            }
            Self::Seccomp => {
                "a kernel with CONFIG_SECCOMP_FILTER on x86-64, 64-bit ARM or RISC-V, and a \
                 container runtime that lets the seccomp call through"
            }
            Self::Namespaces => {
                "user namespaces for this user (sysctl user.max_user_namespaces, on Ubuntu also \
                 kernel.apparmor_restrict_unprivileged_userns=0), and a container runtime that \
                 lets the unshare call through"
            }
            Self::Cgroup => {
                "a cgroup of version 2 that is this server's own, with the controllers memory and \
                 pids (systemd: Delegate=memory pids)"
            }
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Landlock => "Landlock",
            Self::Seccomp => "seccomp",
            Self::Namespaces => "namespaces",
            Self::Cgroup => "cgroup",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_names_what_is_missing() {
        let whole = Sandbox { landlock: Some(ABI::V1), seccomp: true, spaces: None };
        assert_eq!(whole.level(), Level::Full);
        assert!(whole.level().missing().is_empty());
        let half = whole.without_landlock().level();
        assert_eq!((half.to_string(), half.missing()), ("partial".into(), &[Layer::Landlock][..]));
        let half = whole.without_seccomp().level();
        assert_eq!((half.to_string(), half.missing()), ("partial".into(), &[Layer::Seccomp][..]));
        let nothing = whole.without_landlock().without_seccomp().level();
        assert_eq!((nothing.to_string(), nothing.missing().len()), ("none".into(), 2));
    }

    #[test]
    fn a_port_is_given_only_where_the_kernel_can_tell_ports_apart() {
        let newest = Sandbox { landlock: Some(ABI::V6), seccomp: true, spaces: None };
        let sandbox = newest.with_first_landlock();
        assert!(!sandbox.has_tcp_ports());
        let mut command = command("/bin/true");
        let scope = Scope { tcp_port: Some(80), ..Scope::default() };
        let error = sandbox.confine(&mut command, &scope).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn a_program_is_named_by_its_whole_path() {
        let mut command = command("true");
        assert!(Sandbox::detect().confine(&mut command, &Scope::default()).is_err());
    }

    #[expect(clippy::disallowed_methods, reason = "it is never started")]
    fn command(program: &str) -> Command {
        Command::new(program)
    }
}
