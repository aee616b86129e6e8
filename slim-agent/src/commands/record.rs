//! `record`: (being written)

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

/// Arguments of `record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or id of the container
    #[arg(value_name = "CONTAINER", required_unless_present = "cgroup", conflicts_with = "cgroup")]
    pub container: Option<String>,
    /// Record a cgroup v2 directory instead of a container; no runtime is needed
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// Where to write the manifest; `-` is standard output [default: CONTAINER.manifest.json]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// End after this time, as 90s, 10m or 2days
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Restart a running container, so that its start-up is observed
    #[arg(long, conflicts_with = "cgroup")]
    pub restart: bool,
    /// A load test to run on the host meanwhile; recording ends with it
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Always, until it is written.
pub async fn run(_args: &Args) -> Result<()> {
    crate::probe::support::require()?;
    bail!("recording is not built into this version")
}
