//! Seccomp: which system calls a process may make.
//!
//! Everything is allowed but what is listed, for lists of what is needed break with the next
//! libc. Listed is: what reaches the network, other processes or the kernel's rarer parts; what
//! leaves the process group; and what Landlock has no word for, such as `chmod`.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, sock_filter,
};

/// What differs from one process to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// TCP over IPv4; which port is Landlock's business.
    pub(super) tcp: bool,
    /// Processes of its own, for a script. A program gets threads alone.
    pub(super) forks: bool,
    /// Signals; whose is Landlock's business.
    pub(super) signals: bool,
}

/// Refused to everybody, on every processor.
const REFUSED: &[c_long] = &[
    // Other processes: their memory, their files, their names.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_perf_event_open,
    // Out of the group that is killed at the end.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // Parts of the kernel with a long history, and no use here.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_personality,
    libc::SYS_syslog,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Mounts and namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // The machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Files past Landlock: by handle, from memory, by their names' changes, by their attributes.
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_memfd_create,
    libc::SYS_execveat,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_truncate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    // Memory and queues that are shared by a number.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Servers, and datagrams to anybody.
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
];

/// The same, for what only x86 has or names.
#[cfg(target_arch = "x86_64")]
const REFUSED_ON_X86: &[c_long] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_inotify_init,
    libc::SYS_modify_ldt,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_ON_X86: &[c_long] = &[];

/// Ways to start a process.
#[cfg(target_arch = "x86_64")]
const FORKS: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[c_long] = &[];

/// Ways to signal a process.
const SIGNALS: &[c_long] = &[
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
];

/// Answered as by a kernel that does not have them: their arguments stand in memory, where a
/// filter cannot look, and every libc has another way.
const ABSENT: &[c_long] = &[libc::SYS_clone3, libc::SYS_openat2];

/// `fchmodat2`, which libc does not name yet.
const FCHMODAT2: c_long = 452;

/// The first number that was given out after these lists were made. What is newer is answered
/// as absent, and so are the x32 calls of x86, which are numbered from 2^30.
const UNKNOWN: u32 = 463;

/// `F_SETOWN_EX`: whom the kernel is to signal about a file.
const F_SETOWN_EX: u64 = 15;

/// `PRIO_PROCESS`: one process.
const PRIO_PROCESS: u64 = 0;

/// What a kind of socket is without its flags.
const SOCK_TYPE: u64 = 0xf;

/// Whether filters can be made for this processor, and this kernel takes them.
pub(super) fn are_there() -> bool {
    let allowance = Allowance { tcp: false, forks: false, signals: false };
    // The kernel says how many filters a process has only if it can have any.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    filters(allowance).is_ok() && status.lines().any(|line| line.starts_with("Seccomp"))
}

/// The filters, in the order in which they are to be set.
pub(super) fn filters(allowance: Allowance) -> Result<[BpfProgram; 2], BackendError> {
    let absent = program(everyone(ABSENT).collect(), libc::ENOSYS)?;
    let absent = [&newer_is_absent()[..], &absent].concat();
    let mut rules: Rules = everyone(REFUSED).chain(everyone(REFUSED_ON_X86)).collect();
    rules.extend(files()?);
    rules.extend(others(allowance.signals)?);
    rules.extend(sockets(allowance.tcp)?);
    rules.extend(processes(allowance.forks)?);
    if !allowance.signals {
        rules.extend(everyone(SIGNALS));
    }
    Ok([absent, program(rules, libc::EPERM)?])
}

/// The rules of a call: it is refused when one of them holds, or when there is none.
type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn everyone(calls: &[c_long]) -> impl Iterator<Item = (c_long, Vec<SeccompRule>)> {
    calls.iter().map(|&call| (call, vec![]))
}

fn program(rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    let action = SeccompAction::Errno(errno.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()
}

/// "Load the number; if it is not below [`UNKNOWN`], answer ENOSYS; else go on."
fn newer_is_absent() -> [sock_filter; 3] {
    let errno = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let code = |code: u32| code as u16;
    [
        sock_filter { code: code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), jt: 0, jf: 0, k: 0 },
        sock_filter {
            code: code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K),
            jt: 0,
            jf: 1,
            k: UNKNOWN,
        },
        sock_filter { code: code(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: errno },
    ]
}

