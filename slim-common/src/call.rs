//! How one system call names files: a row of the table that drives the `sys_exit` hook, so that the kernel side
//! knows no system call numbers and a new call is one row in the agent.

/// An argument that is not there; as a directory argument: relative names start in the working directory.
pub const NONE: u8 = 0xff;

/// Bits of [`Call::flags`].
pub mod flags {
    /// The path argument is a socket address: pointer in `path`, length in `dir`.
    pub const SOCKADDR: u8 = 1;
    /// The result is a file descriptor whose file is what was reached.
    pub const RETURNS_FD: u8 = 2;
    /// There is no name: the descriptor in `dir` is the object.
    pub const FD_ONLY: u8 = 4;
    /// Only failures are taken here; successes have a hook of their own.
    pub const FAILURES_ONLY: u8 = 8;
    /// The flags argument points to a `struct open_how` (openat2(2)).
    pub const HOW: u8 = 16;
    /// With [`SOCKADDR`]: the path argument points to a `struct msghdr` with the address, or to the first of several.
    pub const MESSAGE: u8 = 32;
    /// With [`SOCKADDR`]: the arguments are those of socketcall(2), with the call's number as flags.
    pub const SOCKETCALL: u8 = 64;
    /// With [`SOCKADDR`]: no argument leads to an address. It is the one that the socket is bound to.
    pub const BOUND: u8 = 128;
}

/// Values of [`Call::memory`]: calls for which the kernel asks for CAP_SYS_ADMIN whenever it reckons with their memory
/// (`__vm_enough_memory`), and does without as well. They need that capability for nothing else.
pub mod memory {
    /// Not such a call, or one that may need the capability, too.
    pub const NO: u8 = 0;
    /// It takes or changes memory.
    pub const CHANGES: u8 = 1;
    /// It makes a copy of a process; with one of the flags in its first argument, namespaces too.
    pub const COPIES: u8 = 2;
    /// The same with flags where the first argument points to.
    pub const COPIES_AS_TOLD: u8 = 3;
}

/// How one system call names files, and what the kernel asks for it. All-zero means: it names none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Call {
    /// 1 if the row is in use.
    pub used: u8,
    /// [`flags`].
    pub flags: u8,
    /// Argument (0-5) with the path, or [`NONE`].
    pub path: u8,
    /// Argument with the directory that a relative path starts from, or [`NONE`].
    pub dir: u8,
    /// Argument with a second path, or [`NONE`].
    pub path2: u8,
    /// Its directory argument, or [`NONE`].
    pub dir2: u8,
    /// Argument with the call's flags (open flags, AT_ flags), or [`NONE`].
    pub flags_arg: u8,
    /// [`memory`]; also of rows that are not in use.
    pub memory: u8,
}
