//! Bad input and bad surroundings: each has its exit code and its sentence, and loses nothing.

mod command_line;
mod containers;
mod engine;
mod host;
mod hostile;
mod manifests;
mod outputs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result};
use slim_tests::agent;
use tempfile::TempDir;

/// The image of containers that need no application.
const BASE: &str = "debian:bookworm-slim";
/// The capabilities with which a user who is not root can record.
const ENOUGH: [&str; 4] = ["bpf", "perfmon", "sys_ptrace", "dac_read_search"];

/// The agent with these arguments.
fn slim(args: &[&str]) -> Result<Command> {
    let mut command = agent()?;
    command.args(args);
    Ok(command)
}

/// The agent with these arguments, run by another program such as setpriv(1).
fn slim_under(wrapper: &[&str], args: &[&str]) -> Result<Command> {
    let (program, options) = wrapper.split_first().context("no wrapper is named")?;
    let mut command = Command::new(program);
    command.args(options).arg(agent()?.get_program()).args(args);
    Ok(command)
}

/// The agent with these arguments after `preparation`, a line of shell, in a mount namespace of its own.
fn slim_after(preparation: &str, args: &[&str]) -> Result<Command> {
    let script = format!("{preparation} && exec \"$0\" \"$@\"");
    slim_under(&["unshare", "--mount", "sh", "-c", &script], args)
}

/// The agent where any user can run it: a workspace may lie in a directory that only its owner may enter.
struct Public {
    place: TempDir,
}

impl Public {
    fn new() -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
        fs::copy(agent()?.get_program(), place.path().join("slim-agent"))
            .context("cannot copy slim-agent")?;
        Ok(Self { place })
    }

    /// The agent run by the user nobody, with these capabilities only.
    fn as_nobody(&self, capabilities: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        if !capabilities.is_empty() {
            let granted = capabilities.iter().map(|name| format!("+{name}")).collect::<Vec<_>>().join(",");
            command.args(["--inh-caps", &granted, "--ambient-caps", &granted]);
        }
        command.arg(self.place.path().join("slim-agent")).args(args).current_dir("/");
        command
    }
}
