//! x32: the x86-64 table, with some calls moved to 512 and up because their arguments hold pointers.
//!
//! From Linux 6.17 arch/x86/entry/syscalls/syscall_64.tbl: the rows marked `x32`, and the rows marked `64`, which x32
//! does not have.

use super::{Abi, table_name, table_number};

const FIRST_MOVED: u32 = 512;

/// Numbers [`FIRST_MOVED`] and up, in order.
const MOVED: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// Calls of the x86-64 table that x32 has under no number.
const ABSENT: [&str; 11] = [
    "_sysctl",
    "create_module",
    "epoll_ctl_old",
    "epoll_wait_old",
    "get_kernel_syms",
    "get_thread_area",
    "nfsservctl",
    "query_module",
    "set_thread_area",
    "uselib",
    "vserver",
];

pub(super) fn name(nr: u32) -> Option<&'static str> {
    if let Some(at) = nr.checked_sub(FIRST_MOVED) {
        return MOVED.get(usize::try_from(at).ok()?).copied();
    }
    table_name(Abi::X86_64, nr).filter(|name| !MOVED.contains(name) && !ABSENT.contains(name))
}

pub(super) fn number(name: &str) -> Option<u32> {
    if let Some(at) = (FIRST_MOVED..).zip(MOVED).find_map(|(nr, moved)| (moved == name).then_some(nr)) {
        return Some(at);
    }
    table_number(Abi::X86_64, name).filter(|_| !ABSENT.contains(&name))
}
