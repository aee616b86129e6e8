//! `slim-agent record`: watch one container or cgroup, write its manifest.

pub(super) mod load;
mod lock;
mod progress;
pub(super) mod recording;
mod session;
pub(super) mod summary;
pub(super) mod target;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;

use super::interrupt::Interrupt;
use super::runtime::RuntimeArgs;
use crate::exit::Exit;
use crate::manifest::{Manifest, io};
use crate::probe::{Change, Limits, Probe, Purpose, Tally, Tier, support};
use load::Load;
use recording::{Recorded, Request};
use target::Target;

/// What `record` was asked to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container to watch, by name or id; one that is created or exited is started under observation
    #[arg(required_unless_present = "cgroup", conflicts_with = "cgroup")]
    container: Option<String>,

    /// Watch a cgroup (a directory of the v2 hierarchy) instead of a container; no runtime is needed
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,

    #[command(flatten)]
    runtime: RuntimeArgs,

    /// Where the manifest goes; - is standard output [default: CONTAINER.manifest.json]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// End the recording after this time, such as 90s, 15m or 2d
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Option<Duration>,

    /// Restart a running container, so that its start-up is observed
    #[arg(long, conflicts_with = "cgroup")]
    restart: bool,

    /// Leave out what is put into the container later (docker exec), its health check excepted; without this it is
    /// recorded, labelled, and left out of images
    #[arg(long, conflicts_with = "cgroup")]
    ignore_exec: bool,

    /// Which hooks of the kernel serve
    #[arg(long, value_enum, default_value_t)]
    tier: Tier,

    /// Change what the recording can hold: ring (bytes), backlog, seen, scopes or tasks (entries) of the kernel side,
    /// paths or sockets of the agent
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    limits: Vec<Change>,

    /// Attach programs that do nothing, and write no manifest: the floor that benchmarks compare with
    #[arg(long, hide = true)]
    empty_programs: bool,

    /// Load test to run on this host once the container runs, with SLIM_CONTAINER_ID, SLIM_CONTAINER_NAME and
    /// SLIM_CONTAINER_IP set; the recording ends when it exits
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A duration as options spell it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 90s, 15m or 2d"))
}

/// How long COMMAND may go on when the container has stopped: it may be the one that stopped it, or wait for its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a recording came to its end.
#[derive(Debug)]
pub(super) enum End {
    /// COMMAND exited.
    Command(ExitStatus),
    /// COMMAND could not be run.
    NotRun(anyhow::Error),
    /// The time was over.
    Elapsed,
    /// The container or cgroup is not running any more.
    Stopped,
    /// SIGINT or SIGTERM.
    Signal,
}

/// Records, and writes the manifest whichever way the recording ends.
///
/// # Errors
/// The host cannot record ([`Exit::Host`]), the container cannot be found or started, or the manifest cannot be
/// written.
pub async fn run(args: &Args) -> Result<Exit> {
    let load = Load::prepare(&args.command)?;
    support::require()?;
    let target = Target::find(args).await?;
    let output = args.output.clone().unwrap_or_else(|| target.default_output());
    if args.empty_programs {
        return measure(load, &target).await;
    }
    let request = Request {
        target,
        output: output.clone(),
        restart: args.restart,
        ignore_exec: args.ignore_exec,
        tier: args.tier,
        limits: Limits::with(&args.limits),
        watch: None,
    };
    let data_on_stdout = io::is_stdout(&output);
    let (manifest, tally, end) = beside_command(request, load, args.duration, data_on_stdout).await?;
    summary::print(&manifest, &tally, &output);
    Ok(exit_of(&end?, &manifest, !args.command.is_empty()))
}

/// Records what COMMAND provokes, for `duration` at most: what was recorded, and how it came to its end.
///
/// # Errors
/// As [`recording::record`].
pub(super) async fn beside_command(
    request: Request,
    mut load: Load,
    duration: Option<Duration>,
    data_on_stdout: bool,
) -> Result<(Manifest, Tally, Result<End>)> {
    let interrupt = Interrupt::listen()?;
    let recorded = recording::record(request, &interrupt, |session| {
        let (environment, stopped) = (session.environment(), session.stopped());
        until_the_end(duration, &mut load, environment, stopped, &interrupt, data_on_stdout)
    });
    let Recorded { manifest, tally, end } = recorded.await?;
    Ok((manifest, tally, end.and_then(|end| end.unwrap_or(Ok(End::Signal)))))
}

/// Runs COMMAND beside the recording, for `duration` at most, and says what ended it. With data on standard output,
/// COMMAND's own goes to standard error.
///
/// # Errors
/// COMMAND cannot be waited for.
async fn until_the_end(
    duration: Option<Duration>,
    load: &mut Load,
    environment: Vec<(&'static str, String)>,
    stopped: impl Future<Output = ()>,
    interrupt: &Interrupt,
    data_on_stdout: bool,
) -> Result<End> {
    if let Err(error) = load.start(&environment, data_on_stdout) {
        return Ok(End::NotRun(error));
    }
    let elapsed = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let end = tokio::select! {
        () = interrupt.arrived() => Ok(End::Signal),
        status = load.wait() => status.map(End::Command),
        () = elapsed => Ok(End::Elapsed),
        () = stopped => match load.finish(LAST_WORDS).await {
            Some(status) => status.map(End::Command),
            None => Ok(End::Stopped),
        },
    };
    load.stop().await;
    end
}

/// Holds the programs that do nothing until the load test is over.
async fn measure(mut load: Load, target: &Target) -> Result<Exit> {
    let _probe = Probe::attach(Purpose::Measure, &Limits::default(), Tier::Base)?;
    load.start(&target.environment(), false)?;
    load.wait().await.map(|status| if status.success() { Exit::Ok } else { Exit::Failed })
}

fn exit_of(end: &End, manifest: &Manifest, has_command: bool) -> Exit {
    match end {
        End::Stopped if has_command => {
            tracing::error!("the container stopped before COMMAND had ended; the manifest was written");
            Exit::Failed
        }
        End::Command(status) if !status.success() => {
            tracing::error!("the load test failed: {status}; the manifest was written");
            Exit::Failed
        }
        End::NotRun(error) => {
            tracing::error!("{error:#}; the manifest was written");
            Exit::Failed
        }
        _ if manifest.recordings.values().all(|recording| recording.complete) => Exit::Ok,
        _ => Exit::Incomplete,
    }
}
