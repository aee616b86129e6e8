//! `completions`: scripts for the shell.

use std::path::Path;

use anyhow::Result;
use clap_complete::Shell;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to write a script for
    shell: Shell,
}

/// Writes the script for `command`, the whole command line's description.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args, mut command: clap::Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "slim-agent", &mut script);
    super::emit(Path::new("-"), &script)
}
