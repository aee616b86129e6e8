//! Files reached, whoever asked for them: the second tier, on functions of the kernel (fentry, fexit).
//!
//! `sys_exit` knows names and misses what passes no system call: io_uring. These see objects and know no names.
//! Each has a scratch value of its own, as they may preempt one another; the kernel keeps one from preempting itself
//! and counts it (`recursion_misses`).

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_task_pt_regs;
use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use slim_common::call::flags::FAILURES_ONLY;
use slim_common::counters::{Counters, hook};
use slim_common::limits::SYSCALLS;
use slim_common::record::{Scratch, kind, met};
use slim_common::scope::abi;

use super::call::phase_of_looks;
use super::syscall::abi_and_number;
use crate::config::constant;
use crate::emit::{self, Draft, Outcome};
use crate::maps::CALLS;
use crate::memory::{current_task, load, memory, probe};
use crate::{identity, scope, walk};

/// The file is opened to be executed (__FMODE_EXEC, include/linux/fs.h): `sched_process_exec` tells of it.
const FMODE_EXEC: u32 = 0x20;
/// __O_TMPFILE (include/uapi/asm-generic/fcntl.h): the file has no name; `sys_exit` tells the directory it would be in.
const TMPFILE: u32 = 0o20_000_000;
/// A thread that works for an io_uring (PF_IO_WORKER, include/linux/sched.h; 5.12). Its registers are a copy of those that
/// its maker had, whatever call that was in.
const IO_WORKER: u32 = 0x10;

/// A file is opened. Its flags are still those that were asked for: the open itself drops some of them.
#[fentry(function = "vfs_open")]
pub fn vfs_open(ctx: FEntryContext) -> i32 {
    let (path, file): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let flags: u32 = load(file, constant!(file_flags));
    if flags & (FMODE_EXEC | TMPFILE) == 0
        && let Some(draft) = begin(hook::OPEN, met::OPENED)
    {
        draft.header().arg_flags = flags;
        reached(draft, load(path, constant!(path_dentry)));
    }
    0
}

/// A symbolic link is followed.
#[fentry(function = "security_inode_follow_link")]
pub fn security_inode_follow_link(ctx: FEntryContext) -> i32 {
    let Some(draft) = begin(hook::LINK, met::FOLLOWED) else { return 0 };
    let (abi, nr) = current_call();
    if names_program(abi, nr) {
        draft.drop_as(Outcome::Filtered);
    } else {
        reached(draft, ctx.arg(0));
    }
    0
}

/// A name was looked up for something else than an open. Its arguments are the directory, the name, flags, the path
/// that it led to, and the root.
#[fexit(function = "filename_lookup")]
pub fn filename_lookup(ctx: FExitContext) -> i32 {
    let (result, name): (i32, u64) = (ctx.arg(5), ctx.arg(1));
    // An empty name is a descriptor, which was opened before (AT_EMPTY_PATH).
    let first: u8 = probe(load(name, constant!(filename_name)), 0);
    if result == 0
        && first != 0
        && let Some(draft) = begin(hook::LOOKUP, met::LOOKED_UP)
    {
        let (abi, nr) = current_call();
        draft.header().abi = abi;
        draft.header().nr = nr as u16;
        reached(draft, load(ctx.arg(3), constant!(path_dentry)));
    }
    0
}

/// A directory was listed. Its arguments are the file, and where its entries go.
#[fexit(function = "iterate_dir")]
pub fn iterate_dir(ctx: FExitContext) -> i32 {
    let (result, file): (i32, u64) = (ctx.arg(2), ctx.arg(0));
    if result >= 0
        && let Some(draft) = begin(hook::LIST, met::LISTED)
    {
        reached(draft, load(file, constant!(file_path) + constant!(path_dentry)));
    }
    0
}

