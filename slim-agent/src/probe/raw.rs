//! bpf(2) where aya has no way to it that needs no more rights.

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;

/// BPF_OBJ_GET (include/uapi/linux/bpf.h).
const OBJ_GET: libc::c_int = 7;

/// The call; its answer.
///
/// # Safety
/// `attributes` must be what the command takes of `union bpf_attr`, and its addresses those of memory of the sizes that the
/// command expects.
pub(super) unsafe fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_int> {
    let size = size_of::<T>() as libc::c_uint;
    // SAFETY: the caller vouches for the attributes, which have the size that is given.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as libc::c_int) }
}

/// Whatever is pinned at a path. aya asks for more about a program than its descriptor, by ids, and that takes
/// CAP_SYS_ADMIN.
pub(super) fn pinned(path: &Path) -> io::Result<OwnedFd> {
    /// The members of `union bpf_attr` for this command.
    #[repr(C)]
    struct Attributes {
        pathname: u64,
        descriptor: u32,
        file_flags: u32,
    }
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = Attributes { pathname: path.as_ptr() as u64, descriptor: 0, file_flags: 0 };
    // SAFETY: the path ends with a NUL and lives until the call has returned.
    let descriptor = unsafe { bpf(OBJ_GET, &mut attributes) }?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
