//! The manifest: the versioned JSON document of a recording, or of a union of recordings.
//!
//! Sorted maps and sets throughout, so that equal knowledge gives equal bytes and a manifest diffs in git.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::path::PathBytes;

/// The schema that this version writes, and the newest that it reads.
pub const SCHEMA: &str = "slim-agent/manifest/1";

/// The hook that sees capabilities, as [`Recording::hooks`] names it.
pub const CAPABILITY_HOOK: &str = "cap_capable";

/// Random name of one recording: 16 hexadecimal digits.
pub type RecordingId = String;

/// What a recording's time is divided into, from its start on: [`FileUse::windows`] counts those after the first.
pub const WINDOW: Duration = Duration::from_secs(3600);

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
    /// Capabilities that the kernel was asked for, as capabilities(7) spells them (`CAP_CHOWN`; `CAP_N` for one that
    /// it does not name). A recording measured them if its `hooks` have [`CAPABILITY_HOOK`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, CapabilityUse>,
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
    /// What was observed; not written for [`Observed::Use`].
    #[serde(default, skip_serializing_if = "Observed::is_use")]
    pub observed: Observed,
    /// Full id of the container; `None` for a bare cgroup.
    pub container_id: Option<String>,
    /// Name of the container, or the path of the cgroup.
    pub container_name: String,
    /// Host name of the node that it ran on; `None` in manifests of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When recording began: RFC 3339, UTC.
    pub started: String,
    /// How long it lasted, in milliseconds.
    pub duration_ms: u64,
    /// In how many hours after the first it was told anew what is used, the hour counted in which it ended; 0 for a
    /// recording that tells each use once only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub windows: u32,
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

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What a recording is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observed {
    /// What a container of the image used.
    #[default]
    Use,
    /// What a container of a slim image asked for in vain and the original image has (`watch`). It adds to what is
    /// known of the original, and says nothing about how much is: neither that the start-up was observed, nor that
    /// something was not.
    Missing,
}

impl Observed {
    fn is_use(&self) -> bool {
        *self == Self::Use
    }
}

/// How one path was used. Sets only grow in a union; `first_ms` and `first_seen` take the smallest, `windows` the
/// largest of each recording.
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
    /// When it was used first, in seconds since 1970: the recording's start by the wall clock and the time from there by
    /// a clock that nobody sets. `None` in manifests of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<u64>,
    /// The recordings that saw it.
    pub seen_in: BTreeSet<RecordingId>,
    /// In how many of a recording's hours after the first it was used: of [`Recording::windows`]. Recordings in which
    /// it was used in the first hour only are not named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows: BTreeMap<RecordingId, u32>,
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

impl Phase {
    /// Whether one of `phases` is of what runs in the container: the application, or what was put in beside it. Of the
    /// runtime and of the application alike counts.
    pub fn any_in_container(phases: &BTreeSet<Self>) -> bool {
        phases.iter().any(|phase| match phase {
            Self::App | Self::Exec | Self::Healthcheck => true,
            Self::RuntimeInit | Self::RuntimeConfined => false,
        })
    }
}

/// How a socket address was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketUse {
    /// `connect`, `bind`, `listen`, `send`; `held` when the socket was there before the recording began.
    pub uses: BTreeSet<String>,
    /// What was spoken there: `tcp`, `udp`, `sctp`..., `stream`, `dgram` or `seqpacket` for unix sockets; empty where it
    /// is not known.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub protocols: BTreeSet<String>,
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
    /// When it was first known to have been made, as [`FileUse::first_seen`]: a little after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<u64>,
    /// The recordings that saw it.
    pub seen_in: BTreeSet<RecordingId>,
}

/// How a capability was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityUse {
    /// In which phases a process had it when the kernel asked. It may have been asked in vain: some checks ask for
    /// capabilities that the call can do without.
    pub phases: BTreeSet<Phase>,
    /// In which phases a process lacked it.
    pub refused: BTreeSet<Phase>,
    /// Which executables had it, where that is known.
    pub by: BTreeSet<PathBytes>,
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
            capabilities: BTreeMap::new(),
        }
    }

    /// Whether any recording saw the container's start-up.
    pub fn startup_observed(&self) -> bool {
        self.of_use().any(|(_, recording)| recording.startup_observed)
    }

    /// Whether all recordings of what was used saw which capabilities the kernel was asked for: what is not in
    /// [`Self::capabilities`] was not asked for then.
    pub fn measured_capabilities(&self) -> bool {
        let mut recordings = self.of_use().peekable();
        recordings.peek().is_some() && recordings.all(|(_, recording)| recording.measured_capabilities())
    }

    /// The recordings of what was used.
    pub fn of_use(&self) -> impl Iterator<Item = (&RecordingId, &Recording)> {
        self.recordings.iter().filter(|(_, recording)| recording.observed.is_use())
    }

    /// Whether only recordings of what was used saw `file`.
    pub fn only_used(&self, file: &FileUse) -> bool {
        let missed = |id| self.recordings.get(id).is_some_and(|recording| !recording.observed.is_use());
        !file.seen_in.iter().any(missed)
    }

    /// Names of the system calls of what runs in the container, those of each ABI after another.
    pub fn calls_in_container(&self) -> impl Iterator<Item = &str> {
        let calls = self.syscalls.values().flatten();
        calls.filter(|(_, used)| Phase::any_in_container(&used.phases)).map(|(name, _)| name.as_str())
    }

    /// What keeps this manifest from being trusted for an export: one sentence each, empty when it is complete.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.startup_observed() {
            found.push(
                "start-up was not observed in any recording: files read before it began are unknown".into(),
            );
        }
        for (id, recording) in self.of_use() {
            found.extend(recording.incomplete.iter().map(|reason| format!("recording {id}: {reason}")));
        }
        found
    }
}

