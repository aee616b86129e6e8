//! Which cgroups are in scope, changed from here while the kernel side changes it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use slim_common::limits::NEAR_SCOPES;
use slim_common::scope::{ContainerId, NearScope, REMOVED, Scope};

use super::mapped::Mapped;
use super::maps::Maps;
use super::{BPF_NOEXIST, Probe};

/// MEMBARRIER_CMD_GLOBAL (include/uapi/linux/membarrier.h).
const MEMBARRIER_GLOBAL: i64 = 1;

/// Returns once every program that ran when this was called has ended: membarrier(2) waits for what they run under
/// (RCU). Where the kernel cannot do that, a while is as good: programs run for microseconds.
pub(super) fn wait_for_programs() {
    // SAFETY: a system call without pointers.
    let answer = unsafe { nix::libc::syscall(nix::libc::SYS_membarrier, MEMBARRIER_GLOBAL, 0, 0) };
    if answer != 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The table in front of the scopes.
struct Near(Mapped);

impl Near {
    fn of(maps: &Maps) -> Result<Self> {
        Ok(Self(Mapped::new(maps.get("NEAR")?, NEAR_SCOPES as usize * size_of::<NearScope>())?))
    }

    fn offset(cgroup: u64) -> usize {
        (cgroup as u32 & (NEAR_SCOPES - 1)) as usize * size_of::<NearScope>()
    }

    /// Counts a cgroup of this entry, or takes one away (`u32::MAX`).
    fn count(&self, cgroup: u64, amount: u32) -> Result<()> {
        let members = self.0.half(Self::offset(cgroup) + offset_of!(NearScope, members))?;
        members.fetch_add(amount, Ordering::SeqCst);
        Ok(())
    }

    /// Frees the entry's place if this cgroup has it.
    fn vacate(&self, cgroup: u64) -> Result<()> {
        let place = self.0.word(Self::offset(cgroup) + offset_of!(NearScope, cgroup))?;
        let _others = place.compare_exchange(cgroup, REMOVED, Ordering::SeqCst, Ordering::SeqCst);
        Ok(())
    }

    /// Gives the entry's place to a cgroup if it is free, or if the cgroup has it already.
    fn occupy(&self, maps: &Maps, cgroup: u64, scope: Scope) -> Result<()> {
        let entry = Self::offset(cgroup);
        let place = self.0.word(entry + offset_of!(NearScope, cgroup))?;
        let near_scope = self.0.word(entry + offset_of!(NearScope, scope))?;
        if ![0, REMOVED, cgroup].contains(&place.load(Ordering::SeqCst)) {
            return Ok(());
        }
        near_scope.store(word_of(scope), Ordering::SeqCst);
        place.store(cgroup, Ordering::SeqCst);
        // The kernel side may have taken the place at that very moment, or the cgroup be gone again.
        let holder = place.load(Ordering::SeqCst);
        let expected = maps.hash::<u64, Scope>("SCOPES")?.get(&holder, 0).ok().map(word_of);
        if expected == Some(near_scope.load(Ordering::SeqCst)) { Ok(()) } else { self.vacate(holder) }
    }
}

/// A scope as the number that its eight bytes are.
fn word_of(scope: Scope) -> u64 {
    let (slot, flags) = (scope.slot.to_ne_bytes(), scope.flags.to_ne_bytes());
    let [a, b, c, d] = slot;
    let [e, f, g, h] = flags;
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// Every cgroup in scope.
pub(super) fn all(maps: &Maps) -> Result<BTreeMap<u64, Scope>> {
    let scopes = maps.hash::<u64, Scope>("SCOPES")?;
    let of = |cgroup: u64| scopes.get(&cgroup, 0).ok().map(|scope| (cgroup, scope));
    Ok(scopes.keys().filter_map(Result::ok).filter_map(of).collect())
}

/// Puts a cgroup into scope.
pub(super) fn add(maps: &mut Maps, cgroup: u64, scope: Scope) -> Result<()> {
    let near = Near::of(maps)?;
    // First: at zero nobody would look into the table.
    near.count(cgroup, 1)?;
    let mut scopes = maps.hash_mut::<u64, Scope>("SCOPES")?;
    if scopes.insert(cgroup, scope, BPF_NOEXIST).is_err() {
        near.count(cgroup, u32::MAX)?;
        scopes.insert(cgroup, scope, 0).context("cannot trace another cgroup")?;
    }
    near.occupy(maps, cgroup, scope)
}

/// Takes a cgroup out of scope, if the kernel side has not done so.
pub(super) fn remove(maps: &mut Maps, cgroup: u64) -> Result<()> {
    let near = Near::of(maps)?;
    if maps.hash_mut::<u64, Scope>("SCOPES")?.remove(&cgroup).is_ok() {
        near.vacate(cgroup)?;
        near.count(cgroup, u32::MAX)?;
    }
    Ok(())
}

/// Takes cgroups out of scope until none is left, also of those that the kernel side adds below them meanwhile. No
/// program that still took one of them for traced runs when this returns.
pub(super) fn leave(maps: &mut Maps, leaves: impl Fn(Scope) -> bool) -> Result<()> {
    let mut has_waited = false;
    loop {
        let found: Vec<u64> =
            all(maps)?.into_iter().filter(|(_, scope)| leaves(*scope)).map(|(cgroup, _)| cgroup).collect();
        if found.is_empty() && has_waited {
            return Ok(());
        }
        for cgroup in found {
            remove(maps, cgroup)?;
        }
        // A program that found the parent in scope may be about to add its child.
        wait_for_programs();
        has_waited = true;
    }
}

impl Probe {
    /// Traces a container from its first instruction: its cgroup comes into scope when it is made.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub fn watch(&mut self, container: &ContainerId, scope: Scope) -> Result<()> {
        let mut watched = self.maps.hash_mut::<ContainerId, Scope>("WATCHED")?;
        watched.insert(container, scope, 0).context("cannot watch another container")
    }

    /// Traces a cgroup that exists.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub fn add_scope(&mut self, cgroup: u64, scope: Scope) -> Result<()> {
        add(&mut self.maps, cgroup, scope)
    }

    /// Ends tracing of everything: hooks stay attached, but no process is in scope any more.
    ///
    /// # Errors
    /// The kernel refuses a change of its table.
    pub fn close_scopes(&mut self) -> Result<()> {
        leave(&mut self.maps, |_| true)
    }

    /// Ends tracing of a slot: none of its cgroups is in scope any more, nor comes into scope with its parent.
    ///
    /// # Errors
    /// The kernel refuses a change of its table.
    pub fn leave(&mut self, slot: u32) -> Result<()> {
        leave(&mut self.maps, |scope| scope.slot == slot)
    }

    /// How many cgroups of each slot are in scope now. A slot that is not here has none: its container's are gone.
    ///
    /// # Errors
    /// The kernel's table cannot be read.
    pub fn scopes_of(&self) -> Result<BTreeMap<u32, usize>> {
        let mut counts = BTreeMap::new();
        for scope in all(&self.maps)?.into_values() {
            *counts.entry(scope.slot).or_default() += 1;
        }
        Ok(counts)
    }
}

/// Whether a scope belongs to one of these slots.
pub(super) fn is_of(slots: &BTreeSet<u32>) -> impl Fn(Scope) -> bool + '_ {
    |scope| slots.contains(&scope.slot)
}
