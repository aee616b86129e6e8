//! A cgroup that stops a container at its birth: the runtime puts the container's first process into it before that
//! process does anything, and there it stays frozen until somebody is ready to watch.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cgroup::mounts;
use crate::docker::{docker, unique};
use crate::wait::wait_until;

/// A cgroup for one container. It is removed when this goes out of scope.
#[derive(Debug)]
pub struct Freezer {
    name: String,
    directory: PathBuf,
    control: PathBuf,
    frozen: &'static str,
    thawed: &'static str,
}

/// A frozen [`Freezer`]. It is thawed when this goes out of scope: nothing can remove a frozen container.
#[derive(Debug)]
pub struct Frozen<'a>(&'a Freezer);

impl Freezer {
    /// Makes one.
    pub fn new() -> Result<Self> {
        // A dash would be a level of its own in a slice's name.
        let mut name = unique("frozen").replace('-', "_");
        if docker(&["info", "--format", "{{.CgroupDriver}}"])? == "systemd" {
            name += ".slice";
        }
        let v1 = mounts("cgroup")?.into_iter().find(|mount| mount.ends_with("freezer"));
        let (directory, control, frozen, thawed) = match v1 {
            Some(mount) => (mount.join(&name), "freezer.state", "FROZEN", "THAWED"),
            None => {
                let mount = mounts("cgroup2")?.into_iter().next().context("no cgroups are mounted")?;
                (mount.join(&name), "cgroup.freeze", "1", "0")
            }
        };
        fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let control = directory.join(control);
        Ok(Self { name, directory, control, frozen, thawed })
    }

    /// The option of `docker create` that puts a container below this.
    pub fn option(&self) -> String {
        let slash = if self.name.ends_with(".slice") { "" } else { "/" };
        format!("--cgroup-parent={slash}{}", self.name)
    }

    /// Freezes it.
    pub fn freeze(&self) -> Result<Frozen<'_>> {
        let frozen = Frozen(self);
        self.set(self.frozen)?;
        Ok(frozen)
    }

    /// Waits until a container is being made here; the process that it will be.
    pub fn first_process(&self) -> Result<u32> {
        let mut found = Vec::new();
        wait_until("the runtime puts a process into the frozen cgroup", || {
            found = self.processes()?;
            Ok(!found.is_empty())
        })?;
        match found[..] {
            [pid] => Ok(pid),
            _ => bail!("expected one process in {}, found {found:?}", self.directory.display()),
        }
    }

    fn set(&self, state: &str) -> Result<()> {
        fs::write(&self.control, state).with_context(|| format!("cannot write {}", self.control.display()))
    }

    fn processes(&self) -> Result<Vec<u32>> {
        let mut pids = Vec::new();
        for entry in fs::read_dir(&self.directory).context("cannot list the frozen cgroup")? {
            let procs = entry.context("cannot list the frozen cgroup")?.path().join("cgroup.procs");
            // Also what is no cgroup, and one that has just gone.
            let Ok(text) = fs::read_to_string(procs) else { continue };
            pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
        Ok(pids)
    }
}

impl Frozen<'_> {
    /// Lets the processes go on.
    pub fn thaw(self) -> Result<()> {
        self.0.set(self.0.thawed)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _thawed = self.0.set(self.0.thawed);
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // The runtime makes its namesakes in the other hierarchies.
        for mount in mounts("cgroup").into_iter().chain(mounts("cgroup2")).flatten() {
            let path = mount.join(&self.name);
            let _busy = wait_until("the cgroup can be removed", || {
                Ok(fs::remove_dir(&path).is_ok() || !path.exists())
            });
        }
    }
}
