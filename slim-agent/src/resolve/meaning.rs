//! What a call means for its path, by its row in the table and its flags.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag};
use slim_common::record::Header;

use crate::manifest::Use;
use crate::probe::calls::{Links, Row};

/// What was done with the path; opens that can write count as writes.
pub fn usage_of(row: &Row, header: &Header) -> Use {
    let writes = OFlag::O_WRONLY | OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_TRUNC;
    let is_open = row.links == Links::OpenFlags;
    if is_open && header.arg_flags as i32 & writes.bits() != 0 { Use::Write } else { row.meaning }
}

/// Whether a call follows a symbolic link as last component.
pub fn follows(row: &Row, header: &Header) -> bool {
    let flags = header.arg_flags as i32;
    match row.links {
        Links::Follow | Links::Unknown | Links::Address => true,
        Links::Keep => false,
        Links::OpenFlags => {
            let exclusive = OFlag::O_CREAT | OFlag::O_EXCL;
            flags & OFlag::O_NOFOLLOW.bits() == 0 && flags & exclusive.bits() != exclusive.bits()
        }
        Links::AtFlags => flags & AtFlags::AT_SYMLINK_NOFOLLOW.bits() == 0,
        Links::AtFollow => flags & AtFlags::AT_SYMLINK_FOLLOW.bits() != 0,
        Links::Unless(bit) => header.arg_flags & bit == 0,
    }
}

/// Whether the file opened has no name: O_TMPFILE names the directory that it would be in.
pub fn opens_nameless(row: &Row, header: &Header) -> bool {
    let flags = OFlag::from_bits_retain(header.arg_flags as i32);
    row.links == Links::OpenFlags && flags.contains(OFlag::O_TMPFILE)
}

/// Whether the directory that the record has as the name's start is where the name led to: the kernel side looks when
/// the call has ended, and by then the working directory or the root is the new one.
pub fn starts_where_it_led(row: &Row, header: &Header, name: &[u8]) -> bool {
    let absolute = name.starts_with(b"/");
    header.ret >= 0 && (row.name == "chdir" && !absolute || row.name == "chroot" && absolute)
}

/// Whether the first symbolic link was the end: openat2(2) was told to follow none (RESOLVE_NO_SYMLINKS).
pub fn stopped_at_link(header: &Header) -> bool {
    let resolve = ResolveFlag::from_bits_retain(header.resolve.into());
    resolve.contains(ResolveFlag::RESOLVE_NO_SYMLINKS) && header.ret == -(Errno::ELOOP as i32)
}
