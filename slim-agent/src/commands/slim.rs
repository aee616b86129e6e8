//! `slim`: from an image to a slim image that was shown to do the same, in one command.

mod answer;
mod explore;
mod http;
mod job;
mod links;
mod made;
mod options;
mod questions;
mod report;
mod steps;
mod subject;
mod verify;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{ArgAction, ValueEnum};

use super::interrupt::Interrupt;
use super::policy::PolicyArgs;
use super::record::{duration, load::Load};
use super::runtime::RuntimeArgs;
use crate::container::{NewContainer, Published, Runtime};
use crate::exit::{Exit, tag};
use crate::export::image::Reference;
use crate::manifest::io;
use crate::probe::support;
use job::{Files, Job};
use made::Made;
use options::Volume;
use report::Verdict;
use steps::Steps;

/// Arguments of `slim`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The original image, by name or id
    #[arg(value_name = "IMAGE")]
    image: String,

    #[command(flatten)]
    runtime: RuntimeArgs,

    /// Name of the slim image; it is given once the image has been verified
    #[arg(short, long, value_name = "NAME:TAG")]
    tag: String,

    /// Record for this time at the least, also when all probes are done, such as 30s or 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Option<Duration>,

    /// Ask for a path over HTTP, may be repeated [default: / if the image exposes a port and nothing else is said]
    #[arg(long = "http-probe", value_name = "PATH", value_parser = options::path)]
    http_probes: Vec<String>,

    /// Ask this port of the container, may be repeated [default: the exposed TCP ports, lowest first]
    #[arg(long = "http-port", value_name = "PORT")]
    http_ports: Vec<u16>,

    /// Follow links of HTML pages on the same host this far; 0 follows none
    #[arg(long, value_name = "LINKS", default_value_t = 2)]
    crawl_depth: u32,

    /// Ask for at most so many pages that were found by following links
    #[arg(long, value_name = "PAGES", default_value_t = 100)]
    crawl_limit: usize,

    /// Run a command in the container, may be repeated; what it uses is kept
    #[arg(long = "exec", value_name = "CMD", value_parser = words)]
    execs: Vec<Words>,

    /// Set a variable, NAME=VALUE, or NAME with the value that it has here
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = options::variable)]
    env: Vec<String>,

    /// Mount a volume or a directory, SOURCE:/PATH[:OPTIONS]
    #[arg(short = 'v', long = "volume", value_name = "VOLUME", value_parser = options::volume)]
    volumes: Vec<Volume>,

    /// Publish a port on this host, [[IP:]HOSTPORT:]PORT[/PROTOCOL]; probes do not need it
    #[arg(short, long = "publish", value_name = "PORT", value_parser = options::published)]
    ports: Vec<Published>,

    /// Network of the containers [default: the engine's]
    #[arg(long, value_name = "NAME")]
    network: Option<String>,

    /// User of the containers, USER[:GROUP] [default: the image's]
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// How long the application may take until it listens, or to its end if there is nothing to probe
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    timeout: Duration,

    /// Where the manifest goes [default: NAME_TAG.manifest.json]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// Where the seccomp profile goes [default: NAME_TAG.seccomp.json]
    #[arg(long, value_name = "FILE")]
    seccomp: Option<PathBuf>,

    /// Where to write why each path is kept [default: NAME_TAG.plan.json]
    #[arg(long, value_name = "FILE")]
    explain: Option<PathBuf>,

    /// Go on although an event of the recording was lost
    #[arg(long)]
    allow_incomplete: bool,

    /// Do not start the slim image to compare it with the original
    #[arg(long)]
    no_verify: bool,

    /// Leave the containers that were made for looking at
    #[arg(long)]
    keep_container: bool,

    /// How to report: text on standard error, or a JSON object on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Load test to run on this host once the container listens, with SLIM_CONTAINER_ID, SLIM_CONTAINER_NAME and
    /// SLIM_CONTAINER_IP set; it must succeed with the original and with the slim image
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Say more; twice: everything (here -v mounts volumes, as in `docker run`)
    // The option of all commands, which this takes the place of: its short name is taken.
    #[arg(long, action = ArgAction::Count)]
    verbose: u8,
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// {"tag", "image", "holds", "steps", "probes", "verdict", ...}
    Json,
}

