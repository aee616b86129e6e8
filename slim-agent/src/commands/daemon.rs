//! `slim-agent daemon`: records whatever its configuration asks for, until it is told to end.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::daemon::api::{Options, Server};
use crate::daemon::config::{Config, DEFAULT_PATH};
use crate::daemon::control::Handle;
use crate::daemon::engine::{Engine, Signal};
use crate::daemon::memory;
use crate::daemon::notify::Notifier;
use crate::exit::Exit;
use crate::probe::support;

/// What `daemon` was asked to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration; the default one may be missing
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,

    /// Say whether the configuration is right, and do nothing else
    #[arg(long)]
    check: bool,
}

/// Runs until SIGTERM or SIGINT. SIGHUP has the configuration read again. The kernel programs go on recording when the
/// daemon ends.
///
/// # Errors
/// The host cannot record ([`Exit::Host`]), the configuration is wrong ([`Exit::Usage`]), or another daemon runs.
pub async fn run(args: &Args) -> Result<Exit> {
    let config = Config::read(&args.config)?;
    if args.check {
        tracing::info!("{} is right", args.config.display());
        return Ok(Exit::Ok);
    }
    memory::keep_little();
    support::require()?;
    let notifier = Notifier::from_env()?;
    let mut signals = signals()?;
    let options =
        Options { socket: config.socket.clone(), group: config.group.clone(), metrics: config.metrics };
    let server = Server::bind(&options).await?;
    let (handle, requests) = Handle::new();
    let mut engine = Engine::start(config, requests)?;
    let serving = tokio::spawn(server.run(handle));
    notifier.ready("recording");
    let ended = engine.run(&mut signals, &args.config, &notifier).await;
    notifier.stopping();
    serving.abort();
    ended.map(|()| Exit::Ok)
}

/// The signals that a daemon listens to, in the order in which they come.
fn signals() -> Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(4);
    let kinds = [
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::interrupt(), Signal::Terminate),
        (SignalKind::hangup(), Signal::Reload),
    ];
    for (kind, meaning) in kinds {
        let mut arriving = signal(kind).context("cannot wait for signals")?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while arriving.recv().await.is_some() && sender.send(meaning).await.is_ok() {}
        });
    }
    Ok(receiver)
}
