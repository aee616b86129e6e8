//! Folding facts into a manifest. No I/O.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::path::PathBytes;
use super::schema::{
    CapabilityUse, FileUse, ImageRef, Manifest, Origin, Phase, Recording, RecordingId, SocketUse, SyscallUse,
    Use,
};

/// What a recording holds at most: a bound on memory against containers that make names without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Paths.
    pub paths: usize,
    /// Socket addresses.
    pub sockets: usize,
}

/// Bytes that there are for the names of each path and its executables, shared by all: few names are long, but all can be.
const BYTES_PER_PATH: usize = 512;
/// What one executable of one path takes besides its name.
const ACTOR_BYTES: usize = 64;

/// One recording that grows into a manifest.
#[derive(Debug)]
pub struct Fold {
    manifest: Manifest,
    id: RecordingId,
    /// CLOCK_BOOTTIME of the recording's start.
    start_ns: u64,
    totals: Totals,
    room: Room,
    /// Bytes of names that are left.
    bytes: usize,
    /// Uses that found it full.
    refused: u64,
    /// How often something came to be known.
    news: u64,
}

/// Sizes worth showing while a recording runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Paths.
    pub files: usize,
    /// Paths that were executed.
    pub execs: usize,
    /// Socket addresses.
    pub sockets: usize,
}

/// Who did something, and when (CLOCK_BOOTTIME, nanoseconds).
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// The executable.
    pub by: Option<&'a PathBytes>,
    /// The phase.
    pub phase: Phase,
    /// The time.
    pub time_ns: u64,
}

impl Fold {
    /// A recording with nothing in it yet.
    pub fn new(manifest: Manifest, id: RecordingId, start_ns: u64, room: Room) -> Self {
        let bytes = room.paths.saturating_mul(BYTES_PER_PATH);
        Self { manifest, id, start_ns, totals: Totals::default(), room, bytes, refused: 0, news: 0 }
    }

    /// Says which image the manifest is about.
    pub fn is_about(&mut self, image: ImageRef) {
        self.manifest.image = Some(image);
    }

    /// Uses of which a name was left out, the path's or the executable's, because there were too many.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Grows whenever something comes to be known.
    pub fn news(&self) -> u64 {
        self.news
    }

    /// Sizes so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes in one use of a path; whether it told anything new about the paths or their uses.
    pub fn file(&mut self, path: PathBytes, origin: Origin, usage: Use, actor: Actor<'_>) -> bool {
        let first_ms = actor.time_ns.saturating_sub(self.start_ns) / 1_000_000;
        let length = path.as_bytes().len();
        let full = self.manifest.files.len() >= self.room.paths || length > self.bytes;
        let (file, mut new) = match self.manifest.files.entry(path) {
            Entry::Vacant(_) if full => {
                self.refused += 1;
                return false;
            }
            Entry::Occupied(known) => (known.into_mut(), false),
            Entry::Vacant(slot) => {
                self.totals.files += 1;
                self.bytes -= length;
                (slot.insert(empty_use(origin, first_ms, &self.id)), true)
            }
        };
        file.origin = file.origin.min(origin);
        file.first_ms = file.first_ms.min(first_ms);
        if file.uses.insert(usage) {
            self.totals.execs += usize::from(usage == Use::Exec);
            new = true;
        }
        let actors = add_actor(&mut file.by, &mut file.phases, actor, &mut self.bytes);
        self.refused += u64::from(actors == Added::Full);
        self.news += u64::from(new || actors == Added::New);
        new
    }

    /// Takes in one use of a socket address, and what was spoken there if that is known; whether the address is new.
    pub fn socket(&mut self, address: String, usage: &str, protocol: Option<&str>, actor: Actor<'_>) -> bool {
        let known = self.manifest.sockets.len();
        if known >= self.room.sockets && !self.manifest.sockets.contains_key(&address) {
            self.refused += 1;
            return false;
        }
        let socket = self.manifest.sockets.entry(address).or_insert_with(|| SocketUse {
            uses: Default::default(),
            protocols: Default::default(),
            by: Default::default(),
            phases: Default::default(),
            seen_in: [self.id.clone()].into(),
        });
        let spoken = protocol.is_some_and(|protocol| socket.protocols.insert(protocol.to_owned()));
        let used = socket.uses.insert(usage.to_owned()) || spoken;
        let actors = add_actor(&mut socket.by, &mut socket.phases, actor, &mut self.bytes);
        self.refused += u64::from(actors == Added::Full);
        self.news += u64::from(used || actors == Added::New);
        self.totals.sockets = self.manifest.sockets.len();
        self.totals.sockets > known
    }

