//! `cgroup_mkdir`, `cgroup_attach_task` and `cgroup_rmdir`: containers enter scope before their first process does,
//! and leave it when they are gone.

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use aya_log_ebpf::debug;
use slim_common::counters::overflow;
use slim_common::limits::NAME_MAX;
use slim_common::scope::{CONTAINER_ID, ContainerId, Scope, Slot, birth, flags, phase};

use crate::config::constant;
use crate::maps::{AUTO, BIRTHS, FREE, SLOTS, WATCHED};
use crate::memory::{current_task, load, probe};
use crate::{emit, scope, walk};

/// What follows the id in the names that systemd gives to cgroups.
const SCOPE_SUFFIX: usize = ".scope".len();
/// The same with its NUL, in the bytes that a read of eight has of it.
const SCOPE: u64 = u64::from_le_bytes(*b".scope\0\0");
const SCOPE_MASK: u64 = 0xff_ffff_ffff_ffff;
/// Monitors of podman and CRI-O live in `...-conmon-<id>.scope`: not the container.
const MONITOR: u64 = u64::from_le_bytes(*b"\0conmon-");

/// A new cgroup: in scope when its parent is, or when its name is a watched container's or, if
/// containers come by themselves, any container's.
#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: u64 = ctx.arg(0);
    if !is_v2(cgroup) {
        return 0;
    }
    let node: u64 = probe(cgroup, constant!(cgroup_kn));
    let id: u64 = probe(node, constant!(kernfs_node_id));
    if let Some(scope) = scope::of(parent_of(cgroup)) {
        debug!(&ctx, "cgroup {} comes into scope {} with its parent", id, scope.slot);
        scope::add(id, scope);
        return 0;
    }
    let Some(container) = container_of(probe(node, constant!(kernfs_node_name))) else { return 0 };
    // SAFETY: entries are written whole by the agent before the container starts.
    let Some(scope) = (unsafe { WATCHED.get(container).copied() }) else {
        born(&ctx, id, &container);
        return 0;
    };
    debug!(&ctx, "cgroup {} of a watched container comes into scope {}", id, scope.slot);
    begin(scope);
    scope::add(id, scope);
    0
}

/// A container that nobody watches: it gets a slot of its own, if containers come into scope by themselves.
#[inline(always)]
fn born(ctx: &BtfTracePointContext, cgroup: u64, container: &ContainerId) {
    let Some(auto) = AUTO.get(0) else { return };
    if auto.enabled == 0 || !is_hexadecimal(container) {
        return;
    }
    let Ok(Some(slot)) = FREE.pop() else {
        scope::count_overflow(overflow::SLOTS);
        return;
    };
    let (Some(entry), Some(state)) = (BIRTHS.get_ptr_mut(slot), SLOTS.get_ptr_mut(slot)) else { return };
    debug!(ctx, "cgroup {} of a new container comes into scope {}", cgroup, slot);
    // SAFETY: map values; a slot that was free belongs to whoever took it.
    unsafe {
        state.write_volatile(Slot { started: 0, starts: 1 });
        (*entry).cgroup = cgroup;
        // A helper without arguments (5.8).
        (*entry).born_ns = bpf_ktime_get_boot_ns();
        (*entry).container = *container;
        // Last: from here on the agent finds it, whatever becomes of the record.
        (&raw mut (*entry).state).write_volatile(birth::IN_USE);
    }
    let scope = Scope { slot, flags: auto.flags };
    scope::add(cgroup, scope);
    emit::birth(cgroup, slot);
}

/// Whether this is a container id: 64 lower-case hexadecimal digits.
#[inline(always)]
fn is_hexadecimal(name: &ContainerId) -> bool {
    name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A cgroup that is removed makes room in the table.
#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: u64 = ctx.arg(0);
    if is_v2(cgroup) {
        scope::remove(probe(probe(cgroup, constant!(cgroup_kn)), constant!(kernfs_node_id)));
    }
    0
}

