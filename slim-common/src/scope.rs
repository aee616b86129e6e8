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
    /// Id of one of its cgroups, 0 or [`REMOVED`] while the place is free; the others are in the scope table only.
    /// Nobody takes a place that is not free: a reader would see the scope of one cgroup with the id of the other.
    pub cgroup: u64,
    /// Its scope.
    pub scope: Scope,
    /// Traced cgroups that belong here, changed by atomic additions only. At zero nobody looks further.
    pub members: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// What stands for a cgroup that was removed.
pub const REMOVED: u64 = u64::MAX;

/// Whether containers come into scope by themselves, and how.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Auto {
    /// 1 when they do.
    pub enabled: u32,
    /// [`flags`] of their scopes.
    pub flags: u32,
}

/// How a slot came to be used.
///
/// `state` stands first and is written last: who copies the value from its beginning and finds it in use has the rest.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// [`birth`].
    pub state: u64,
    /// Id of the container's cgroup.
    pub cgroup: u64,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub born_ns: u64,
    /// The container, or what the agent calls it, filled up with zeroes.
    pub container: ContainerId,
}

/// Values of [`Birth::state`].
pub mod birth {
    /// Nobody uses the slot: it is in the queue of free ones.
    pub const FREE: u64 = 0;
    /// A recording uses it.
    pub const IN_USE: u64 = 1;
    /// The agent is about to forget all about it.
    pub const LEAVING: u64 = 2;
}

/// What the agent notes about the maps as a whole, so that a later agent knows whether they are its own. The layout
/// stays the first member in all versions.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// [`LAYOUT`] of the agent that made the maps.
    pub layout: u32,
    /// 1 once all is pinned and attached.
    pub ready: u32,
    /// Hash of programs, constants and limits.
    pub fingerprint: [u8; 32],
}

/// Version of the layouts that a hand-over reads: [`Scope`], [`Slot`], [`Birth`], [`Command`], [`Auto`], the phases and
/// the records. Grows when one of them changes.
pub const LAYOUT: u32 = 1;
// Whoever changes a size here changes the layout.
const _: () = assert!(size_of::<Scope>() == 8 && size_of::<Slot>() == 8 && size_of::<Auto>() == 8);
const _: () = assert!(size_of::<Birth>() == 88 && size_of::<Command>() == 8 + COMMAND_BYTES);
const _: () = assert!(size_of::<crate::record::Header>() == 80 && size_of::<crate::record::Key>() == 32);

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
