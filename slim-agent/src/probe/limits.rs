//! How much a recording can hold: sizes of the kernel side's ring and tables, and of what the agent remembers, with
//! defaults that fit a busy container.

use std::str::FromStr;

use slim_common::limits::{MAX_BACKLOG, MAX_LOST, MAX_SCOPES, MAX_SEEN, MAX_SLOTS, MAX_TASKS, RING_BYTES};

/// Sizes of the ring buffer, and of all that may be found too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the ring buffer: a power of two, at least a page.
    pub ring: u32,
    /// Records that found the ring full and wait.
    pub backlog: u32,
    /// Accesses told apart.
    pub seen: u32,
    /// Accesses that were not delivered, and are remembered.
    pub lost: u32,
    /// Recordings at once, [`MAX_SLOTS`] at most: each takes 50 KiB of the kernel's memory.
    pub slots: u32,
    /// Cgroups in scope.
    pub scopes: u32,
    /// Processes alive at once that are not the application.
    pub tasks: u32,
    /// Paths that the agent remembers.
    pub paths: u32,
    /// Socket addresses that the agent remembers.
    pub sockets: u32,
}

/// Paths that the agent remembers unless told otherwise.
const PATHS: u32 = 200_000;
/// Socket addresses that the agent remembers unless told otherwise.
const SOCKETS: u32 = 20_000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            ring: RING_BYTES,
            backlog: MAX_BACKLOG,
            seen: MAX_SEEN,
            lost: MAX_LOST,
            slots: 1,
            scopes: MAX_SCOPES,
            tasks: MAX_TASKS,
            paths: PATHS,
            sockets: SOCKETS,
        }
    }
}

impl Limits {
    /// The defaults with some of them changed.
    pub fn with(changes: &[Change]) -> Self {
        Self::default().changed(changes)
    }

    /// These with some of them changed.
    pub fn changed(mut self, changes: &[Change]) -> Self {
        for change in changes {
            *self.field(change.name) = change.value;
        }
        self
    }

    /// For a service that records everything on a host: [`Limits::default`] is for one busy container.
    pub fn service() -> Self {
        Self { ring: 4 << 20, backlog: 2_048, seen: 131_072, lost: 16_384, slots: 256, ..Self::default() }
    }

    /// The maps of the kernel side, with their sizes.
    pub(super) fn maps(&self) -> Vec<(&'static str, u32)> {
        let Self { ring, backlog, seen, lost, slots, scopes, tasks, paths: _, sockets: _ } = *self;
        let tables = [
            ("RECORDS", ring),
            ("BACKLOG", backlog),
            ("SEEN", seen),
            ("LOST", lost),
            ("SCOPES", scopes),
            ("TASKS", tasks),
        ];
        let per_slot = ["SLOTS", "CALLED", "ASKED", "HEALTHCHECKS", "BIRTHS", "WATCHED", "FREE"];
        let slots = slots.clamp(1, MAX_SLOTS);
        tables.into_iter().chain(per_slot.map(|name| (name, slots))).collect()
    }

    fn field(&mut self, name: Name) -> &mut u32 {
        match name {
            Name::Ring => &mut self.ring,
            Name::Backlog => &mut self.backlog,
            Name::Seen => &mut self.seen,
            Name::Slots => &mut self.slots,
            Name::Scopes => &mut self.scopes,
            Name::Tasks => &mut self.tasks,
            Name::Paths => &mut self.paths,
            Name::Sockets => &mut self.sockets,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Ring,
    Backlog,
    Seen,
    Slots,
    Scopes,
    Tasks,
    Paths,
    Sockets,
}

/// A limit that is to be another one: `NAME=NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    name: Name,
    value: u32,
}

/// Largest table that may be asked for: the kernel, or the agent, would hold gigabytes.
const LARGEST: u32 = 8 << 20;
/// Largest ring.
const LARGEST_RING: u32 = 1 << 30;
/// Smallest ring: a page.
const SMALLEST_RING: u32 = 4096;

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once('=').ok_or("write it like seen=500000")?;
        let name = match name {
            "ring" => Name::Ring,
            "backlog" => Name::Backlog,
            "seen" => Name::Seen,
            "slots" => Name::Slots,
            "scopes" => Name::Scopes,
            "tasks" => Name::Tasks,
            "paths" => Name::Paths,
            "sockets" => Name::Sockets,
            _ => {
                return Err(format!(
                    "no limit {name:?}: there are ring, backlog, seen, slots, scopes, tasks, paths and sockets"
                ));
            }
        };
        let value: u32 = number.parse().map_err(|_| format!("{number:?} is not a whole number"))?;
        match name {
            Name::Ring if !value.is_power_of_two() || !(SMALLEST_RING..=LARGEST_RING).contains(&value) => {
                Err(format!("the ring takes a power of two from {SMALLEST_RING} to {LARGEST_RING} bytes"))
            }
            Name::Slots if !(1..=MAX_SLOTS).contains(&value) => {
                Err(format!("there are from 1 to {MAX_SLOTS} slots"))
            }
            Name::Backlog | Name::Seen | Name::Scopes | Name::Tasks | Name::Paths | Name::Sockets
                if !(1..=LARGEST).contains(&value) =>
            {
                Err(format!("a table takes from 1 to {LARGEST} entries"))
            }
            _ => Ok(Self { name, value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_changed_by_name() {
        let changes: Vec<Change> =
            ["ring=4096", "seen=7", "paths=9"].iter().map(|text| text.parse().unwrap()).collect();
        let limits = Limits::with(&changes);
        assert_eq!(limits, Limits { ring: 4096, seen: 7, paths: 9, ..Limits::default() });
    }

    #[test]
    fn what_no_kernel_takes_is_refused() {
        for wrong in [
            "seen",
            "seen=",
            "seen=0",
            "seen=-1",
            "ring=5000",
            "ring=2048",
            "rings=4096",
            "tasks=9999999",
            "slots=0",
            "slots=1025",
        ] {
            assert!(wrong.parse::<Change>().is_err(), "{wrong}");
        }
    }
}
