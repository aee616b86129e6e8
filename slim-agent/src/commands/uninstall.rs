//! `slim-agent uninstall`: takes away what a daemon leaves on the host.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::daemon::MARKER;
use crate::daemon::config::{Config, DEFAULT_PATH};
use crate::exit::Exit;
use crate::probe::Probe;

/// What `uninstall` was asked to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration of the daemon, which says where things are
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,

    /// Remove the recordings, too
    #[arg(long)]
    purge: bool,
}

/// Detaches the kernel programs, and removes sockets, locks and notes; with `--purge` everything.
///
/// # Errors
/// A daemon still runs, or something cannot be removed.
pub fn run(args: &Args) -> Result<Exit> {
    let config = Config::read(&args.config)?;
    let attached =
        Probe::detach(&config.pins).context("cannot take the kernel programs away: end the daemon first")?;
    tracing::info!(
        "{}",
        if attached { "the kernel programs are gone" } else { "no kernel programs were there" }
    );
    remove_runtime_files(&config.socket)?;
    if args.purge {
        done(fs::remove_dir_all(&config.state), &config.state)?;
        tracing::info!("removed {}", config.state.display());
    } else if config.state.exists() {
        tracing::info!("recordings stay in {}: --purge removes them", config.state.display());
    }
    Ok(Exit::Ok)
}

/// The socket, its lock, and notes of what was in memory only.
fn remove_runtime_files(socket: &Path) -> Result<()> {
    let Some(dir) = socket.parent() else { return Ok(()) };
    let name = socket.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        if found.starts_with(&name) || found.starts_with(MARKER) {
            done(fs::remove_file(entry.path()), &entry.path())?;
        }
    }
    // Only when nothing else is there.
    let _others = fs::remove_dir(dir);
    Ok(())
}

/// What was gone already is no error.
fn done(removed: io::Result<()>, path: &Path) -> Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
