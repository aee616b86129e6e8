//! Folding facts into a manifest. No I/O.

use std::collections::btree_map::Entry;

use super::path::PathBytes;
use super::schema::{FileUse, Manifest, Origin, Phase, Recording, RecordingId, SocketUse, SyscallUse, Use};

/// Paths that a recording holds at most: a bound on memory against containers that make names without end.
pub const MAX_FILES: usize = 200_000;
/// Socket addresses that a recording holds at most.
pub const MAX_SOCKETS: usize = 20_000;

/// One recording that grows into a manifest.
#[derive(Debug, Clone)]
pub struct Fold {
    manifest: Manifest,
    id: RecordingId,
    /// CLOCK_BOOTTIME of the recording's start.
    start_ns: u64,
    totals: Totals,
    /// Uses of names that found it full.
    refused: u64,
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
    pub fn new(manifest: Manifest, id: RecordingId, start_ns: u64) -> Self {
        Self { manifest, id, start_ns, totals: Totals::default(), refused: 0 }
    }

    /// How often a new name was left out because there were too many.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Sizes so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes in one use of a path; whether it told anything new about the paths or their uses.
    pub fn file(&mut self, path: PathBytes, origin: Origin, usage: Use, actor: Actor<'_>) -> bool {
        let first_ms = actor.time_ns.saturating_sub(self.start_ns) / 1_000_000;
        let full = self.manifest.files.len() >= MAX_FILES;
        let (file, mut new) = match self.manifest.files.entry(path) {
            Entry::Vacant(_) if full => {
                self.refused += 1;
                return false;
            }
            Entry::Occupied(known) => (known.into_mut(), false),
            Entry::Vacant(slot) => {
                self.totals.files += 1;
                (slot.insert(empty_use(origin, first_ms, &self.id)), true)
            }
        };
        file.origin = file.origin.min(origin);
        file.first_ms = file.first_ms.min(first_ms);
        file.phases.insert(actor.phase);
        file.by.extend(actor.by.cloned());
        if file.uses.insert(usage) {
            self.totals.execs += usize::from(usage == Use::Exec);
            new = true;
        }
        new
    }

    /// Takes in one use of a socket address; whether the address is new.
    pub fn socket(&mut self, address: String, usage: &str, actor: Actor<'_>) -> bool {
        let known = self.manifest.sockets.len();
        if known >= MAX_SOCKETS && !self.manifest.sockets.contains_key(&address) {
            self.refused += 1;
            return false;
        }
        let socket = self.manifest.sockets.entry(address).or_insert_with(|| SocketUse {
            uses: Default::default(),
            by: Default::default(),
            phases: Default::default(),
            seen_in: [self.id.clone()].into(),
        });
        socket.uses.insert(usage.to_owned());
        socket.by.extend(actor.by.cloned());
        socket.phases.insert(actor.phase);
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
        if refused { &mut call.refused } else { &mut call.phases }.insert(phase);
    }

    /// Whether a system call was carried out.
    pub fn has_syscall(&self, name: &str) -> bool {
        let mut calls = self.manifest.syscalls.values().filter_map(|calls| calls.get(name));
        calls.any(|call| !call.phases.is_empty())
    }

    /// The manifest, with what is known of the recording as a whole.
    pub fn finish(mut self, recording: Recording) -> Manifest {
        self.manifest.recordings.insert(self.id, recording);
        self.manifest
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

    #[test]
    fn uses_of_one_path_come_together() {
        let mut fold = Fold::new(Manifest::new(None), "0123456789abcdef".into(), 1_000_000_000);
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
        let mut fold = Fold::new(Manifest::new(None), "0123456789abcdef".into(), 0);
        let actor = Actor { by: None, phase: Phase::App, time_ns: 0 };
        for number in 0..MAX_FILES + 3 {
            fold.file(format!("/tmp/{number}").as_str().into(), Origin::Image, Use::Write, actor);
        }
        assert!(fold.file("/tmp/7".into(), Origin::Image, Use::Open, actor), "a known name goes on");
        assert_eq!((fold.totals().files, fold.refused()), (MAX_FILES, 3));
        for number in 0..MAX_SOCKETS + 2 {
            fold.socket(format!("unix @{number}"), "bind", actor);
        }
        assert_eq!((fold.totals().sockets, fold.refused()), (MAX_SOCKETS, 5));
    }
}
