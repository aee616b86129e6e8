//! Where in the container a held file lies. The name that /proc tells is believed when the container's root has the
//! same file there.

use std::os::unix::ffi::OsStrExt;

use super::{Frame, Frames, HeldFile};
use crate::manifest::PathBytes;
use crate::resolve::root::{self, Identity, LiveRoot};

/// Mark that the kernel puts behind the name of a file that was removed.
const DELETED: &[u8] = b" (deleted)";

/// Where a held file lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At this path.
    At(PathBytes),
    /// It was at this path until it was removed or, if `replaced`, until another file took its name. The name counts:
    /// it is what the image has, if the file was the image's.
    Was {
        /// The path.
        path: PathBytes,
        /// Whether there is another file now.
        replaced: bool,
    },
    /// At no path of the container: an anonymous file, or one of another mount tree.
    Nowhere,
}

/// Finds the place of a held file.
pub fn place(file: &HeldFile, frames: &Frames, frame: &Frame, root: &LiveRoot) -> Place {
    let names = |name: &[u8]| frames.names(&PathBytes::new(name), frame);
    let removed = file.name.strip_suffix(DELETED);
    let Some(identity) = file.identity else {
        // Nothing to compare with: a plain name in the container's own mount tree is believed.
        let believed = *frame == Frame::Same && removed.is_none();
        return if believed { Place::At(PathBytes::new(&file.name[..])) } else { Place::Nowhere };
    };
    // A file may be called so and never have been removed.
    let mut now = names(&file.name).into_iter();
    if let Some(path) = now.find(|path| root.identity_of(path) == Some(identity)) {
        return Place::At(path);
    }
    let mut before = removed.map(names).unwrap_or_default().into_iter();
    before.find_map(|path| once_at(path, identity, root)).unwrap_or(Place::Nowhere)
}

/// A removed file's name, if it was one: memory files and their like have names, too, but on no filesystem of the
/// container.
fn once_at(path: PathBytes, identity: Identity, root: &LiveRoot) -> Option<Place> {
    let mut directory = path.parent()?;
    let mut device = root.identity_of(&directory);
    while device.is_none() {
        directory = directory.parent()?;
        device = root.identity_of(&directory);
    }
    if !device.is_some_and(|directory| directory.is_beside(identity)) {
        return None;
    }
    // O_TMPFILE (open(2)): the file never had a name, and shows its inode number as one.
    if path.file_name() == format!("#{}", identity.inode()).as_bytes() {
        return Some(Place::At(directory));
    }
    let replaced = root.identity_of(&path).is_some();
    Some(Place::Was { path, replaced })
}

/// A socket file by the name that process `pid` bound it to, which starts from that process's root or directory.
pub fn socket_file(pid: u32, name: &[u8]) -> Option<HeldFile> {
    let root = LiveRoot::of_process(pid)?;
    let mut path = PathBytes::new(name);
    if !name.starts_with(b"/") {
        // The process may have stood somewhere else when it bound a relative name.
        let link = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let inside = link.strip_prefix(root::name_of(pid)?.as_path()).ok()?;
        path = PathBytes::from("/").join(inside.as_os_str().as_bytes()).join(name);
    }
    let (name, identity) = root.socket(&path)?;
    Some(HeldFile { name, identity: Some(identity) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;

    /// The place of an open file of this process.
    fn place_of(file: &File) -> Place {
        let at = format!("/proc/self/fd/{}", file.as_raw_fd());
        let name = fs::read_link(&at).unwrap().as_os_str().as_bytes().to_vec();
        let identity = fs::metadata(&at).ok().as_ref().map(Identity::of);
        let pid = std::process::id();
        let root = LiveRoot::of(pid).unwrap();
        place(&HeldFile { name, identity }, &Frames::of_container(pid), &Frame::Same, &root)
    }

    #[test]
    fn a_file_is_where_it_is_and_was_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("lib.so");
        let path = PathBytes::new(name.as_os_str().as_bytes());
        let file = File::create(&name).unwrap();
        assert_eq!(place_of(&file), Place::At(path.clone()));
        fs::remove_file(&name).unwrap();
        assert_eq!(place_of(&file), Place::Was { path: path.clone(), replaced: false });
        let _other = File::create(&name).unwrap();
        assert_eq!(place_of(&file), Place::Was { path, replaced: true });
    }

    #[test]
    fn a_file_that_is_called_deleted_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("x (deleted)");
        let file = File::create(&name).unwrap();
        assert_eq!(place_of(&file), Place::At(PathBytes::new(name.as_os_str().as_bytes())));
    }

    #[test]
    fn a_file_without_a_name_is_nowhere_but_its_directory_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let at = PathBytes::new(dir.path().as_os_str().as_bytes());
        assert_eq!(place_of(&tempfile::tempfile_in(dir.path()).unwrap()), Place::At(at));
        let memory = nix::sys::memfd::memfd_create("x", nix::sys::memfd::MFdFlags::empty()).unwrap();
        assert_eq!(place_of(&memory.into()), Place::Nowhere);
    }

    #[test]
    fn without_an_identity_only_plain_names_are_believed() {
        let pid = std::process::id();
        let (root, frames) = (LiveRoot::of(pid).unwrap(), Frames::of_container(pid));
        let place =
            |name: &str| place(&HeldFile { name: name.into(), identity: None }, &frames, &Frame::Same, &root);
        assert_eq!(place("/usr/lib/x.so"), Place::At("/usr/lib/x.so".into()));
        assert_eq!(place("/usr/lib/x.so (deleted)"), Place::Nowhere);
    }

    #[test]
    fn a_socket_bound_by_a_relative_name_is_found_from_the_directory() {
        assert!(socket_file(std::process::id(), b"no such socket").is_none());
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&name).unwrap();
        let found = socket_file(std::process::id(), name.as_os_str().as_bytes()).unwrap();
        assert_eq!(found.name, name.as_os_str().as_bytes());
    }
}
