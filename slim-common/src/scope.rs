//! Which cgroups are traced, and in which phase of its container's life a process is.

use crate::limits::COMMAND_BYTES;

/// Length of a container id: 64 hexadecimal digits.
pub const CONTAINER_ID: usize = 64;

/// A container id as cgroup names spell it: the key of the watch list.
pub type ContainerId = [u8; CONTAINER_ID];

/// A cgroup that is traced.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scope {
    /// Which recording it belongs to.
    pub slot: u32,
    /// [`flags`].
    pub flags: u32,
}

/// An entry of the direct-mapped table in front of the scopes, at the low bits of the cgroup's id: answers "not
/// traced" and, mostly, "traced" with one load. All-zero when no traced cgroup belongs here.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NearScope {
    /// Id of the cgroup that came last; the others of this entry are in the scope table only.
    pub cgroup: u64,
    /// Its scope.
    pub scope: Scope,
    /// Traced cgroups that belong here. At zero nobody looks further.
    pub members: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// What stands for the cgroup that came last when that one was removed and others of its entry are still there.
pub const REMOVED: u64 = u64::MAX;

/// What the agent adds to [`NearScope::members`] for a cgroup of its own: more than the kernel side ever takes away,
/// since the two cannot count together.
pub const STAYS: u32 = 1 << 20;

/// The command of a container's health check: its words, each with a NUL behind it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// Length of the whole command, 0 if there is none.
    pub length: u64,
    /// Its beginning, filled up with zeroes.
    pub bytes: [u8; COMMAND_BYTES],
}

/// Bits of [`Scope::flags`].
pub mod flags {
    /// Processes here live in the host's own root: no container runtime, so every process is the application.
    pub const HOST_ROOT: u32 = 1;
    /// What was put into the container later is not recorded, health checks excepted.
    pub const IGNORE_EXEC: u32 = 2;
}

/// What the kernel knows about a slot.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    /// 1 once the container's first process has executed the application.
    pub started: u32,
    /// Times that a cgroup of this slot was made: starts of the container while it was watched.
    pub starts: u32,
}

/// Phases, as numbers that cross the maps. `APP` is 0: a process that nobody put in later.
pub mod phase {
    /// The container's first process and its descendants.
    pub const APP: u8 = 0;
    /// The OCI runtime in the container's cgroup.
    pub const RUNTIME_INIT: u8 = 1;
    /// The OCI runtime behind the container's seccomp filter.
    pub const RUNTIME_CONFINED: u8 = 2;
    /// Processes put into the container later.
    pub const EXEC: u8 = 3;
    /// The health check of the container, and its descendants.
    pub const HEALTHCHECK: u8 = 4;
}

/// ABIs, as numbers that cross the maps.
pub mod abi {
    /// The kernel's own: x86_64 or aarch64.
    pub const NATIVE: u8 = 0;
    /// 32-bit: i386 or arm.
    pub const COMPAT: u8 = 1;
    /// x86-64 with 32-bit pointers.
    pub const X32: u8 = 2;
}
