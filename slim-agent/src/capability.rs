//! Capabilities (capabilities(7)): their names and numbers, what a container engine gives, and which ones a system call
//! may need. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::probe::calls::{Links, ROWS};

/// Names by number (include/uapi/linux/capability.h of Linux 6.18).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// What Docker, Podman's `docker` preset and CRI runtimes give a container that asks for nothing (moby
/// daemon/pkg/oci/caps/defaults.go; the same fourteen since Docker 1.2).
pub const ENGINE_DEFAULT: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Capabilities of [`ENGINE_DEFAULT`] and the system calls that may need them, besides those that name files. As setxattr(2)
/// sets any attribute, one call may need several.
const NEEDED_BY: &[(&str, &[&str])] = &[
    // Over netlink: what PAM writes of each session.
    ("CAP_AUDIT_WRITE", &["sendto", "sendmsg", "sendmmsg", "socketcall"]),
    ("CAP_CHOWN", &["chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32"]),
    (
        "CAP_FOWNER",
        &[
            "chmod",
            "fchmod",
            "fchmodat",
            "fchmodat2",
            "fcntl",
            "fcntl64",
            "fremovexattr",
            "fsetxattr",
            "futimesat",
            "ioctl",
            "linkat",
            "link",
            "lremovexattr",
            "lsetxattr",
            "open",
            "openat",
            "openat2",
            "removexattr",
            "rename",
            "renameat",
            "renameat2",
            "rmdir",
            "setxattr",
            "setxattrat",
            "unlink",
            "unlinkat",
            "utime",
            "utimensat",
            "utimensat_time64",
            "utimes",
        ],
    ),
    (
        "CAP_FSETID",
        &[
            "chmod",
            "chown",
            "chown32",
            "fchmod",
            "fchmodat",
            "fchmodat2",
            "fchown",
            "fchown32",
            "fchownat",
            "lchown",
            "lchown32",
            "mkdir",
            "mkdirat",
        ],
    ),
    (
        "CAP_KILL",
        &[
            "fcntl",
            "fcntl64",
            "kill",
            "mq_notify",
            "pidfd_send_signal",
            "rt_sigqueueinfo",
            "rt_tgsigqueueinfo",
            "tgkill",
            "tkill",
        ],
    ),
    ("CAP_MKNOD", &["mknod", "mknodat"]),
    ("CAP_NET_BIND_SERVICE", &["bind", "socketcall"]),
    ("CAP_NET_RAW", &["setsockopt", "socket", "socketcall"]),
    ("CAP_SETFCAP", &["clone", "clone3", "fsetxattr", "setxattr", "setxattrat", "unshare"]),
    (
        "CAP_SETGID",
        &[
            "setfsgid",
            "setfsgid32",
            "setgid",
            "setgid32",
            "setgroups",
            "setgroups32",
            "setregid",
            "setregid32",
            "setresgid",
            "setresgid32",
            "unshare",
        ],
    ),
    ("CAP_SETPCAP", &["capset", "prctl"]),
    (
        "CAP_SETUID",
        &[
            "setfsuid",
            "setfsuid32",
            "setresuid",
            "setresuid32",
            "setreuid",
            "setreuid32",
            "setuid",
            "setuid32",
            "unshare",
        ],
    ),
    ("CAP_SYS_CHROOT", &["chroot", "setns"]),
];

/// Name of a capability; `CAP_N` for a number that has none yet.
pub fn name(number: u32) -> String {
    let known = NAMES.get(number as usize);
    known.map_or_else(|| format!("CAP_{number}"), |name| (*name).to_owned())
}

/// Number of a capability, by the name that [`name`] gives.
pub fn number(name: &str) -> Option<u32> {
    let known = NAMES.iter().position(|known| *known == name).and_then(|at| u32::try_from(at).ok());
    known.or_else(|| name.strip_prefix("CAP_")?.parse().ok())
}

/// What a recording that did not see capabilities allows to say: those of [`ENGINE_DEFAULT`] that one of the system calls
/// made (by name, of any ABI) may need when root makes it, each with these calls. Rather too many: what is not among them
/// was not needed.
pub fn derived_from<'a>(
    calls: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for call in calls {
        let listed = NEEDED_BY.iter().filter(|(_, calls)| calls.contains(&call)).map(|(name, _)| *name);
        // Any name may lead through a directory, or to a file, that is closed to the process's user.
        let by_name = names_file(call).then_some("CAP_DAC_OVERRIDE");
        for capability in listed.chain(by_name) {
            found.entry(capability).or_default().insert(call.to_owned());
        }
    }
    found
}

/// Whether a call takes the name of a file; that of a unix socket is one.
fn names_file(call: &str) -> bool {
    ROWS.iter()
        .any(|row| row.name == call && (row.links != Links::Address || matches!(call, "bind" | "connect")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall_table::{self, Abi};

    #[test]
    fn names_and_numbers_lead_to_each_other() {
        for at in 0..64 {
            assert_eq!(number(&name(at)), Some(at));
        }
        assert_eq!((name(21).as_str(), name(40).as_str()), ("CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"));
        assert_eq!((name(41).as_str(), number("CAP_SYS")), ("CAP_41", None));
    }

    #[test]
    fn each_capability_of_the_engine_may_be_needed_by_some_call_and_each_call_exists() {
        let listed: BTreeSet<&str> =
            NEEDED_BY.iter().map(|(name, _)| *name).chain(["CAP_DAC_OVERRIDE"]).collect();
        assert_eq!(listed, ENGINE_DEFAULT.into());
        for call in NEEDED_BY.iter().flat_map(|(_, calls)| *calls) {
            let abis = [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm];
            assert!(abis.iter().any(|abi| syscall_table::number(*abi, call).is_some()), "{call}");
        }
    }

    #[test]
    fn what_no_call_needs_is_left_out() {
        let found = derived_from(["read", "write", "setuid", "openat", "chown"]);
        let names: Vec<&str> = found.keys().copied().collect();
        let expected = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETUID"];
        assert_eq!(names, expected);
        assert_eq!(found["CAP_DAC_OVERRIDE"], ["chown".to_owned(), "openat".to_owned()].into());
        assert!(derived_from(["read", "mmap", "nanosleep"]).is_empty());
    }
}
