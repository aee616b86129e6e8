//! What container runtimes call after they installed the filter. Written by `cargo xtask runtimes`: run it, do not edit.
//!
//! 2026-11-25, x86_64, kernel 6.18.44-fc-v595, strace 6.1.

/// What made the calls of [`RUNC`].
pub(in crate::export::seccomp) const RUNC_VERSION: &str = "runc 1.1.5";

/// runc 1.1.5 (Debian's runc 1.1.5+ds1-1+deb12u1).
pub(in crate::export::seccomp) const RUNC: &[&str] = &[
    "capget",
    "capset",
    "chdir",
    "close",
    "epoll_ctl",
    "epoll_pwait",
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
    "nanosleep",
    "newfstatat",
    "openat",
    "prctl",
    "read",
    "restart_syscall",
    "rt_sigreturn",
    "sched_yield",
    "setgid",
    "setgroups",
    "setuid",
    "tgkill",
    "write",
];

/// What made the calls of [`CRUN`].
pub(in crate::export::seccomp) const CRUN_VERSION: &str = "crun 1.8.1";

/// crun 1.8.1 (Debian's crun 1.8.1-1+deb12u1).
pub(in crate::export::seccomp) const CRUN: &[&str] = &[
    "capset",
    "close",
    "execve",
    "fchown",
    "ioctl",
    "openat",
    "prctl",
    "pselect6",
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
