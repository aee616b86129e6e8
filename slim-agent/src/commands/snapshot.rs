//! `snapshot`: a profile's manifest as it is now. The recordings go on.

use std::path::PathBuf;

use anyhow::Result;

use super::socket::SocketArgs;
use crate::manifest::io;

/// Arguments of `snapshot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The profile, its newest image; PROFILE@IMAGE is that of another
    profile: String,
    /// Where to write the manifest; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Runs the command.
///
/// # Errors
/// No daemon answers, it knows no such profile, what it answers is no manifest, or the output cannot be written.
pub async fn run(args: &Args) -> Result<()> {
    io::check_writable(&args.output)?;
    let answered = args.socket.client().snapshot(&args.profile).await?;
    // What cannot be used later must not take the place of an older manifest that can.
    io::parse(&answered.0)?;
    super::emit(&args.output, &answered.0)
}
