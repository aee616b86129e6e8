//! A daemon of its own: its state, socket and pins are nobody else's, and it records only containers with its label.

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::janitor::Janitor;
use crate::process::{command, output};

/// How long it may take to come up: the kernel's verifier looks at every program.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon.
pub struct Daemon {
    dir: PathBuf,
    label: String,
    child: RefCell<Child>,
    _janitor: Janitor,
}

impl Daemon {
    /// Starts it with the usual settings; it answers when this returns.
    pub fn start(agent: &Path) -> Result<Self> {
        let id = std::process::id();
        let (dir, label) = (std::env::temp_dir().join(format!("slim-soak-{id}")), format!("slim.soak={id}"));
        let at = |name: &str| dir.join(name).display().to_string();
        let config = format!(
            "state = {:?}\nsocket = {:?}\npins = \"/sys/fs/bpf/slim-soak-{id}\"\n[[watch]]\nlabel = {label:?}\n",
            at("state"),
            at("control.sock"),
        );
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let janitor = Janitor::hire(&dir, &label, agent)?;
        fs::write(dir.join("config.toml"), config).context("cannot write the configuration")?;
        let log = File::create(dir.join("log")).context("cannot write a log")?;
        let mut program = command(agent, ["daemon", "--config"]);
        program.arg(dir.join("config.toml")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = program.spawn().context("cannot start the daemon")?;
        fs::write(dir.join("pid"), format!("{}\n", child.id())).context("cannot note the process")?;
        let daemon = Self { dir, label, child: RefCell::new(child), _janitor: janitor };
        daemon.comes_up()?;
        Ok(daemon)
    }

    fn comes_up(&self) -> Result<()> {
        let began = Instant::now();
        while self.ask("/v1/health").is_err() {
            if began.elapsed() > PATIENCE {
                bail!("the daemon does not answer; it logged:\n{}", self.log());
            }
            self.lives()?;
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// An error if its process has ended.
    fn lives(&self) -> Result<()> {
        match self.child.borrow_mut().try_wait().context("cannot look at the daemon")? {
            Some(status) => bail!("the daemon ended with {status}; it logged:\n{}", self.log()),
            None => Ok(()),
        }
    }

    /// The label of containers that it records.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the kernel tells of its process: a file in /proc/PID.
    pub fn proc(&self, file: &str) -> Result<String> {
        self.lives()?;
        let path = format!("/proc/{}/{file}", self.child.borrow().id());
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// What it answers at a path of its interface.
    pub fn ask(&self, path: &str) -> Result<String> {
        let words = ["--silent", "--show-error", "--fail", "--max-time", "60", "--unix-socket"];
        let mut curl = command("curl", words);
        curl.arg(self.dir.join("control.sock")).arg(format!("http://localhost{path}"));
        output(&mut curl)
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}