    /// Whether a path was used.
    pub fn has_file(&self, path: &PathBytes) -> bool {
        self.manifest.files.contains_key(path)
    }

    /// Whether a socket address was used.
    pub fn has_socket(&self, address: &str) -> bool {
        self.manifest.sockets.contains_key(address)
    }

    /// Takes in a system call that was carried out, or refused while a seccomp filter was on.
    pub fn syscall(&mut self, abi: &str, name: String, phase: Phase, refused: bool) {
        let calls = self.manifest.syscalls.entry(abi.to_owned()).or_default();
        let call = calls.entry(name).or_insert_with(|| SyscallUse {
            phases: Default::default(),
            refused: Default::default(),
            seen_in: [self.id.clone()].into(),
        });
        let phases = if refused { &mut call.refused } else { &mut call.phases };
        self.news += u64::from(phases.insert(phase));
    }

    /// Takes in a capability that processes in a phase were asked for, and had or lacked.
    pub fn capability(&mut self, name: String, phase: Phase, refused: bool) {
        let capability = self.capability_of(name);
        let phases = if refused { &mut capability.refused } else { &mut capability.phases };
        self.news += u64::from(phases.insert(phase));
    }

    /// Takes in a capability that a process had when it was asked for it.
    pub fn capability_by(&mut self, name: String, actor: Actor<'_>) {
        let mut bytes = self.bytes;
        let CapabilityUse { by, phases, .. } = self.capability_of(name);
        let actors = add_actor(by, phases, actor, &mut bytes);
        self.bytes = bytes;
        self.refused += u64::from(actors == Added::Full);
        self.news += u64::from(actors == Added::New);
    }

    fn capability_of(&mut self, name: String) -> &mut CapabilityUse {
        self.manifest.capabilities.entry(name).or_insert_with(|| CapabilityUse {
            phases: Default::default(),
            refused: Default::default(),
            by: Default::default(),
            seen_in: [self.id.clone()].into(),
        })
    }

    /// How many system calls were used.
    pub fn syscalls(&self) -> usize {
        self.manifest.syscalls.values().map(BTreeMap::len).sum()
    }

    /// Whether a system call was carried out.
    pub fn has_syscall(&self, name: &str) -> bool {
        let mut calls = self.manifest.syscalls.values().filter_map(|calls| calls.get(name));
        calls.any(|call| !call.phases.is_empty())
    }

    /// The manifest as it is now, with what is known of the recording as a whole so far.
    pub fn so_far(&mut self, recording: Recording) -> &Manifest {
        self.manifest.recordings.insert(self.id.clone(), recording);
        &self.manifest
    }

    /// The manifest, with what is known of the recording as a whole.
    pub fn finish(mut self, recording: Recording) -> Manifest {
        self.manifest.recordings.insert(self.id, recording);
        self.manifest
    }
}

/// What became of what was to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    Known,
    New,
    Full,
}

/// Notes who used something. A container can make executables without end, too, so that they count against `bytes`.
fn add_actor(
    by: &mut BTreeSet<PathBytes>,
    phases: &mut BTreeSet<Phase>,
    actor: Actor<'_>,
    bytes: &mut usize,
) -> Added {
    let phase = if phases.insert(actor.phase) { Added::New } else { Added::Known };
    let Some(executable) = actor.by.filter(|executable| !by.contains(*executable)) else { return phase };
    match bytes.checked_sub(ACTOR_BYTES + executable.as_bytes().len()) {
        Some(left) => {
            *bytes = left;
            by.insert(executable.clone());
            Added::New
        }
        None => Added::Full,
    }
}

