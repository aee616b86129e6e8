//! `forget`: removes a profile from the daemon's store.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};

use super::show::document::{Document, printable};
use super::socket::{SocketArgs, show, size};
use crate::daemon::client::Client;
use crate::daemon::model::{Forgotten, ProfileStatus};
use crate::exit::{Exit, tag};

/// Arguments of `forget`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The profile, its newest image; PROFILE@IMAGE is that of another
    profile: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Runs the command.
///
/// # Errors
/// No daemon answers, it knows no such profile or is recording for it, or nobody said yes.
pub async fn run(args: &Args) -> Result<()> {
    let client = args.socket.client();
    if !args.yes {
        confirm(&client, &args.profile).await?;
    }
    let forgotten: Forgotten = client.forget(&args.profile).await?.read()?;
    let image = forgotten.image.map(|image| format!(" of image {image}")).unwrap_or_default();
    let mut document = Document::default();
    document.line(format!("forgot {}{image}: {} freed", forgotten.profile, size(forgotten.bytes)));
    show(&document)
}

/// Days of recording are not given up by a slip.
async fn confirm(client: &Client, profile: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(tag(Exit::Usage, "what is forgotten cannot be had again: say --yes"));
    }
    let known: ProfileStatus = client.profile(profile).await?.read()?;
    eprint!("{}: {}\nforget it, for ever? [y/N] ", printable(&known.name), printable(&known.line));
    io::stderr().flush().context("cannot ask")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("{} stays", printable(&known.name));
    }
    Ok(())
}