/// What Landlock before version 3 does not see: a file that is emptied without being written to.
fn files() -> Result<Rules, BackendError> {
    let (mode, truncate) = (libc::O_ACCMODE as u64, libc::O_TRUNC as u64);
    let emptied = |flags| {
        Ok::<_, BackendError>(vec![
            when(&[(flags, SeccompCmpOp::MaskedEq(mode | truncate), truncate)])?,
            // Neither read nor write: no right is asked for.
            when(&[(flags, SeccompCmpOp::MaskedEq(mode), mode)])?,
        ])
    };
    let rules = vec![(libc::SYS_openat, emptied(2)?)];
    #[cfg(target_arch = "x86_64")]
    let rules = [rules, vec![(libc::SYS_open, emptied(1)?)]].concat();
    Ok(rules.into_iter().collect())
}

/// What has its uses on oneself and is refused on others.
fn others(signals: bool) -> Result<Rules, BackendError> {
    let other = |argument| when(&[(argument, SeccompCmpOp::Ne, 0)]);
    let is = |argument, value| when(&[(argument, SeccompCmpOp::Eq, value)]);
    let mut ioctl = vec![is(1, libc::TIOCSTI)?, is(1, libc::TIOCLINUX)?];
    let mut rules = Rules::from([
        (libc::SYS_prlimit64, vec![other(0)?]),
        (libc::SYS_setpriority, vec![when(&[(0, SeccompCmpOp::Ne, PRIO_PROCESS)])?, other(1)?]),
        (libc::SYS_ioprio_set, vec![other(1)?]),
        (libc::SYS_sched_setscheduler, vec![other(0)?]),
        (libc::SYS_sched_setparam, vec![other(0)?]),
        (libc::SYS_sched_setattr, vec![other(0)?]),
        (libc::SYS_migrate_pages, vec![other(0)?]),
        (libc::SYS_move_pages, vec![other(0)?]),
        // It would outlive its parent.
        (libc::SYS_prctl, vec![is(0, libc::PR_SET_PDEATHSIG as u64)?]),
    ]);
    if !signals {
        let owner = [libc::F_SETOWN as u64, F_SETOWN_EX].map(|command| is(1, command));
        rules.insert(libc::SYS_fcntl, owner.into_iter().collect::<Result<_, _>>()?);
        ioctl.extend([is(1, FIOSETOWN)?, is(1, SIOCSPGRP)?]);
    }
    rules.insert(libc::SYS_ioctl, ioctl);
    Ok(rules)
}

/// `FIOSETOWN` and `SIOCSPGRP`: whom the kernel is to signal about a socket.
const FIOSETOWN: u64 = 0x8901;
const SIOCSPGRP: u64 = 0x8902;

/// No socket at all, or one that can do TCP over IPv4 and nothing else.
fn sockets(tcp: bool) -> Result<Rules, BackendError> {
    if !tcp {
        return Ok(everyone(&[libc::SYS_socket, libc::SYS_connect]).collect());
    }
    let mut kinds = vec![when(&[(0, SeccompCmpOp::Ne, libc::AF_INET as u64)])?];
    for kind in (0..=SOCK_TYPE).filter(|&kind| kind != libc::SOCK_STREAM as u64) {
        kinds.push(when(&[(1, SeccompCmpOp::MaskedEq(SOCK_TYPE), kind)])?);
    }
    // Others than TCP, such as MPTCP, are none of Landlock's business.
    let tcp = libc::IPPROTO_TCP as u64;
    kinds.push(when(&[(2, SeccompCmpOp::Ne, 0), (2, SeccompCmpOp::Ne, tcp)])?);
    // To send is to connect with this flag, and Landlock does not see it.
    let fast_open = libc::MSG_FASTOPEN as u64;
    let sends = |flags| when(&[(flags, SeccompCmpOp::MaskedEq(fast_open), fast_open)]);
    Ok(Rules::from([
        (libc::SYS_socket, kinds),
        (libc::SYS_sendto, vec![sends(3)?]),
        (libc::SYS_sendmsg, vec![sends(2)?]),
        (libc::SYS_sendmmsg, vec![sends(3)?]),
    ]))
}

/// Threads alone, or processes in the namespaces there are.
fn processes(forks: bool) -> Result<Rules, BackendError> {
    if !forks {
        let thread = libc::CLONE_THREAD as u64;
        let process = when(&[(0, SeccompCmpOp::MaskedEq(thread), 0)])?;
        return Ok(everyone(FORKS).chain([(libc::SYS_clone, vec![process])]).collect());
    }
    let spaces = NAMESPACES.iter().map(|&space| {
        let space = space as u64;
        when(&[(0, SeccompCmpOp::MaskedEq(space), space)])
    });
    Ok(Rules::from([(libc::SYS_clone, spaces.collect::<Result<_, _>>()?)]))
}

/// Flags of `clone` that make a namespace.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// A rule that holds when all of its conditions on the lower halves of arguments do.
fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, BackendError> {
    let conditions = conditions.iter().map(|(argument, operator, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
