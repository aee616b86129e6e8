//! What lies where in a container's mount tree, from /proc/PID/mountinfo (proc_pid_mountinfo(5)).

use super::root;
use crate::manifest::{Origin, PathBytes};

/// A container's mounts, in the order in which they were mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    point: PathBytes,
    origin: Origin,
    /// Device of the filesystem, and its directory that is mounted; `None` when it is not known.
    source: Option<(Vec<u8>, PathBytes)>,
}

impl Mounts {
    /// What a container runtime mounts at the least: used when no process of the container can be asked.
    pub fn assumed() -> Self {
        let mut mounts = Self::default();
        ["/proc", "/sys", "/dev"].into_iter().for_each(|point| mounts.add(point.into(), Origin::Kernel));
        mounts
    }

    /// The mount tree of a running process; `None` when it is gone, or has changed its root: the table shows names as
    /// the process sees them, and nothing of what is outside.
    pub fn of(pid: u32) -> Option<Self> {
        let is_whole = root::name_of(pid)? == PathBytes::from("/");
        let text = std::fs::read(format!("/proc/{pid}/mountinfo")).ok()?;
        is_whole.then(|| Self::parse(&text))
    }

    /// Adds a mount that is known from elsewhere.
    pub fn add(&mut self, point: PathBytes, origin: Origin) {
        self.0.push(Mount { point, origin, source: None });
    }

    /// Parses a mountinfo file; lines that are not of its form are passed over.
    pub fn parse(text: &[u8]) -> Self {
        Self(text.split(|&b| b == b'\n').filter_map(mount).collect())
    }

    /// Where a physical path lies.
    pub fn origin(&self, path: &PathBytes) -> Origin {
        self.above(path).map_or(Origin::Image, |mount| mount.origin)
    }

    /// The path in the root filesystem of what lies at `path`, if a part of that filesystem is mounted there.
    pub fn in_root(&self, path: &PathBytes) -> Option<PathBytes> {
        let mount = self.above(path).filter(|mount| mount.point.as_bytes() != b"/")?;
        let (device, directory) = mount.source.as_ref()?;
        let root = self.0.iter().rev().find(|mount| mount.point.as_bytes() == b"/")?;
        let (root_device, root_directory) = root.source.as_ref()?;
        if device != root_device || !directory.is_within(root_directory.as_bytes()) {
            return None;
        }
        let start = directory.components().skip(root_directory.components().count());
        let rest = path.components().skip(mount.point.components().count());
        Some(start.chain(rest).fold("/".into(), |path: PathBytes, part| path.join(part)))
    }

    /// The mount point nearest above a path decides, the later one when two are equal.
    fn above(&self, path: &PathBytes) -> Option<&Mount> {
        let above = self.0.iter().filter(|mount| path.is_within(mount.point.as_bytes()));
        above.max_by_key(|mount| mount.point.components().count())
    }
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&b| b == b' ').skip(2);
    let device = fields.next()?.to_vec();
    let directory = PathBytes::new(unescape(fields.next()?));
    let point = PathBytes::new(unescape(fields.next()?));
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let origin = origin_of(&point, fields.next()?);
    Some(Mount { point, origin, source: Some((device, directory)) })
}

fn origin_of(point: &PathBytes, filesystem: &[u8]) -> Origin {
    match filesystem {
        // Whatever it is: an initial ramdisk's is a tmpfs.
        _ if point.as_bytes() == b"/" => Origin::Image,
        b"proc" | b"sysfs" | b"devtmpfs" | b"devpts" | b"mqueue" | b"cgroup" | b"cgroup2" | b"debugfs"
        | b"tracefs" | b"securityfs" | b"bpf" | b"binfmt_misc" | b"nsfs" => Origin::Kernel,
        // The runtime's own /dev is a tmpfs, and so are the masks over parts of /proc and /sys.
        b"tmpfs" if ["/dev", "/proc", "/sys"].iter().any(|own| is_device_dir(point, own)) => Origin::Kernel,
        b"tmpfs" | b"ramfs" | b"hugetlbfs" => Origin::Tmpfs,
        _ => Origin::Volume,
    }
}

fn is_device_dir(point: &PathBytes, own: &str) -> bool {
    point.is_within(own.as_bytes()) && !point.is_within(b"/dev/shm")
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
pub(super) fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = behind;
            }
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &[u8] = b"\
100 50 0:40 / / rw - overlay overlay rw\n\
101 100 0:41 / /proc rw shared:5 - proc proc rw\n\
102 100 0:42 / /dev rw - tmpfs tmpfs rw\n\
103 102 0:43 / /dev/shm rw - tmpfs shm rw\n\
104 100 8:1 /vol /data\\040dir rw - ext4 /dev/sda rw\n\
105 100 8:1 /hosts /etc/hosts rw - ext4 /dev/sda rw\n\
106 100 0:44 / /run rw - tmpfs tmpfs rw\n";

    #[test]
    fn the_nearest_mount_decides() {
        let mounts = Mounts::parse(SAMPLE);
        let origin = |path: &str| mounts.origin(&path.into());
        assert_eq!(origin("/usr/bin/env"), Origin::Image);
        assert_eq!(origin("/proc/self/status"), Origin::Kernel);
        assert_eq!(origin("/dev/null"), Origin::Kernel);
        assert_eq!(origin("/dev/shm/x"), Origin::Tmpfs);
        assert_eq!(origin("/data dir/x"), Origin::Volume);
        assert_eq!(origin("/etc/hosts"), Origin::Volume);
        assert_eq!(origin("/etc/hostsx"), Origin::Image);
        assert_eq!(origin("/run/pid"), Origin::Tmpfs);
    }

    #[test]
    fn a_part_of_the_root_that_is_mounted_again_leads_back_to_it() {
        let text = b"1 1 8:1 /sub / rw - ext4 a rw\n2 1 8:1 /sub/above /below rw - ext4 a rw\n\
            3 1 8:1 /other /volume rw - ext4 a rw\n4 1 0:9 /sub/above /more rw - ext4 b rw\n";
        let mounts = Mounts::parse(text);
        assert_eq!(mounts.in_root(&"/below/x/y".into()), Some("/above/x/y".into()));
        for elsewhere in ["/x", "/volume/x", "/more/x"] {
            assert_eq!(mounts.in_root(&elsewhere.into()), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_root_of_any_kind_is_the_image() {
        let mounts = Mounts::parse(b"1 1 0:2 / / rw - tmpfs tmpfs rw\n");
        assert_eq!(mounts.origin(&"/bin/sh".into()), Origin::Image);
    }

    proptest! {
        #[test]
        fn any_text_parses(text: Vec<u8>, path: Vec<u8>) {
            let mounts = Mounts::parse(&text);
            let path = PathBytes::new(path);
            mounts.origin(&path);
            mounts.in_root(&path);
        }
    }
}
