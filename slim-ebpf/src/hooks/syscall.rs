//! `sys_exit`: which system calls are used, and the way to what they name.
//!
//! One program at exit does both: every program on a system call hook costs each call of every process on the host,
//! and entry and exit together cost twice as much. What never gets to its exit is known otherwise: exit(2) and
//! rt_sigreturn(2) belong to every program, and /proc tells what is still blocked when the recording ends. A call that
//! ends in SIGKILL does get here: it returns before the signal is delivered.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use slim_common::counters::overflow;
use slim_common::limits::{ABIS, ANSWERS, PHASES, SYSCALLS};
use slim_common::scope::abi;

use super::call;
use crate::config::constant;
use crate::maps::{CALLED, CALLS};
use crate::memory::{current_task, load, opaque};
use crate::scope;

const EPERM: i64 = 1;
const ENOSYS: i64 = 38;
/// What stands for the number when there was no call: after rt_sigreturn(2), or when a tracer cancelled it.
pub const NO_CALL: u32 = u32::MAX;

/// A system call that is made by a process in scope.
#[derive(Clone, Copy)]
pub struct Made {
    /// Its thread.
    pub task: u64,
    /// Its process.
    pub tgid: u32,
    /// See `slim_common::scope::abi`.
    pub abi: u8,
    /// Its number.
    pub nr: u32,
    /// See `slim_common::scope::phase`.
    pub phase: u8,
    /// Its result.
    pub ret: i64,
}

/// The hook. Its arguments are the registers and the result.
#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let task = current_task();
    let Some((cgroup, scope)) = scope::of_task(task) else { return 0 };
    let regs: u64 = ctx.arg(0);
    let (abi, nr) = abi_and_number(task, load(regs, constant!(regs_nr)));
    if nr as usize >= SYSCALLS {
        if nr != NO_CALL {
            scope::count_overflow(overflow::CALLS);
        }
        return 0;
    }
    let tgid: u32 = load(task, constant!(task_tgid));
    let made = Made { task, tgid, abi, nr, phase: scope::phase_of_current(task, tgid), ret: ctx.arg(1) };
    if scope::is_ignored(scope, made.phase) {
        return 0;
    }
    note(scope.slot, made);
    if let Some(row) = CALLS.get(u32::from(abi) * SYSCALLS as u32 + nr)
        && row.used != 0
    {
        call::looked_at(row, made, regs, cgroup, scope);
    }
    0
}

/// Stores one byte: idempotent, so threads cannot race as they would by setting bits. It is written only once,
/// so that a busy call does not bounce a cache line.
///
/// What a filter answers cannot be told from what the kernel answers, but a filter refuses with EPERM or ENOSYS; a
/// call that got nothing else while a filter was on has a byte of its own.
#[inline(always)]
fn note(slot: u32, made: Made) {
    let Some(bytes) = CALLED.get_ptr_mut(slot) else { return };
    let refused = (made.ret == -EPERM || made.ret == -ENOSYS) && scope::is_confined(made.task);
    let answer = if refused { 1 } else { 0 };
    let abi = if made.abi as usize >= ABIS { 0 } else { made.abi as usize };
    let row = (answer & (ANSWERS - 1)) * PHASES * ABIS + (made.phase as usize & (PHASES - 1)) * ABIS + abi;
    let nr = opaque(made.nr.into()) as usize & (SYSCALLS - 1);
    // SAFETY: every factor is below its bound, so the index is inside the array.
    unsafe {
        let byte = bytes.cast::<u8>().add(row * SYSCALLS + nr);
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
    } else if raw & constant!(x32_bit) != 0 && raw != NO_CALL {
        (abi::X32, raw & !constant!(x32_bit))
    } else {
        (abi::NATIVE, raw)
    }
}
