//! Reading kernel and user memory.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated;

use slim_common::config::CAST;

use crate::config::constant;

/// Reads a member of a structure that the verifier knows by its BTF type: a plain load where the kernel can do it
/// (a fault reads as zero), a probe read elsewhere.
#[inline(always)]
pub fn load<T: Copy>(base: u64, offset: u32) -> T {
    if constant!(direct) != 0 {
        // SAFETY: `base` is a BTF-typed pointer, which the verifier checks at load; faults are fixed up.
        unsafe { core::ptr::read_volatile((base + u64::from(offset)) as *const T) }
    } else {
        probe(base, offset)
    }
}

/// Reads a member of a structure at any kernel address; zero when it cannot be read.
#[inline(always)]
pub fn probe<T: Copy>(base: u64, offset: u32) -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    let from = (base + u64::from(offset)) as *const c_void;
    // SAFETY: `value` has room for `size_of::<T>()` bytes; the helper checks the source. T is an integer, for which
    // zero and any other bytes are valid.
    unsafe {
        generated::bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, from);
        value.assume_init()
    }
}

/// Copies a NUL-terminated string of the kernel, at most `room` bytes; the length with its NUL, or negative.
///
/// # Safety
/// `to` must have `room` bytes.
#[inline(always)]
pub unsafe fn kernel_string(to: *mut u8, room: u32, from: u64) -> i64 {
    // SAFETY: the caller vouches for `to`; the helper checks the source.
    unsafe { generated::bpf_probe_read_kernel_str(to.cast(), room, from as *const c_void) }
}

/// The same from the current process.
///
/// # Safety
/// `to` must have `room` bytes.
#[inline(always)]
pub unsafe fn user_string(to: *mut u8, room: u32, from: u64) -> i64 {
    // SAFETY: as above.
    unsafe { generated::bpf_probe_read_user_str(to.cast(), room, from as *const c_void) }
}

/// Copies `length` bytes from the current process; false when they cannot be read.
///
/// # Safety
/// `to` must have `length` bytes.
#[inline(always)]
pub unsafe fn user_bytes(to: *mut u8, length: u32, from: u64) -> bool {
    // SAFETY: as above.
    unsafe { generated::bpf_probe_read_user(to.cast(), length, from as *const c_void) == 0 }
}

/// The same number, of which the compiler knows nothing. Before a mask that the verifier needs to see and the compiler
/// would drop because of an earlier comparison.
#[inline(always)]
pub fn opaque(mut value: u64) -> u64 {
    // SAFETY: a move of a register to itself.
    unsafe { core::arch::asm!("{value} = {value}", value = inout(reg) value, options(pure, nomem, nostack)) };
    value
}

/// The current task: BTF-typed where [`load`] loads directly, a plain address elsewhere.
#[inline(always)]
pub fn current_task() -> u64 {
    if constant!(direct) != 0 {
        // SAFETY: a helper without arguments (5.11); older kernels never get to this branch.
        unsafe { generated::bpf_get_current_task_btf() as u64 }
    } else {
        // SAFETY: a helper without arguments.
        unsafe { generated::bpf_get_current_task() }
    }
}

/// Reads or writes a working value of the scratch in memory, never from a register: see `Scratch`.
macro_rules! memory {
    ($scratch:ident.$($field:ident).+) => {{
        // SAFETY: the scratch value lives as long as the program, and only this CPU uses it.
        unsafe { core::ptr::read_volatile(&raw const (*$scratch).$($field).+) }
    }};
    ($scratch:ident.$($field:ident).+ = $value:expr) => {{
        let value = $value;
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(&raw mut (*$scratch).$($field).+, value) }
    }};
}
pub(crate) use memory;

/// The structure at any kernel address, as a pointer of the BTF type `structure` from which [`load`] may read: faults
/// read as zero, as with [`probe`], at a small part of its cost. Only where the kernel has `bpf_rdonly_cast` (6.2).
#[inline(always)]
pub fn cast(address: u64, structure: u32) -> u64 {
    // SAFETY: the agent puts the kernel's own number for the function here, or the branch is dead.
    let rdonly_cast: extern "C" fn(u64, u32) -> u64 = unsafe { core::mem::transmute(CAST) };
    rdonly_cast(address, structure)
}
