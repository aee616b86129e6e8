//! What Docker's default profile denies, and under which conditions it allows.
//!
//! Provenance: every x86-64 call made with invalid arguments under Docker 20.10.24's default profile with the default
//! capabilities and again without a profile, told apart by EPERM; the rest of a family (`fsopen` after `fsmount`), the
//! calls that later versions took away (`io_uring_*`, Docker 25) and those of 32-bit ABIs after moby's
//! `profiles/seccomp/default.json`.

use std::collections::BTreeSet;

use super::model::{Arg, Op};
use crate::syscall_table::Abi;

/// Denied by default with EPERM, and so they stay here: programs know that answer as "not permitted".
pub(super) const DENIED: [&str; 72] = [
    "_sysctl",
    "acct",
    "add_key",
    "bdflush",
    "bpf",
    "clock_settime",
    "clock_settime64",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "idle",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "open_tree_attr",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
    "vserver",
];

/// Allowed by default only where it could be granted CAP_SYS_ADMIN, and answered with ENOSYS instead: libc then falls
/// back to `clone`, whose flags a filter can check.
pub(super) const NEVER: &str = "clone3";

/// The flags of clone(2) that make namespaces: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NAMESPACES: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// The address family of sockets to the hypervisor.
const AF_VSOCK: u64 = 40;

/// What personality(2) may be asked for: Linux, Linux with a 32-bit uname, either with 2.6 version numbers, and the query.
const PERSONALITIES: [u64; 5] = [0x0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The calls that are allowed for some arguments only.
pub(super) const BOUND: [&str; 3] = ["clone", "personality", "socket"];

/// A call that is allowed for some arguments only.
pub(super) struct Conditional {
    pub(super) name: &'static str,
    /// Said in the profile.
    pub(super) comment: &'static str,
    /// Allowed when any of these holds.
    pub(super) allow: Vec<Arg>,
    /// Denied with EPERM when any of these holds: what is left gets the profile's default.
    pub(super) deny: Vec<Arg>,
}

impl Conditional {
    /// Whether one of its own conditions is just this.
    pub(super) fn covers(&self, args: &[Arg]) -> bool {
        matches!(args, [arg] if self.allow.iter().any(|own| own.same_as(arg)))
    }
}

/// The engine default's conditions. Recordings do not see arguments, so they are kept for observed calls too.
pub(super) fn conditions(abis: &BTreeSet<Abi>) -> [Conditional; 3] {
    let flags = NAMESPACES.iter().sum();
    // i386 has socketcall(2), whose arguments lie in memory: libseccomp leaves the conditions out there, and then
    // refuses a profile that allows and denies socket.
    let deny_socket = if abis.contains(&Abi::I386) { vec![] } else { vec![Arg::new(AF_VSOCK, Op::Equal)] };
    [
        Conditional {
            name: "clone",
            comment: "no new namespaces, as in the engine's default profile",
            allow: vec![Arg::masked(flags, 0)],
            deny: NAMESPACES.iter().map(|&flag| Arg::masked(flag, flag)).collect(),
        },
        Conditional {
            name: "personality",
            comment: "only harmless execution domains, as in the engine's default profile",
            allow: PERSONALITIES.iter().map(|&domain| Arg::new(domain, Op::Equal)).collect(),
            deny: Vec::new(),
        },
        Conditional {
            name: "socket",
            comment: "no AF_VSOCK, as in the engine's default profile",
            allow: vec![Arg::new(AF_VSOCK, Op::NotEqual)],
            deny: deny_socket,
        },
    ]
}
