//! A Docker engine: installed, and answering.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Gap, apt};
use crate::docker;
use crate::process::{as_root, found, run};

const LOG: &str = "/var/log/dockerd.log";
const PATIENCE: Duration = Duration::from_secs(60);

/// The gap, when the engine or its command line is not installed.
pub fn installed_gap() -> Option<Gap> {
    // A remote engine, or one in a virtual machine, needs no dockerd here.
    if docker::answers() || (found("dockerd") && found("docker")) {
        return None;
    }
    let missing = "a Docker engine";
    if !apt::present() {
        return Some(Gap::by_hand(missing, "install Docker (https://docs.docker.com/engine/install)"));
    }
    Some(Gap::fixable(missing, "apt-get install docker.io".into(), || {
        apt::install(&["docker.io"])?;
        // Since Debian 13 the command line is a package of its own.
        if found("docker") { Ok(()) } else { apt::install(&["docker-cli"]) }
    }))
}

/// The gap, when no engine answers.
pub fn running_gap() -> Option<Gap> {
    if docker::answers() {
        return None;
    }
    let remedy =
        if has_systemd() { "systemctl start docker".into() } else { format!("start dockerd (log: {LOG})") };
    Some(Gap::fixable("an answer from the Docker engine", remedy, start))
}

fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn start() -> Result<()> {
    if has_systemd() {
        run(&mut as_root("systemctl", &["start", "docker"]))?;
    } else {
        start_detached()?;
    }
    let began = Instant::now();
    while !docker::answers() {
        if began.elapsed() > PATIENCE {
            bail!("the Docker engine does not answer after {} s: see {LOG}", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// In a session of its own, so that it outlives this terminal.
fn start_detached() -> Result<()> {
    let log = File::options().create(true).append(true).open(LOG);
    let log =
        log.with_context(|| format!("cannot write {LOG}: start dockerd as root, then run this again"))?;
    let errors = log.try_clone().context("cannot share dockerd's log")?;
    run(as_root("setsid", &["--fork", "dockerd"])
        .stdin(std::process::Stdio::null())
        .stdout(log)
        .stderr(errors))
}
