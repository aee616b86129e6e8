//! podman's service, of the Debian package `podman`.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::end;
use crate::command::output;
use crate::wait::wait_until;

/// runc, for Debian's crun takes no host with controllers in both cgroup hierarchies; limits that need no privilege to be
/// set; and nothing that other podmans of this host use.
const CONTAINERS: &str = r#"[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "PLACE/tmp"
"#;

const STORAGE: &str = r#"[storage]
driver = "overlay"
graphroot = "PLACE/graph"
runroot = "PLACE/run"
"#;

/// A podman that answers Docker's API; it ends, and all that it holds is removed, when this goes out of scope.
#[derive(Debug)]
pub struct Podman {
    place: TempDir,
    service: Option<Child>,
}

impl Podman {
    /// Starts one.
    pub fn start() -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let spelled = place.path().to_str().context("the temporary directory is not UTF-8")?;
        for (name, text) in [("containers.conf", CONTAINERS), ("storage.conf", STORAGE)] {
            fs::write(place.path().join(name), text.replace("PLACE", spelled))?;
        }
        let mut podman = Self { place, service: None };
        podman.resume()?;
        Ok(podman)
    }

    /// Starts the service again; containers do not depend on it.
    pub fn resume(&mut self) -> Result<()> {
        let log = File::create(self.place.path().join("log"))?;
        let mut command = self.command();
        command.args(["system", "service", "--time=0", &format!("unix://{}", self.socket().display())]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.service = Some(command.spawn().context("cannot run podman: cargo xtask setup")?);
        let socket = self.socket();
        wait_until("podman's service listens", || Ok(UnixStream::connect(&socket).is_ok()))
            .with_context(|| fs::read_to_string(self.place.path().join("log")).unwrap_or_default())
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.place.path().join("podman.sock")
    }

    /// `podman ARGUMENTS`; its standard output.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        output(self.command().args(arguments))
    }

    /// Takes the images of a saved archive.
    pub fn load(&self, archive: &Path) -> Result<()> {
        output(self.command().args(["load", "--quiet", "--input"]).arg(archive)).map(drop)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.place.path().join("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.place.path().join("storage.conf"));
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _removed = self.run(&["rm", "--all", "--force", "--time=0"]);
        if let Some(service) = &mut self.service {
            end(service);
        }
        // Its storage is mounted onto itself.
        let graph = self.place.path().join("graph/overlay");
        let _unmounted = Command::new("umount").arg(graph).stderr(Stdio::null()).status();
    }
}
