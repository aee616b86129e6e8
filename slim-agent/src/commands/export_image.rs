//! `export image`: (being written)

use std::path::PathBuf;

use anyhow::{Result, bail};

/// Arguments of `export image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Manifests of the same image; `-` is standard input
    #[arg(required = true, value_name = "MANIFEST")]
    pub manifests: Vec<PathBuf>,
    /// Name of the slim image
    #[arg(short, long, value_name = "NAME:TAG")]
    pub tag: String,
    /// Export although the recording has losses or did not see the start-up
    #[arg(long)]
    pub allow_incomplete: bool,
}

/// Runs the command.
///
/// # Errors
/// Always, until it is written.
pub async fn run(_args: &Args) -> Result<()> {
    bail!("image export is not built into this version")
}
