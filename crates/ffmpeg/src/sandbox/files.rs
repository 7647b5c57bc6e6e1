//! Landlock: which files a process may open, which TCP port it may reach, whom it may signal.
//!
//! A [`Scope`] and the program come in, a set of rules goes out, ready to be applied by the
//! child. The kernel refuses whatever no rule names. Rules hold for what paths lead to when the
//! set is made: a link that is put there later leads nowhere.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    Scope as Scoped, make_bitflags, path_beneath_rules,
};

use super::Scope;
use super::program::Program;

/// What any program may read: libraries, fonts, and how many processors there are. Found by
/// tracing Debian's ffmpeg; of `/proc` it reads more, and does well without.
const READABLE: &[&str] = &[
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/lib",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/fonts",
    "/usr/share/fontconfig",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/var/cache/fontconfig",
    "/dev/urandom",
    "/dev/zero",
    "/proc/cpuinfo",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

/// Where a script finds the programs it starts.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/nix/store", "/gnu/store"];

/// Read what is there.
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// Make, write, rename and remove plain files and folders. No links: one put where an output is
/// expected would have us publish what it leads to. No pipes, sockets or devices either.
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
});

/// Open a device and command it.
const DEVICE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev});

/// The versions of Landlock that brought something that is used here, oldest first.
const VERSIONS: &[ABI] = &[ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, ABI::V6];

/// The first version that knows TCP ports: Linux 6.7.
pub(super) const TCP: ABI = ABI::V4;

/// The first version that keeps signals inside: Linux 6.12.
pub(super) const SIGNALS: ABI = ABI::V6;

/// The newest of [`VERSIONS`] that this kernel has and lets us use.
pub(super) fn version() -> Option<ABI> {
    let there = |&version: &ABI| empty(version, CompatLevel::HardRequirement).is_ok();
    VERSIONS.iter().copied().take_while(there).last()
}

/// The rules of `scope` for a `program`, which is at `path`.
pub(super) fn rules(
    version: ABI,
    path: &Path,
    program: &Program,
    scope: &Scope,
) -> Result<RulesetCreated, RulesetError> {
    let start = AccessFs::Execute | AccessFs::ReadFile;
    let mut rules = empty(version, CompatLevel::BestEffort)?
        .add_rules(path_beneath_rules(READABLE, READ))?
        .add_rules(path_beneath_rules(own_libraries(path), READ))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules([path], start))?;
    rules = match program {
        Program::Binary { loader } => rules.add_rules(path_beneath_rules(loader, start))?,
        Program::Script => rules.add_rules(path_beneath_rules(PROGRAMS, READ | start))?,
    };
    rules = rules
        .add_rules(path_beneath_rules(&scope.read, READ))?
        // The first versions do not know every right; what they do not know they do not refuse.
        .add_rules(path_beneath_rules(&scope.write, WRITE & AccessFs::from_all(version)))?
        .add_rules(path_beneath_rules(&scope.devices, DEVICE & AccessFs::from_all(version)))?;
    match scope.tcp_port {
        Some(port) => rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp)),
        None => Ok(rules),
    }
}

/// A set that allows nothing of what this version can refuse.
fn empty(version: ABI, level: CompatLevel) -> Result<RulesetCreated, RulesetError> {
    let mut rules =
        Ruleset::default().set_compatibility(level).handle_access(AccessFs::from_all(version))?;
    if version >= TCP {
        rules = rules.handle_access(AccessNet::from_all(version))?;
    }
    if version >= SIGNALS {
        rules = rules.scope(Scoped::from_all(version))?;
    }
    rules.create()
}

/// Where a build of one's own keeps its libraries: `lib` beside the `bin` it is in.
fn own_libraries(path: &Path) -> Vec<PathBuf> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let bin = path.parent().filter(|folder| folder.ends_with("bin"));
    let prefix = bin.and_then(Path::parent);
    prefix.into_iter().flat_map(|prefix| ["lib", "lib64"].map(|lib| prefix.join(lib))).collect()
}
