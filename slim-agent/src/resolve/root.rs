//! The live root of a container, looked into without ever leaving it.
//!
//! Every lookup is one openat2(2) with RESOLVE_IN_ROOT on the root that a process of the container has: symbolic
//! links and `..` cannot lead to the host (kernel 5.6).

use std::fs::{File, Metadata};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

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
    /// The root of a running process's mount tree, also when the process has changed its own root; `None` when it is
    /// gone.
    pub fn of(pid: u32) -> Option<Self> {
        // `..` ends at the top of the mount tree.
        let up = "/..".repeat(name_of(pid)?.components().count());
        Self::open(&format!("/proc/{pid}/root{up}"))
    }

    /// The directory that is the root for a process itself.
    pub fn of_process(pid: u32) -> Option<Self> {
        Self::open(&format!("/proc/{pid}/root"))
    }

    fn open(path: &str) -> Option<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut options = std::fs::OpenOptions::new();
        let directory = options.read(true).custom_flags(flags.bits()).open(path).ok()?;
        Some(Self { directory })
    }

    /// A process that has the host's root: the first, or this one where that is closed to an agent with fewer
    /// capabilities.
    pub fn process_of_host() -> u32 {
        if Self::of(1).is_some() { 1 } else { std::process::id() }
    }

    /// Which directory it is.
    pub fn identity(&self) -> Option<Identity> {
        self.directory.metadata().ok().as_ref().map(Identity::of)
    }

    /// Which file is at `path`, a link as last component not followed.
    pub fn identity_of(&self, path: &PathBytes) -> Option<Identity> {
        File::from(self.lookup(path)?).metadata().ok().as_ref().map(Identity::of)
    }

    /// The socket file at `path`: its name, as /proc tells it of any file that is open, and its identity.
    pub fn socket(&self, path: &PathBytes) -> Option<(Vec<u8>, Identity)> {
        let entry = File::from(self.lookup(path)?);
        let meta = entry.metadata().ok().filter(|meta| meta.file_type().is_socket())?;
        let link = std::fs::read_link(format!("/proc/self/fd/{}", entry.as_raw_fd())).ok()?;
        Some((link.into_os_string().into_vec(), Identity::of(&meta)))
    }

    fn lookup(&self, path: &PathBytes) -> Option<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(self.directory.as_fd(), path.as_path(), how).ok()
    }
}

/// A process's root directory, seen from the root of its mount tree: `/` unless it has changed its root. `None` when
/// the process is gone.
pub fn name_of(pid: u32) -> Option<PathBytes> {
    let link = std::fs::read_link(format!("/proc/{pid}/root")).ok()?;
    Some(PathBytes::new(link.into_os_string().into_vec()))
}

/// What tells one file from another, as stat(2) shows it. A name may lead to another file now, and a process id to
/// another process's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of the file that was looked at.
    pub fn of(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino() }
    }

    /// The inode number.
    pub fn inode(self) -> u64 {
        self.inode
    }

    /// Whether both are on the same filesystem.
    pub fn is_beside(self, other: Self) -> bool {
        self.device == other.device
    }
}

impl LiveRoot {
    /// A file to read, by its physical path; `None` for anything but a regular file. Nothing else is opened: a
    /// container may put a device or a pipe in a program's place.
    pub fn file(&self, path: &PathBytes) -> Option<File> {
        let entry = File::from(self.lookup(path)?);
        if !entry.metadata().ok()?.is_file() {
            return None;
        }
        let flags = OFlag::O_NOATIME | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let name = format!("/proc/self/fd/{}", entry.as_raw_fd());
        std::fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(name).ok()
    }
}

impl Tree for LiveRoot {
    fn node(&self, path: &PathBytes) -> Node {
        let Some(entry) = self.lookup(path) else { return Node::Missing };
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
        assert!(root.file(&std::env::current_exe().unwrap().as_os_str().as_bytes().into()).is_some());
        assert!(root.file(&"/dev/null".into()).is_none());
    }

    #[test]
    fn a_process_that_is_gone_has_no_root() {
        assert!(LiveRoot::of(u32::MAX >> 1).is_none());
    }

    #[test]
    fn a_file_is_told_by_its_identity_and_a_socket_by_its_kind() {
        let root = LiveRoot::of(std::process::id()).unwrap();
        let place = tempfile::tempdir().unwrap();
        let [file, socket] = ["f", "s"].map(|name| place.path().join(name));
        std::fs::write(&file, "").unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let [file, socket] = [file, socket].map(|path| PathBytes::new(path.into_os_string().into_vec()));
        let own = std::fs::metadata(file.as_path()).ok().as_ref().map(Identity::of);
        assert_eq!(root.identity_of(&file), own);
        assert!(
            root.identity_of(&socket)
                .is_some_and(|other| Some(other) != own && other.is_beside(own.unwrap()))
        );
        assert_eq!(root.socket(&socket).map(|(name, _)| name), Some(socket.as_bytes().to_vec()));
        assert_eq!(root.socket(&file), None);
    }
}
