//! `cap_capable`: capabilities that the kernel asks for, and whether the process has them.
//!
//! As with system calls it is state, not events, that tells which: one byte each. Who had one is told by a record, the
//! first time. Linux has a tracepoint since 6.14; before, it is the function itself that tells, where that is possible.

use aya_ebpf::macros::{btf_tracepoint, fexit};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext};
use slim_common::call::memory;
use slim_common::counters::hook;
use slim_common::limits::{CAPABILITIES, CAPABILITY_BYTES, PHASES, SYSCALLS};
use slim_common::record::kind;
use slim_common::scope::{Scope, abi, phase};

use super::file::{begin, current_call, current_register, deliver};
use super::syscall::NO_CALL;
use crate::config::constant;
use crate::maps::{ASKED, CALLS};
use crate::memory::{current_task, load, opaque, user_bytes};
use crate::scope;

/// CAP_SYS_ADMIN (include/uapi/linux/capability.h).
const SYS_ADMIN: u32 = 21;
/// CLONE_NEW* (include/uapi/linux/sched.h): flags that make a namespace.
const NEW_NAMESPACES: u64 = 0x7e02_0080;

/// The tracepoint. Its arguments are the credentials, the user namespace that is asked about, the one that has the
/// capability, the capability and the answer.
#[btf_tracepoint(function = "cap_capable")]
pub fn cap_capable(ctx: BtfTracePointContext) -> i32 {
    let (capability, answer): (u32, i32) = (ctx.arg(3), ctx.arg(4));
    asked(ctx.arg(0), capability, answer)
}

/// The function. Its arguments are the credentials, the user namespace, the capability and options.
#[fexit(function = "cap_capable")]
pub fn cap_capable_function(ctx: FExitContext) -> i32 {
    let (capability, answer): (u32, i32) = (ctx.arg(2), ctx.arg(4));
    asked(ctx.arg(0), capability, answer)
}

#[inline(always)]
fn asked(credentials: u64, capability: u32, answer: i32) -> i32 {
    let task = current_task();
    let Some((_, scope)) = scope::of_task(task) else { return 0 };
    let tgid: u32 = load(task, constant!(task_tgid));
    let phase = scope::phase_of_current(task, tgid);
    if scope::is_ignored(scope, phase)
        || is_lent(task, credentials)
        || capability == SYS_ADMIN && reckons_with_memory(task)
    {
        return 0;
    }
    note(task, scope, phase, capability, answer == 0);
    // A runtime has them all, and its executable is not the container's.
    if answer == 0 && phase != phase::RUNTIME_INIT && phase != phase::RUNTIME_CONFINED {
        tell(task, capability, phase);
    }
    0
}

/// Whether the credentials are somebody else's: overlayfs looks into its layers with those of whoever mounted it, for
/// every process. They have capabilities that the process could not even get by executing something, while those that
/// the process has lent to itself (access(2), a descriptor opened earlier) have none.
#[inline(always)]
fn is_lent(task: u64, credentials: u64) -> bool {
    let own: u64 = load(task, constant!(task_real_cred));
    credentials != own
        && load::<u64>(credentials, constant!(cred_effective)) & !load::<u64>(own, constant!(cred_bounding))
            != 0
}

/// Stores one byte, once.
#[inline(always)]
fn note(task: u64, scope: Scope, phase: u8, capability: u32, granted: bool) {
    let Some(bytes) = ASKED.get_ptr_mut(scope.slot) else { return };
    let bytes = bytes.cast::<u8>();
    let place = |phase: u8| {
        let row = usize::from(!granted) * PHASES + usize::from(phase);
        let place = row * CAPABILITIES + (capability as usize & (CAPABILITIES - 1));
        opaque(place as u64) as usize & (CAPABILITY_BYTES - 1)
    };
    // SAFETY: the size is a power of two, so the mask keeps the index inside the array.
    if unsafe { bytes.add(place(phase)).read() } != 0 {
        return;
    }
    // A runtime may do something in the cgroup before the kernel tells that it was moved there.
    let early = phase == phase::APP && scope::in_host_root(task, scope.flags);
    // SAFETY: as above.
    unsafe { bytes.add(place(if early { phase::RUNTIME_INIT } else { phase })).write(1) };
}

/// Delivers who had a capability.
#[inline(always)]
fn tell(task: u64, capability: u32, phase: u8) {
    let Some(draft) = begin(hook::CAPABILITY, 0) else { return };
    let header = draft.header();
    header.kind = kind::CAPABILITY;
    header.phase = phase;
    header.nr = capability as u16;
    deliver(draft.scratch, draft.counters, task);
}

/// Whether the kernel asks only to know how much memory may be promised (`__vm_enough_memory`): it asks so for every
/// process, and one without the capability is as well off but for the last few percent. That is at page faults, and in
/// calls that need the capability for nothing else.
#[inline(always)]
fn reckons_with_memory(task: u64) -> bool {
    let (abi, nr) = current_call();
    if nr == NO_CALL {
        return true;
    }
    if nr as usize >= SYSCALLS {
        return false;
    }
    let Some(row) = CALLS.get(u32::from(abi) * SYSCALLS as u32 + nr) else { return false };
    let first = || {
        let native = current_register(task, constant!(regs_arg[0]));
        if abi == abi::COMPAT {
            current_register(task, constant!(regs_compat_arg[0])) & 0xffff_ffff
        } else {
            native
        }
    };
    match row.memory {
        memory::CHANGES => true,
        memory::COPIES => first() & NEW_NAMESPACES == 0,
        memory::COPIES_AS_TOLD => {
            let mut flags = [0; 8];
            // SAFETY: the array has eight bytes.
            let read = unsafe { user_bytes(flags.as_mut_ptr(), 8, first()) };
            read && u64::from_ne_bytes(flags) & NEW_NAMESPACES == 0
        }
        _ => false,
    }
}
