//! What became of every call that a hook looked at. Kept per CPU.
//!
//! `hits = filtered + duplicate + sent + deferred + ring_full + seen_full + truncated + unreadable`, always.

/// Hooks that count, in the order of the counter map.
pub mod hook {
    /// Calls that name files or sockets.
    pub const CALL: u32 = 0;
    /// Successful execve(2).
    pub const EXEC: u32 = 1;
    /// Files opened (second tier, as those that follow).
    pub const OPEN: u32 = 2;
    /// Symbolic links followed.
    pub const LINK: u32 = 3;
    /// Names looked up.
    pub const LOOKUP: u32 = 4;
    /// Directories listed.
    pub const LIST: u32 = 5;
    /// Sockets connected.
    pub const CONNECT: u32 = 6;
    /// Messages sent.
    pub const SEND: u32 = 7;
    /// Entries removed.
    pub const UNLINK: u32 = 8;
    /// Directories removed.
    pub const RMDIR: u32 = 9;
    /// Directories made.
    pub const MKDIR: u32 = 10;
    /// Symbolic links made.
    pub const SYMLINK: u32 = 11;
    /// Hard links made.
    pub const HARD_LINK: u32 = 12;
    /// Entries renamed.
    pub const RENAME: u32 = 13;
    /// Capabilities granted (in all tiers).
    pub const CAPABILITY: u32 = 14;
    /// Hooks that count.
    pub const COUNT: u32 = 15;
}

/// Tables that were full, in the order of the map that counts them.
pub mod overflow {
    /// Cgroups in scope.
    pub const SCOPES: u32 = 0;
    /// Processes that are not the application.
    pub const TASKS: u32 = 1;
    /// System calls with a number beyond the map.
    pub const CALLS: u32 = 2;
    /// Recordings at once: containers that found no free slot.
    pub const SLOTS: u32 = 3;
    /// Tables that count.
    pub const COUNT: u32 = 4;
}

/// Outcomes of one hook on one CPU.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Calls in scope that the hook looked at.
    pub hits: u64,
    /// Calls that proved no path: failed because nothing was there, or named nothing.
    pub filtered: u64,
    /// Accesses delivered before.
    pub duplicate: u64,
    /// Records delivered.
    pub sent: u64,
    /// Records that found the ring full, and wait in the backlog for the agent to take them.
    pub deferred: u64,
    /// Records that found ring and backlog full; the next such access tries again.
    pub ring_full: u64,
    /// Records delivered that could not be remembered as delivered.
    pub seen_full: u64,
    /// Records delivered with a path too long to walk.
    pub truncated: u64,
    /// Names that could not be read from the process.
    pub unreadable: u64,
    /// Of `ring_full`: accesses that could not even be remembered as lost.
    pub forgotten: u64,
}
