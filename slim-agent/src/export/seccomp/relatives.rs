//! Calls that an application makes as soon as it does a little more of what a recording saw.
//!
//! A test that never made a program fork, write a file or close one half of a connection leaves out of the profile what
//! the program calls then, and few programs are ready for "not implemented" there. So what was observed brings its
//! relatives: calls on the same objects, with the same rights. Each row says what an intruder who already has the
//! calls on its left would gain: nothing worth the outage. Three bounds hold for all: the engine's default profile
//! allows the call; relatives of relatives are not added; and a new kind of power (a connection, a socket that listens,
//! another file's owner) comes from nothing but its like.

/// Calls that come with others.
pub(super) struct Relatives {
    /// Any of these, or of their variants, was observed.
    pub(super) of: &'static [&'static str],
    /// What is allowed then.
    pub(super) calls: &'static [&'static str],
    /// Why the same programs make them, and what they may do besides.
    pub(super) why: &'static str,
}

/// Calls on one kind of object, which its makers, users and destroyers make together.
const fn kin(calls: &'static [&'static str], why: &'static str) -> Relatives {
    Relatives { of: calls, calls, why }
}

/// Every program maps memory: what it may do without a right or an object of its own.
const EVERY_PROGRAM: &[&str] = &["mmap"];

/// The rows. What stands in one of libc.rs's families brings the rest of it.
pub(super) const RELATIVES: &[Relatives] = &[
    // Itself.
    Relatives {
        of: EVERY_PROGRAM,
        calls: &[
            "getcwd",
            "getegid",
            "geteuid",
            "getgid",
            "getgroups",
            "getpgrp",
            "getpid",
            "getppid",
            "getresgid",
            "getresuid",
            "getrusage",
            "getsid",
            "gettid",
            "getuid",
            "sched_getaffinity",
            "sysinfo",
            "times",
            "uname",
        ],
        why: "asks about the program itself or the machine, and changes nothing",
    },
    Relatives {
        of: EVERY_PROGRAM,
        calls: &["brk", "mprotect", "msync", "nanosleep"],
        why: "arranges the memory that mmap gave, writes a mapped file back, or waits",
    },
    Relatives {
        of: &["rt_sigaction", "sigaction"],
        calls: &["alarm", "getitimer", "rt_sigpending", "rt_sigprocmask", "rt_sigsuspend", "rt_sigtimedwait"],
        why: "who handles signals holds them back, waits for them, and has one sent to itself after a time",
    },
    // Descriptors.
    kin(
        &["pread64", "preadv", "read", "readv"],
        "reads the same descriptors, from elsewhere or into several buffers",
    ),
    kin(
        &["pwrite64", "pwritev", "write", "writev"],
        "writes the same descriptors, elsewhere or from several buffers",
    ),
    Relatives {
        of: &["dup", "dup2", "fcntl"],
        calls: &["dup", "dup2"],
        why: "duplicates descriptors, as fcntl does",
    },
    Relatives {
        of: &["pipe", "socket", "socketpair"],
        calls: &["pipe", "socketpair"],
        why: "two ends of a channel that nobody else can reach",
    },
    Relatives {
        of: &["epoll_wait", "poll", "select"],
        calls: &["poll", "select"],
        why: "waits for the same descriptors",
    },
    kin(&["epoll_create", "epoll_ctl", "epoll_wait"], "makes, fills and asks one set of descriptors"),
    // Files.
    Relatives {
        of: &["access", "open", "readlink", "stat"],
        calls: &[
            "access",
            "fgetxattr",
            "flistxattr",
            "fstatfs",
            "getdents64",
            "getxattr",
            "lgetxattr",
            "listxattr",
            "llistxattr",
            "readlink",
            "stat",
            "statfs",
        ],
        why: "looks at files that the process may look at by another call",
    },
    Relatives {
        of: &["open"],
        calls: &["mkdir", "rename", "truncate", "unlink"],
        why: "temporary and replaced files: takes the permissions with which open makes and empties files",
    },
    Relatives {
        of: &["open"],
        calls: &["chmod", "fchmod", "utime"],
        why: "open gives what it makes any mode, and only its owner may change mode and times later",
    },
    Relatives {
        of: &["pwrite64", "pwritev", "write", "writev"],
        calls: &["fdatasync", "flock", "fsync", "ftruncate"],
        why: "who writes a file locks it, brings it to the disk, and cuts it to its length",
    },
    kin(&["link", "mkdir", "rename", "symlink", "unlink"], "makes and removes names in the same directories"),
    kin(&["chown", "fchown"], "changes the owner of the same files, by name or by descriptor"),
    kin(
        &["fremovexattr", "fsetxattr", "lremovexattr", "lsetxattr", "removexattr", "setxattr"],
        "changes attributes of the same files",
    ),
    Relatives {
        of: &["epoll_create", "inotify_add_watch", "inotify_init", "inotify_rm_watch"],
        calls: &["inotify_add_watch", "inotify_init", "inotify_rm_watch"],
        why: "event loops wait for files as well, of which they can learn no more than by reading them again",
    },
    // Processes and threads, which the same call makes: a recording cannot tell which.
    Relatives {
        of: &["clone"],
        calls: &["close_range", "dup2", "kill", "pipe", "setpgid", "setsid", "wait4"],
        why: "who starts processes connects, groups, ends and awaits them; tgkill reaches the same ones",
    },
    // Sockets. To send without a connection is to reach out, as connect does, so accept does not bring it.
    Relatives {
        of: &["accept", "connect", "socket", "socketpair"],
        calls: &["getpeername", "getsockname", "getsockopt", "setsockopt", "shutdown"],
        why: "asks and tells what a socket that is there is like, and closes one half of it",
    },
    Relatives {
        of: &["accept", "connect", "recvfrom", "recvmmsg", "recvmsg", "socketpair"],
        calls: &["recvfrom", "recvmmsg", "recvmsg"],
        why: "receives from the same sockets",
    },
    Relatives {
        of: &["connect", "sendmmsg", "sendmsg", "sendto"],
        calls: &["sendmmsg", "sendmsg", "sendto"],
        why: "sends to the same peers: libc's resolver uses all of them",
    },
    // Objects with a set of calls of their own.
    kin(
        &["io_cancel", "io_destroy", "io_getevents", "io_setup", "io_submit"],
        "one queue of reads and writes",
    ),
    kin(&["mlock", "mlockall", "munlock", "munlockall"], "holds memory and lets it go"),
    kin(
        &["mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink"],
        "one message queue",
    ),
    kin(&["msgctl", "msgget", "msgrcv", "msgsnd"], "one message queue"),
    kin(&["pkey_alloc", "pkey_free", "pkey_mprotect"], "one protection key"),
    kin(&["semctl", "semget", "semop"], "one set of semaphores"),
    kin(&["shmat", "shmctl", "shmdt", "shmget"], "one piece of shared memory"),
    kin(&["timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime"], "one timer"),
    kin(&["timerfd_create", "timerfd_gettime", "timerfd_settime"], "one timer"),
];