fn empty_use(origin: Origin, first_ms: u64, id: &RecordingId) -> FileUse {
    FileUse {
        origin,
        uses: Default::default(),
        by: Default::default(),
        phases: Default::default(),
        first_ms,
        seen_in: [id.clone()].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { paths: 100, sockets: 20 };

    fn fold_from(start_ns: u64, room: Room) -> Fold {
        Fold::new(Manifest::new(None), "0123456789abcdef".into(), start_ns, room)
    }

    #[test]
    fn uses_of_one_path_come_together() {
        let mut fold = fold_from(1_000_000_000, ROOM);
        let by = PathBytes::from("/bin/app");
        let at = |time_ns| Actor { by: Some(&by), phase: Phase::App, time_ns };
        assert!(fold.file("/etc/x".into(), Origin::Image, Use::Open, at(3_000_000_000)));
        assert!(fold.file("/etc/x".into(), Origin::Image, Use::Stat, at(2_000_000_000)));
        assert!(!fold.file("/etc/x".into(), Origin::Image, Use::Stat, at(4_000_000_000)));
        assert!(fold.file("/bin/app".into(), Origin::Image, Use::Exec, at(5_000_000_000)));
        assert_eq!(fold.totals(), Totals { files: 2, execs: 1, sockets: 0 });
        let file = &fold.manifest.files[&PathBytes::from("/etc/x")];
        assert_eq!((file.first_ms, file.uses.len(), file.by.len()), (1000, 2, 1));
    }

    #[test]
    fn names_without_end_are_counted_and_left_out() {
        let mut fold = fold_from(0, ROOM);
        let actor = Actor { by: None, phase: Phase::App, time_ns: 0 };
        for number in 0..ROOM.paths + 3 {
            fold.file(format!("/tmp/{number}").as_str().into(), Origin::Image, Use::Write, actor);
        }
        assert!(fold.file("/tmp/7".into(), Origin::Image, Use::Open, actor), "a known name goes on");
        assert_eq!((fold.totals().files, fold.refused()), (ROOM.paths, 3));
        for number in 0..ROOM.sockets + 2 {
            fold.socket(format!("unix @{number}"), "bind", None, actor);
        }
        assert_eq!((fold.totals().sockets, fold.refused()), (ROOM.sockets, 5));
    }

    #[test]
    fn long_names_share_the_room_of_many() {
        let mut fold = fold_from(0, ROOM);
        let actor = Actor { by: None, phase: Phase::App, time_ns: 0 };
        for number in 0..ROOM.paths {
            let path = format!("/{number}/{}", "x".repeat(4000));
            fold.file(path.as_str().into(), Origin::Image, Use::Write, actor);
        }
        let bytes: usize = fold.manifest.files.keys().map(|path| path.as_bytes().len()).sum();
        assert!(bytes <= ROOM.paths * BYTES_PER_PATH, "{bytes}");
        assert_eq!(fold.refused() as usize, ROOM.paths - fold.totals().files);
    }

    #[test]
    fn executables_without_end_are_counted_and_left_out_while_their_uses_are_kept() {
        let mut fold = fold_from(0, ROOM);
        let most = ROOM.paths * BYTES_PER_PATH / ACTOR_BYTES;
        for number in 0..most {
            let by = PathBytes::from(format!("/tmp/{number}").as_str());
            let actor = Actor { by: Some(&by), phase: Phase::App, time_ns: 0 };
            fold.file("/lib/c".into(), Origin::Image, Use::Open, actor);
        }
        let named = fold.manifest.files[&PathBytes::from("/lib/c")].by.len();
        assert!(named < most && fold.refused() as usize == most - named, "{named}");
    }

    #[test]
    fn only_what_was_not_known_is_news() {
        let mut fold = fold_from(0, ROOM);
        let by = PathBytes::from("/bin/app");
        let actor = |phase| Actor { by: Some(&by), phase, time_ns: 0 };
        let mut news = |phase, usage| {
            fold.file("/etc/x".into(), Origin::Image, usage, actor(phase));
            fold.syscall("x86_64", "openat".into(), phase, false);
            fold.capability("CAP_CHOWN".into(), phase, false);
            fold.capability_by("CAP_CHOWN".into(), actor(phase));
            fold.socket("inet 127.0.0.1:80".into(), "bind", Some("tcp"), actor(phase));
            fold.news()
        };
        let first = news(Phase::App, Use::Open);
        assert_eq!(news(Phase::App, Use::Open), first);
        assert!(news(Phase::App, Use::Stat) > first);
        let second = news(Phase::App, Use::Stat);
        assert!(news(Phase::Exec, Use::Stat) > second);
    }
}
