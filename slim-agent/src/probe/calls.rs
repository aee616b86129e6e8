//! Which system calls name files or sockets, and in which arguments: the rows behind the `sys_exit` hook.
//!
//! One row a call (man 2 of each). Numbers come from the system call table of each ABI, so a call that an ABI
//! does not have is left out there.

use std::collections::BTreeMap;

use slim_common::call::{Call, NONE, flags, memory};
use slim_common::limits::SYSCALLS;

use crate::manifest::Use;
use crate::syscall_table::{Abi, number};

/// A system call that names something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Name of the call.
    pub name: &'static str,
    /// How the kernel side reads it.
    pub call: Call,
    /// What it means for the path. Opens that write are told apart by their flags.
    pub meaning: Use,
    /// What its flags argument is, for calls where that decides whether a last symbolic link is followed.
    pub links: Links,
}

/// What a call does with a symbolic link as last component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It follows the link.
    Follow,
    /// It means the link itself.
    Keep,
    /// It follows, unless the open flags say O_NOFOLLOW.
    OpenFlags,
    /// The same with `struct open_how` of openat2(2), which is not read: the file reached tells.
    Unknown,
    /// It follows, unless the flags say AT_SYMLINK_NOFOLLOW.
    AtFlags,
    /// It means the link itself, unless the flags say AT_SYMLINK_FOLLOW (linkat).
    AtFollow,
    /// It follows, unless the flags have this bit, which only this call has.
    Unless(u32),
    /// It is a socket address.
    Address,
}

/// include/uapi/linux/fanotify.h
const FAN_MARK_DONT_FOLLOW: u32 = 4;
/// include/uapi/linux/inotify.h
const IN_DONT_FOLLOW: u32 = 0x0200_0000;
/// include/linux/fs.h
const UMOUNT_NOFOLLOW: u32 = 8;

const fn path(name: &'static str, path: u8, meaning: Use, links: Links) -> Row {
    let call =
        Call { used: 1, flags: 0, path, dir: NONE, path2: NONE, dir2: NONE, flags_arg: NONE, memory: 0 };
    Row { name, call, meaning, links }
}

impl Row {
    const fn at(mut self, dir: u8) -> Self {
        self.call.dir = dir;
        self
    }

    const fn flags_in(mut self, argument: u8) -> Self {
        self.call.flags_arg = argument;
        self
    }

    const fn and(mut self, path: u8, dir: u8) -> Self {
        self.call.path2 = path;
        self.call.dir2 = dir;
        self
    }

    const fn with(mut self, bits: u8) -> Self {
        self.call.flags |= bits;
        self
    }
}

use Links::{Address, AtFlags, AtFollow, Follow, Keep, OpenFlags, Unknown, Unless};