/// A command as words.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

fn words(text: &str) -> Result<Words, String> {
    options::words(text).map(Words)
}

/// Runs the command.
///
/// # Errors
/// Usage: the tag, or the combination of arguments. Host: it cannot record. Incomplete: the recording is, and
/// `--allow-incomplete` is not given. Different: the slim image does not answer as the original. Otherwise: the engine
/// does not answer or does not have the image, the original cannot be started or probed, the load test fails, a signal
/// came, or a file cannot be written. Whatever it is, the containers that were made are gone then.
pub async fn run(args: &Args) -> Result<Exit> {
    let name: Reference = args.tag.parse().map_err(|why: String| tag(Exit::Usage, why))?;
    let files = files(args, &name)?;
    let policy = args.policy.policy()?;
    Load::prepare(&args.command)?;
    support::require()?;
    let runtime: Arc<dyn Runtime> = args.runtime.with_image(&args.image).await?;
    let original = runtime.image(&args.image).await?;
    if original.names.contains(&name.to_string()) {
        return Err(tag(
            Exit::Usage,
            format!("{name} is the original's own name: give the slim image another"),
        ));
    }
    let mut job = Job {
        args,
        name,
        files,
        policy,
        original,
        made: Made::none(runtime.clone(), args.keep_container)?,
        runtime,
        interrupt: Interrupt::listen()?,
        steps: Steps::none(),
    };
    let done = job.run().await;
    job.steps.clear();
    job.made.end().await;
    for name in job.made.kept() {
        eprintln!("kept: container {name}; remove it with: docker rm -f -v {name}");
    }
    let report = done?;
    match args.format {
        Format::Text => report.print(),
        Format::Json => report.write_json()?,
    }
    match report.verdict {
        Verdict::Different(how) => {
            let message = format!(
                "the slim image does not do what the original does: {how}\nit was left as {} and not named {}",
                report.loaded_as, report.tag
            );
            Err(tag(Exit::Unproved, message))
        }
        Verdict::Same | Verdict::NotVerified => Ok(Exit::Ok),
    }
}

/// Where everything goes; it can be written there.
fn files(args: &Args, name: &Reference) -> Result<Files> {
    let or = |chosen: &Option<PathBuf>, what: &str| {
        chosen.clone().unwrap_or_else(|| format!("{}.{what}.json", name.file_name()).into())
    };
    let files = Files {
        manifest: or(&args.manifest, "manifest"),
        seccomp: or(&args.seccomp, "seccomp"),
        explanation: or(&args.explain, "plan"),
    };
    for path in [&files.manifest, &files.seccomp, &files.explanation] {
        if io::is_stdout(path) {
            return Err(tag(
                Exit::Usage,
                "several files are written: name each, none can be standard output",
            ));
        }
        io::check_writable(Path::new(path))?;
    }
    Ok(files)
}

impl Args {
    /// The container that is made of `image`; without a name.
    fn container(&self, image: &str, seccomp: Option<String>) -> NewContainer {
        let (mut binds, mut volumes) = (Vec::new(), Vec::new());
        for volume in &self.volumes {
            match volume {
                Volume::Anonymous(point) => volumes.push(point.clone()),
                Volume::Bound(bind) => binds.push(bind.clone()),
            }
        }
        NewContainer {
            name: String::new(),
            image: image.to_owned(),
            env: self.env.clone(),
            user: self.user.clone(),
            binds,
            volumes,
            ports: self.ports.clone(),
            network: self.network.clone(),
            seccomp,
        }
    }
}
