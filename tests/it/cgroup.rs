//! A bare cgroup instead of a container.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use slim_tests::{BASE, Cgroup, Container, Manifest, output, record_script};

#[test]
fn a_command_that_enters_a_recorded_cgroup_is_seen_with_what_it_runs_and_opens() -> Result<()> {
    let cgroup = Cgroup::new()?;
    let place = tempfile::tempdir()?;
    let (path, secret) = (place.path().join("m.json"), place.path().join("some file"));
    fs::write(&secret, "text")?;
    let script = format!("{}; cat '{}' > /dev/null", cgroup.enter(), secret.display());
    record_script(&["--cgroup", cgroup.path()], &path, &script)?.expect(0)?;
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
    let script = format!("cat '{}' > /dev/null; {}", other.display(), cgroup.enter());
    record_script(&["--cgroup", cgroup.path()], &path, &script)?.expect(0)?;
    ensure!(Manifest::read(&path)?.uses(&other.to_string_lossy()).is_empty());
    Ok(())
}

#[test]
fn fifty_containers_started_in_a_burst_below_a_recorded_cgroup_are_seen_from_their_first_exec() -> Result<()>
{
    let cgroup = Cgroup::new()?;
    let parent = format!("/{}", cgroup.name());
    let options = ["--network", "none", "--cgroup-parent", &parent];
    let containers = (0..50)
        .map(|number| {
            let script = format!(": > /tmp/{number}; exec /bin/true");
            Container::create(BASE, &options, &["sh", "-c", &script])
        })
        .collect::<Result<Vec<_>>>()?;
    let ids: Vec<&str> = containers.iter().map(Container::id).collect();
    let script = format!("docker start {0} > /dev/null; docker wait {0} > /dev/null", ids.join(" "));
    let place = tempfile::tempdir()?;
    let path = place.path().join("m.json");
    record_script(&["--cgroup", cgroup.path()], &path, &script)?.expect(0)?;
    let manifest = Manifest::read(&path)?;
    manifest.whole()?;
    // In a bare cgroup a runtime that runs itself anew there counts, too, and whether it does so before or after it
    // enters is a matter of time. What must not happen is that one is missing.
    let execs = manifest.count("sched_process_exec", "hits")?;
    ensure!(execs >= 2 * 50, "expected two programs of each container at the least, found {execs}");
    for number in 0..50 {
        let name = format!("/tmp/{number}");
        ensure!(manifest.uses(&name).contains("write"), "container {number} was not seen");
    }
    Ok(())
}

/// As with storage drivers that have no filesystem of their own for each container.
#[test]
fn a_root_on_the_host_s_own_filesystem_is_told_from_the_host_s_root() -> Result<()> {
    let cgroup = Cgroup::new()?;
    let place = tempfile::tempdir()?;
    let (path, root) = (place.path().join("m.json"), place.path().join("root"));
    fs::create_dir(&root)?;
    let root = root.to_string_lossy();
    let container = Container::create(BASE, &[], &["true"])?;
    output(
        Command::new("sh").args(["-c", &format!("docker export {} | tar x -C {root}", container.name())]),
    )?;
    let inside = "pivot_root . mnt && exec cat /etc/debian_version";
    let script = format!(
        "{}; exec unshare -m sh -c 'mount --bind {root} {root} && cd {root} && {inside}' > /dev/null",
        cgroup.enter()
    );
    record_script(&["--cgroup", cgroup.path()], &path, &script)?.expect(0)?;
    let manifest = Manifest::read(&path)?;
    ensure!(manifest.uses("/etc/debian_version").contains("open"));
    let leaked: Vec<_> = manifest.paths().filter(|path| path.contains("root/etc/")).collect();
    ensure!(leaked.is_empty(), "{leaked:?}");
    Ok(())
}