/// The table.
pub const ROWS: &[Row] = &[
    // Opens. creat(2) follows and truncates.
    path("open", 0, Use::Open, OpenFlags).flags_in(1).with(flags::RETURNS_FD),
    path("openat", 1, Use::Open, OpenFlags).at(0).flags_in(2).with(flags::RETURNS_FD),
    path("openat2", 1, Use::Open, OpenFlags).at(0).flags_in(2).with(flags::RETURNS_FD | flags::HOW),
    path("creat", 0, Use::Write, Follow).with(flags::RETURNS_FD),
    path("open_by_handle_at", NONE, Use::Open, Unknown).with(flags::RETURNS_FD | flags::FD_ONLY),
    path("open_tree", 1, Use::Open, AtFlags).at(0).flags_in(2).with(flags::RETURNS_FD),
    path("name_to_handle_at", 1, Use::Stat, AtFollow).at(0).flags_in(4),
    path("uselib", 0, Use::Open, Follow),
    path("acct", 0, Use::Write, Follow),
    path("swapon", 0, Use::Open, Follow),
    path("swapoff", 0, Use::Open, Follow),
    // Executions that failed; the others have a hook of their own.
    path("execve", 0, Use::Exec, Follow).with(flags::FAILURES_ONLY),
    path("execveat", 1, Use::Exec, AtFlags).at(0).flags_in(4).with(flags::FAILURES_ONLY),
    // Looks.
    path("stat", 0, Use::Stat, Follow),
    path("stat64", 0, Use::Stat, Follow),
    path("oldstat", 0, Use::Stat, Follow),
    path("lstat", 0, Use::Stat, Keep),
    path("lstat64", 0, Use::Stat, Keep),
    path("oldlstat", 0, Use::Stat, Keep),
    path("newfstatat", 1, Use::Stat, AtFlags).at(0).flags_in(3),
    path("fstatat64", 1, Use::Stat, AtFlags).at(0).flags_in(3),
    path("statx", 1, Use::Stat, AtFlags).at(0).flags_in(2),
    path("access", 0, Use::Stat, Follow),
    path("faccessat", 1, Use::Stat, Follow).at(0),
    path("faccessat2", 1, Use::Stat, AtFlags).at(0).flags_in(3),
    path("statfs", 0, Use::Stat, Follow),
    path("statfs64", 0, Use::Stat, Follow),
    path("getxattr", 0, Use::Stat, Follow),
    path("lgetxattr", 0, Use::Stat, Keep),
    path("listxattr", 0, Use::Stat, Follow),
    path("llistxattr", 0, Use::Stat, Keep),
    path("getxattrat", 1, Use::Stat, AtFlags).at(0).flags_in(2),
    path("listxattrat", 1, Use::Stat, AtFlags).at(0).flags_in(2),
    path("file_getattr", 1, Use::Stat, AtFlags).at(0).flags_in(4),
    path("quotactl", 1, Use::Stat, Follow),
    path("readlink", 0, Use::Readlink, Keep),
    path("readlinkat", 1, Use::Readlink, Keep).at(0),
    path("getdents", NONE, Use::List, Follow).at(0).with(flags::FD_ONLY),
    path("getdents64", NONE, Use::List, Follow).at(0).with(flags::FD_ONLY),
    path("readdir", NONE, Use::List, Follow).at(0).with(flags::FD_ONLY),
    path("inotify_add_watch", 1, Use::Watch, Unless(IN_DONT_FOLLOW)).flags_in(2),
    path("fanotify_mark", 4, Use::Watch, Unless(FAN_MARK_DONT_FOLLOW)).at(3).flags_in(1),
    // Directories.
    path("chdir", 0, Use::Chdir, Follow),
    path("chroot", 0, Use::Chdir, Follow),
    // Metadata.
    path("chmod", 0, Use::Change, Follow),
    path("fchmodat", 1, Use::Change, Follow).at(0),
    path("fchmodat2", 1, Use::Change, AtFlags).at(0).flags_in(3),
    path("chown", 0, Use::Change, Follow),
    path("chown32", 0, Use::Change, Follow),
    path("lchown", 0, Use::Change, Keep),
    path("lchown32", 0, Use::Change, Keep),
    path("fchownat", 1, Use::Change, AtFlags).at(0).flags_in(4),
    path("utime", 0, Use::Change, Follow),
    path("utimes", 0, Use::Change, Follow),
    path("futimesat", 1, Use::Change, Follow).at(0),
    path("utimensat", 1, Use::Change, AtFlags).at(0).flags_in(3),
    path("utimensat_time64", 1, Use::Change, AtFlags).at(0).flags_in(3),
    path("setxattr", 0, Use::Change, Follow),
    path("lsetxattr", 0, Use::Change, Keep),
    path("removexattr", 0, Use::Change, Follow),
    path("lremovexattr", 0, Use::Change, Keep),
    path("setxattrat", 1, Use::Change, AtFlags).at(0).flags_in(2),
    path("removexattrat", 1, Use::Change, AtFlags).at(0).flags_in(2),
    path("file_setattr", 1, Use::Change, AtFlags).at(0).flags_in(4),
    path("truncate", 0, Use::Write, Follow),
    path("truncate64", 0, Use::Write, Follow),
    // Entries of directories.
    path("link", 0, Use::Entry, Keep).and(1, NONE),
    path("linkat", 1, Use::Entry, AtFollow).at(0).and(3, 2).flags_in(4),
    path("symlink", 1, Use::Entry, Keep),
    path("symlinkat", 2, Use::Entry, Keep).at(1),
    path("rename", 0, Use::Entry, Keep).and(1, NONE),
    path("renameat", 1, Use::Entry, Keep).at(0).and(3, 2),
    path("renameat2", 1, Use::Entry, Keep).at(0).and(3, 2),
    path("unlink", 0, Use::Entry, Keep),
    path("unlinkat", 1, Use::Entry, Keep).at(0),
    path("rmdir", 0, Use::Entry, Keep),
    path("mkdir", 0, Use::Entry, Keep),
    path("mkdirat", 1, Use::Entry, Keep).at(0),
    path("mknod", 0, Use::Entry, Keep),
    path("mknodat", 1, Use::Entry, Keep).at(0),
    // Mounts.
    path("mount", 1, Use::Mount, Follow).and(0, NONE),
    path("umount", 0, Use::Mount, Follow),
    path("umount2", 0, Use::Mount, Unless(UMOUNT_NOFOLLOW)).flags_in(1),
    path("pivot_root", 0, Use::Mount, Follow).and(1, NONE),
    path("move_mount", 1, Use::Mount, Follow).at(0).and(3, 2),
    path("mount_setattr", 1, Use::Mount, AtFlags).at(0).flags_in(2),
    path("fspick", 1, Use::Mount, Follow).at(0),
    // Sockets: the address and its length.
    path("connect", 1, Use::Socket, Address).at(2).with(flags::SOCKADDR),
    path("bind", 1, Use::Socket, Address).at(2).with(flags::SOCKADDR),
    path("listen", NONE, Use::Socket, Address).with(flags::SOCKADDR | flags::BOUND),
    path("sendto", 4, Use::Socket, Address).at(5).with(flags::SOCKADDR),
    path("sendmsg", 1, Use::Socket, Address).with(flags::SOCKADDR | flags::MESSAGE),
    // The first two of its messages: resolvers send two queries at a time.
    path("sendmmsg", 1, Use::Socket, Address).and(1, NONE).with(flags::SOCKADDR | flags::MESSAGE),
    path("socketcall", 1, Use::Socket, Address).flags_in(0).with(flags::SOCKADDR | flags::SOCKETCALL),
];

