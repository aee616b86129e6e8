//! Pinned programs: they record while nobody holds them, and the next agent goes on with them or takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use slim_agent::decode::{Kind, decode};
use slim_agent::probe::{Adoption, Birth, Limits, Probe, Tier};
use slim_common::scope::flags;
use slim_tests::{Cgroup, unique, wait_until};

/// A directory of pinned programs that are gone when the test is over.
struct Pins(PathBuf);

impl Pins {
    fn new() -> Self {
        Self(Path::new("/sys/fs/bpf").join(unique("pins")))
    }

    fn open(&self, limits: &Limits) -> Result<(Probe, Adoption)> {
        Probe::pinned(&self.0, limits, Tier::Auto)
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = Probe::detach(&self.0) {
            eprintln!("{error:#}");
        }
    }
}

/// Small tables: a test loads them quickly.
fn limits() -> Limits {
    Limits { ring: 1 << 20, backlog: 64, seen: 8192, lost: 256, slots: 4, ..Limits::service() }
}

/// A cgroup that is named as an engine would name a container's.
struct Born<'a> {
    _parent: &'a Cgroup,
    name: String,
    dir: PathBuf,
}

impl<'a> Born<'a> {
    fn below(parent: &'a Cgroup, number: u32) -> Result<Self> {
        let name = format!("{number:064x}");
        let dir = Path::new(parent.path()).join(&name);
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self { _parent: parent, name, dir })
    }

    fn id(&self) -> Result<u64> {
        Ok(fs::metadata(&self.dir)?.ino())
    }

    /// A shell in it, which runs `script`.
    fn run(&self, script: &str) -> Result<Child> {
        let enter = format!("echo $$ > '{}/cgroup.procs'; {script}", self.dir.display());
        Command::new("sh").args(["-c", &enter]).stdout(Stdio::null()).spawn().context("cannot run a shell")
    }
}

impl Drop for Born<'_> {
    fn drop(&mut self) {
        let _busy =
            wait_until("a container's cgroup can be removed", || Ok(fs::remove_dir(&self.dir).is_ok()));
    }
}

/// A runtime for what waits for the ring; tests never wait for it.
fn within<T>(test: impl FnOnce() -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    test()
}

/// Names that a slot's records have.
fn names(probe: &mut Probe) -> Result<BTreeSet<(u32, String)>> {
    let mut found = BTreeSet::new();
    probe.drain(|record| found.extend(name(record)))?;
    Ok(found)
}

fn name(record: &[u8]) -> Option<(u32, String)> {
    let record = decode(record).ok()?;
    Some((record.header.slot, String::from_utf8_lossy(record.name).into_owned()))
}

#[test]
fn smoke() -> Result<()> {
    within(|| {
        let pins = Pins::new();
        let cgroup = Cgroup::new()?;
        let (mut probe, adoption) = pins.open(&limits())?;
        ensure!(matches!(adoption, Adoption::Fresh));
        probe.set_auto(true, flags::HOST_ROOT)?;
        let born = Born::below(&cgroup, 7)?;
        println!("{:?}", probe.births()?);
        born.run("cat /etc/passwd")?.wait()?;
        println!("{:?}", names(&mut probe)?);
        println!("{:?} {} {:?}", probe.scopes_of()?, probe.memory(), probe.hooks());
        drop(probe);
        born.run("cat /etc/group")?.wait()?;
        let began = std::time::Instant::now();
        let (mut probe, adoption) = pins.open(&limits())?;
        println!("adopted in {:?}", began.elapsed());
        ensure!(matches!(adoption, Adoption::Adopted));
        println!("{:?}", names(&mut probe)?);
        println!("{:?} {:?} {}", probe.births()?, probe.hooks(), probe.memory());
        drop(born);
        println!("{:?}", probe.scopes_of()?);
        probe.recycle(&[0].into())?;
        println!("{:?}", probe.births()?);
        Ok(())
    })
}
