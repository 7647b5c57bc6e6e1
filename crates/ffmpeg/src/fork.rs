//! The one unsafe step: what a child does between fork and exec.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

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
