//! `export seccomp`: a profile that allows what was observed, and what is needed around it.

use std::path::PathBuf;

use anyhow::Result;

use crate::export::seccomp;

/// Arguments of `export seccomp`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Manifests of the same image; `-` is standard input
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Where to write the profile; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Write why each call is allowed, as JSON: {"call": ["reason", ...]}
    #[arg(long, value_name = "FILE")]
    explain: Option<PathBuf>,
    /// Export although the recording has losses or did not see the start-up
    #[arg(long)]
    allow_incomplete: bool,
}

/// Runs the command.
///
/// # Errors
/// A manifest cannot be read or is not complete, has no system calls, or an output cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let manifest = super::load_manifests(&args.manifests, args.allow_incomplete)?;
    let export = seccomp::export(&manifest)?;
    for warning in &export.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(path) = &args.explain {
        super::emit(path, &super::json(&export.reasons)?)?;
    }
    super::emit(&args.output, &super::json(&export.profile)?)
}