/// Calls for which the kernel reckons with memory, and asks for CAP_SYS_ADMIN each time.
const MEMORY: &[(&str, u8)] = &[
    ("brk", memory::CHANGES),
    ("mmap", memory::CHANGES),
    ("mmap2", memory::CHANGES),
    ("mprotect", memory::CHANGES),
    ("pkey_mprotect", memory::CHANGES),
    ("mremap", memory::CHANGES),
    ("shmget", memory::CHANGES),
    ("execve", memory::CHANGES),
    ("execveat", memory::CHANGES),
    ("fork", memory::CHANGES),
    ("vfork", memory::CHANGES),
    ("clone", memory::COPIES),
    ("clone3", memory::COPIES_AS_TOLD),
];

/// The kernel's table: for each ABI that it can serve, at most one entry per system call number.
pub fn table(abis: &[Abi]) -> BTreeMap<u32, Call> {
    let mut entries: BTreeMap<u32, Call> = BTreeMap::new();
    for (index, abi) in abis.iter().enumerate() {
        let place = |name| {
            let nr = number(*abi, name).filter(|&nr| (nr as usize) < SYSCALLS)?;
            Some((index * SYSCALLS) as u32 + nr)
        };
        for row in ROWS {
            entries.extend(place(row.name).map(|at| (at, row.call)));
        }
        for (name, how) in MEMORY {
            if let Some(at) = place(name) {
                entries.entry(at).or_default().memory = *how;
            }
        }
    }
    entries
}

/// The row of a recorded call.
pub fn row(abi: Abi, nr: u32) -> Option<&'static Row> {
    ROWS.iter().find(|row| number(abi, row.name) == Some(nr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_call_of_some_abi_and_none_stands_twice() {
        for (index, row) in ROWS.iter().enumerate() {
            let abis = [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm];
            assert!(abis.iter().any(|abi| number(*abi, row.name).is_some()), "{} exists nowhere", row.name);
            assert!(ROWS[..index].iter().all(|other| other.name != row.name), "{} stands twice", row.name);
        }
    }

    #[test]
    fn a_call_that_names_nothing_may_still_take_memory() {
        let table = table(&[Abi::X86_64]);
        let of = |name| table[&number(Abi::X86_64, name).unwrap()];
        assert_eq!(of("mmap"), Call { memory: memory::CHANGES, ..Call::default() });
        assert_eq!((of("execve").used, of("execve").memory), (1, memory::CHANGES));
        assert_eq!((of("openat").used, of("openat").memory), (1, memory::NO));
    }

    #[test]
    fn a_number_leads_back_to_its_row() {
        let nr = number(Abi::X86_64, "openat").unwrap();
        assert_eq!(row(Abi::X86_64, nr).unwrap().name, "openat");
        assert_eq!(row(Abi::X86_64, number(Abi::X86_64, "getppid").unwrap()), None);
    }
}
