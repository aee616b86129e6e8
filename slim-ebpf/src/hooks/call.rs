//! What a system call that has ended named: files or sockets.
//!
//! At exit the result is known, the kernel has already faulted the name in, and no state needs to be carried over
//! from the entry. Which argument of which call is a name comes from the agent's table.

use slim_common::call::{Call, NONE, flags};
use slim_common::counters::Counters;
use slim_common::limits::{PATH_MAX, SOCKADDR_MAX};
use slim_common::record::{Key, Scratch, kind, socket};
use slim_common::scope::{Scope, abi, phase};

use super::syscall::Made;
use crate::config::constant;
use crate::emit::{self, Draft, Outcome};
use crate::endpoint;
use crate::identity;
use crate::memory::{load, memory, probe, user_bytes, user_string};
use crate::scope;

const AT_FDCWD: i32 = -100;
/// Bytes of a socket address before its name (sa_family_t).
const SOCKADDR_FAMILY: usize = 2;
/// Numbers of calls for socketcall(2) (include/uapi/linux/net.h).
const SYS_BIND: u32 = 2;
const SYS_CONNECT: u32 = 3;
const SYS_LISTEN: u32 = 4;
const SYS_SENDTO: u32 = 11;
const SYS_SENDMSG: u32 = 16;
/// RESOLVE_IN_ROOT (include/uapi/linux/openat2.h).
const RESOLVE_IN_ROOT: u8 = 0x10;
const ENOENT: i64 = 2;
const EBADF: i64 = 9;
const EFAULT: i64 = 14;
const ENOTDIR: i64 = 20;
const ENAMETOOLONG: i64 = 36;
const ENOSYS: i64 = 38;

/// Looks at a call in scope that the agent's table has a row for.
#[inline(always)]
pub fn looked_at(row: &Call, made: Made, regs: u64, cgroup: u64, scope: Scope) {
    let Some(draft) = Draft::begin(emit::CALL) else { return };
    let wanted =
        if constant!(misses) != 0 { finds_less(row, made.ret) } else { !proves_nothing(row, made.ret) };
    if !wanted {
        draft.drop_as(Outcome::Filtered);
        return;
    }
    let scratch = draft.scratch;
    memory!(scratch.scope_flags = u64::from(scope.flags));
    let phase = phase_of_looks(made.phase, scope);
    if scope::is_ignored(scope, phase) {
        draft.drop_as(Outcome::Filtered);
        return;
    }
    read_arguments(draft, regs, made.abi);
    let header = draft.header();
    header.cgroup = cgroup;
    header.slot = scope.slot;
    header.tgid = made.tgid;
    header.ret = made.ret as i32;
    read_flags(draft, row);
    header.nr = made.nr as u16;
    header.interp_len = 0;
    header.kind = kind::CALL;
    header.abi = made.abi;
    header.phase = phase;
    header.which = 0;
    access(draft, made.task, row.path, row.dir, row);
    if row.path2 != NONE
        && let Some(second) = Draft::begin(emit::CALL)
    {
        second.header().which = 1;
        access(second, made.task, row.path2, row.dir2, row);
    }
}

/// The flags of the call, from its arguments or from where they point.
#[inline(always)]
fn read_flags(draft: Draft, row: &Call) {
    let scratch = draft.scratch;
    let flags = argument(draft, row.flags_arg);
    let header = draft.header();
    header.arg_flags = flags as u32;
    header.resolve = 0;
    if row.flags & flags::HOW != 0 {
        read_words(scratch, flags);
        header.arg_flags = word(scratch, 0) as u32;
        header.resolve = word(scratch, 2) as u8;
    }
}

/// Reads words of the process into the scratch value; zeroes where there are none.
#[inline(never)]
fn read_words(scratch: *mut Scratch, from: u64) {
    // SAFETY: in bounds of the scratch value.
    unsafe {
        let words = (&raw mut (*scratch).words).cast::<u8>();
        if !user_bytes(words, WORDS, from) {
            words.cast::<[u64; 4]>().write([0; 4]);
        }
    }
}

