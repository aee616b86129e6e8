//! What the OCI runtime calls inside the container after it installed the filter: without these, no container starts.
//!
//! With `no-new-privileges` off, a runtime installs the filter before it drops capabilities and changes the user, so
//! that all of this runs under it. A recording of a container that had no filter cannot tell those calls from the
//! runtime's earlier ones, so they are listed here.
//!
//! Provenance: `cargo xtask runtimes` traces `create`, `run` and `exec` with a bundle whose filter lets everything through,
//! in all combinations of no-new-privileges on and off, root and uid 1000 with supplementary groups, with and without a
//! terminal, working directory `/` and `/tmp`. The calls are those that the thread group which set the filter made from
//! then until its last execve.

mod traced;

pub(super) use traced::{CRUN, CRUN_VERSION, RUNC, RUNC_VERSION};

/// runc is a Go program: its scheduler and its garbage collector may run at any moment, on threads of their own. Calls
/// that Go's runtime makes for threads, memory, timers and signals, and that the measured runs happened not to need.
/// Not measured: a margin.
pub(super) const GO: [&str; 24] = [
    "clone",
    "epoll_pwait",
    "eventfd2",
    "exit",
    "futex",
    "getpid",
    "gettid",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "nanosleep",
    "pipe2",
    "read",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
    "tgkill",
    "write",
];

/// Calls that do the same work in later runtimes: closing descriptors, checking that /proc is procfs and that the
/// working directory lies inside the container. Not measured: a margin for runtimes newer than the ones above.
pub(super) const NEWER: [&str; 13] = [
    "close_range",
    "dup3",
    "execveat",
    "faccessat",
    "fchdir",
    "geteuid",
    "getuid",
    "lseek",
    "openat2",
    "readlinkat",
    "setresgid",
    "setresuid",
    "statx",
];
