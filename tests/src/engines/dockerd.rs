//! A Docker engine of a test's own, which can be restarted: its data, its sockets and its containerd are nobody else's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::command::{outcome, output};
use crate::docker::unique;
use crate::wait::wait_until;

/// An engine. It ends, and all that it holds is removed, when this goes out of scope.
#[derive(Debug)]
pub struct Dockerd {
    place: TempDir,
    live_restore: bool,
    parent: String,
    service: Option<Child>,
}

impl Dockerd {
    /// Starts one that keeps its containers when it ends, or does not.
    pub fn start(live_restore: bool) -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let parent = format!("/{}", unique("dockerd"));
        let mut engine = Self { place, live_restore, parent, service: None };
        engine.resume()?;
        Ok(engine)
    }

    /// Starts it again.
    pub fn resume(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.at("log"))?;
        // In a network of its own: an engine without a bridge removes docker0, whosever that is.
        let mut command = Command::new("unshare");
        command
            .args(["--net", "dockerd", "--data-root"])
            .arg(self.at("data"))
            .arg("--exec-root")
            .arg(self.at("exec"));
        command.arg("--pidfile").arg(self.at("pid")).args(["--host", &self.address()]);
        command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]);
        command.args(["--cgroup-parent", &self.parent, "--config-file"]).arg(self.at("daemon.json"));
        if self.live_restore {
            command.arg("--live-restore");
        }
        fs::write(self.at("daemon.json"), "{}")?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.service = Some(command.spawn().context("cannot run dockerd: cargo xtask setup")?);
        let answers = || Ok(outcome(self.command().arg("version"))?.code == Some(0));
        wait_until("the engine answers", answers).with_context(|| self.log())
    }

    /// Ends it as its service manager does, and waits: it ends its containers and its containerd first.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut service) = self.service.take() else { return Ok(()) };
        output(Command::new("kill").arg(service.id().to_string()))?;
        wait_until("the engine has ended", || Ok(service.try_wait()?.is_some())).with_context(|| self.log())
    }

    /// Where it listens, as the daemon's configuration spells it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.at("docker.sock").display())
    }

    /// `docker ARGUMENTS`; its standard output.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        output(self.command().args(arguments))
    }

    /// Takes the image of a saved archive.
    pub fn load(&self, archive: &Path) -> Result<()> {
        output(self.command().args(["load", "--quiet", "--input"]).arg(archive)).map(drop)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.args(["--host", &self.address()]);
        command
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if self.service.is_none() {
            let _answers = self.resume();
        }
        let names = self.run(&["ps", "--all", "--quiet"]).unwrap_or_default();
        for name in names.lines() {
            let _removed = self.run(&["rm", "--force", name]);
        }
        self.live_restore = false;
        let _ended = self.stop();
        for mount in
            crate::cgroup::mounts("cgroup").into_iter().chain(crate::cgroup::mounts("cgroup2")).flatten()
        {
            let _absent = fs::remove_dir(mount.join(&self.parent[1..]));
        }
        // Whatever it had mounted in its directories would keep them.
        let below = self.place.path().display().to_string();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let places =
            table.lines().filter_map(|line| line.split(' ').nth(4)).filter(|at| at.starts_with(&below));
        for at in places.collect::<Vec<_>>().into_iter().rev() {
            let _unmounted = Command::new("umount").arg(at).stderr(Stdio::null()).status();
        }
    }
}
