//! The live root of a container, looked into without ever leaving it.
//!
//! Every lookup is one openat2(2) with RESOLVE_IN_ROOT on the root that a process of the container has: symbolic
//! links and `..` cannot lead to the host (kernel 5.6).

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::sys::stat::{SFlag, fstatat};

use super::walk::{Node, Tree};
use crate::manifest::PathBytes;

/// The root directory of a process's mount tree. Held only while records are being resolved, so that a stopping
/// container's mounts can go.
#[derive(Debug)]
pub struct LiveRoot {
    directory: File,
}

impl LiveRoot {
    /// The root of a running process; `None` when it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut options = std::fs::OpenOptions::new();
        let directory =
            options.read(true).custom_flags(flags.bits()).open(format!("/proc/{pid}/root")).ok()?;
        Some(Self { directory })
    }

    /// A process that has the host's root: the first, or this one where that is closed to an agent with fewer
    /// capabilities.
    pub fn process_of_host() -> u32 {
        if Self::of(1).is_some() { 1 } else { std::process::id() }
    }

    /// Which directory it is.
    pub fn identity(&self) -> Option<Identity> {
        let meta = self.directory.metadata().ok()?;
        Some(Identity { device: meta.dev(), inode: meta.ino() })
    }
}

/// What tells one root directory from another: a process id may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl LiveRoot {
    /// A file to read, by its physical path; `None` for anything but a regular file. Nothing else is opened: a
    /// container may put a device or a pipe in a program's place.
    pub fn open(&self, path: &PathBytes) -> Option<File> {
        let entry = File::from(self.entry(path)?);
        if !entry.metadata().ok()?.is_file() {
            return None;
        }
        let flags = OFlag::O_NOATIME | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let name = format!("/proc/self/fd/{}", entry.as_raw_fd());
        std::fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(name).ok()
    }

    fn entry(&self, path: &PathBytes) -> Option<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(self.directory.as_fd(), path.as_path(), how).ok()
    }
}

impl Tree for LiveRoot {
    fn node(&self, path: &PathBytes) -> Node {
        let Some(entry) = self.entry(path) else { return Node::Missing };
        let Ok(stat) = fstatat(&entry, "", AtFlags::AT_EMPTY_PATH) else { return Node::Missing };
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => Node::Directory,
            SFlag::S_IFLNK => match readlinkat(&entry, "") {
                Ok(target) => Node::Symlink(target.as_bytes().to_vec()),
                Err(_) => Node::Missing,
            },
            _ => Node::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::walk::walk;

    #[test]
    fn the_own_root_can_be_walked() {
        let root = LiveRoot::of(std::process::id()).unwrap();
        assert_eq!(root.node(&"/proc".into()), Node::Directory);
        assert_eq!(root.node(&"/no such name".into()), Node::Missing);
        let walked = walk(&root, b"/proc/self/../self/status", true);
        assert!(walked.exists, "{walked:?}");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let root = LiveRoot::of(std::process::id()).unwrap();
        assert!(root.open(&std::env::current_exe().unwrap().as_os_str().as_bytes().into()).is_some());
        assert!(root.open(&"/dev/null".into()).is_none());
    }

    #[test]
    fn a_process_that_is_gone_has_no_root() {
        assert!(LiveRoot::of(u32::MAX >> 1).is_none());
    }
}
