//! Sizes that both sides agree on.

/// Longest path with its NUL (PATH_MAX, include/uapi/linux/limits.h).
pub const PATH_MAX: usize = 4096;
/// Longest name of a directory entry with its NUL (NAME_MAX + 1).
pub const NAME_MAX: usize = 256;
/// Components that a kernel walk follows before it gives up and says so.
pub const MAX_COMPONENTS: usize = 128;
/// Longest interpreter name in a `#!` line (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h).
pub const INTERP_MAX: usize = 256;
/// Sockets addresses are cut here (struct sockaddr_storage).
pub const SOCKADDR_MAX: usize = 128;

/// System call numbers per ABI in the maps; the highest number in use is 547 (x32).
pub const SYSCALLS: usize = 1024;
/// ABIs that one kernel can serve: native, compat (32-bit), x32.
pub const ABIS: usize = 3;
/// Room for phases of a container's life, a power of two; see [`crate::scope::phase`].
pub const PHASES: usize = 8;
/// What a call came to: it was carried out, or it was refused while a seccomp filter was on. The same for a capability.
pub const ANSWERS: usize = 2;
/// Bytes of one slot's syscall map: a byte per answer, phase, ABI and number, in this order.
pub const SYSCALL_BYTES: usize = SYSCALLS * ABIS * PHASES * ANSWERS;

/// Capability numbers in the maps; the highest in use is 40 (include/uapi/linux/capability.h).
pub const CAPABILITIES: usize = 64;
/// Bytes of one slot's capability map: a byte per answer (granted, refused), phase and capability, in this order.
pub const CAPABILITY_BYTES: usize = CAPABILITIES * PHASES * ANSWERS;
const _: () = assert!(CAPABILITY_BYTES.is_power_of_two());

/// Slots (recordings that share one set of programs) at most. The number must fit in the upper bits of
/// [`crate::record::Key::what`].
pub const MAX_SLOTS: u32 = 1_024;
/// Cgroups in scope at most, nested ones included.
pub const MAX_SCOPES: u32 = 16_384;
/// Entries of the direct-mapped table in front of the scope table; a power of two.
pub const NEAR_SCOPES: u32 = 8_192;
/// Runtime and `exec` processes alive at once whose phase is known.
pub const MAX_TASKS: u32 = 16_384;
/// Accesses told apart.
pub const MAX_SEEN: u32 = 262_144;
/// Entries of each CPU's direct-mapped table in front of the accesses told apart; a power of two.
pub const RECENT: u32 = 2_048;
/// Accesses that found the ring full and are remembered until they are delivered.
pub const MAX_LOST: u32 = 65_536;
/// Records that found the ring full and wait for the agent in a table.
pub const MAX_BACKLOG: u32 = 8_192;
/// Longest record that can wait there.
pub const BACKLOG_BYTES: usize = 1_024;
/// Longest command of a health check that is compared to its end.
pub const COMMAND_BYTES: usize = 1_024;
/// Default size of the ring buffer in bytes.
pub const RING_BYTES: u32 = 8 << 20;

/// Room for the variable part of a record. A per-CPU map's value must fit in 32 KiB (PCPU_MIN_UNIT_SIZE).
pub const RECORD_DATA: usize = 20_480;
/// The write cursor stays below this, so that one more name of [`PATH_MAX`] bytes always fits.
pub const CURSOR_MASK: usize = 16_383;
