//! Cleaning up however this program ends: a shell that waits for it to close a pipe, as it does when it is killed, too.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result};

use crate::process::command;

/// Ends the daemon whose process id is in `pid` if it still is the one, and removes the containers with the label, what the
/// daemon pinned, and the directory.
const SCRIPT: &str = r#"
read -r _
if read -r pid <"$1/pid" && grep --quiet --fixed-strings "$1/config.toml" "/proc/$pid/cmdline"; then kill -KILL "$pid"; fi
docker ps --all --quiet --filter "label=$2" | xargs --no-run-if-empty docker rm --force --volumes
"$3" uninstall --config "$1/config.toml" || { sleep 1; "$3" uninstall --config "$1/config.toml"; }
rm --recursive --force "$1"
"#;

/// The shell. It cleans up once this goes out of scope.
pub struct Janitor(Child);

impl Janitor {
    /// Of the daemon `agent` with its directory, and of the containers with a label.
    pub fn hire(dir: &Path, label: &str, agent: &Path) -> Result<Self> {
        let mut shell = command("sh", ["-c", SCRIPT, "janitor"]);
        shell.arg(dir).arg(label).arg(agent);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Out of reach of the terminal's Ctrl-C.
        shell.process_group(0);
        shell.spawn().map(Self).context("cannot run a shell")
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            eprintln!("warning: cannot wait for what cleans up: {error}");
        }
    }
}