/// Bytes that [`read_words`] reads.
const WORDS: u32 = 32;

#[inline(always)]
fn word(scratch: *mut Scratch, index: usize) -> u64 {
    // SAFETY: the mask keeps the index inside the array of four.
    unsafe { core::ptr::read_volatile((&raw const (*scratch).words).cast::<u64>().add(index & 3)) }
}

/// What a runtime looks at once the application runs, it does to put a process in.
#[inline(always)]
pub fn phase_of_looks(phase: u8, scope: Scope) -> u8 {
    let from_runtime = phase == phase::RUNTIME_INIT || phase == phase::RUNTIME_CONFINED;
    if from_runtime && scope::has_started(scope) { phase::EXEC } else { phase }
}

/// Whether the result says that nothing was there, or nothing was looked up. Every other failure proves that the
/// name exists (EEXIST, EACCES, EISDIR, ENOTEMPTY, EINVAL of readlink...).
#[inline(always)]
fn proves_nothing(call: &Call, ret: i64) -> bool {
    if ret >= 0 {
        return call.flags & flags::FAILURES_ONLY != 0;
    }
    denies(ret)
}

/// Whether a failure says that nothing was there, or nothing was looked up.
#[inline(always)]
pub fn denies(ret: i64) -> bool {
    matches!(-ret, ENOENT | EBADF | EFAULT | ENAMETOOLONG | ENOSYS)
}

/// Whether a call may have found less than there once was: the name, or a directory on its way, is not there, or a
/// directory was listed.
#[inline(always)]
fn finds_less(call: &Call, ret: i64) -> bool {
    if ret >= 0 {
        return call.flags & (flags::FD_ONLY | flags::RETURNS_FD) == flags::FD_ONLY;
    }
    matches!(-ret, ENOENT | ENOTDIR)
}

#[inline(always)]
fn dir_of(value: u64, index: u8) -> i32 {
    if index == NONE { AT_FDCWD } else { value as i32 }
}

/// One name of one call.
#[inline(always)]
fn access(draft: Draft, task: u64, name: u8, dir: u8, call: &Call) {
    let (mut name, mut dir) = (argument(draft, name), dir_of(argument(draft, dir), dir));
    // Read anew for each name: a register that outlives this one would carry what was learnt of its bits, and the
    // verifier would go through the second name once for each combination.
    // SAFETY: a reference is valid and aligned.
    let call_flags = unsafe { core::ptr::read_volatile(&raw const call.flags) };
    let scratch = draft.scratch;
    if call_flags & flags::SOCKADDR != 0 {
        memory!(scratch.descriptor = argument(draft, 0));
        memory!(scratch.bound = u64::from(call_flags & flags::BOUND));
    }
    if call_flags & (flags::MESSAGE | flags::SOCKETCALL) != 0 {
        find_address(scratch, name, call_flags);
        (name, dir) = (memory!(scratch.address), memory!(scratch.address_len) as i32);
    }
    if call_flags & flags::SOCKADDR != 0 {
        endpoint::describe(scratch, task);
    }
    let Some(length) = read_name(draft, name, dir, call_flags) else { return };
    draft.header().name_len = length as u16;
    note_base(draft, task, dir, call_flags, length);
    note_reached(draft, task, dir, call_flags);
    let Some(key) = draft.new_key(task) else { return };
    deliver(draft.scratch, draft.counters, task, &key);
}

/// Bytes between the messages of sendmmsg(2), by the size of pointers.
const MESSAGE_SPACING: (u64, u64) = (64, 32);

