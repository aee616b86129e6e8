//! What a call means for its path, by its row in the table and its flags.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag};
use slim_common::limits::SYSCALLS;
use slim_common::record::{Header, met};

use crate::manifest::Use;
use crate::probe;
use crate::probe::calls::{self, Links, Row};
use crate::syscall_table::{self, Abi};

/// What was done with the path; opens that can write count as writes.
pub fn usage_of(row: &Row, header: &Header) -> Use {
    if row.links == Links::OpenFlags { opened_for(header) } else { row.meaning }
}

/// What the flags of an open say.
fn opened_for(header: &Header) -> Use {
    let writes = OFlag::O_WRONLY | OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_TRUNC;
    if header.arg_flags as i32 & writes.bits() != 0 { Use::Write } else { Use::Open }
}

/// Whether io_uring asked: in its call, or by a thread that works for it and is in no call of its own.
fn is_io_uring(header: &Header) -> bool {
    if usize::from(header.nr) == SYSCALLS {
        return true;
    }
    let name = abi_of(header).and_then(|abi| syscall_table::name(abi, header.nr.into()));
    name.is_some_and(|name| name.starts_with("io_uring"))
}

/// What was done with an object of the second tier; `None` when it is none of the container's doing.
pub fn met_as(header: &Header) -> Option<Use> {
    match header.which {
        met::OPENED => Some(opened_for(header)),
        met::FOLLOWED => Some(Use::Hop),
        met::LISTED => Some(Use::List),
        met::CHANGED => Some(Use::Entry),
        // Through io_uring, it is statx(2) that looks up. Other calls that name nothing look up for the kernel itself.
        _ if is_io_uring(header) => Some(Use::Stat),
        // A mount point is a directory before it is mounted upon, and the mount's root behind: the call itself tells.
        // So does an execution, of what it came to.
        _ => {
            row_of(header).map(|row| row.meaning).filter(|meaning| ![Use::Mount, Use::Exec].contains(meaning))
        }
    }
}

/// The row of the call that a record tells of.
pub fn row_of(header: &Header) -> Option<&'static Row> {
    calls::row(abi_of(header)?, header.nr.into())
}

fn abi_of(header: &Header) -> Option<Abi> {
    probe::ABIS.get(usize::from(header.abi)).copied()
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
