//! From one set of programs to the next: the new ones learn what is in scope, both serve for a moment, and what happened
//! before both did is brought up to date. Nothing falls between; something may be told by both.
//!
//! The old programs run before the new ones wherever both are attached, and each changes its own tables only. So a
//! change that the old tables show while both are attached, the new programs have seen as well, or are about to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use aya::maps::{Map, MapData, RingBuf};
use slim_common::limits::{BACKLOG_BYTES, CAPABILITY_BYTES, SYSCALL_BYTES};
use slim_common::record::Key;
use slim_common::scope::{self, Auto, Command, ContainerId, Scope, Slot, birth};

use super::maps::Maps;
use super::set::Set;
use super::{SeenCall, SeenCapability, backlog, scopes, slots, tally, tasks};
use crate::container::cgroup;

/// Whether the tables of former programs can be read as this version reads them: an error says which cannot.
pub(super) fn readable(maps: &Maps) -> Result<()> {
    maps.array::<scope::Birth>("BIRTHS")?;
    maps.array::<Slot>("SLOTS")?;
    maps.array::<Command>("HEALTHCHECKS")?;
    maps.array::<Auto>("AUTO")?;
    maps.array::<[u8; SYSCALL_BYTES]>("CALLED")?;
    maps.array::<[u8; CAPABILITY_BYTES]>("ASKED")?;
    maps.hash::<u64, Scope>("SCOPES")?;
    maps.hash::<u32, u8>("TASKS")?;
    maps.hash::<ContainerId, Scope>("WATCHED")?;
    maps.hash::<Key, u8>("LOST")?;
    maps.hash::<Key, [u8; BACKLOG_BYTES]>("BACKLOG")?;
    maps.data("RECORDS").map(drop)
}

/// Gives new programs, which are not attached yet, what those before them know: slots keep their numbers. Without any
/// before them, every slot is free.
pub(super) fn copy(old: Option<&Maps>, new: &mut Maps) -> Result<()> {
    let mut used = BTreeSet::new();
    if let Some(old) = old {
        for (slot, entry) in
            slots::entries(old)?.into_iter().filter(|(_, entry)| entry.state == birth::IN_USE)
        {
            new.set("BIRTHS", slot, entry)?;
            copy_slot(old, new, slot, slot)?;
            used.insert(slot);
        }
        // The others are of slots that were about to be forgotten.
        for (cgroup, scope) in scopes::all(old)?.into_iter().filter(|(_, scope)| used.contains(&scope.slot)) {
            scopes::add(new, cgroup, scope)?;
        }
        for (tgid, phase) in phases(old)? {
            tasks::mark(new, tgid, phase, || true)?;
        }
        copy_watched(old, new, &used)?;
        new.set("AUTO", 0, old.value::<Auto>("AUTO", 0)?)?;
    }
    let all = 0..slots::count(new)?;
    slots::push(new, all.filter(|slot| !used.contains(slot)))
}

/// State and health check of a slot.
fn copy_slot(old: &Maps, new: &mut Maps, from: u32, to: u32) -> Result<()> {
    new.set("SLOTS", to, old.value::<Slot>("SLOTS", from)?)?;
    new.set("HEALTHCHECKS", to, old.value::<Command>("HEALTHCHECKS", from)?)
}

fn copy_watched(old: &Maps, new: &mut Maps, used: &BTreeSet<u32>) -> Result<()> {
    let from = old.hash::<ContainerId, Scope>("WATCHED")?;
    let mut to = new.hash_mut::<ContainerId, Scope>("WATCHED")?;
    for container in from.keys().filter_map(Result::ok) {
        let scope = from.get(&container, 0).ok().filter(|scope| used.contains(&scope.slot));
        if let Some(scope) = scope {
            to.insert(container, scope, 0).context("cannot watch another container")?;
        }
    }
    Ok(())
}

/// Processes that are not the application.
fn phases(maps: &Maps) -> Result<BTreeMap<u32, u8>> {
    let tasks = maps.hash::<u32, u8>("TASKS")?;
    let of = |tgid: u32| tasks.get(&tgid, 0).ok().map(|phase| (tgid, phase));
    Ok(tasks.keys().filter_map(Result::ok).filter_map(of).collect())
}

/// Brings new programs up to date with what happened between [`copy`] and their being attached. Both are attached.
pub(super) fn reconcile(old: &Maps, new: &mut Maps) -> Result<()> {
    let slots = same_slots(old, new)?;
    for birth in slots::in_use(old)? {
        let slot = match slots.get(&birth.slot) {
            Some(slot) => *slot,
            None => match slots::take(new, slots::entry_of(old, birth.slot)?)? {
                Some(slot) => {
                    copy_slot(old, new, birth.slot, slot)?;
                    slot
                }
                // As when a container is born: its slot is counted as missing.
                None => continue,
            },
        };
        note_start(old, new, birth.slot, slot)?;
    }
    let slots = same_slots(old, new)?;
    reconcile_scopes(old, new, &slots)?;
    reconcile_tasks(old, new)
}

/// Slots of old programs by their number, with the number that the same birth has in the new ones.
fn same_slots(old: &Maps, new: &Maps) -> Result<BTreeMap<u32, u32>> {
    let of = |maps: &Maps| -> Result<BTreeMap<(String, u64), u32>> {
        let births = slots::in_use(maps)?.into_iter();
        Ok(births.map(|birth| ((birth.container, birth.cgroup), birth.slot)).collect())
    };
    let known = of(new)?;
    let same = of(old)?.into_iter().filter_map(|(birth, slot)| Some((slot, *known.get(&birth)?)));
    Ok(same.collect())
}

