//! The unsafe steps: what a child does between fork and exec.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::thread::UnshareFlags;

/// Has the child run `step` between fork and exec, after the steps that were given before.
///
/// The child is a copy of one thread of a process that has many: another may have held a lock
/// at the fork, and nobody is left to release it. So `step` makes system calls on what was
/// prepared in the parent and nothing else: no allocation, no lock, no panic.
pub(crate) fn before_exec(
    command: &mut Command,
    step: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    #[expect(unsafe_code, reason = "limits and sandbox are set between fork and exec")]
    // SAFETY: the callers are `child` and `sandbox`, whose steps keep the contract above.
    unsafe {
        command.pre_exec(step);
    }
}

/// Leaves the namespaces of the parent; never its table of open files.
pub(crate) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    #[expect(unsafe_code, reason = "namespaces are left between fork and exec")]
    // SAFETY: no thread is parted from its open files, which alone is what makes it unsafe.
    unsafe {
        rustix::thread::unshare_unsafe(flags.difference(UnshareFlags::FILES))
    }
}
