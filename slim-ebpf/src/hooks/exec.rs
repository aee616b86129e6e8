//! `sched_process_exec`: programs that were executed, and the step from container runtime to application.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use aya_log_ebpf::debug;
use slim_common::limits::{COMMAND_BYTES, INTERP_MAX, PATH_MAX};
use slim_common::record::kind;
use slim_common::scope::{Scope, phase};

use crate::config::constant;
use crate::emit::{self, Draft, Outcome};
use crate::identity;
use crate::maps::{HEALTHCHECKS, SLOTS};
use crate::memory::{kernel_string, load, memory, probe, user_bytes};
use crate::scope;

/// The hook. Its arguments are the task, its former pid, and the `linux_binprm`.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let task: u64 = ctx.arg(0);
    let Some((cgroup, scope)) = scope::of_task(task) else { return 0 };
    let bprm: u64 = ctx.arg(2);
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let Some(draft) = Draft::begin(emit::EXEC) else { return 0 };
    let phase = settle_phase(draft, task, tgid, scope);
    if phase == phase::RUNTIME_INIT || scope::is_ignored(scope, phase) {
        draft.drop_as(Outcome::Filtered);
        return 0;
    }
    debug!(&ctx, "process {} of scope {} executes a program in phase {}", tgid, scope.slot, phase);
    draft.header().cgroup = cgroup;
    report(draft, task, bprm, scope, tgid, phase);
    0
}

/// The phase that a process is in after this exec. The first program that runs in the container's own root is the
/// application; later newcomers were put in by somebody.
#[inline(always)]
fn settle_phase(draft: Draft, task: u64, tgid: u32, scope: Scope) -> u8 {
    let known = scope::phase_of(tgid);
    if scope::in_host_root(task, scope.flags) {
        return phase::RUNTIME_INIT;
    }
    if known != phase::RUNTIME_INIT {
        return known;
    }
    let Some(slot) = SLOTS.get_ptr_mut(scope.slot) else { return known };
    // SAFETY: a map value; only the container's first process gets here before `started` is set.
    if unsafe { (*slot).started } == 0 {
        // SAFETY: as above.
        unsafe { (*slot).started = 1 };
        scope::clear_phase(tgid);
        return phase::APP;
    }
    let phase = if is_healthcheck(draft, task, scope) { phase::HEALTHCHECK } else { phase::EXEC };
    scope::set_phase(tgid, phase);
    phase
}

/// Whether the program is executed with the very words of the container's health check. Commands that are too long
/// for the table are compared as far as it goes.
#[inline(always)]
fn is_healthcheck(draft: Draft, task: u64, scope: Scope) -> bool {
    let Some(command) = HEALTHCHECKS.get(scope.slot) else { return false };
    let mm: u64 = load(task, constant!(task_mm));
    let start: u64 = load(mm, constant!(mm_arg_start));
    let length = load::<u64>(mm, constant!(mm_arg_end)).wrapping_sub(start);
    if command.length == 0 || length != command.length {
        return false;
    }
    let compared = if length < COMMAND_BYTES as u64 { length as usize } else { COMMAND_BYTES };
    let words = draft.data().cast::<u64>();
    // SAFETY: the data is longer than COMMAND_BYTES and a word.
    let read = unsafe { user_bytes(draft.data(), (compared & (2 * COMMAND_BYTES - 1)) as u32, start) };
    // SAFETY: as above. The last word is whole then, whatever an earlier name left there.
    unsafe { draft.data().add(compared & (2 * COMMAND_BYTES - 1)).cast::<u64>().write_unaligned(0) };
    for index in 0..COMMAND_BYTES / 8 {
        if index * 8 >= compared {
            break;
        }
        // SAFETY: both are longer than `compared` rounded up to a word, and aligned.
        let (expected, found) =
            unsafe { ((&raw const command.bytes).cast::<u64>().add(index).read(), words.add(index).read()) };
        if expected != found {
            return false;
        }
    }
    read
}

#[inline(always)]
fn report(draft: Draft, task: u64, bprm: u64, scope: Scope, tgid: u32, phase: u8) {
    let filename = load(bprm, constant!(bprm_filename));
    // SAFETY: the data is longer than PATH_MAX.
    let read = unsafe { kernel_string(draft.data(), PATH_MAX as u32, filename) };
    if read <= 1 {
        draft.drop_as(Outcome::Unreadable);
        return;
    }
    let header = draft.header();
    header.slot = scope.slot;
    header.tgid = tgid;
    header.ret = 0;
    header.arg_flags = 0;
    header.resolve = 0;
    header.nr = 0;
    header.name_len = ((read as usize - 1) & (PATH_MAX - 1)) as u16;
    header.kind = kind::EXEC;
    header.abi = 0;
    header.phase = phase;
    header.which = 0;
    header.has_reached = 1;

    let fs: u64 = load(task, constant!(task_fs));
    // SAFETY: the name has at least one byte.
    let absolute = unsafe { draft.data().read() } == b'/';
    let member = if absolute { constant!(fs_root) } else { constant!(fs_pwd) };
    let directory: u64 = load(fs, member + constant!(path_dentry));
    let file: u64 = load(bprm, constant!(bprm_file));
    let scratch = draft.scratch;
    memory!(scratch.base = fs + u64::from(member));
    memory!(scratch.reached = file);
    memory!(scratch.exe = 0);
    let hash = identity::hash_name(scratch);
    let key = emit::key(header, hash, identity::of_dentry(directory), identity::of_file(file), 0);
    if draft.is_duplicate(&key) {
        return;
    }
    append_interpreter(draft, load(bprm, constant!(bprm_interp)));
    let file = memory!(scratch.reached);
    let mode: u16 = probe(probe(file, constant!(file_inode)), constant!(inode_mode));
    header.reached_mode = u32::from(mode);
    memory!(scratch.reached = probe(file, constant!(file_path) + constant!(path_dentry)));
    draft.send(&key, task);
}

/// Writes the name of the `#!` interpreter behind the program's name.
#[inline(always)]
fn append_interpreter(draft: Draft, interpreter: u64) {
    let behind = identity::name_length(draft.scratch);
    // SAFETY: the length is below PATH_MAX, and INTERP_MAX more bytes are in the data.
    let read = unsafe { kernel_string(draft.data().add(behind), INTERP_MAX as u32, interpreter) };
    draft.header().interp_len = if read > 1 { ((read as usize - 1) & (INTERP_MAX - 1)) as u16 } else { 0 };
}