/// An application that started while only the old programs saw it.
fn note_start(old: &Maps, new: &mut Maps, from: u32, to: u32) -> Result<()> {
    let (before, now): (Slot, Slot) = (old.value("SLOTS", from)?, new.value("SLOTS", to)?);
    let has_started = before.started != 0 && now.started == 0;
    if has_started { new.set("SLOTS", to, Slot { started: 1, ..now }) } else { Ok(()) }
}

fn reconcile_scopes(old: &Maps, new: &mut Maps, slots: &BTreeMap<u32, u32>) -> Result<()> {
    let (known, before) = (scopes::all(new)?, scopes::all(old)?);
    for (cgroup, scope) in before.iter().filter(|(cgroup, _)| !known.contains_key(cgroup)) {
        let Some(&slot) = slots.get(&scope.slot) else { continue };
        scopes::add(new, *cgroup, Scope { slot, ..*scope })?;
        // Removed at this very moment: the new programs may have been there before it was added.
        if old.hash::<u64, Scope>("SCOPES")?.get(cgroup, 0).is_err() {
            scopes::remove(new, *cgroup)?;
        }
    }
    let gone: Vec<u64> = known.into_keys().filter(|cgroup| !before.contains_key(cgroup)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    // Not all that the old programs do not know is gone: they may have had no slot left for it.
    let existing: BTreeSet<u64> =
        cgroup::tree(&cgroup::mount_point()?).iter().filter_map(|dir| cgroup::id(dir).ok()).collect();
    gone.into_iter()
        .filter(|cgroup| !existing.contains(cgroup))
        .try_for_each(|cgroup| scopes::remove(new, cgroup))
}

fn reconcile_tasks(old: &Maps, new: &mut Maps) -> Result<()> {
    let (known, before) = (phases(new)?, phases(old)?);
    let is_still = |tgid: u32, phase: u8| {
        old.hash::<u32, u8>("TASKS").is_ok_and(|tasks| tasks.get(&tgid, 0).is_ok_and(|now| now == phase))
    };
    for (&tgid, &phase) in &known {
        if before.get(&tgid) != Some(&phase) && !is_still(tgid, phase) {
            tasks::unmark(new, tgid)?;
        }
    }
    for (&tgid, &phase) in &before {
        if known.get(&tgid) != Some(&phase) {
            tasks::mark(new, tgid, phase, || is_still(tgid, phase))?;
        }
    }
    Ok(())
}

/// Programs that are detached, and whose last words are still there: what their agent had not taken.
pub struct Predecessor(Vec<Former>);

/// One set of them.
pub(super) struct Former {
    set: Set,
    maps: Maps,
    ring: RingBuf<MapData>,
    /// Their slots, as the new programs number them.
    slots: BTreeMap<u32, u32>,
}

impl Former {
    /// A set that is detached; `new` are the maps of those that serve now.
    pub fn new(set: Set, mut maps: Maps, new: &Maps) -> Result<Self> {
        let slots = same_slots(&maps, new)?;
        let ring: Map = maps.remove("RECORDS")?;
        let ring = RingBuf::try_from(ring).context("cannot read the records of the former programs")?;
        Ok(Self { set, maps, ring, slots })
    }

    /// The slot that the former programs had for one of the new ones.
    fn former_slot(&self, slot: u32) -> Option<u32> {
        self.slots.iter().find(|(_, new)| **new == slot).map(|(old, _)| *old)
    }
}

impl Predecessor {
    pub(super) fn new(former: Vec<Former>) -> Self {
        Self(former)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands every record that is left to `take`, with the slot as the new programs number it (the record itself has the
    /// old number). A record is gone once `take` has returned. Those of recordings that have ended are left out.
    ///
    /// # Errors
    /// The backlog cannot be read.
    pub fn drain(&mut self, mut take: impl FnMut(u32, &[u8])) -> Result<()> {
        for former in &mut self.0 {
            let Former { maps, ring, slots, .. } = former;
            let mut hand_on = |record: &[u8]| {
                if let Some(slot) = backlog::slot_of(record).and_then(|slot| slots.get(&slot)) {
                    take(*slot, record);
                }
            };
            while let Some(record) = ring.next() {
                hand_on(&record);
            }
            backlog::drain(maps, hand_on)?;
        }
        Ok(())
    }

    /// The system calls that they saw for a slot, as the new programs number it.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn syscalls(&self, slot: u32) -> Result<Vec<SeenCall>> {
        self.of_slot(slot, |maps, slot| {
            Ok(tally::seen_calls(&maps.value::<[u8; SYSCALL_BYTES]>("CALLED", slot)?))
        })
    }

    /// The capabilities that they saw for a slot, as the new programs number it.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn capabilities(&self, slot: u32) -> Result<Vec<SeenCapability>> {
        self.of_slot(slot, |maps, slot| {
            Ok(tally::seen_capabilities(&maps.value::<[u8; CAPABILITY_BYTES]>("ASKED", slot)?))
        })
    }

    /// Accesses of a slot, as the new programs number it, that they never delivered.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn lost_of(&self, slot: u32) -> Result<u64> {
        Ok(self.of_slot(slot, |maps, slot| Ok(vec![slots::lost_of(maps, slot)?]))?.into_iter().sum())
    }

    fn of_slot<T>(&self, slot: u32, read: impl Fn(&Maps, u32) -> Result<Vec<T>>) -> Result<Vec<T>> {
        let mut found = Vec::new();
        for former in &self.0 {
            if let Some(slot) = former.former_slot(slot) {
                found.extend(read(&former.maps, slot)?);
            }
        }
        Ok(found)
    }

    /// Takes them out of the kernel, once all they had is in safety. Without this, the next agent finds them again.
    ///
    /// # Errors
    /// Something cannot be unpinned.
    pub fn discard(self) -> Result<()> {
        self.0.iter().try_for_each(|former| former.set.remove())
    }
}
