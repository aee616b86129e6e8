//! `export all`: every export of the same image in one directory, with a README.

use std::path::PathBuf;

use anyhow::Result;

use super::export_hardening::SubjectArgs;
use crate::export::bundle;

/// Arguments of `export all`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write it all; the directory is new, empty, or of an earlier export
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    #[command(flatten)]
    subject: SubjectArgs,
}

/// Runs the command.
///
/// # Errors
/// As [`super::export_hardening::run`]; or the directory holds something else.
pub async fn run(args: &Args) -> Result<()> {
    bundle::check(&args.output)?;
    let write = args.subject.with(
        |_| bundle::SECCOMP.to_owned(),
        |deployment, image, original| bundle::write(deployment, image, original, &args.output),
    );
    write.await
}
