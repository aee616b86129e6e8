//! Is this process traced, and in which phase of its container's life is it?

use slim_common::counters::overflow;
use slim_common::limits::NEAR_SCOPES;
use slim_common::scope::{NearScope, REMOVED, Scope, flags, phase};

use crate::config::constant;
use crate::maps::{NEAR, OUTSIDERS, OVERFLOWS, SCOPES, SLOTS, TASKS};
use crate::memory::{load, probe};
use crate::walk;

/// The scope of the current task, if it is traced, with the id of its cgroup.
///
/// Four direct loads: `bpf_get_current_cgroup_id` tells the same, but the call costs more, and every process of the
/// host pays for it.
#[inline(always)]
pub fn of_task(task: u64) -> Option<(u64, Scope)> {
    let set: u64 = load(task, constant!(task_cgroups));
    let cgroup: u64 = load(set, constant!(css_set_dfl_cgrp));
    let node: u64 = load(cgroup, constant!(cgroup_kn));
    let id = load(node, constant!(kernfs_node_id));
    of(id).map(|scope| (id, scope))
}

/// Id of any task's cgroup in the v2 hierarchy.
#[inline(always)]
pub fn cgroup_of(task: u64) -> u64 {
    let set: u64 = probe(task, constant!(task_cgroups));
    let cgroup: u64 = probe(set, constant!(css_set_dfl_cgrp));
    let node: u64 = probe(cgroup, constant!(cgroup_kn));
    probe(node, constant!(kernfs_node_id))
}

/// The scope of a cgroup of the v2 hierarchy, if it is traced.
#[inline(always)]
pub fn of(cgroup: u64) -> Option<Scope> {
    let near = NEAR.get(near_index(cgroup))?;
    if near.cgroup == cgroup {
        return Some(near.scope);
    }
    if near.members == 0 {
        return None;
    }
    // SAFETY: entries are written whole, before their cgroup has a process.
    unsafe { SCOPES.get(cgroup).copied() }
}

/// Puts a cgroup into scope. The kernel makes and removes one cgroup at a time (cgroup_mutex), so no two programs are
/// here at once; the agent may be, and counts atomically as well.
pub fn add(cgroup: u64, scope: Scope) {
    let Some(near) = NEAR.get_ptr_mut(near_index(cgroup)) else { return };
    if SCOPES.insert(cgroup, scope, 0).is_err() {
        count_overflow(overflow::SCOPES);
        return;
    }
    // SAFETY: a map value. Readers see the member before its cgroup, and ask the table of scopes until then.
    unsafe {
        count_members(near, 1);
        let place = (&raw const (*near).cgroup).read_volatile();
        if place == 0 || place == REMOVED {
            (&raw mut (*near).scope).write_volatile(scope);
            (&raw mut (*near).cgroup).write_volatile(cgroup);
        }
    }
}

/// Takes a cgroup that is removed out of scope: nobody is in it any more.
pub fn remove(cgroup: u64) {
    let Some(near) = NEAR.get_ptr_mut(near_index(cgroup)) else { return };
    if SCOPES.remove(cgroup).is_err() {
        return;
    }
    // SAFETY: as in `add`.
    unsafe {
        if (*near).cgroup == cgroup {
            (&raw mut (*near).cgroup).write_volatile(REMOVED);
        }
        count_members(near, u32::MAX);
    }
}

/// Adds to a count of members, which wraps: `u32::MAX` takes one away.
///
/// # Safety
/// `near` must be a map value.
#[inline(always)]
unsafe fn count_members(near: *mut NearScope, amount: u32) {
    // SAFETY: the caller vouches for the pointer; as in `add_to`.
    unsafe {
        let members = &raw mut (*near).members;
        core::arch::asm!("lock *(u32 *)({to} + 0) += {amount}", to = in(reg) members, amount = in(reg) u64::from(amount))
    }
}

#[inline(always)]
fn near_index(cgroup: u64) -> u32 {
    cgroup as u32 & (NEAR_SCOPES - 1)
}

/// The phase of a process, by its thread group.
#[inline(always)]
pub fn phase_of(tgid: u32) -> u8 {
    match OUTSIDERS.get(0) {
        Some(0) | None => phase::APP,
        // SAFETY: a one-byte value cannot be torn.
        Some(_) => unsafe { TASKS.get(tgid).copied().unwrap_or(phase::APP) },
    }
}

/// The phase of the current thread: a runtime that has installed the seccomp filter is `RUNTIME_CONFINED`.
#[inline(always)]
pub fn phase_of_current(task: u64, tgid: u32) -> u8 {
    let known = phase_of(tgid);
    if known == phase::RUNTIME_INIT && is_confined(task) { phase::RUNTIME_CONFINED } else { known }
}

/// Whether a seccomp filter is on for this thread.
#[inline(always)]
pub fn is_confined(task: u64) -> bool {
    load::<u32>(task, constant!(task_seccomp_mode)) != 0
}

/// Whether a container's application runs already: what a runtime looks at from then on, it does for `docker exec`.
#[inline(always)]
pub fn has_started(scope: Scope) -> bool {
    // SAFETY: a map value; the kernel side only ever stores 0 or 1 there.
    SLOTS.get_ptr(scope.slot).is_some_and(|slot| unsafe { (*slot).started } != 0)
}

/// Whether a process in this phase is left out of the recording.
#[inline(always)]
pub fn is_ignored(scope: Scope, in_phase: u8) -> bool {
    in_phase == phase::EXEC && scope.flags & flags::IGNORE_EXEC != 0
}

/// Notes that a process is not the application.
#[inline(always)]
pub fn set_phase(tgid: u32, value: u8) {
    // SAFETY: as in `phase_of`.
    let known = unsafe { TASKS.get(tgid) }.is_some();
    if TASKS.insert(tgid, value, 0).is_err() {
        count_overflow(overflow::TASKS);
    } else if !known {
        add_to(&OUTSIDERS, 0, 1);
    }
}

/// Forgets a process: it is the application now, or gone.
#[inline(always)]
pub fn clear_phase(tgid: u32) {
    if TASKS.remove(tgid).is_ok() {
        add_to(&OUTSIDERS, 0, u64::MAX);
    }
}

/// Whether a task still lives in the host's root: a container runtime that has not changed its root yet. Its files are
/// the host's. It may do things in the cgroup before the kernel tells that it was moved there, so this is asked of
/// every process before anything of it is delivered.
#[inline(always)]
pub fn in_host_root(task: u64, scope_flags: u32) -> bool {
    scope_flags & flags::HOST_ROOT == 0 && walk::has_host_root(task)
}

/// A table was too small: the recording is not complete.
pub fn count_overflow(table: u32) {
    add_to(&OVERFLOWS, table, 1);
}

#[inline(always)]
fn add_to(counters: &aya_ebpf::maps::Array<u64>, index: u32, amount: u64) {
    if let Some(value) = counters.get_ptr_mut(index) {
        // SAFETY: map values are 8-byte aligned and live as long as the map. The target has this one atomic
        // instruction (BPF_ADD of BPF_ATOMIC), but core's atomics do not offer it.
        unsafe {
            core::arch::asm!("lock *(u64 *)({to} + 0) += {amount}", to = in(reg) value, amount = in(reg) amount)
        }
    }
}
