//! Folding facts into a manifest. No I/O.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};

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
    /// The same moment by the wall clock, in seconds since 1970.
    started_unix: u64,
    /// The hour that it is, 0 for the first.
    window: u32,
    /// Hashes of the paths used in this hour, unless it is the first. Should two paths share one, a use is not counted.
    used: HashSet<u64>,
    hasher: RandomState,
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
    /// A recording with nothing in it yet, which began at `start_ns` by CLOCK_BOOTTIME and at `started_unix` (seconds
    /// since 1970) by the wall clock.
    pub fn new(manifest: Manifest, id: RecordingId, start_ns: u64, started_unix: u64, room: Room) -> Self {
        Self {
            manifest,
            id,
            start_ns,
            started_unix,
            window: 0,
            used: HashSet::new(),
            hasher: RandomState::new(),
            totals: Totals::default(),
            room,
            bytes: room.paths.saturating_mul(BYTES_PER_PATH),
            refused: 0,
            news: 0,
        }
    }

    /// The same recording, which goes on in its hour `window` with what a checkpoint of it holds. What was refused before
    /// and why it was not complete is not taken over: the checkpoint's [`Recording::incomplete`] says it in words.
    ///
    /// Which paths were used in this hour already is not known. One that no later hour counts yet is counted when it is
    /// used; any other is not, so that none is counted twice.
    pub fn resume(
        checkpoint: Manifest,
        id: RecordingId,
        start_ns: u64,
        started_unix: u64,
        window: u32,
        room: Room,
    ) -> Self {
        let totals = Totals {
            files: checkpoint.files.len(),
            execs: checkpoint.files.values().filter(|file| file.uses.contains(&Use::Exec)).count(),
            sockets: checkpoint.sockets.len(),
        };
        let taken = bytes_of(&checkpoint);
        let mut fold = Self { window, totals, ..Self::new(checkpoint, id, start_ns, started_unix, room) };
        fold.bytes = fold.bytes.saturating_sub(taken);
        let counted = fold.manifest.files.iter().filter(|(_, file)| file.windows.contains_key(&fold.id));
        fold.used = counted.map(|(path, _)| fold.hasher.hash_one(path)).collect();
        fold
    }

    /// Begins another hour: from now on, each path is counted once more when it is used. That is for recordings whose
    /// kernel side forgets what it has told, and tells it again.
    pub fn next_window(&mut self) {
        self.window = self.window.saturating_add(1);
        self.used.clear();
    }

    /// The hour that it is, 0 for the first.
    pub fn window(&self) -> u32 {
        self.window
    }

    /// Id of the recording.
    pub fn id(&self) -> &str {
        &self.id
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
        let first_seen = self.seconds_at(actor.time_ns);
        let hash = (self.window > 0).then(|| self.hasher.hash_one(&path));
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
        file.first_seen = Some(file.first_seen.map_or(first_seen, |known| known.min(first_seen)));
        let counted = hash.is_some_and(|hash| self.used.insert(hash));
        if counted {
            *file.windows.entry(self.id.clone()).or_default() += 1;
        }
        if file.uses.insert(usage) {
            self.totals.execs += usize::from(usage == Use::Exec);
            new = true;
        }
        let actors = add_actor(&mut file.by, &mut file.phases, actor, &mut self.bytes);
        self.refused += u64::from(actors == Added::Full);
        self.news += u64::from(new || counted || actors == Added::New);
        new
    }

    /// The wall clock's time at a moment of CLOCK_BOOTTIME, in seconds since 1970, had nobody set it since the recording
    /// began.
    fn seconds_at(&self, time_ns: u64) -> u64 {
        self.started_unix.saturating_add(time_ns.saturating_sub(self.start_ns) / 1_000_000_000)
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

    /// Takes in a system call that was carried out, or refused while a seccomp filter was on, before `time_ns` of
    /// CLOCK_BOOTTIME.
    pub fn syscall(&mut self, abi: &str, name: String, phase: Phase, refused: bool, time_ns: u64) {
        let first_seen = Some(self.seconds_at(time_ns));
        let calls = self.manifest.syscalls.entry(abi.to_owned()).or_default();
        let call = calls.entry(name).or_insert_with(|| SyscallUse {
            phases: Default::default(),
            refused: Default::default(),
            first_seen,
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
        let recording = Recording { windows: self.window, ..recording };
        self.manifest.recordings.insert(self.id.clone(), recording);
        &self.manifest
    }

    /// The manifest, with what is known of the recording as a whole.
    pub fn finish(mut self, recording: Recording) -> Manifest {
        self.so_far(recording);
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

/// Bytes of names that a manifest takes, as [`Fold`] counts them.
fn bytes_of(manifest: &Manifest) -> usize {
    let names = manifest.files.keys().map(|path| path.as_bytes().len());
    let files = manifest.files.values().map(|file| &file.by);
    let sockets = manifest.sockets.values().map(|socket| &socket.by);
    let actors = files.chain(sockets).chain(manifest.capabilities.values().map(|capability| &capability.by));
    names.sum::<usize>() + actors.flatten().map(|by| ACTOR_BYTES + by.as_bytes().len()).sum::<usize>()
}

fn empty_use(origin: Origin, first_ms: u64, id: &RecordingId) -> FileUse {
    FileUse {
        origin,
        uses: Default::default(),
        by: Default::default(),
        phases: Default::default(),
        first_ms,
        first_seen: None,
        seen_in: [id.clone()].into(),
        windows: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests;
