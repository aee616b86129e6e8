//! The load test that runs beside a recording.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use tokio::process::{Child, Command};

use crate::exit::{Exit, tag};

/// How long a load test may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A command that was given, or none: then it never ends.
pub struct Load {
    command: Vec<OsString>,
    child: Option<Child>,
}

impl Load {
    /// Checks that the command can be run, before anything is started for it.
    ///
    /// # Errors
    /// There is no such executable.
    pub fn prepare(command: &[OsString]) -> Result<Self> {
        if let Some(program) = command.first()
            && !is_executable(program)
        {
            let name = program.to_string_lossy();
            return Err(tag(
                Exit::Usage,
                format!("COMMAND {name:?} is not an executable file, nor one in PATH"),
            ));
        }
        Ok(Self { command: command.to_vec(), child: None })
    }

    /// Starts the command with these variables in its environment, in a process group of its own.
    ///
    /// # Errors
    /// It cannot be executed.
    pub fn start(&mut self, environment: &[(&str, String)], data_on_stdout: bool) -> Result<()> {
        let Some((program, arguments)) = self.command.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().map(|(key, value)| (key, value)));
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null());
        if data_on_stdout {
            let stderr =
                std::io::stderr().as_fd().try_clone_to_owned().context("cannot copy standard error")?;
            command.stdout(stderr);
        }
        let child = command.spawn().with_context(|| format!("cannot run {}", program.to_string_lossy()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Resolves when the command has exited.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        match &mut self.child {
            Some(child) => {
                let status = child.wait().await.context("cannot wait for COMMAND")?;
                self.child = None;
                Ok(status)
            }
            None => std::future::pending().await,
        }
    }

    /// Waits a while for a command that runs to end by itself; `None` when there is none or it does not.
    pub async fn finish(&mut self, patience: Duration) -> Option<Result<ExitStatus>> {
        self.child.as_ref()?;
        tokio::time::timeout(patience, self.wait()).await.ok()
    }

    /// Ends the command and what it started, if it still runs.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let Some(group) = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw) else {
            return;
        };
        let _ = killpg(group, Signal::SIGTERM);
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            let _ = killpg(group, Signal::SIGKILL);
            let _ = child.wait().await;
        }
    }
}

fn is_executable(program: &OsString) -> bool {
    let runs = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if program.as_bytes().contains(&b'/') {
        return runs(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| runs(&dir.join(program)))
}
