//! Hosts that are not as this one is, in a mount namespace of the daemon's own, and a clock that is set.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use slim_tests::{Daemon, agent, outcome};

use super::load::{Labels, Short};
use super::truth::Profile;

/// What starts a daemon on a host that `script` makes.
fn on_a_host_where(script: &str) -> Vec<String> {
    let script = format!("set -e; {script}; exec \"$@\"");
    ["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
}

fn records(daemon: &mut Daemon, before: &[String]) -> Result<()> {
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let labels = Labels::of(daemon, "host");
    daemon.start(&before)?;
    let short = Short::run(&labels, 0)?;
    let profile = Profile::when_idle(daemon, "host", 1)?;
    profile.is_of(&BTreeSet::from([short.container.id()]))?;
    ensure!(profile.has_path(&short.path));
    daemon.signal("TERM")?;
    ensure!(daemon.end()? == Some(0), "{}", daemon.log()?);
    Ok(())
}

#[test]
fn a_bpffs_that_is_not_mounted_is_mounted_and_told_to_be_the_daemon_s_own() -> Result<()> {
    let mut daemon = Daemon::prepare("", "")?;
    records(&mut daemon, &on_a_host_where("umount -R /sys/fs/bpf"))?;
    // There it ends with the daemon, which is not what it is for.
    ensure!(daemon.log()?.contains("mount -t bpf bpf /sys/fs/bpf"), "{}", daemon.log()?);
    Ok(())
}

#[test]
fn only_cgroup_v2_where_systemd_mounts_it() -> Result<()> {
    let mut daemon = Daemon::prepare("", "")?;
    records(&mut daemon, &on_a_host_where("umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup"))
}

#[test]
fn without_cgroup_v2_the_daemon_says_what_to_do() -> Result<()> {
    let daemon = Daemon::prepare("", "")?;
    let program = agent()?.get_program().display().to_string();
    let words = on_a_host_where("umount -t cgroup2 -a");
    let (first, rest) = (&words[0], &words[1..]);
    let mut command = std::process::Command::new(first);
    command.args(rest).args([&program, "daemon", "--config"]).arg(daemon.config());
    let refused = outcome(&mut command)?;
    ensure!(refused.code == Some(3) && refused.stderr.contains("mount -t cgroup2"), "{refused:?}");
    Ok(())
}

/// Has the daemon's own clock, and nobody else's, go by what a file says.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[test]
fn a_clock_that_is_set_disturbs_nothing() -> Result<()> {
    ensure!(Path::new(FAKETIME).exists(), "libfaketime is not installed: cargo xtask setup");
    let mut daemon = Daemon::prepare("", "[retention]\nidle = \"100d\"\n")?;
    let place = tempfile::tempdir()?;
    let clock = place.path().join("clock");
    let set = |to: &str| fs::write(&clock, to);
    set("+0")?;
    let file = format!("FAKETIME_TIMESTAMP_FILE={}", clock.display());
    let preload = format!("LD_PRELOAD={FAKETIME}");
    daemon.start(&["env", &preload, &file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"])?;
    let labels = Labels::of(&daemon, "clock");
    let mut shorts = Vec::new();
    for (number, to) in ["+0", "+400d", "-400d"].into_iter().enumerate() {
        set(to)?;
        shorts.push(Short::run(&labels, number)?);
        Profile::when_idle(&daemon, "clock", shorts.len())?;
    }
    let profile = Profile::now(&daemon, "clock")?;
    profile.is_of(&shorts.iter().map(|short| short.container.id()).collect())?;
    ensure!(shorts.iter().all(|short| profile.has_path(&short.path)));
    // The container's start as the wall clock was then, and its duration by the other one.
    for recording in profile.recordings() {
        ensure!(recording["duration_ms"].as_u64().is_some_and(|took| took < 600_000), "{recording}");
    }
    ensure!(daemon.verb(&["status", "clock"])?.code == Some(0));
    Ok(())
}
