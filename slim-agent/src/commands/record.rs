//! `slim-agent record`: watch one container or cgroup, write its manifest.

pub(super) mod facts;
pub(super) mod load;
pub(super) mod lock;
mod progress;
pub(super) mod session;
mod summary;
pub(super) mod target;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::manifest::{Manifest, io};
use crate::probe::{Change, Limits, Probe, Purpose, Tier, support};
use facts::Used;
use load::Load;
use session::{Checkpoint, Session};
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
    let mut load = Load::prepare(&args.command)?;
    support::require()?;
    let target = Target::find(args).await?;
    let output = args.output.clone().unwrap_or_else(|| target.default_output());
    if args.empty_programs {
        return measure(load, &target).await;
    }
    io::check_writable(&output)?;
    let _lock = lock::acquire(target.key(), target.name())?;
    let limits = Limits::with(&args.limits);
    let probe = Probe::attach(Purpose::Record, &limits, args.tier)?;
    let mut session = Session::begin(probe, target, Box::new(Used), args.ignore_exec, &limits)?;
    let course = Course {
        restart: args.restart,
        duration: args.duration,
        output: &output,
        data_on_stdout: io::is_stdout(&output),
    };
    let end = observe(&mut session, &mut load, &course).await;
    load.stop().await;
    let end = end?;
    let checkpoint = session.end_checkpoints().await;
    let (manifest, tally) = session.finish()?;
    save(&output, &io::to_bytes(&manifest)?)?;
    if let Some(checkpoint) = checkpoint {
        checkpoint.remove();
    }
    summary::print(&manifest, &tally, &output);
    Ok(exit_of(&end, &manifest, !args.command.is_empty()))
}

/// What was recorded for days is not given up because the disk got full meanwhile.
pub(super) fn save(output: &Path, bytes: &[u8]) -> Result<()> {
    let Err(error) = io::write(output, bytes) else { return Ok(()) };
    match io::rescue(bytes) {
        Ok(path) => bail!("{error:#}; the manifest was saved as {} instead", path.display()),
        Err(why) => bail!("{error:#}; {why:#}"),
    }
}

/// How a recording goes.
pub(super) struct Course<'a> {
    /// Restart a running container.
    pub restart: bool,
    /// How long it lasts at most.
    pub duration: Option<Duration>,
    /// Where its manifest will go.
    pub output: &'a Path,
    /// Whether standard output is for data: COMMAND's goes to standard error then.
    pub data_on_stdout: bool,
}

/// Records until the end, whichever comes first.
///
/// # Errors
/// The target cannot be started or looked at.
pub(super) async fn observe(session: &mut Session, load: &mut Load, course: &Course<'_>) -> Result<End> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let signalled = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(signalled);
    let checkpoint = Checkpoint::beside(course.output)?;
    tokio::select! {
        biased;
        () = &mut signalled => return Ok(End::Signal),
        started = session.start(course.restart) => started?,
    }
    session.begin_checkpoints(checkpoint);
    if let Err(error) = load.start(&session.environment(), course.data_on_stdout) {
        return Ok(End::NotRun(error));
    }
    let stopped = session.stopped();
    let elapsed = async {
        match course.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let end = async {
        tokio::select! {
            () = &mut signalled => Ok(End::Signal),
            status = load.wait() => status.map(End::Command),
            () = elapsed => Ok(End::Elapsed),
            () = stopped => match load.finish(LAST_WORDS).await {
                Some(status) => status.map(End::Command),
                None => Ok(End::Stopped),
            },
        }
    };
    session.drive(end).await?
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
