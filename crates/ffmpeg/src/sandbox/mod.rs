//! The box around every process: what it may open, call and reach, held by the kernel.
//!
//! A [`Scope`] says what one run is given; [`Sandbox::confine`] makes a command that gets that
//! and nothing else. Two layers stand for themselves: Landlock (files, TCP ports, signals) and
//! seccomp (system calls). Everything is made before the fork and applied by the child right
//! before it becomes the program, which cannot undo it.
//!
//! What the box never does: trust the program's arguments. They are a layer of their own, in
//! [`crate::policy`].

mod calls;
mod files;
mod program;
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
use crate::fork::before_exec;

/// What this kernel can hold a process to. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    landlock: Option<ABI>,
    seccomp: bool,
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
}

impl Sandbox {
    /// What this kernel has, and lets us use.
    #[must_use]
    pub fn detect() -> Self {
        Self { landlock: files::version(), seccomp: calls::are_there() }
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
        let fewer = fewer_capabilities()?;
        before_exec(command, move || {
            rustix::thread::set_no_new_privs(true)?;
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
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Landlock => "Landlock",
            Self::Seccomp => "seccomp",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_names_what_is_missing() {
        let whole = Sandbox { landlock: Some(ABI::V1), seccomp: true };
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
        let sandbox = Sandbox { landlock: Some(ABI::V6), seccomp: true }.with_first_landlock();
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
