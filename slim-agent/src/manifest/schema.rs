//! The manifest: the versioned JSON document of a recording, or of a union of recordings.
//!
//! Sorted maps and sets throughout, so that equal knowledge gives equal bytes and a manifest diffs in git.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::path::PathBytes;

/// The schema that this version writes, and the newest that it reads.
pub const SCHEMA: &str = "slim-agent/manifest/1";

/// Random name of one recording: 16 hexadecimal digits.
pub type RecordingId = String;

/// What one image's containers were seen to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// The image whose containers were recorded; `None` for a bare cgroup.
    pub image: Option<ImageRef>,
    /// Every recording in this manifest, by its id.
    pub recordings: BTreeMap<RecordingId, Recording>,
    /// Every path that was used, by its name inside the container.
    pub files: BTreeMap<PathBytes, FileUse>,
    /// Addresses connected to or bound, spelled `inet 127.0.0.1:80`, `inet [::1]:80`, `unix /path`, `unix @name`.
    pub sockets: BTreeMap<String, SocketUse>,
    /// System calls by ABI (`x86_64`, `i386`, `x32`, `aarch64`, `arm`), then by name (`syscall_N` where the
    /// table has none).
    pub syscalls: BTreeMap<String, BTreeMap<String, SyscallUse>>,
}

/// The image that a manifest is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRef {
    /// The engine's image id: `sha256:` and the digest of the image's config.
    pub id: String,
    /// `name@sha256:...` of every registry the engine knows the image from.
    pub repo_digests: BTreeSet<String>,
    /// Tags at the time of recording: for people, never for identity.
    pub names: BTreeSet<String>,
}

/// One observation of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Full id of the container; `None` for a bare cgroup.
    pub container_id: Option<String>,
    /// Name of the container, or the path of the cgroup.
    pub container_name: String,
    /// When recording began: RFC 3339, UTC.
    pub started: String,
    /// How long it lasted, in milliseconds.
    pub duration_ms: u64,
    /// Kernel release and architecture, as uname(2) tells them.
    pub kernel: String,
    /// The engine and the OCI runtime with their versions, where there is one.
    pub runtime: Option<String>,
    /// The seccomp filter that was on: `default`, `unconfined`, `custom`, or `none` for a bare cgroup. Calls
    /// that a filter denied never reached the hooks.
    pub seccomp: String,
    /// Where the container had something mounted over its image: mount point and kind (`bind`, `volume`, `tmpfs`).
    pub mounts: BTreeMap<PathBytes, String>,
    /// Whether the recording began before the container's first instruction.
    pub startup_observed: bool,
    /// Whether every event was delivered; `false` always comes with `incomplete`.
    pub complete: bool,
    /// Why the recording is not complete, a sentence each.
    pub incomplete: BTreeSet<String>,
    /// Kernel hook -> the tier that served it (`tp_btf`, ...).
    pub hooks: BTreeMap<String, String>,
    /// Kernel hook -> outcome -> number of events.
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
}

/// How one path was used. Sets only grow in a union; `first_ms` takes the smallest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileUse {
    /// Where the path lies.
    pub origin: Origin,
    /// What was done with it.
    pub uses: BTreeSet<Use>,
    /// Which executables did it.
    pub by: BTreeSet<PathBytes>,
    /// In which phases of the container's life.
    pub phases: BTreeSet<Phase>,
    /// Milliseconds from a recording's start to the first use.
    pub first_ms: u64,
    /// The recordings that saw it.
    pub seen_in: BTreeSet<RecordingId>,
}

/// Where a path lies, by the mount it was reached through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The container's own root filesystem: the image, or written by the container over it.
    Image,
    /// A volume or a bind mount.
    Volume,
    /// A tmpfs.
    Tmpfs,
    /// procfs, sysfs, devtmpfs, cgroupfs, mqueue: the kernel's own.
    Kernel,
    /// Outside the container's mount tree.
    Outside,
}

/// What was done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Opened for reading, or with O_PATH.
    Open,
    /// Opened for writing, created or truncated.
    Write,
    /// Executed.
    Exec,
    /// Read by the kernel as the interpreter (`#!` or ELF) of something executed.
    Interpreter,
    /// Looked at: the stat, access, statfs and xattr-reading families.
    Stat,
    /// Its target read by readlink(2).
    Readlink,
    /// A symbolic link passed on the way to another path.
    Hop,
    /// A directory whose entries were listed.
    List,
    /// Made the current or the root directory.
    Chdir,
    /// Its metadata changed: mode, owner, times, xattrs.
    Change,
    /// Linked, renamed, removed or made.
    Entry,
    /// Watched by inotify or fanotify.
    Watch,
    /// Used in a mount call.
    Mount,
    /// A socket that was connected to or bound.
    Socket,
    /// Mapped, open or current when the recording began.
    Held,
}

/// Who did something, in the life of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The OCI runtime inside the container's cgroup, before the application's first instruction.
    RuntimeInit,
    /// The same, after it installed the container's seccomp filter.
    RuntimeConfined,
    /// The container's first process and its descendants.
    App,
    /// Processes put into the container later, by `docker exec`. For files, that includes what the runtime looks at
    /// to start them.
    Exec,
    /// The container's health check: what was put in with the very command of the image's, or of the container's.
    Healthcheck,
}

/// How a socket address was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketUse {
    /// `connect`, `bind`, `send`; `held` when the socket was there before the recording began.
    pub uses: BTreeSet<String>,
    /// Which executables did it.
    pub by: BTreeSet<PathBytes>,
    /// In which phases.
    pub phases: BTreeSet<Phase>,
    /// The recordings that saw it.
    pub seen_in: BTreeSet<RecordingId>,
}

/// How a system call was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyscallUse {
    /// In which phases it was carried out, successfully or not.
    pub phases: BTreeSet<Phase>,
    /// In which phases it answered EPERM or ENOSYS while a seccomp filter was on: the filter may have refused it
    /// before the kernel saw it.
    pub refused: BTreeSet<Phase>,
    /// The recordings that saw it.
    pub seen_in: BTreeSet<RecordingId>,
}

impl Manifest {
    /// A manifest that knows nothing yet.
    pub fn new(image: Option<ImageRef>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            image,
            recordings: BTreeMap::new(),
            files: BTreeMap::new(),
            sockets: BTreeMap::new(),
            syscalls: BTreeMap::new(),
        }
    }

    /// Whether any recording saw the container's start-up.
    pub fn startup_observed(&self) -> bool {
        self.recordings.values().any(|recording| recording.startup_observed)
    }

    /// What keeps this manifest from being trusted for an export: one sentence each, empty when it is complete.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.startup_observed() {
            found.push(
                "start-up was not observed in any recording: files read before it began are unknown".into(),
            );
        }
        for (id, recording) in &self.recordings {
            found.extend(recording.incomplete.iter().map(|reason| format!("recording {id}: {reason}")));
        }
        found
    }
}
