//! `start`: lets the daemon record a container that no rule asks for.

use anyhow::Result;

use super::show::document::Document;
use super::socket::{SocketArgs, show};
use crate::daemon::api::StartRequest;
use crate::daemon::model::Started;

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or id of a container
    container: String,
    /// The profile that the recording goes to; without it, the one that the rules would choose
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Runs the command.
///
/// # Errors
/// No daemon answers, or it cannot record the container.
pub async fn run(args: &Args) -> Result<()> {
    let request = StartRequest { container: args.container.clone(), profile: args.profile.clone() };
    let started: Started = args.socket.client().start(&request).await?.read()?;
    let mut document = Document::default();
    document.line(line(&started));
    if !started.startup_observed {
        document.line("its start-up was not observed: restart it to have that, too");
    }
    show(&document)
}

fn line(started: &Started) -> String {
    let Started { container, profile, recording, .. } = started;
    if recording.is_empty() {
        return format!("{container} will be recorded for {profile}, from its first instruction");
    }
    format!("{container} is being recorded for {profile}: {recording}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_does_not_run_is_recorded_later() {
        let started = Started { profile: "web".into(), container: "web-1".into(), ..Started::default() };
        assert_eq!(line(&started), "web-1 will be recorded for web, from its first instruction");
        let running = Started { recording: "0123".into(), ..started };
        assert_eq!(line(&running), "web-1 is being recorded for web: 0123");
    }
}
