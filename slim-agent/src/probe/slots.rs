//! Slots: a recording each, given out by the kernel side to containers that come, or from here to what runs already.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use aya::maps::{MapError, Queue};
use slim_common::limits::{CAPABILITY_BYTES, COMMAND_BYTES, SYSCALL_BYTES};
use slim_common::record::Key;
use slim_common::scope::{self, Auto, Command, ContainerId, Slot, birth};

use super::clock::boottime_ns;
use super::maps::Maps;
use super::{Probe, backlog, batch, forget, scopes};

/// A slot in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// The slot.
    pub slot: u32,
    /// The container, or whatever [`Probe::take_slot`] was told.
    pub container: String,
    /// Id of its cgroup.
    pub cgroup: u64,
    /// When the slot was taken: CLOCK_BOOTTIME, nanoseconds.
    pub born_ns: u64,
}

impl Birth {
    fn of(slot: u32, entry: &scope::Birth) -> Self {
        let text = entry.container.split(|&byte| byte == 0).next().unwrap_or_default();
        let container = String::from_utf8_lossy(text).into_owned();
        Self { slot, container, cgroup: entry.cgroup, born_ns: entry.born_ns }
    }
}

const NEVER: scope::Birth =
    scope::Birth { state: birth::FREE, cgroup: 0, born_ns: 0, container: [0; scope::CONTAINER_ID] };

/// How many slots there are.
pub(super) fn count(maps: &Maps) -> Result<u32> {
    Ok(maps.array::<scope::Birth>("BIRTHS")?.len())
}

/// Every slot with what is known of it.
pub(super) fn entries(maps: &Maps) -> Result<Vec<(u32, scope::Birth)>> {
    let slots = 0..count(maps)?;
    slots.map(|slot| Ok((slot, entry_of(maps, slot)?))).collect()
}

/// The slots in use.
pub(super) fn in_use(maps: &Maps) -> Result<Vec<Birth>> {
    let used = entries(maps)?.into_iter().filter(|(_, entry)| entry.state == birth::IN_USE);
    Ok(used.map(|(slot, entry)| Birth::of(slot, &entry)).collect())
}

/// How a slot came to be used.
pub(super) fn entry_of(maps: &Maps, slot: u32) -> Result<scope::Birth> {
    maps.value("BIRTHS", slot)
}

/// Takes a slot that nobody uses, if there is one.
pub(super) fn pop(maps: &mut Maps) -> Result<Option<u32>> {
    let mut free: Queue<_, u32> = Queue::try_from(maps.get_mut("FREE")?)?;
    match free.pop(0) {
        Ok(slot) => Ok(Some(slot)),
        Err(MapError::ElementNotFound) => Ok(None),
        Err(error) => Err(error).context("cannot take a free slot"),
    }
}

/// Gives slots to whoever comes next.
pub(super) fn push(maps: &mut Maps, slots: impl IntoIterator<Item = u32>) -> Result<()> {
    let mut free: Queue<_, u32> = Queue::try_from(maps.get_mut("FREE")?)?;
    slots.into_iter().try_for_each(|slot| free.push(slot, 0)).context("cannot free a slot")
}

/// Brings the queue of free slots and the table of births together again: an agent that was killed between the two may
/// have left a slot in neither, or one that it was about to forget.
pub(super) fn mend(maps: &mut Maps) -> Result<()> {
    let leaving = entries(maps)?.into_iter().filter(|(_, entry)| entry.state == birth::LEAVING);
    let leaving: BTreeSet<u32> = leaving.map(|(slot, _)| slot).collect();
    let mut free = BTreeSet::new();
    // Each is put back at once: the kernel side goes on taking them meanwhile. The second sight of one ends the round.
    while let Some(slot) = pop(maps)? {
        push(maps, [slot])?;
        if !free.insert(slot) {
            break;
        }
    }
    // A program that took one notes it a moment later.
    scopes::wait_for_programs();
    let used = entries(maps)?.into_iter().filter(|(_, entry)| entry.state != birth::FREE);
    let used: BTreeSet<u32> = used.map(|(slot, _)| slot).collect();
    let all = 0..count(maps)?;
    push(maps, all.filter(|slot| !free.contains(slot) && !used.contains(slot)))?;
    if leaving.is_empty() { Ok(()) } else { recycle(maps, &leaving) }
}

/// Forgets all about slots that are in use, and gives them to whoever comes next.
fn recycle(maps: &mut Maps, slots: &BTreeSet<u32>) -> Result<()> {
    for &slot in slots {
        let entry = entry_of(maps, slot)?;
        maps.set("BIRTHS", slot, scope::Birth { state: birth::LEAVING, ..entry })?;
    }
    // Afterwards no program notes anything of these slots any more.
    scopes::leave(maps, scopes::is_of(slots))?;
    forget::keys(maps, "SEEN", slots)?;
    forget::keys(maps, "LOST", slots)?;
    backlog::forget(maps, slots)?;
    forget::recent(maps, slots)?;
    for &slot in slots {
        blank(maps, slot)?;
        maps.set("BIRTHS", slot, NEVER)?;
    }
    push(maps, slots.iter().copied())
}

