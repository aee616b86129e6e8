//! `sys_enter`: which system calls are used. It runs behind seccomp (syscall_enter_from_user_mode,
//! kernel/entry/common.c), so a call that a filter denied is not seen here.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use slim_common::limits::{ABIS, PHASES, SYSCALLS};
use slim_common::scope::abi;

use crate::config::constant;
use crate::maps::CALLED;
use crate::memory::{current_task, load};
use crate::scope;

/// The hook.
#[btf_tracepoint(function = "sys_enter")]
pub fn sys_enter(ctx: BtfTracePointContext) -> i32 {
    let Some((_, scope)) = scope::current() else { return 0 };
    let task = current_task();
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let phase = scope::phase_of_current(task, tgid);
    let (abi, nr) = abi_and_number(task, ctx.arg::<u64>(1));
    note(scope.slot, phase, abi, nr);
    0
}

/// Stores one byte: idempotent, so threads cannot race as they would by setting bits. It is written only once,
/// so that a busy call does not bounce a cache line.
#[inline(always)]
fn note(slot: u32, phase: u8, abi: u8, nr: u32) {
    let Some(bytes) = CALLED.get_ptr_mut(slot) else { return };
    if nr as usize >= SYSCALLS {
        scope::count_overflow();
        return;
    }
    let row = (phase as usize & (PHASES - 1)) * ABIS + if abi as usize >= ABIS { 0 } else { abi as usize };
    // SAFETY: `row` and `nr` are below their bounds, so the index is inside the array.
    unsafe {
        let byte = bytes.cast::<u8>().add(row * SYSCALLS + nr as usize);
        if byte.read() == 0 {
            byte.write(1);
        }
    }
}

/// The ABI of a call, and its number there.
#[inline(always)]
pub fn abi_and_number(task: u64, raw: u64) -> (u8, u32) {
    let raw = raw as u32;
    if load::<u32>(task, constant!(compat_offset)) & constant!(compat_mask) != 0 {
        (abi::COMPAT, raw)
    } else if raw & constant!(x32_bit) != 0 {
        (abi::X32, raw & !constant!(x32_bit))
    } else {
        (abi::NATIVE, raw)
    }
}
