//! An agent that records while the test goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::agent::agent;
use crate::command::{Outcome, output};

/// A recording that runs; its directory holds the manifest and nothing else. It is killed with this.
#[derive(Debug)]
pub struct Background {
    place: TempDir,
    child: Option<Child>,
}

impl Background {
    /// Starts `slim-agent record TARGET -o MANIFEST -- COMMAND`.
    pub fn record(target: &[&str], command: &[&str]) -> Result<Self> {
        let mut recording = Self { place: tempfile::tempdir()?, child: None };
        recording.begin(target, command)?;
        Ok(recording)
    }

    /// Starts another recording, to the same manifest.
    pub fn begin(&mut self, target: &[&str], command: &[&str]) -> Result<()> {
        let mut agent = agent()?;
        agent.arg("record").args(target).arg("-o").arg(self.manifest());
        if !command.is_empty() {
            agent.arg("--").args(command);
        }
        let agent = agent.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.child = Some(agent.spawn().context("cannot start the agent")?);
        Ok(())
    }

    /// The agent's process.
    pub fn pid(&self) -> Result<u32> {
        self.child.as_ref().map(Child::id).context("no agent was started")
    }

    /// Where the manifest goes.
    pub fn manifest(&self) -> PathBuf {
        self.place.path().join("m.json")
    }

    /// Where the manifest's directory is.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// Sends the agent a signal, by its name without SIG; one that has ended already is no error.
    pub fn signal(&self, name: &str) -> Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let script = format!("kill -s {name} {} || true", child.id());
        output(std::process::Command::new("sh").args(["-c", &script])).map(drop)
    }

    /// Whether the agent still runs.
    pub fn runs(&mut self) -> Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait().context("cannot ask for the agent's state")?.is_none()),
            None => Ok(false),
        }
    }

    /// Waits until the agent ends.
    pub fn end(&mut self) -> Result<Outcome> {
        let child = self.child.take().context("no agent was started")?;
        Ok(child.wait_with_output().context("cannot wait for the agent")?.into())
    }

    /// Names in the directory besides the manifest: what the agent left behind.
    pub fn left_behind(&self) -> Result<Vec<String>> {
        let names = fs::read_dir(self.place.path())?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>>>()?;
        Ok(names.into_iter().filter(|name| name != "m.json").collect())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}