impl Recording {
    /// Whether it saw which capabilities the kernel was asked for.
    pub fn measured_capabilities(&self) -> bool {
        self.hooks.contains_key(CAPABILITY_HOOK)
    }
}

#[cfg(test)]
impl Recording {
    /// A complete one, for tests.
    pub(crate) fn without_events(observed: Observed, startup_observed: bool) -> Self {
        Self {
            observed,
            container_id: None,
            container_name: "c".into(),
            node: None,
            started: String::new(),
            duration_ms: 1,
            windows: 0,
            kernel: String::new(),
            runtime: None,
            seccomp: "default".into(),
            mounts: BTreeMap::new(),
            startup_observed,
            complete: true,
            incomplete: BTreeSet::new(),
            hooks: BTreeMap::new(),
            counters: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(recordings: &[(Observed, bool, &[&str])]) -> Manifest {
        let recording = |&(observed, startup_observed, reasons): &(Observed, bool, &[&str])| Recording {
            complete: reasons.is_empty(),
            incomplete: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            ..Recording::without_events(observed, startup_observed)
        };
        let recordings =
            recordings.iter().enumerate().map(|(n, of)| (n.to_string(), recording(of))).collect();
        Manifest { recordings, ..Manifest::new(None) }
    }

    #[test]
    fn what_was_missing_makes_nothing_complete_and_nothing_incomplete() {
        let (complete, lossy): (&[&str], &[&str]) = (&[], &["a loss"]);
        let used = (Observed::Use, true, complete);
        assert_eq!(with(&[used, (Observed::Missing, false, lossy)]).shortcomings(), [""; 0]);
        let late = (Observed::Use, false, complete);
        assert_eq!(with(&[late, (Observed::Missing, true, complete)]).shortcomings().len(), 1);
        assert_eq!(with(&[(Observed::Missing, true, complete)]).shortcomings().len(), 1);
        assert_eq!(with(&[used, (Observed::Use, true, lossy)]).shortcomings(), ["recording 1: a loss"]);
    }

    #[test]
    fn capabilities_are_measured_when_each_recording_of_use_had_the_hook() {
        let used = (Observed::Use, true, &[][..]);
        let mut manifest = with(&[used, used, (Observed::Missing, false, &[])]);
        let hook = |manifest: &mut Manifest, id: &str| {
            let hooks = &mut manifest.recordings.get_mut(id).unwrap().hooks;
            hooks.insert(CAPABILITY_HOOK.into(), "tp_btf".into());
        };
        assert!(!Manifest::new(None).measured_capabilities() && !manifest.measured_capabilities());
        hook(&mut manifest, "0");
        assert!(!manifest.measured_capabilities());
        hook(&mut manifest, "1");
        assert!(manifest.measured_capabilities());
    }

    #[test]
    fn what_older_versions_did_not_know_is_empty_when_read_and_not_written() {
        let mut manifest = Manifest::new(None);
        let older = r#"{"uses": ["bind"], "by": [], "phases": ["app"], "seen_in": ["r"]}"#;
        manifest.sockets.insert("inet 0.0.0.0:80".into(), serde_json::from_str(older).unwrap());
        let older =
            r#"{"origin": "image", "uses": [], "by": [], "phases": [], "first_ms": 0, "seen_in": ["r"]}"#;
        manifest.files.insert("/f".into(), serde_json::from_str(older).unwrap());
        let older = r#"{"phases": ["app"], "refused": [], "seen_in": ["r"]}"#;
        let calls = [("read".to_owned(), serde_json::from_str(older).unwrap())];
        manifest.syscalls.insert("x86_64".into(), calls.into());
        manifest.recordings.insert("r".into(), Recording::without_events(Observed::Use, true));
        let text = serde_json::to_string(&manifest).unwrap();
        for newer in ["capabilities", "protocols", "node", "windows", "first_seen"] {
            assert!(!text.contains(newer), "{newer} in {text}");
        }
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    }

    #[test]
    fn capabilities_and_protocols_come_back_as_they_were_written() {
        let mut manifest = Manifest::new(None);
        let seen_in: BTreeSet<_> = ["r".to_owned()].into();
        let capability = CapabilityUse {
            phases: [Phase::App].into(),
            refused: [Phase::Exec].into(),
            by: ["/bin/app".into()].into(),
            seen_in: seen_in.clone(),
        };
        manifest.capabilities.insert("CAP_CHOWN".into(), capability);
        let socket = SocketUse {
            uses: ["listen".to_owned()].into(),
            protocols: ["tcp".to_owned()].into(),
            by: BTreeSet::new(),
            phases: BTreeSet::new(),
            seen_in,
        };
        manifest.sockets.insert("inet 0.0.0.0:80".into(), socket);
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    }

    #[test]
    fn recordings_are_written_as_ever_and_watches_say_what_they_are() {
        let text = |observed| serde_json::to_string(&with(&[(observed, true, &[])])).unwrap();
        assert!(!text(Observed::Use).contains("observed\":\"use"), "{}", text(Observed::Use));
        assert!(text(Observed::Missing).contains(r#""observed":"missing""#));
        let again: Manifest = serde_json::from_str(&text(Observed::Missing)).unwrap();
        assert_eq!(again.recordings["0"].observed, Observed::Missing);
    }
}
