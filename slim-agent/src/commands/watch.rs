//! `slim-agent watch`: watch a container of a slim image for what was cut and is asked for.

mod finding;
mod reading;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::record::load::Load;
use super::record::recording::{Request, Watch};
use super::record::target::Target;
use super::record::{End, beside_command, duration, summary};
use super::runtime::RuntimeArgs;
use crate::container::{Container, Runtime};
use crate::exit::{Exit, tag};
use crate::image;
use crate::image::cut::Pair;
use crate::manifest::{ImageRef, Manifest, io};
use crate::probe::{Change, Limits, Tally, Tier, support};
use crate::recording::Reading;
use finding::{Format, Live};
use reading::Missing;

/// What `watch` was asked to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container of the slim image, by name or id; one that is created or exited is started under observation
    container: String,

    #[command(flatten)]
    runtime: RuntimeArgs,

    /// What the slim image was made from: a manifest of the original image, or the image's name or id
    #[arg(long, value_name = "MANIFEST|IMAGE")]
    against: String,

    /// Where the manifest of what was missing goes [default: CONTAINER.watch.manifest.json]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// How each finding is written to standard output, as soon as it is made
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// End after this time, such as 90s, 15m or 2d
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Option<Duration>,

    /// Restart a running container, so that its start-up is watched
    #[arg(long)]
    restart: bool,

    /// Leave out what is put into the container later (docker exec), its health check excepted
    #[arg(long)]
    ignore_exec: bool,

    /// Change what can be held, as in `record`
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    limits: Vec<Change>,

    /// Command to run on this host once the container runs, as in `record`; the watch ends when it exits
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Watches, and writes the manifest whichever way the watch ends.
///
/// # Errors
/// The host cannot record ([`Exit::Host`]), the container or the original image cannot be found, the container is not of
/// a slim image, cannot be started and nothing was missing, or the manifest cannot be written.
pub async fn run(args: &Args) -> Result<Exit> {
    let load = Load::prepare(&args.command)?;
    support::require()?;
    let target = Target::container(&args.container, &args.runtime).await?;
    let Target::Container { runtime, container } = &target else { bail!("a cgroup has no image") };
    let output = args.output.clone();
    let output = output.unwrap_or_else(|| format!("{}.watch.manifest.json", container.name).into());
    check_output(&output)?;
    let original = original(&args.against, &**runtime).await?;
    let reading = reading(args.format, container, &original, &**runtime).await?;
    let request = Request {
        target,
        output: output.clone(),
        restart: args.restart,
        ignore_exec: args.ignore_exec,
        tier: Tier::Base,
        limits: Limits::with(&args.limits),
        watch: Some(Watch { reading, original }),
    };
    let (manifest, tally, end) = beside_command(request, load, args.duration, true).await?;
    summarise(&manifest, &tally, &output);
    exit_of(end, &manifest, !args.command.is_empty())
}

fn check_output(output: &Path) -> Result<()> {
    if io::is_stdout(output) {
        let message = "-o - and the findings both want standard output: name a file";
        return Err(tag(Exit::Usage, message));
    }
    io::check_writable(output)
}

/// The image that `against` names, or that the manifest there is about.
async fn original(against: &str, runtime: &dyn Runtime) -> Result<ImageRef> {
    let path = Path::new(against);
    if against != "-" && !path.is_file() {
        let known = runtime.image(against).await;
        return known.with_context(|| format!("--against {against} is neither a manifest nor an image"));
    }
    let Some(image) = io::read(path)?.image else {
        bail!("{against} is a manifest of a bare cgroup, which names no image: give the image's name");
    };
    let known = runtime.image(&image.id).await;
    known.with_context(|| format!("the engine does not have the image that {against} is about; pull it"))
}

/// What is to be read out of the records of this container, which is of a slim image of `original`.
async fn reading(
    format: Format,
    container: &Container,
    original: &ImageRef,
    runtime: &dyn Runtime,
) -> Result<Box<dyn Reading>> {
    let slim = &container.image;
    if slim.id == original.id {
        bail!(
            "{} is a container of {} itself, in which nothing can be missing: watch one of the slim image",
            container.name,
            original.names.first().unwrap_or(&original.id)
        );
    }
    let pair = Pair::new(image::open(runtime, &original.id).await?, image::open(runtime, &slim.id).await?);
    Ok(Box::new(Missing::new(pair, container, Live::new(format))))
}

/// What was found, in a few lines on standard error.
fn summarise(manifest: &Manifest, tally: &Tally, output: &Path) {
    let denied: usize = manifest.syscalls.values().map(std::collections::BTreeMap::len).sum();
    eprintln!(
        "{} paths missing, {denied} system calls denied; {} failed lookups looked at, {} lost",
        manifest.files.len(),
        tally.total(|counters| counters.hits - counters.filtered),
        tally.lost
    );
    summary::caveats(manifest, "start-up was not watched: what was missing before is unknown");
    eprintln!("manifest: {}", output.display());
    if has_findings(manifest) {
        eprintln!("to heal: export again from the recording and this manifest together, or merge them first");
    }
}

fn has_findings(manifest: &Manifest) -> bool {
    !manifest.files.is_empty() || !manifest.syscalls.is_empty()
}

/// Something missing outweighs all else, because it is certain: a loss can only hide more of it.
fn exit_of(end: Result<End>, manifest: &Manifest, has_command: bool) -> Result<Exit> {
    let failure = match end {
        Err(error) if has_findings(manifest) => Some(format!("{error:#}")),
        Err(error) => return Err(error),
        Ok(End::Stopped) if has_command => Some("the container stopped before COMMAND had ended".to_owned()),
        Ok(End::Command(status)) if !status.success() => Some(format!("COMMAND failed: {status}")),
        Ok(End::NotRun(error)) => Some(format!("{error:#}")),
        Ok(End::Command(_) | End::Elapsed | End::Stopped | End::Signal) => None,
    };
    if let Some(failure) = &failure {
        tracing::error!("{failure}; the manifest was written");
    }
    let complete = manifest.recordings.values().all(|recording| recording.complete);
    Ok(match (has_findings(manifest), failure, complete) {
        (true, _, _) => Exit::Missing,
        (false, Some(_), _) => Exit::Failed,
        (false, None, false) => Exit::Incomplete,
        (false, None, true) => Exit::Ok,
    })
}