/// Where a call's socket address is, when the arguments only lead there: into the scratch value, 0 when there is none.
#[inline(never)]
fn find_address(scratch: *mut Scratch, mut at: u64, call_flags: u8) {
    memory!(scratch.address = 0);
    memory!(scratch.address_len = 0);
    let (native, which) = (memory!(scratch.header.abi) == abi::NATIVE, memory!(scratch.header.which));
    if call_flags & flags::SOCKETCALL != 0 {
        let call = memory!(scratch.header.arg_flags) & socket::CALL_MASK;
        read_words(scratch, at);
        let long = |index: usize| word(scratch, index / 2) >> (index % 2 * 32) & 0xffff_ffff;
        let (address, length) = match call {
            SYS_BIND | SYS_CONNECT => (long(1), long(2)),
            SYS_SENDTO => (long(4), long(5)),
            SYS_SENDMSG => {
                at = long(1);
                (0, 0)
            }
            _ => (0, 0),
        };
        memory!(scratch.descriptor = long(0));
        memory!(scratch.bound = u64::from(call == SYS_LISTEN));
        memory!(scratch.address = address);
        memory!(scratch.address_len = length);
        if call != SYS_SENDMSG {
            return;
        }
    }
    // The second message of sendmmsg(2), if it was sent.
    if which != 0 {
        if memory!(scratch.header.ret) < 2 {
            return;
        }
        at += if native { MESSAGE_SPACING.0 } else { MESSAGE_SPACING.1 };
    }
    read_words(scratch, at);
    let first = word(scratch, 0);
    memory!(scratch.address = if native { first } else { first & 0xffff_ffff });
    memory!(scratch.address_len = if native { word(scratch, 1) & 0xffff_ffff } else { first >> 32 });
}

/// Where the name starts: into the scratch value.
#[inline(always)]
pub fn note_base(draft: Draft, task: u64, dir: i32, call_flags: u8, length: usize) {
    let scratch = draft.scratch;
    let fs: u64 = load(task, constant!(task_fs));
    // A socket's name stands behind its family.
    let start = if call_flags & flags::SOCKADDR != 0 { SOCKADDR_FAMILY } else { 0 };
    // SAFETY: the data is longer than a family and one byte.
    let absolute = length > start && unsafe { draft.data().add(start).read() } == b'/';
    let absolute = absolute && memory!(scratch.header.resolve) & RESOLVE_IN_ROOT == 0;
    if call_flags & flags::FD_ONLY != 0 {
        memory!(scratch.base = 0);
        memory!(scratch.base_id = 0);
    } else if absolute || dir == AT_FDCWD || call_flags & flags::SOCKADDR != 0 {
        let member = if absolute { constant!(fs_root) } else { constant!(fs_pwd) };
        let dentry: u64 = load(fs, member + constant!(path_dentry));
        memory!(scratch.base = fs + u64::from(member));
        memory!(scratch.base_id = identity::of_dentry(dentry));
    } else {
        let file = identity::file_of(task, dir as u32);
        memory!(scratch.base = file + u64::from(constant!(file_path)));
        memory!(scratch.base_id = identity::of_file(file));
    }
}

/// The file that the call reached, if it tells: into the scratch value.
#[inline(always)]
fn note_reached(draft: Draft, task: u64, dir: i32, call_flags: u8) {
    let scratch = draft.scratch;
    let fd = if call_flags & flags::FD_ONLY != 0 && call_flags & flags::RETURNS_FD == 0 {
        dir
    } else {
        memory!(scratch.header.ret)
    };
    memory!(scratch.reached = 0);
    memory!(scratch.reached_id = 0);
    if call_flags & (flags::RETURNS_FD | flags::FD_ONLY) != 0 && fd >= 0 {
        let file = identity::file_of(task, fd as u32);
        memory!(scratch.reached = file);
        memory!(scratch.reached_id = identity::of_file(file));
    }
}