/// Begins the record of a task in scope.
#[inline(always)]
pub fn begin(hook: u32, what: u8) -> Option<Draft> {
    let task = current_task();
    let (cgroup, scope) = scope::of_task(task)?;
    let draft = Draft::begin(hook)?;
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let phase = phase_of_looks(scope::phase_of_current(task, tgid), scope);
    if scope::is_ignored(scope, phase) {
        draft.drop_as(Outcome::Filtered);
        return None;
    }
    let scratch = draft.scratch;
    memory!(scratch.scope_flags = u64::from(scope.flags));
    memory!(scratch.base = 0);
    memory!(scratch.base_id = 0);
    memory!(scratch.reached = 0);
    memory!(scratch.reached_id = 0);
    let header = draft.header();
    header.cgroup = cgroup;
    header.slot = scope.slot;
    header.tgid = tgid;
    header.ret = 0;
    header.arg_flags = 0;
    header.nr = 0;
    header.name_len = 0;
    header.interp_len = 0;
    header.kind = kind::FILE;
    header.abi = abi::NATIVE;
    header.phase = phase;
    header.which = what;
    header.resolve = 0;
    header.has_reached = 0;
    header.reached_mode = 0;
    Some(draft)
}

/// Delivers the record of a file that was reached. What tells it from others is the file with its name and directory: one
/// file may have several names.
#[inline(always)]
pub fn reached(draft: Draft, dentry: u64) {
    let scratch = draft.scratch;
    memory!(scratch.reached = dentry);
    memory!(scratch.reached_id = identity::of_dentry(dentry));
    let directory = identity::of_dentry(load(dentry, constant!(dentry_parent)));
    memory!(scratch.base_id = identity::mix(directory, load::<u32>(dentry, constant!(dentry_hash)).into()));
    draft.header().has_reached = 1;
    deliver(scratch, draft.counters, current_task());
}

/// A subprogram that gets all it needs from memory, as its twin of the system calls.
#[inline(never)]
pub fn deliver(scratch: *mut Scratch, counters: *mut Counters, task: u64) {
    let draft = Draft { scratch, counters };
    let Some(key) = draft.new_key(task) else { return };
    let dentry = memory!(scratch.reached);
    let elsewhere =
        dentry != 0 && walk::device_of(dentry) != walk::device_of_mount(walk::root_mount_of(task));
    if elsewhere || scope::in_host_root(task, memory!(scratch.scope_flags) as u32) {
        draft.drop_as(Outcome::Filtered);
        return;
    }
    let mode: u16 =
        if dentry == 0 { 0 } else { probe(probe(dentry, constant!(dentry_inode)), constant!(inode_mode)) };
    draft.header().reached_mode = u32::from(mode);
    memory!(scratch.exe = emit::executable_of(task));
    draft.send(&key, task);
}

/// The system call that the current task is in, as it came in from user space; a number beyond all when it is in none.
#[inline(always)]
pub fn current_call() -> (u8, u32) {
    let task = current_task();
    if load::<u32>(task, constant!(task_flags)) & IO_WORKER != 0 {
        return (abi::NATIVE, SYSCALLS as u32);
    }
    abi_and_number(task, current_register(task, constant!(regs_nr)))
}

/// One of the registers with which a task came in from user space.
#[inline(always)]
pub fn current_register(task: u64, register: u32) -> u64 {
    if constant!(regs_helper) != 0 {
        // SAFETY: the helper takes the BTF-typed task that `current_task` gives (5.15).
        let regs = unsafe { bpf_task_pt_regs(task as *mut _) } as u64;
        load(regs, register)
    } else {
        let stack: u64 = load(task, constant!(task_stack));
        probe(stack + u64::from(constant!(stack_regs)), register)
    }
}

/// Whether a call's name is that of a program: `sched_process_exec` tells of it, in the phase that it begins.
#[inline(always)]
fn names_program(abi: u8, nr: u32) -> bool {
    (nr as usize) < SYSCALLS
        && CALLS.get(u32::from(abi) * SYSCALLS as u32 + nr).is_some_and(|row| row.flags & FAILURES_ONLY != 0)
}
