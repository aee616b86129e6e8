//! Whether the root filesystem can be read-only, and which directories must be writable then.

mod needed;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::Mount;
use super::account::Account;
use super::evidence::Evidence;
use crate::image::Kind;
use crate::manifest::{FileUse, Origin, PathBytes, Use};
use needed::Needed;

/// What the engine mounts from the host, writable only with a writable root.
const OF_ENGINE: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// What begins anew with the host, or can be made anew (the Filesystem Hierarchy Standard, 3.0).
const TEMPORARY: [&str; 5] = ["/run", "/tmp", "/var/cache", "/var/lock", "/var/run"];

/// Where the root's own directories are no place for something else.
const ROOT: &str = "/";

/// What a read-only root needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOnly {
    /// Why the root cannot be read-only; empty when it can.
    pub obstacles: Vec<String>,
    /// Directories that must be writable; none lies in another.
    pub writable: Vec<Writable>,
    /// What the application tried to write and may not, so that it went on without: an example each.
    pub refused: Vec<PathBytes>,
}

/// A directory that must be writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writable {
    /// Its physical path in the image.
    pub path: PathBytes,
    /// Permission bits, setuid, setgid and sticky included, as the image has them.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What the image has there.
    pub holds: Holds,
    /// Whether what is written there is there again when the container is started again.
    pub persists: bool,
    /// Whether programs or libraries in it may be executed.
    pub executes: bool,
    /// Something that was written there.
    pub example: PathBytes,
    /// Which programs wrote there.
    pub by: BTreeSet<PathBytes>,
}

/// What is in a directory when the container starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// Nothing that is needed: an empty directory serves.
    Nothing,
    /// This, and maybe more that is needed: what is mounted there must begin as a copy of the image's.
    Needed(PathBytes),
}

impl ReadOnly {
    /// What the recordings wrote to the image's own directories. With `is_fixed`, everything ran as `account`.
    pub(super) fn derive(
        evidence: &Evidence<'_>,
        account: &Account,
        is_fixed: bool,
        mounts: &[Mount],
    ) -> Result<Self> {
        let mut needed = Needed::new(evidence, is_fixed.then_some(account), mounts);
        let mut obstacles = Vec::new();
        for (name, file) in evidence.files() {
            if !writes(evidence, name, file) {
                continue;
            }
            match file.origin {
                Origin::Image => needed.add(name, file)?,
                Origin::Volume if is_of_engine(name) && !is_fixed => obstacles.push(format!(
                    "{name} is written, which the engine mounts from the host: give the engine its content instead"
                )),
                Origin::Volume | Origin::Tmpfs | Origin::Kernel | Origin::Outside => {}
            }
        }
        for mount in mounts.iter().filter(|mount| mount.kind == "tmpfs") {
            needed.tmpfs(&mount.path)?;
        }
        let Needed { directories, refused, .. } = needed;
        let writable = outermost(evidence, directories)?;
        obstacles.extend(writable.iter().filter_map(obstacle));
        Ok(Self { obstacles, writable, refused })
    }

    /// Whether the root can be read-only.
    pub fn is_possible(&self) -> bool {
        self.obstacles.is_empty()
    }
}

/// Whether a use of a path needs something writable.
fn writes(evidence: &Evidence<'_>, name: &PathBytes, file: &FileUse) -> bool {
    let changes = [Use::Write, Use::Change, Use::Entry].iter().any(|kind| file.uses.contains(kind));
    changes || file.uses.contains(&Use::Socket) && is_bound(evidence, name)
}

fn is_bound(evidence: &Evidence<'_>, name: &PathBytes) -> bool {
    let socket = evidence.manifest.sockets.get(&format!("unix {}", name.escape()));
    socket.is_some_and(|socket| socket.uses.contains("bind"))
}

fn is_of_engine(name: &PathBytes) -> bool {
    OF_ENGINE.iter().any(|file| name.as_bytes() == file.as_bytes())
}

/// The directories that lie in no other, and whether they must begin with what the image has there.
fn outermost(evidence: &Evidence<'_>, directories: BTreeMap<PathBytes, Written>) -> Result<Vec<Writable>> {
    let mut outer: Vec<Writable> = Vec::new();
    // Sorted as bytes, a directory stands before what lies in it, but not always directly.
    for (path, written) in directories {
        match outer.iter_mut().find(|known| path.is_within(known.path.as_bytes())) {
            Some(known) => known.by.extend(written.by),
            None => outer.push(Writable::at(evidence, path, written)?),
        }
    }
    Ok(outer)
}

/// What wrote to a directory.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub example: PathBytes,
    pub by: BTreeSet<PathBytes>,
    /// Whether a recording had a tmpfs there, so that nothing of the image was seen and nothing outlived it.
    pub was_tmpfs: bool,
}

impl Writable {
    fn at(evidence: &Evidence<'_>, path: PathBytes, written: Written) -> Result<Self> {
        let entry = evidence.entry(&path)?.filter(|entry| entry.kind == Kind::Directory);
        let (mode, uid, gid) = entry.map_or((0o1777, 0, 0), |entry| (entry.mode, entry.uid, entry.gid));
        let holds = if written.was_tmpfs { Holds::Nothing } else { evidence.holds(&path) };
        let executes =
            evidence.files().any(|(name, file)| name.is_within(path.as_bytes()) && is_code(name, file));
        let persists = !written.was_tmpfs && !TEMPORARY.iter().any(|dir| path.is_within(dir.as_bytes()));
        Ok(Self { path, mode, uid, gid, holds, persists, executes, example: written.example, by: written.by })
    }
}

impl Writable {
    /// Whether an empty directory in memory serves.
    pub fn is_temporary(&self) -> bool {
        !self.persists && self.holds == Holds::Nothing
    }
}

/// Whether a file may have been executed or mapped as code.
fn is_code(name: &PathBytes, file: &FileUse) -> bool {
    let file_name = name.file_name();
    let is_library = file_name.windows(3).any(|part| part == b".so") || file_name.ends_with(b".node");
    let ran = [Use::Exec, Use::Interpreter, Use::Held].iter().any(|kind| file.uses.contains(kind));
    ran || is_library && file.uses.contains(&Use::Open)
}

/// Why a directory cannot be made writable by itself.
fn obstacle(dir: &Writable) -> Option<String> {
    let Writable { path, example, .. } = dir;
    if path.as_bytes() == ROOT.as_bytes() {
        return Some(format!("{example} is written, directly in the root directory"));
    }
    let text = std::str::from_utf8(path.as_bytes());
    let is_plain = text.is_ok_and(|text| !text.contains([':', ',', '"']) && !text.contains(char::is_control));
    (!is_plain).then(|| format!("{path} is written to, and no option can spell its name"))
}