/// Delivers the new access that the scratch value describes. A subprogram that gets all it needs from memory: whatever
/// kind of call led here, the verifier sees one state.
#[inline(never)]
fn deliver(scratch: *mut Scratch, counters: *mut Counters, task: u64, key: &Key) {
    let draft = Draft { scratch, counters };
    if scope::in_host_root(task, memory!(scratch.scope_flags) as u32) {
        draft.drop_as(Outcome::Filtered);
        return;
    }
    memory!(scratch.exe = emit::executable_of(task));
    describe_reached(draft);
    draft.send(key, task);
}

/// From the `struct file` reached to its directory entry, and its mode.
#[inline(always)]
fn describe_reached(draft: Draft) {
    let scratch = draft.scratch;
    let file = memory!(scratch.reached);
    let header = draft.header();
    header.has_reached = u8::from(file != 0);
    header.reached_mode = 0;
    if file != 0 {
        let mode: u16 = probe(probe(file, constant!(file_inode)), constant!(inode_mode));
        header.reached_mode = u32::from(mode);
        memory!(scratch.reached = probe(file, constant!(file_path) + constant!(path_dentry)));
    }
}

/// Reads the name to the front of the record's data; its length without NUL, or `None` when there is nothing to
/// tell, which is counted then.
#[inline(always)]
fn read_name(draft: Draft, name: u64, dir: i32, call_flags: u8) -> Option<usize> {
    if call_flags & flags::FD_ONLY != 0 {
        return Some(0);
    }
    let scratch = draft.scratch;
    if call_flags & flags::SOCKADDR != 0 && memory!(scratch.bound) != 0 {
        let length = memory!(scratch.address_len) as usize;
        if length == 0 {
            draft.drop_as(Outcome::Filtered);
            return None;
        }
        return Some(length);
    }
    if name == 0 {
        draft.drop_as(Outcome::Filtered);
        return None;
    }
    if call_flags & flags::SOCKADDR != 0 {
        let length = if dir as u32 > SOCKADDR_MAX as u32 { SOCKADDR_MAX as u32 } else { dir as u32 };
        // SAFETY: the data is longer than SOCKADDR_MAX.
        if !unsafe { user_bytes(draft.data(), length, name) } {
            draft.drop_as(Outcome::Unreadable);
            return None;
        }
        return Some(length as usize);
    }
    // SAFETY: the data is longer than PATH_MAX.
    let read = unsafe { user_string(draft.data(), PATH_MAX as u32, name) };
    if read < 0 {
        draft.drop_as(Outcome::Unreadable);
        return None;
    }
    if read <= 1 {
        // An empty name (0 before 6.13, which did not count the NUL then) is the descriptor itself (AT_EMPTY_PATH), which
        // was opened before.
        draft.drop_as(Outcome::Filtered);
        return None;
    }
    Some((read as usize - 1) & (PATH_MAX - 1))
}

/// Copies the six arguments of the system call to memory, from where any of them can be had by its index.
#[inline(always)]
fn read_arguments(draft: Draft, regs: u64, which: u8) {
    let scratch = draft.scratch;
    macro_rules! copy {
        ($table:ident, $mask:expr, $($index:literal)+) => {$({
            let value: u64 = load(regs, constant!($table[$index]));
            // SAFETY: the scratch value lives as long as the program, and only this CPU uses it.
            unsafe { core::ptr::write_volatile(&raw mut (*scratch).args[$index], value & $mask) };
        })+};
    }
    if which == abi::COMPAT {
        copy!(regs_compat_arg, 0xffff_ffff, 0 1 2 3 4 5);
    } else {
        copy!(regs_arg, u64::MAX, 0 1 2 3 4 5);
    }
}

/// The argument with this index; 0 for [`NONE`], which points to an entry that is never written.
#[inline(always)]
fn argument(draft: Draft, index: u8) -> u64 {
    let scratch = draft.scratch;
    // SAFETY: as above; the mask keeps the index inside the array of eight.
    unsafe {
        core::ptr::read_volatile((&raw const (*scratch).args).cast::<u64>().add(usize::from(index & 7)))
    }
}
