//! Pinned programs of the agent, through its library: no command shows a slot.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use slim_agent::probe::{Adoption, Birth, Limits, Probe, Tier};
use slim_common::scope::flags;

use crate::cgroup::Cgroup;
use crate::docker::unique;
use crate::wait::wait_until;

/// Small tables, which are made quickly. The slots are enough for the host's other containers, too: whatever starts while
/// a test lets containers come has one.
pub fn small_limits(ring: u32) -> Limits {
    Limits { ring, backlog: 64, seen: 65_536, lost: 256, slots: 100, ..Limits::service() }
}

/// The slot of a container.
///
/// # Errors
/// It has none.
pub fn birth_of(probe: &Probe, born: &Born) -> Result<Birth> {
    let found = probe.births()?.into_iter().find(|birth| birth.container == born.name);
    found.with_context(|| format!("no slot for {}", born.name))
}

/// Lets containers come for as long as it takes to make one: the host's others are no concern of a test.
///
/// # Errors
/// As [`Born::below`].
pub fn come(probe: &mut Probe, parent: &Cgroup, number: u32, prefix: &str) -> Result<Born> {
    probe.set_auto(true, flags::HOST_ROOT)?;
    let born = Born::below(parent, number, prefix);
    probe.set_auto(false, 0)?;
    born
}

/// A directory of pinned programs; they are gone when this goes out of scope.
#[derive(Debug)]
pub struct Pins(PathBuf);

impl Pins {
    /// One where nothing is yet.
    pub fn new() -> Self {
        Self(Path::new("/sys/fs/bpf").join(unique("pins")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Pins programs there, or goes on with those that are there.
    ///
    /// # Errors
    /// As [`Probe::pinned`].
    pub fn open(&self, limits: &Limits) -> Result<(Probe, Adoption)> {
        Probe::pinned(&self.0, limits, Tier::Auto)
    }
}

impl Default for Pins {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = Probe::detach(&self.0) {
            eprintln!("{error:#}");
        }
    }
}

/// A cgroup that is named as an engine names a container's; it is removed when this goes out of scope.
#[derive(Debug)]
pub struct Born {
    name: String,
    dir: PathBuf,
}

impl Born {
    /// One below another, as `NAME`, with a prefix as `PREFIX-NAME.scope`, with one that ends in a dash as `PREFIX-NAME`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn below(parent: &Cgroup, number: u32, prefix: &str) -> Result<Self> {
        let name = format!("{number:064x}");
        let spelled = match prefix {
            "" => name.clone(),
            prefix if prefix.ends_with('-') => format!("{prefix}{name}"),
            prefix => format!("{prefix}-{name}.scope"),
        };
        let dir = Path::new(parent.path()).join(spelled);
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self { name, dir })
    }

    /// The container's id.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cgroup's id.
    ///
    /// # Errors
    /// It is gone.
    pub fn id(&self) -> Result<u64> {
        Ok(fs::metadata(&self.dir).context("the container's cgroup is gone")?.ino())
    }

    /// A shell in it, which runs `script` until it has done so or, for what reads it, its standard input ends.
    ///
    /// # Errors
    /// There is no shell.
    pub fn run(&self, script: &str) -> Result<Child> {
        let enter = format!("echo $$ > '{}/cgroup.procs'; {script}", self.dir.display());
        let mut shell = Command::new("sh");
        shell.args(["-c", &enter]).stdin(Stdio::piped()).stdout(Stdio::null());
        shell.spawn().context("cannot run a shell")
    }
}

impl Drop for Born {
    fn drop(&mut self) {
        let removed = || Ok(fs::remove_dir(&self.dir).is_ok());
        let _busy = wait_until("a container's cgroup can be removed", removed);
    }
}
