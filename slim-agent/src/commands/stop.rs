//! `stop`: ends recordings of the daemon. The containers go on.

use anyhow::Result;

use super::show::document::{Document, list};
use super::socket::{SocketArgs, show};
use crate::daemon::model::Stopped;

/// Arguments of `stop`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A profile, or a container by name or id
    name: String,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Runs the command.
///
/// # Errors
/// No daemon answers, or nothing of that name is being recorded.
pub async fn run(args: &Args) -> Result<()> {
    let stopped: Stopped = args.socket.client().stop(&args.name).await?.read()?;
    let mut document = Document::default();
    document.line(format!("no longer recorded for {}: {}", stopped.profile, list(&stopped.containers)));
    show(&document)
}
