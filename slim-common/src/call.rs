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
}

/// How one system call names files. All-zero means: it names none.
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
    /// Keeps the row at eight bytes.
    pub pad: u8,
}
