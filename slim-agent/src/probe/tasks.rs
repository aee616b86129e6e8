//! Processes in scope that are not the application, labelled from here beside the kernel side.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use aya::maps::MapError;
use slim_common::scope::phase;

use super::mapped::Mapped;
use super::maps::Maps;
use super::{BPF_NOEXIST, Probe};

/// Adds to the kernel side's count of such processes, which wraps: `u64::MAX` takes one away.
pub(super) fn count(maps: &Maps, amount: u64) -> Result<()> {
    let counter = Mapped::new(maps.get("OUTSIDERS")?, size_of::<AtomicU64>())?;
    counter.word(0)?.fetch_add(amount, Ordering::SeqCst);
    Ok(())
}

/// Labels a process. `lives` tells afterwards whether it still will: an entry that comes after the exit would stay, for
/// whoever gets the process id next.
pub(super) fn mark(maps: &mut Maps, tgid: u32, label: u8, lives: impl FnOnce() -> bool) -> Result<()> {
    // First, so that the count is never below the number of entries: at zero nobody looks at them.
    count(maps, 1)?;
    let mut tasks = maps.hash_mut::<u32, u8>("TASKS")?;
    let inserted = tasks.insert(tgid, label, BPF_NOEXIST);
    let is_known = tasks.get(&tgid, 0).is_ok();
    match inserted {
        Ok(()) if lives() => return Ok(()),
        // One that the kernel side forgot meanwhile, it has also counted.
        Ok(()) if tasks.remove(&tgid).is_err() => return Ok(()),
        Ok(()) => {}
        // The kernel side labelled it itself.
        Err(_) if is_known => {}
        Err(error) => {
            count(maps, u64::MAX)?;
            return Err(error).context("cannot label another process");
        }
    }
    count(maps, u64::MAX)
}

/// Takes a process's label away, if the kernel side has not done so.
pub(super) fn unmark(maps: &mut Maps, tgid: u32) -> Result<()> {
    let removed = maps.hash_mut::<u32, u8>("TASKS")?.remove(&tgid);
    if removed.is_ok() { count(maps, u64::MAX) } else { Ok(()) }
}

impl Probe {
    /// Labels a process that was put into a container before the recording began: what it and its descendants do from
    /// now on is the phase `EXEC`. The kernel side forgets a process when it exits; `lives` tells afterwards whether it
    /// still will.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub fn mark_exec(&mut self, tgid: u32, lives: impl FnOnce() -> bool) -> Result<()> {
        mark(&mut self.maps, tgid, phase::EXEC, lives)
    }

    /// The phase of a process that is in scope, as the kernel side knows it: see `slim_common::scope::phase`.
    ///
    /// # Errors
    /// The kernel's table cannot be read.
    pub fn phase_of(&self, tgid: u32) -> Result<u8> {
        match self.maps.hash::<u32, u8>("TASKS")?.get(&tgid, 0) {
            Ok(phase) => Ok(phase),
            Err(MapError::KeyNotFound) => Ok(phase::APP),
            Err(error) => Err(error).context("cannot ask for the phase of a process"),
        }
    }
}