/// Clears what stands in arrays under a slot.
fn blank(maps: &mut Maps, slot: u32) -> Result<()> {
    maps.set("CALLED", slot, [0_u8; SYSCALL_BYTES])?;
    maps.set("ASKED", slot, [0_u8; CAPABILITY_BYTES])?;
    maps.set("SLOTS", slot, Slot::default())?;
    maps.set("HEALTHCHECKS", slot, command(&[]))
}

impl Probe {
    /// Says whether containers that nobody watches come into scope by themselves, each in a slot of its own, with which
    /// `slim_common::scope::flags`.
    ///
    /// # Errors
    /// The kernel refuses the change.
    pub fn set_auto(&mut self, enabled: bool, flags: u32) -> Result<()> {
        self.maps.set("AUTO", 0, Auto { enabled: enabled.into(), flags })
    }

    /// Every slot in use, whoever took it.
    ///
    /// # Errors
    /// The kernel's table cannot be read.
    pub fn births(&self) -> Result<Vec<Birth>> {
        in_use(&self.maps)
    }

    /// Takes a slot for what runs already: a container by its id, or a bare cgroup under any name (64 bytes of it are
    /// kept). Nothing is in scope yet. `None` when every slot is in use.
    ///
    /// # Errors
    /// The kernel refuses the change.
    pub fn take_slot(&mut self, container: &str, cgroup: u64) -> Result<Option<u32>> {
        let born_ns = boottime_ns()?;
        let entry = scope::Birth { state: birth::IN_USE, cgroup, born_ns, container: padded(container) };
        take(&mut self.maps, entry)
    }

    /// Ends what is recorded in a slot: nothing of it is in scope any more, and it is not among [`Self::births`]. All that it
    /// had is to be in safety before: [`Self::recycle`], or the next agent, forgets it.
    ///
    /// # Errors
    /// The kernel refuses a change.
    pub fn retire(&mut self, slot: u32) -> Result<()> {
        let entry = entry_of(&self.maps, slot)?;
        self.maps.set("BIRTHS", slot, scope::Birth { state: birth::LEAVING, ..entry })?;
        self.leave(slot)
    }

    /// Forgets all about slots, whose containers are gone, and gives them to whoever comes next. What they had is to be
    /// taken before. One pass over each table, however many slots. One that nobody uses is left as it is.
    ///
    /// # Errors
    /// The kernel refuses a change.
    pub fn recycle(&mut self, slots: &BTreeSet<u32>) -> Result<()> {
        let used = entries(&self.maps)?.into_iter().filter(|(_, entry)| entry.state != birth::FREE);
        let slots: BTreeSet<u32> = used.map(|(slot, _)| slot).filter(|slot| slots.contains(slot)).collect();
        if slots.is_empty() { Ok(()) } else { recycle(&mut self.maps, &slots) }
    }

    /// Forgets what was told of slots, so that it is told again when it happens again.
    ///
    /// # Errors
    /// The kernel refuses a change.
    pub fn renew(&mut self, slots: &BTreeSet<u32>) -> Result<()> {
        forget::keys(&self.maps, "SEEN", slots)?;
        // A program that found a key there before may be about to note it as recent.
        scopes::wait_for_programs();
        forget::recent(&mut self.maps, slots)
    }

    /// Accesses of a slot that were not delivered and are remembered.
    ///
    /// # Errors
    /// The kernel's table cannot be read.
    pub fn lost_of(&self, slot: u32) -> Result<u64> {
        lost_of(&self.maps, slot)
    }

    /// Says what the health check of a slot's container executes.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn set_healthcheck(&mut self, slot: u32, words: &[String]) -> Result<()> {
        self.maps.set("HEALTHCHECKS", slot, command(words)).context("cannot note the health check")
    }

    /// Says that a container's application runs already.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn set_started(&mut self, slot: u32) -> Result<()> {
        let now: Slot = self.maps.value("SLOTS", slot)?;
        self.maps.set("SLOTS", slot, Slot { started: 1, ..now }).context("cannot mark the slot as started")
    }

    /// The state of a slot.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn slot(&self, slot: u32) -> Result<Slot> {
        self.maps.value("SLOTS", slot)
    }
}

/// Takes a free slot and notes how it came to be used.
pub(super) fn take(maps: &mut Maps, entry: scope::Birth) -> Result<Option<u32>> {
    let Some(slot) = pop(maps)? else { return Ok(None) };
    maps.set("BIRTHS", slot, entry)?;
    Ok(Some(slot))
}

/// Entries of a slot among the accesses that were not delivered.
pub(super) fn lost_of(maps: &Maps, slot: u32) -> Result<u64> {
    // Mostly there are none at all.
    if maps.hash::<Key, u8>("LOST")?.keys().next().is_none() {
        return Ok(0);
    }
    Ok(batch::keys(maps.data("LOST")?)?.iter().filter(|key| forget::slot_of(key) == slot).count() as u64)
}

fn padded(text: &str) -> ContainerId {
    let mut bytes = [0; scope::CONTAINER_ID];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    bytes
}

/// A command as /proc/PID/cmdline would show it: each word with a NUL behind it.
fn command(words: &[String]) -> Command {
    let line: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
    let mut bytes = [0; COMMAND_BYTES];
    for (to, from) in bytes.iter_mut().zip(&line) {
        *to = *from;
    }
    Command { length: line.len() as u64, bytes }
}
