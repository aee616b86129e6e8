//! A record in the ring buffer: a header and the bytes of its names.

use crate::limits::RECORD_DATA;

/// What a record is about.
pub mod kind {
    /// A system call that named a file or a socket.
    pub const CALL: u8 = 1;
    /// A program that was executed.
    pub const EXEC: u8 = 2;
    /// An object that was reached, whatever way led there; [`super::met`] is in [`super::Header::which`].
    pub const FILE: u8 = 3;
    /// A capability that the kernel asked for and the process had; its number is in [`super::Header::nr`].
    pub const CAPABILITY: u8 = 4;
    /// A container that came into scope by itself; only its slot and its cgroup are told. [`crate::scope::Birth`] has
    /// the rest, also when the ring was full.
    pub const BIRTH: u8 = 5;
}

/// What is in [`Header::arg_flags`] of a record that has a socket address as name: the number of socketcall(2) lowest, if
/// it was that call, and above what the socket speaks. Both are 0 where it is not known.
pub mod socket {
    /// Bits of the number of socketcall(2).
    pub const CALL_MASK: u32 = 0xff;
    /// Where the type is (SOCK_*, include/linux/net.h): eight bits.
    pub const TYPE_SHIFT: u32 = 8;
    /// Where the protocol is (IPPROTO_*, include/uapi/linux/in.h): sixteen bits.
    pub const PROTOCOL_SHIFT: u32 = 16;
}

/// What happened to an object.
pub mod met {
    /// It was opened, with the flags in `arg_flags`.
    pub const OPENED: u8 = 1;
    /// A symbolic link was followed.
    pub const FOLLOWED: u8 = 2;
    /// A name was looked up; the system call says what for.
    pub const LOOKED_UP: u8 = 3;
    /// A directory was listed.
    pub const LISTED: u8 = 4;
    /// A socket was connected to the address that is the name.
    pub const CONNECTED: u8 = 5;
    /// A message was sent to the address that is the name.
    pub const SENT: u8 = 6;
    /// An entry of a directory was made, removed or changed.
    pub const CHANGED: u8 = 7;
}

/// Bits of [`Header::truncated`]: which part is not whole.
pub mod truncated {
    /// The directory that the name starts from.
    pub const BASE: u8 = 1;
    /// The file reached.
    pub const REACHED: u8 = 2;
    /// The executable.
    pub const EXE: u8 = 4;
    /// The root directory of the process.
    pub const ROOT: u8 = 8;
}

/// A device number that no filesystem has.
pub const ELSEWHERE: u32 = 0;

/// The fixed part of a record. The parts follow it in the order of the lengths.
///
/// `name` and `interp` are plain bytes. `base`, `own_root`, `reached` and `exe` are walks: components from the leaf up to the
/// root, each with a NUL behind it; a root itself is empty.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// CLOCK_BOOTTIME (CLOCK_MONOTONIC before 5.8), nanoseconds.
    pub time_ns: u64,
    /// Id of the process's cgroup.
    pub cgroup: u64,
    /// Recording.
    pub slot: u32,
    /// Process, in the initial pid namespace.
    pub tgid: u32,
    /// Result of the call.
    pub ret: i32,
    /// The call's flags argument, 0 if it has none; [`socket`] for addresses.
    pub arg_flags: u32,
    /// Kernel device number (major << 20 | minor) of the filesystem at the top of the base's walk.
    pub base_dev: u32,
    /// Device of the root of the process's mount tree.
    pub root_dev: u32,
    /// Device of the file reached; [`ELSEWHERE`] when it is on the device of the root, but not below the root.
    pub reached_dev: u32,
    /// The same for the executable.
    pub exe_dev: u32,
    /// Mode of the file reached, 0 if none.
    pub reached_mode: u32,
    /// System call number.
    pub nr: u16,
    /// Length of the name as the process spelled it, without NUL.
    pub name_len: u16,
    /// Length of the walk from the directory that the name starts from, through mounts, to the mount tree's root.
    pub base_len: u16,
    /// Length of the walk from the file reached to the root of the mount tree, or of its filesystem.
    pub reached_len: u16,
    /// The same for the executable.
    pub exe_len: u16,
    /// Length of the `#!` interpreter's name (executions only).
    pub interp_len: u16,
    /// [`kind`].
    pub kind: u8,
    /// [`crate::scope::abi`].
    pub abi: u8,
    /// [`crate::scope::phase`].
    pub phase: u8,
    /// [`truncated`].
    pub truncated: u8,
    /// 0 for the call's first path, 1 for its second; [`met`] for files.
    pub which: u8,
    /// Whether `reached` was looked up.
    pub has_reached: u8,
    /// RESOLVE_* bits of openat2(2), 0 for other calls.
    pub resolve: u8,
    /// Explicit padding.
    pub pad: u8,
    /// Length of the walk from the process's own root directory, 0 when that is the root of the mount tree.
    pub own_root_len: u16,
    /// Explicit padding.
    pub pad2: [u8; 2],
}

/// Where one CPU builds a record.
///
/// The fields before the header are working values. They are kept in memory so that the verifier does not follow
/// them: whatever way led here and however many rounds a walk took, what comes next looks the same to it.
#[repr(C)]
pub struct Scratch {
    /// Bytes of `data` in use.
    pub cursor: u64,
    /// Where the last walk ended: an address, 0 when it was given up.
    pub top: u64,
    /// Flags of the scope that the process is in.
    pub scope_flags: u64,
    /// Arguments of the system call; the last two are 0, for those that are not there.
    pub args: [u64; 8],
    /// Directory entry that is the root of the process's mount tree.
    pub root: u64,
    /// `struct path` that the name starts from, 0 if none.
    pub base: u64,
    /// Identity of that directory.
    pub base_id: u64,
    /// File reached (`struct file`, then its directory entry), 0 if none.
    pub reached: u64,
    /// Identity of the file reached.
    pub reached_id: u64,
    /// Directory entry of the executable, 0 if none.
    pub exe: u64,
    /// Address and length of a socket address.
    pub address: u64,
    /// Its length.
    pub address_len: u64,
    /// Descriptor of the socket.
    pub descriptor: u64,
    /// 1 when the address is the one that the socket is bound to.
    pub bound: u64,
    /// Words read from the process.
    pub words: [u64; 4],
    /// The fixed part: the record begins here.
    pub header: Header,
    /// The parts, one behind the other.
    pub data: [u8; RECORD_DATA],
}

/// Identity of an access: equal keys are the same access.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Slot (the upper sixteen bits), call, phase, which path.
    pub what: u64,
    /// Seeded hash of the name.
    pub name: u64,
    /// Directory that the name starts from.
    pub base: u64,
    /// File reached and executable.
    pub file: u64,
}

const _: () = assert!(size_of::<Header>() == 80);
const _: () = assert!(size_of::<Scratch>() <= 32_768);
