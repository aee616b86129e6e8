//! A cgroup of our own, to record processes that are in no container.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A directory in the cgroup v2 hierarchy; it is removed when this goes out of scope.
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one for this process.
    pub fn create() -> Result<Self> {
        let mounts =
            fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
        let hierarchy =
            v2_mount(&mounts).context("no cgroup v2 hierarchy is mounted: mount one of type cgroup2")?;
        let path = Path::new(hierarchy).join(format!("slim-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {} (root is needed)", path.display()))?;
        Ok(Self { path })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("warning: cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Removes a cgroup and those in it, from the inside out. Its files go with it.
fn remove(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// The mount point of the first cgroup2 file system: on a hybrid host it is not /sys/fs/cgroup.
fn v2_mount(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| place.split(' ').nth(4)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_host_has_its_v2_hierarchy_elsewhere() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw shared:12 - cgroup2 cgroup2 rw\n";
        assert_eq!(v2_mount(mounts), Some("/sys/fs/cgroup/unified"));
        assert_eq!(v2_mount(""), None);
    }
}
