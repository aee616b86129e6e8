//! `cargo xtask soak`: whether the daemon stays small, quick and complete under a bounded load for many minutes, with
//! containers that come and go, and with many containers at once.

mod crowd;
mod daemon;
mod janitor;
mod load;
mod report;
mod sample;
mod slope;

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::cargo::release_agent;
use crate::format::Format;
use crate::style::{faint, headline, step};
use crate::{images, setup};
use crowd::Crowd;
use daemon::Daemon;
use load::{Churn, Load};
use report::{Churned, Report, Watched};
use sample::{Sample, Span};

/// Between two samples. Prometheus asks every 15 to 60 seconds unless told otherwise.
const EVERY: Duration = Duration::from_secs(10);
/// What a container and its recording may take to come or to go.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the daemon gets to give back what it took to come up.
const SETTLES: Duration = Duration::from_secs(5);
/// How long many containers are watched, idle.
const IDLE: Duration = Duration::from_secs(120);

/// Options of `cargo xtask soak`.
#[derive(clap::Args)]
pub struct Args {
    /// Minutes of load: a fifth to see everything once, half with churn, the rest without; 0 for no load
    #[arg(long, default_value_t = 20)]
    minutes: u32,
    /// Web servers under load
    #[arg(long, default_value_t = 10)]
    containers: usize,
    /// Requests to each of them in a second
    #[arg(long, default_value_t = 5)]
    rate: u32,
    /// Containers that start, work and go in a minute
    #[arg(long, default_value_t = 12)]
    churn: u32,
    /// Web servers without load that are watched at once afterwards; 0 for none
    #[arg(long, default_value_t = 100)]
    watch: usize,
    /// Have these sleep, which needs few files, instead of serve
    #[arg(long)]
    tiny: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The verb.
///
/// # Errors
/// Something cannot be run, or a goal is missed.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure()?;
    images::build("nginx")?;
    let agent = release_agent()?;
    let daemon = step("a daemon of its own", || Daemon::start(&agent))?;
    sleep(SETTLES);
    let alone = Sample::take(&daemon)?;
    eprintln!("{}", faint(&format!("    {alone}")));
    let report = Report {
        alone,
        soaked: if args.minutes > 0 { Some(soak(args, &daemon)?) } else { None },
        watched: if args.watch > 0 { Some(watch(args, &daemon)?) } else { None },
        last: Sample::take(&daemon)?,
    };
    match args.format {
        Format::Text => report.print(),
        Format::Json => println!("{:#}", report.json()),
    }
    ensure!(report.missed().is_empty(), "missed: {}", report.missed().join("; "));
    Ok(())
}

/// The load: until everything was seen, with churn, and without.
fn soak(args: &Args, daemon: &Daemon) -> Result<report::Soaked> {
    let minutes = |part: f64| Duration::from_secs_f64(f64::from(args.minutes) * 60.0 * part);
    let servers =
        step("web servers", || Crowd::serving(daemon.label(), "served", args.containers, PATIENCE))?;
    let load = Load::begin(&servers, args.rate)?;
    until(daemon, "all web servers are recorded", |now| now.active("soak-served") == args.containers as u64)?;
    let warm = span(daemon, "until everything was seen", minutes(0.2))?;
    let churn = Churn::begin(daemon.label(), args.churn);
    let busy = span(daemon, "with churn", minutes(0.5))?;
    let came = churn.end()?;
    // The last of them are added to their profile before what no churn costs is measured.
    until(daemon, "what went is stored", |now| now.recordings("soak-churned") >= came)?;
    let calm = span(daemon, "without churn", minutes(0.3))?;
    let requests = load.end()?;
    let recorded = Sample::take(daemon)?.recordings("soak-churned");
    Ok(report::Soaked { warm, busy, calm, churned: Churned { came, recorded }, requests })
}

/// Many containers at once.
fn watch(args: &Args, daemon: &Daemon) -> Result<Watched> {
    let (count, label) = (args.watch, daemon.label());
    let crowd = step(&format!("{count} more containers"), || match args.tiny {
        true => Crowd::start(label, "watched", count, &["sleep", "infinity"]),
        false => Crowd::serving(label, "watched", count, PATIENCE),
    })?;
    until(daemon, "all of them are recorded", |now| now.active("soak-watched") == count as u64)?;
    let idle = span(daemon, "all of them at once, without load", IDLE)?;
    drop(crowd);
    Ok(Watched { count, idle })
}

/// Samples for so long.
fn span(daemon: &Daemon, what: &str, time: Duration) -> Result<Span> {
    headline(&format!("{what}, for {:.1} min", time.as_secs_f64() / 60.0));
    let began = Instant::now();
    let mut span = Span::from(Sample::take(daemon)?);
    while began.elapsed() < time {
        sleep(EVERY.min(time.saturating_sub(began.elapsed())));
        let now = Sample::take(daemon)?;
        eprintln!("{}", faint(&format!("    {now}")));
        span.push(now);
    }
    Ok(span)
}

/// Waits until something holds.
fn until(daemon: &Daemon, what: &str, holds: impl Fn(&Sample) -> bool) -> Result<()> {
    let began = Instant::now();
    loop {
        let now = Sample::take(daemon)?;
        if holds(&now) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("it never came to pass that {what}: {now}; the daemon logged:\n{}", daemon.log());
        }
        sleep(Duration::from_secs(1));
    }
}
