//! The disk is full.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use slim_tests::{Daemon, SmallDisk, wait_until};

use super::load::{Labels, Load, Short};
use super::truth::{Profile, asked};

/// A daemon whose state is on a disk that holds little.
fn on_a_small_disk() -> Result<(Daemon, SmallDisk)> {
    let (daemon, disk) = (Daemon::prepare("", "")?, SmallDisk::new(8 << 10)?);
    let at = disk.path().join("state").display().to_string();
    daemon.change(&format!("{:?}", daemon.state().display().to_string()), &format!("{at:?}"))?;
    Ok((daemon, disk))
}

/// Waits until the load was recorded for a while, fills the disk, and waits until that is noticed.
fn fill(daemon: &Daemon, disk: &SmallDisk) -> Result<()> {
    let recordings = disk.path().join("state/recordings");
    wait_until("a checkpoint has what the load does", || {
        let mut checkpoints =
            fs::read_dir(&recordings)?.flatten().map(|dir| dir.path().join("checkpoint.json"));
        Ok(checkpoints.any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("/data/o-9\""))))
    })?;
    disk.fill()?;
    wait_until("checkpoints are paused", || {
        Ok(asked(daemon, "/v1/status")?["disk"]["paused"] == true
            && daemon.log()?.contains("checkpoints are paused"))
    })
}

#[test]
fn a_full_disk_pauses_checkpoints_says_so_and_loses_nothing() -> Result<()> {
    let (mut daemon, disk) = on_a_small_disk()?;
    let labels = Labels::of(&daemon, "full");
    daemon.start(&[])?;
    let load = Load::begin(&labels, 20)?;
    fill(&daemon, &disk)?;
    let (status, health) = daemon.curl(&[], "/v1/health", &[])?;
    ensure!(status == 503 && health.contains("checkpoints are paused"), "{status}: {health}");
    ensure!(daemon.verb(&["status"])?.stdout.contains("checkpoints are paused"), "status says nothing");

    // One comes and goes meanwhile; both are in memory only.
    let short = Short::run(&labels, 0)?;
    wait_until("what happens is known all the same", || {
        Ok(Profile::now(&daemon, "full")?.has_path(&short.path))
    })?;
    disk.empty()?;
    wait_until("checkpoints go on", || {
        let paused = asked(&daemon, "/v1/status")?["disk"]["paused"].clone();
        Ok(paused == false && daemon.log()?.contains("takes checkpoints again"))
    })?;
    ensure!(asked(&daemon, "/v1/health")?["ok"] == true);
    let done = load.end()?;
    let profile = Profile::when_idle(&daemon, "full", 2)?;
    profile.has(&done.paths)?;
    profile.has_calls(&done.calls)?;
    ensure!(profile.has_path(&short.path));
    profile.is_of(&BTreeSet::from([load.container().id(), short.container.id()]))
}

#[test]
fn what_was_in_memory_only_when_the_daemon_was_killed_is_told_to_be_missing() -> Result<()> {
    let (mut daemon, disk) = on_a_small_disk()?;
    let labels = Labels::of(&daemon, "killed");
    daemon.start(&[])?;
    let load = Load::begin(&labels, 20)?;
    fill(&daemon, &disk)?;
    // The disk never has anything of this one.
    let other = Load::begin(&labels, 20)?;
    wait_until("both are known", || {
        let profile = asked(&daemon, "/v1/profiles/killed")?;
        let both = profile["containers"].as_array().is_some_and(|containers| containers.len() == 2);
        Ok(both && Profile::now(&daemon, "killed")?.recordings().count() == 2)
    })?;
    daemon.kill()?;
    // Twice, for the first one's checkpoint does not reach the disk either.
    daemon.start(&[])?;
    daemon.kill()?;
    disk.empty()?;
    daemon.start(&[])?;
    load.end()?;
    other.end()?;
    let profile = Profile::when_idle(&daemon, "killed", 2)?;
    for recording in profile.recordings() {
        let reasons = recording["incomplete"].as_array().context("no reasons")?;
        ensure!(recording["complete"] == false && !reasons.is_empty(), "{recording}");
    }
    let first = profile.recordings().find(|recording| recording["container_id"] == load.container().id());
    let first = first.context("the first one is missing")?.to_string();
    ensure!(first.contains("while the disk took nothing"), "{first}");
    Ok(())
}
