//! What the OCI runtime calls inside the container after it installed the filter: without these, no container starts.
//!
//! With `no-new-privileges` off, a runtime installs the filter before it drops capabilities and changes the user, so
//! that all of this runs under it. A recording of a container that had no filter cannot tell those calls from the
//! runtime's earlier ones, so they are listed here.
//!
//! Provenance: `strace -ff -ttt` of `run` and `exec` with a bundle whose profile allows everything; the calls that the
//! thread group which set the filter made from then until its last execve. Each in all combinations of no-new-privileges
//! on and off, root and uid 1000 with supplementary groups, with and without a terminal, working directory `/` and
//! `/tmp`. On Debian 12, x86-64, kernel 6.18, 2026-11.

/// runc 1.1.5 (Debian 1.1.5+ds1-1+deb12u1, go1.19).
pub(super) const RUNC: [&str; 25] = [
    "capget",
    "capset",
    "chdir",
    "close",
    "epoll_ctl",
    "execve",
    "faccessat2",
    "fchown",
    "fcntl",
    "fstat",
    "fstatfs",
    "futex",
    "getcwd",
    "getdents64",
    "getpid",
    "getppid",
    "newfstatat",
    "openat",
    "prctl",
    "read",
    "rt_sigreturn",
    "setgid",
    "setgroups",
    "setuid",
    "write",
];

/// crun 1.8.1 (Debian 1.8.1-1+deb12u1).
pub(super) const CRUN: [&str; 16] = [
    "capset",
    "close",
    "execve",
    "fchown",
    "ioctl",
    "openat",
    "prctl",
    "read",
    "rt_sigaction",
    "rt_sigprocmask",
    "setgroups",
    "setresgid",
    "setresuid",
    "statx",
    "umask",
    "write",
];

/// runc is a Go program: its scheduler and its garbage collector may run at any moment, on threads of their own. Calls
/// of the runtime package (os_linux.go, netpoll_epoll.go, mem_linux.go) and of libc's pthread_create that the measured
/// runs happened not to need.
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

/// What later runc (1.1.12 to 1.3) and crun use in the same place, read in their sources: closing descriptors, checking
/// that /proc is procfs and that the working directory lies inside the container.
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
