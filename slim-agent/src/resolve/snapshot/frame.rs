//! Names in other mount namespaces. A process in the container may have one of its own, as sandboxes do, in which the
//! same name can be another file: there a name is turned into a place within a filesystem, and that into the name that
//! the container's own mount tree has for it (proc_pid_mountinfo(5)).

use std::collections::BTreeMap;
use std::fs;

use crate::manifest::PathBytes;
use crate::resolve::mounts::unescape;
use crate::resolve::root::{self, Identity};

/// How the names in a process's mount namespace relate to those of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// They are the same.
    Same,
    /// They are others: the mounts of the process, and its root as its namespace knows it.
    Other(Table, PathBytes),
}

/// The mounts that a process sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table(Vec<Mount>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// Device number of the filesystem, as text.
    device: Vec<u8>,
    /// What of the filesystem is mounted.
    root: PathBytes,
    /// Where.
    point: PathBytes,
}

/// The mount namespaces of one container's processes.
#[derive(Debug)]
pub struct Frames {
    own: Option<Identity>,
    mounts: Table,
    /// By namespace and root directory.
    others: BTreeMap<(Identity, PathBytes), Frame>,
}

impl Frames {
    /// Of a container by a process with its mount tree.
    pub fn of_container(pid: u32) -> Self {
        Self { own: namespace(pid), mounts: Table::of(pid), others: BTreeMap::new() }
    }

    /// The frame of a process.
    pub fn of(&mut self, pid: u32) -> Frame {
        let Some(other) = namespace(pid).filter(|namespace| Some(*namespace) != self.own) else {
            return Frame::Same;
        };
        let root = root::name_of(pid).unwrap_or_else(|| "/".into());
        let frame = || Frame::Other(Table::of(pid), root.clone());
        self.others.entry((other, root.clone())).or_insert_with(frame).clone()
    }

    /// The names that the container may have for what a process calls `name`.
    pub fn names(&self, name: &PathBytes, frame: &Frame) -> Vec<PathBytes> {
        match frame {
            Frame::Same => vec![name.clone()],
            Frame::Other(mounts, root) => {
                let seen = rebased(name, root, &"/".into());
                let inside = seen.and_then(|name| mounts.inside(&name));
                inside.map(|(device, path)| self.mounts.names(&device, &path)).unwrap_or_default()
            }
        }
    }
}

impl Table {
    fn of(pid: u32) -> Self {
        Self::parse(&fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default())
    }

    fn parse(text: &[u8]) -> Self {
        let mount = |line: &[u8]| {
            let mut fields = line.split(|&b| b == b' ').skip(2);
            let device = fields.next()?.to_vec();
            let mut path = || Some(PathBytes::new(unescape(fields.next()?)));
            Some(Mount { device, root: path()?, point: path()? })
        };
        Self(text.split(|&b| b == b'\n').filter_map(mount).collect())
    }

    /// Filesystem and path within it of what is at a path.
    fn inside(&self, path: &PathBytes) -> Option<(Vec<u8>, PathBytes)> {
        let above = self.0.iter().filter(|mount| path.is_within(mount.point.as_bytes()));
        let mount = above.max_by_key(|mount| mount.point.components().count())?;
        Some((mount.device.clone(), rebased(path, &mount.point, &mount.root)?))
    }

    /// Where a path within a filesystem can be seen.
    fn names(&self, device: &[u8], path: &PathBytes) -> Vec<PathBytes> {
        let mounts = self.0.iter().filter(|mount| mount.device == device);
        mounts.filter_map(|mount| rebased(path, &mount.root, &mount.point)).collect()
    }
}

/// `path`, which lies in `from`, as if it lay in `to`.
fn rebased(path: &PathBytes, from: &PathBytes, to: &PathBytes) -> Option<PathBytes> {
    let below = path.components().skip(from.components().count());
    path.is_within(from.as_bytes()).then(|| below.fold(to.clone(), |path, part| path.join(part)))
}

fn namespace(pid: u32) -> Option<Identity> {
    fs::metadata(format!("/proc/{pid}/ns/mnt")).ok().as_ref().map(Identity::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONTAINER: &[u8] = b"\
100 50 0:40 / / rw - overlay overlay rw\n\
104 100 8:1 /vol /data rw - ext4 /dev/sda rw\n";
    /// A sandbox with a root of its own, in which directories of the container are mounted.
    const SANDBOX: &[u8] = b"\
200 150 0:90 / / rw - tmpfs tmpfs rw\n\
201 200 0:40 /usr /usr rw - overlay overlay rw\n\
202 200 8:1 /vol/deep /d rw - ext4 /dev/sda rw\n";

    fn names(name: &str, root: &str) -> Vec<String> {
        let frames = Frames { own: None, mounts: Table::parse(CONTAINER), others: BTreeMap::new() };
        let frame = Frame::Other(Table::parse(SANDBOX), root.into());
        frames.names(&name.into(), &frame).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sandbox_s_names_are_turned_into_the_container_s() {
        assert_eq!(names("/usr/bin/x", "/"), ["/usr/bin/x"]);
        assert_eq!(names("/d/file", "/"), ["/data/deep/file"]);
        assert_eq!(names("/tmp/own", "/"), [""; 0]);
    }

    #[test]
    fn a_changed_root_in_a_sandbox_counts() {
        assert_eq!(names("/jail/usr/bin/x", "/jail"), ["/usr/bin/x"]);
        assert_eq!(names("/elsewhere/x", "/jail"), [""; 0]);
    }

    #[test]
    fn this_process_is_in_its_own_namespace() {
        let pid = std::process::id();
        assert_eq!(Frames::of_container(pid).of(pid), Frame::Same);
    }

    proptest! {
        #[test]
        fn any_text_parses(text: Vec<u8>, path: Vec<u8>) {
            let mounts = Table::parse(&text);
            mounts.inside(&PathBytes::new(path));
        }
    }
}
