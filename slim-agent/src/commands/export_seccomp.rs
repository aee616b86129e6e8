//! `export seccomp`: a profile that allows what was observed, and what is needed around it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::manifests::CompleteArgs;
use crate::export::seccomp::{self, Base, Options};

/// Arguments of `export seccomp`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifests: CompleteArgs,
    /// Where to write the profile; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Write why each call is allowed and in how many recordings it was seen, as JSON:
    /// {"recordings": N, "calls": {"call": {"coverage": N, "reasons": [...]}}}
    #[arg(long, value_name = "FILE")]
    explain: Option<PathBuf>,
    /// Carry out and log calls that are not allowed, instead of refusing them; what the engine's default profile denies
    /// stays denied
    #[arg(long)]
    trial: bool,
    /// Allow what this profile allows too, under its conditions
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Leave out the relatives of observed calls: what programs call when they do a little more than was recorded
    #[arg(long)]
    no_relatives: bool,
    /// Leave out what a container runtime does after it installed the filter: for what installs it last, like systemd
    #[arg(long)]
    no_runtime_calls: bool,
}

/// Runs the command.
///
/// # Errors
/// A manifest or the base profile cannot be read or used, a manifest is not complete or has no system calls, or an output
/// cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let manifest = args.manifests.load()?;
    let options = Options {
        no_relatives: args.no_relatives,
        no_runtime_calls: args.no_runtime_calls,
        trial: args.trial,
        base: args.base.as_deref().map(base).transpose()?,
    };
    let export = seccomp::export_with(&manifest, &options)?;
    for warning in &export.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(path) = &args.explain {
        super::emit(path, &super::json(&export.explain())?)?;
    }
    super::emit(&args.output, &super::json(&export.profile)?)
}

fn base(path: &Path) -> Result<Base> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the base profile {}", path.display()))?;
    Base::parse(&text).with_context(|| format!("{} cannot be the base profile", path.display()))
}
