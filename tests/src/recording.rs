//! A recording that goes on while a test does something to its surroundings.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::{agent, read_json};
use crate::command::Outcome;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent in the background. It is killed when this goes out of scope.
#[derive(Debug)]
pub struct Recording {
    child: Child,
    place: TempDir,
}

impl Recording {
    /// `slim-agent record TARGET -o MANIFEST`, with a COMMAND that ends only with the recording; returns once that
    /// runs, so that the recording has begun.
    pub fn begin(target: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let begun = place.path().join("begun");
        let mut command = agent()?;
        command.arg("record").args(target).arg("-o").arg(place.path().join("manifest.json"));
        command.args(["--", "sh", "-c", "touch \"$0\"; exec sleep 600"]).arg(&begun);
        let stderr = File::create(place.path().join("stderr")).context("cannot make a file for messages")?;
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().context("cannot run slim-agent")?;
        let mut recording = Self { child, place };
        recording.until("the recording begins", || begun.exists())?;
        Ok(recording)
    }

    /// The agent's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub fn stderr(&self) -> Result<String> {
        fs::read_to_string(self.place.path().join("stderr")).context("cannot read the agent's messages")
    }

    /// Waits until the agent has said `words`.
    pub fn says(&mut self, words: &str) -> Result<()> {
        let path = self.place.path().join("stderr");
        self.until(words, || fs::read_to_string(&path).is_ok_and(|text| text.contains(words)))
    }

    /// Whether the agent still runs.
    pub fn goes_on(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("cannot look at the agent")?.is_none())
    }

    /// Sends a signal, by the name that kill(1) knows it by.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.pid().to_string();
        crate::command::output(Command::new("kill").args(["-s", name, &pid])).map(drop)
    }

    /// Waits until the agent ends by itself: how it ended, and the manifest if there is one.
    pub fn end(mut self) -> Result<(Outcome, Option<Value>)> {
        let deadline = Instant::now() + PATIENCE;
        while self.goes_on()? {
            ensure!(Instant::now() < deadline, "the recording does not end; it said:\n{}", self.stderr()?);
            std::thread::sleep(Duration::from_millis(20));
        }
        let code = self.child.wait().context("cannot wait for the agent")?.code();
        let outcome = Outcome { code, stdout: String::new(), stderr: self.stderr()? };
        let path: PathBuf = self.place.path().join("manifest.json");
        let manifest = path.exists().then(|| read_json(&path)).transpose()?;
        Ok((outcome, manifest))
    }

    fn until(&mut self, what: &str, condition: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            if !self.goes_on()? || Instant::now() > deadline {
                bail!("waited in vain for: {what}; the agent said:\n{}", self.stderr()?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // SIGTERM, so that it takes its COMMAND along; one that has ended already is no error.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _told = self.signal("TERM");
            let _ended = self.child.wait();
        }
    }
}
