//! `cargo xtask bench`: what recording costs the recorded.

mod cgroup;
mod micro;
mod nginx;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::cargo::{release_agent, target_dir};
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
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
    match &args.what {
        What::Overhead(options) => overhead(options),
    }
}

fn overhead(options: &Overhead) -> Result<()> {
    setup::ensure()?;
    let output = target_dir()?.join("bench");
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    let bench = Bench { agent: release_agent()?, output, rounds: options.rounds, seconds: options.seconds };
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
