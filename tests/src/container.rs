//! A container that lives as long as the test that made it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{Outcome, outcome, output};
use crate::docker::{docker, unique};

/// A container; it is removed, with its anonymous volumes, when this goes out of scope.
#[derive(Debug)]
pub struct Container {
    id: String,
    name: String,
}

impl Container {
    /// Creates a container without starting it: `docker create OPTIONS IMAGE COMMAND`.
    pub fn create(image: &str, options: &[&str], command: &[&str]) -> Result<Self> {
        let name = unique("c");
        let words = [&["create", "--name", name.as_str()], options, &[image], command].concat();
        let id = docker(&words).with_context(|| format!("cannot create a container of {image}"))?;
        // Warnings come before the id, a line each.
        let id = id.lines().last().unwrap_or_default().to_owned();
        Ok(Self { id, name })
    }

    /// Creates and starts one.
    pub fn run(image: &str, options: &[&str], command: &[&str]) -> Result<Self> {
        let container = Self::create(image, options, command)?;
        container.start()?;
        Ok(container)
    }

    /// The container that a script starts which passes its arguments on to `docker run`.
    pub fn by_script(script: &Path) -> Result<Self> {
        let name = unique("c");
        let beside = script.parent().context("the script has no directory")?;
        let mut command = Command::new("sh");
        command.arg(script).args(["--detach", "--name", &name]).current_dir(beside);
        // Whatever comes of it is removed.
        let mut container = Self { id: String::new(), name };
        let id = output(&mut command).with_context(|| format!("{} starts no container", script.display()))?;
        id.lines().last().unwrap_or_default().clone_into(&mut container.id);
        Ok(container)
    }

    /// Full id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it.
    pub fn start(&self) -> Result<()> {
        docker(&["start", &self.name]).map(drop)
    }

    /// Stops it with its own stop signal and grace.
    pub fn stop(&self) -> Result<()> {
        docker(&["stop", &self.name]).map(drop)
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) -> Result<()> {
        docker(&["kill", &self.name]).map(drop)
    }

    /// Waits until it exits; its exit code.
    pub fn wait(&self) -> Result<i32> {
        let code = docker(&["wait", &self.name])?;
        code.parse().with_context(|| format!("docker wait says {code:?}"))
    }

    /// What the engine knows of it.
    pub fn inspect(&self) -> Result<Value> {
        let text = docker(&["inspect", "--format", "{{json .}}", &self.name])?;
        serde_json::from_str(&text).context("docker inspect printed no JSON")
    }

    /// Its address; an error with its logs when it does not run.
    pub fn ip(&self) -> Result<String> {
        let addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = docker(&["inspect", "--format", addresses, &self.name])?;
        let Some(first) = addresses.split_whitespace().next() else {
            bail!("{} has no address, so it does not run; it logged:\n{}", self.name, self.logs()?);
        };
        Ok(first.to_owned())
    }

    /// Host pid of its first process.
    pub fn pid(&self) -> Result<u32> {
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &self.name])?;
        pid.parse().with_context(|| format!("the engine gives {} the pid {pid:?}", self.name))
    }

    /// Runs a command in it: `docker exec`.
    pub fn exec(&self, command: &[&str]) -> Result<Outcome> {
        outcome(Command::new("docker").args(["exec", &self.name]).args(command))
    }

    /// What it printed, standard error included.
    pub fn logs(&self) -> Result<String> {
        let logs = outcome(Command::new("docker").args(["logs", &self.name]))?;
        Ok(logs.stdout + &logs.stderr)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // A test may have removed it already.
        let _absent = Command::new("docker").args(["rm", "--force", "--volumes", &self.name]).output();
    }
}
