//! A bare cgroup instead of a container.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use slim_tests::{Manifest, record_script, unique, wait_until};

/// A cgroup of the v2 hierarchy; it is removed when this goes out of scope.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Result<Self> {
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        let line = table.lines().find(|line| line.contains(" - cgroup2 "));
        let mount = line.and_then(|line| line.split(' ').nth(4)).context("no cgroup v2 is mounted")?;
        let cgroup = Self(Path::new(mount).join(unique("cgroup")));
        fs::create_dir(&cgroup.0).with_context(|| format!("cannot make {}", cgroup.0.display()))?;
        Ok(cgroup)
    }

    /// A script that goes into the cgroup itself before it does anything else.
    fn inside(&self, script: &str) -> String {
        format!("echo $$ > '{}/cgroup.procs'; {script}", self.0.display())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that has just ended may still be counted.
        let _busy = wait_until("the cgroup can be removed", || Ok(fs::remove_dir(&self.0).is_ok()));
    }
}

#[test]
fn a_command_that_enters_a_recorded_cgroup_is_seen_with_what_it_runs_and_opens() -> Result<()> {
    let cgroup = Cgroup::new()?;
    let place = tempfile::tempdir()?;
    let (path, secret) = (place.path().join("m.json"), place.path().join("some file"));
    fs::write(&secret, "text")?;
    let script = cgroup.inside(&format!("cat '{}' > /dev/null", secret.display()));
    record_script(&["--cgroup", &cgroup.0.to_string_lossy()], &path, &script)?.expect(0)?;
    let manifest = Manifest::read(&path)?;
    // Nobody was in it before.
    manifest.whole()?;
    ensure!(manifest.uses("/usr/bin/cat").contains("exec"), "{:?}", manifest.paths().collect::<Vec<_>>());
    ensure!(manifest.uses(&secret.to_string_lossy()).contains("open"));
    ensure!(manifest.syscall_phases("openat") == ["app"].into());
    Ok(())
}

#[test]
fn a_process_outside_of_the_recorded_cgroup_is_not_seen() -> Result<()> {
    let cgroup = Cgroup::new()?;
    let place = tempfile::tempdir()?;
    let (path, other) = (place.path().join("m.json"), place.path().join("other"));
    fs::write(&other, "text")?;
    let script = format!("cat '{}' > /dev/null; {}", other.display(), cgroup.inside("true"));
    record_script(&["--cgroup", &cgroup.0.to_string_lossy()], &path, &script)?.expect(0)?;
    ensure!(Manifest::read(&path)?.uses(&other.to_string_lossy()).is_empty());
    Ok(())
}
