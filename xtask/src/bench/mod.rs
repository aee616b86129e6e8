//! `cargo xtask bench`: what recording costs the recorded, and what an export costs.

mod cgroup;
mod export;
mod micro;
mod nginx;
mod scopes;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::json;

use crate::cargo::{release_agent, target_dir};
use crate::format::Format;
use crate::setup;
use crate::style::step;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Throughput of nginx and nanoseconds per system call, recorded and not, in interleaved runs
    Overhead(Overhead),
    /// Nanoseconds per system call in one of many recorded cgroups, against the only one
    Scopes(Scopes),
    /// Seconds and memory of exports that keep little and much of a 1.6 GB image
    Export(Export),
}

/// Options of `cargo xtask bench export`.
#[derive(clap::Args)]
struct Export {
    /// Exports of each kind; the medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Options of `cargo xtask bench overhead`.
#[derive(clap::Args)]
struct Overhead {
    /// Interleaved rounds; the medians are shown
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of each run of the load
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Options of `cargo xtask bench scopes`.
#[derive(clap::Args)]
struct Scopes {
    /// Recorded cgroups
    #[arg(long, default_value_t = 1000)]
    cgroups: usize,
    /// Interleaved rounds; the medians are shown
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What every measurement needs.
struct Bench {
    agent: PathBuf,
    output: PathBuf,
    rounds: usize,
    seconds: u32,
}

/// The verb.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure()?;
    match &args.what {
        What::Overhead(options) => overhead(options),
        What::Scopes(options) => scopes(options),
        What::Export(options) => export(options),
    }
}

fn prepare(rounds: usize, seconds: u32) -> Result<Bench> {
    Ok(Bench { agent: release_agent()?, output: output_dir()?, rounds, seconds })
}

/// Where measurements leave their files.
fn output_dir() -> Result<PathBuf> {
    let output = target_dir()?.join("bench");
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    Ok(output)
}

fn export(options: &Export) -> Result<()> {
    let (agent, output) = (release_agent()?, output_dir()?);
    if options.format == Format::Json {
        println!("{:#}", export::measure(&agent, &output, options.rounds)?.json());
        return Ok(());
    }
    step("exports of a large image", || export::measure(&agent, &output, options.rounds))?.print();
    Ok(())
}

fn overhead(options: &Overhead) -> Result<()> {
    let bench = prepare(options.rounds, options.seconds)?;
    if options.format == Format::Json {
        let (rates, micro) = (nginx::measure(&bench)?, micro::measure(&bench)?);
        println!("{:#}", json!({ "nginx": nginx::json(&rates), "ns_per_call": micro.json() }));
        return Ok(());
    }
    let rates = step("nginx under load, recorded and not", || nginx::measure(&bench))?;
    nginx::print(&rates);
    let micro = step("nanoseconds per system call", || micro::measure(&bench))?;
    micro.print();
    Ok(())
}

fn scopes(options: &Scopes) -> Result<()> {
    let bench = prepare(options.rounds, 0)?;
    if options.format == Format::Json {
        println!("{:#}", scopes::measure(&bench, options.cgroups)?.json());
        return Ok(());
    }
    let what =
        format!("nanoseconds per system call, in one recorded cgroup and in one of {}", options.cgroups);
    step(&what, || scopes::measure(&bench, options.cgroups))?.print();
    Ok(())
}
