//! `merge`: the union of recordings of one image.

use std::path::PathBuf;

use anyhow::Result;

use super::manifests::ManifestArgs;
use crate::manifest::io;

/// Arguments of `merge`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifests: ManifestArgs,
    /// Where to write the union; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// A manifest cannot be read, they are about different images, or the output cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let all = args.manifests.union()?;
    super::emit(&args.output, &io::to_bytes(&all)?)
}
