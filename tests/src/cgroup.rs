//! A cgroup that lives as long as the test that made it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::docker::unique;
use crate::wait::wait_until;

/// An empty cgroup at the top of the v2 hierarchy; it is removed, with its namesakes in v1 hierarchies that an engine
/// makes for its containers, when this goes out of scope.
#[derive(Debug)]
pub struct Cgroup {
    name: String,
    path: String,
}

impl Cgroup {
    /// Makes one.
    pub fn new() -> Result<Self> {
        let name = unique("cgroup");
        let mount = mounts("cgroup2")?.into_iter().next().context("no cgroup v2 is mounted")?;
        let path = mount.join(&name);
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { name, path: path.to_string_lossy().into_owned() })
    }

    /// Its name: what an engine calls it, with a slash before it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What a shell does to go into it.
    pub fn enter(&self) -> String {
        format!("echo $$ > '{}/cgroup.procs'", self.path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that has just ended may still be counted.
        let _busy = wait_until("the cgroup can be removed", || Ok(fs::remove_dir(&self.path).is_ok()));
        for mount in mounts("cgroup").unwrap_or_default() {
            let _absent = fs::remove_dir(mount.join(&self.name));
        }
    }
}

/// Where the hierarchies of one kind are mounted: proc_pid_mountinfo(5).
pub(crate) fn mounts(kind: &str) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    let mark = format!(" - {kind} ");
    let lines = table.lines().filter(|line| line.contains(&mark));
    Ok(lines.filter_map(|line| line.split(' ').nth(4)).map(|at| Path::new(at).to_owned()).collect())
}
