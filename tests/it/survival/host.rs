//! Hosts that are not as this one is, in a mount namespace of the daemon's own, and a clock that is set.

use std::collections::BTreeSet;

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
fn a_bpffs_that_is_not_mounted_is_mounted() -> Result<()> {
    let mut daemon = Daemon::prepare("", "")?;
    records(&mut daemon, &on_a_host_where("umount -R /sys/fs/bpf"))
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