/// A process moved into a traced cgroup, by a runtime or by the application itself.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    let cgroup: u64 = ctx.arg(0);
    let task: u64 = ctx.arg(2);
    if !is_v2(cgroup) {
        return 0;
    }
    let tgid: u32 = load(task, constant!(task_tgid));
    let id: u64 = probe(probe(cgroup, constant!(cgroup_kn)), constant!(kernfs_node_id));
    match scope::of(id) {
        Some(scope) if is_runtime(task, scope) => {
            debug!(&ctx, "process {} of a runtime joins scope {}", tgid, scope.slot);
            scope::set_phase(tgid, phase::RUNTIME_INIT);
        }
        Some(_) => {}
        // It may come back, and is no more the application then than before.
        None => {}
    }
    0
}

/// Whether a process that was moved is a runtime's, not the application's. A new container's still has the host's
/// root. `runc exec` moves a process that has joined the container's namespaces already: it is told by its mover,
/// which is not in scope, and by its executable, which is not the container's.
#[inline(always)]
fn is_runtime(task: u64, scope: Scope) -> bool {
    if scope.flags & flags::HOST_ROOT != 0 {
        return false;
    }
    scope::in_host_root(task, scope.flags)
        || scope::of_task(current_task()).is_none()
            && !has_been_inside(task)
            && walk::device_of(emit::executable_of(task)) != walk::device_of_mount(walk::root_mount_of(task))
}

/// Whether a process cannot be a newcomer: a child of one that is in scope, or the first of its pid namespace.
#[inline(always)]
fn has_been_inside(task: u64) -> bool {
    let parent: u64 = load(task, constant!(task_real_parent));
    let pid: u64 = load(task, constant!(task_thread_pid));
    let level: u32 = probe(pid, constant!(pid_level));
    let number = constant!(pid_numbers) + (level & 31) * constant!(upid_size);
    scope::of(scope::cgroup_of(parent)).is_some() || probe::<u32>(pid, number) == 1
}

/// The container starts (again): its next first program is the application.
#[inline(always)]
fn begin(scope: Scope) {
    if scope.flags & flags::HOST_ROOT == 0
        && let Some(slot) = SLOTS.get_ptr_mut(scope.slot)
    {
        // SAFETY: a map value; a container's cgroup is made once per start.
        unsafe {
            (*slot).started = 0;
            (*slot).starts += 1;
        }
    }
}

/// Only the v2 hierarchy counts: the others make a cgroup of the same name each, with ids of their own.
#[inline(always)]
fn is_v2(cgroup: u64) -> bool {
    let root: u64 = probe(cgroup, constant!(cgroup_root));
    probe::<u32>(root, constant!(cgroup_root_hierarchy_id)) == 0
}

#[inline(always)]
fn parent_of(cgroup: u64) -> u64 {
    let css: u64 = probe(cgroup, constant!(cgroup_self) + constant!(cgroup_self_parent));
    let parent = css.wrapping_sub(u64::from(constant!(cgroup_self)));
    probe(probe(parent, constant!(cgroup_kn)), constant!(kernfs_node_id))
}

/// The container id in a cgroup's name: `<id>`, `<runtime>-<id>.scope`, or podman's `libpod-<id>` without systemd or in a
/// unit's own cgroup.
#[inline(always)]
fn container_of(name: u64) -> Option<ContainerId> {
    let length = length_of(name);
    if length < CONTAINER_ID || length >= NAME_MAX {
        return None;
    }
    let is_scope = length > CONTAINER_ID + SCOPE_SUFFIX
        && probe::<u64>(name + (length - SCOPE_SUFFIX) as u64, 0) & SCOPE_MASK == SCOPE;
    let start = length - CONTAINER_ID - if is_scope { SCOPE_SUFFIX } else { 0 };
    if start != 0 && probe::<u8>(name + start as u64 - 1, 0) != b'-' {
        return None;
    }
    if start >= 8 && probe::<u64>(name + start as u64 - 8, 0) & !0xff == MONITOR {
        return None;
    }
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel((name + start as u64) as *const ContainerId) }.ok()
}

/// Length of a cgroup's name, found where the NUL is: names of other lengths than a container's do not matter.
#[inline(always)]
fn length_of(name: u64) -> usize {
    let mut length = 0;
    while length < NAME_MAX {
        if probe::<u8>(name + length as u64, 0) == 0 {
            break;
        }
        length += 1;
    }
    length
}
