//! Programs that the tests, the demonstration and the benchmarks use.

use std::path::Path;

use super::{Gap, apt};
use crate::process::found;

/// A file or a program, and the Debian package that has it.
const NEEDED: &[(&str, &str)] = &[
    ("apparmor_parser", "apparmor"),
    ("bpftool", "bpftool"),
    // With its own command line; Debian's docker.io brings it, other packages of Docker may not.
    ("containerd", "containerd"),
    ("crun", "crun"),
    ("curl", "curl"),
    ("debootstrap", "debootstrap"),
    ("docker-compose", "docker-compose"),
    ("docker-registry", "docker-registry"),
    // A clock that is set, for one process.
    ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "libfaketime"),
    ("gcc", "gcc"),
    // Static C libraries, and kernel headers.
    ("/usr/include/linux/io_uring.h", "libc6-dev"),
    // The library that runtimes make filters with.
    ("/usr/include/seccomp.h", "libseccomp-dev"),
    ("musl-gcc", "musl-tools"),
    // Other kernels run in it.
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("openssl", "openssl"),
    ("podman", "podman"),
    ("psql", "postgresql-client"),
    ("redis-cli", "redis-tools"),
    // podman's in the tests: Debian's crun takes no host with controllers in both cgroup hierarchies.
    ("runc", "runc"),
    ("script", "bsdutils"),
    // Reads OCI layouts.
    ("skopeo", "skopeo"),
    ("strace", "strace"),
    ("systemd-analyze", "systemd"),
    ("tar", "tar"),
    ("wrk", "wrk"),
    // debootstrap checks signatures with these; hosts other than Debian lack them.
    ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
];

/// The packages that are missing, as one gap.
pub fn gap() -> Option<Gap> {
    let absent = |name: &str| if name.starts_with('/') { !Path::new(name).exists() } else { !found(name) };
    let packages: Vec<&str> = NEEDED.iter().filter(|need| absent(need.0)).map(|need| need.1).collect();
    if packages.is_empty() {
        return None;
    }
    let names = packages.join(" ");
    let missing = format!("test packages: {names}");
    if !apt::present() {
        return Some(Gap::by_hand(&missing, format!("install what Debian calls {names}")));
    }
    Some(Gap::fixable(&missing, format!("apt-get install {names}"), move || apt::install(&packages)))
}
