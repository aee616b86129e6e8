//! `sched_process_fork` and `sched_process_exit`: children are in the phase of their parents.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use slim_common::scope::{flags, phase};

use crate::config::constant;
use crate::memory::load;
use crate::scope;

/// A new task: arguments are its parent and itself.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let parent: u64 = ctx.arg(0);
    let child: u64 = ctx.arg(1);
    let child_tgid: u32 = load(child, constant!(task_tgid));
    let parent_tgid: u32 = load(parent, constant!(task_tgid));
    if child_tgid == parent_tgid {
        return 0;
    }
    // Also of a parent that was moved out of scope for a while.
    let inherited = scope::phase_of(parent_tgid);
    if inherited != phase::APP {
        scope::set_phase(child_tgid, inherited);
        return 0;
    }
    // CLONE_INTO_CGROUP (5.7) puts a newcomer here without a move from one cgroup to another.
    if let Some(scope) = scope::of(scope::cgroup_of(child))
        && scope.flags & flags::HOST_ROOT == 0
        && scope::of(scope::cgroup_of(parent)).is_none()
    {
        scope::set_phase(child_tgid, phase::RUNTIME_INIT);
    }
    0
}

/// A task that ends; the last one of its process takes the process's entry with it.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let task: u64 = ctx.arg(0);
    let tgid: u32 = load(task, constant!(task_tgid));
    if scope::phase_of(tgid) == phase::APP {
        return 0;
    }
    let signal: u64 = load(task, constant!(task_signal));
    if load::<i32>(signal, constant!(signal_live)) == 0 {
        scope::clear_phase(tgid);
    }
    0
}
