//! A watch that goes on while a test makes the container ask for things.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::agent;
use crate::command::{Outcome, output};
use crate::wait::wait_until;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `slim-agent watch` in the background. It is ended when this goes out of scope.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    place: TempDir,
    lines: Receiver<String>,
}

impl Watch {
    /// Starts `slim-agent watch CONTAINER --against AGAINST --format json OPTIONS`, and returns once it watches.
    pub fn begin(container: &str, against: &str, options: &[&str]) -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let begun = place.path().join("begun");
        let mut command = agent()?;
        command.args(["watch", container, "--against", against, "--format", "json"]).args(options);
        command.arg("-o").arg(place.path().join("m.json"));
        command.args(["--", "sh", "-c", "touch \"$0\"; exec sleep 600"]).arg(&begun);
        let stderr = File::create(place.path().join("stderr")).context("cannot make a file for messages")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().context("cannot run slim-agent")?;
        let stdout = child.stdout.take().context("the agent has no standard output")?;
        let (to, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| to.send(line))
        });
        let mut watch = Self { child, place, lines };
        wait_until("the watch begins", || {
            ensure!(watch.goes_on()? || begun.exists(), "it ended: {}", watch.stderr()?);
            Ok(begun.exists())
        })?;
        Ok(watch)
    }

    /// The next finding; an error when none comes.
    pub fn finding(&self) -> Result<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => serde_json::from_str(&line).with_context(|| format!("not a finding: {line}")),
            Err(RecvTimeoutError::Timeout) => bail!("no finding came: {}", self.stderr()?),
            Err(RecvTimeoutError::Disconnected) => bail!("the watch has ended: {}", self.stderr()?),
        }
    }

    /// Where the manifest goes.
    pub fn manifest(&self) -> PathBuf {
        self.place.path().join("m.json")
    }

    /// Ends the watch with Ctrl-C; how it ended, with the findings that nobody took as its standard output.
    pub fn end(&mut self) -> Result<Outcome> {
        output(Command::new("kill").args(["-s", "INT", &self.child.id().to_string()]))?;
        let code = self.child.wait().context("cannot wait for the agent")?.code();
        let left: Vec<String> = self.lines.iter().collect();
        Ok(Outcome { code, stdout: left.join("\n"), stderr: self.stderr()? })
    }

    fn goes_on(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("cannot look at the agent")?.is_none())
    }

    fn stderr(&self) -> Result<String> {
        let mut text = String::new();
        File::open(self.place.path().join("stderr"))?.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SIGTERM, so that it takes its COMMAND along; one that has ended already is no error.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _told = output(Command::new("kill").arg(self.child.id().to_string()));
            let _ended = self.child.wait();
        }
    }
}
