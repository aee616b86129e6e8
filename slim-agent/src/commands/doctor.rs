//! `doctor`: what this host can do, and why not.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::container::docker::Docker;
use crate::exit::Exit;
use crate::probe::support::{self, Check, Status};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A line for each check
    Text,
    /// {"recording": true, "checks": [{"name", "status", "detail"}]}
    Json,
}

/// All that was found.
#[derive(Serialize)]
struct Report {
    /// Whether `record` can work.
    recording: bool,
    checks: Vec<Check>,
}

/// Runs the command. The exit code says whether recording is possible.
///
/// # Errors
/// Standard output cannot be written.
pub async fn run(args: &Args) -> Result<Exit> {
    let report = report().await;
    let bytes = match args.format {
        Format::Text => text(&report).into_bytes(),
        Format::Json => super::json(&report)?,
    };
    super::emit(Path::new("-"), &bytes)?;
    Ok(if report.recording { Exit::Ok } else { Exit::Host })
}

async fn report() -> Report {
    let mut checks = support::checks();
    let recording = checks.iter().all(|check| check.status != Status::Missing);
    checks.push(if recording {
        Check::new("base tier", Status::Ok, "tp_btf and raw tracepoints: complete by itself")
    } else {
        Check::new("base tier", Status::Missing, "needs all of the above")
    });
    checks.extend(engine().await);
    Report { recording, checks }
}

/// A bare cgroup can be recorded without an engine, so nothing here is missing for a recording.
async fn engine() -> Vec<Check> {
    let described = match Docker::connect().await {
        Ok(docker) => docker.describe().await,
        Err(error) => Err(error),
    };
    let engine = match described {
        Ok(engine) => engine,
        Err(error) => return vec![Check::new("engine", Status::Limited, format!("{error:#}"))],
    };
    let found = format!("{} at {}, API {}", engine.name, engine.endpoint, engine.api);
    let layers = match engine.layers_obstacle {
        None => Check::new("image layers", Status::Ok, format!("{}, read in place", engine.storage)),
        Some(why) => Check::new(
            "image layers",
            Status::Limited,
            format!("{why}; images are saved from the engine instead"),
        ),
    };
    vec![Check::new("engine", Status::Ok, found), layers]
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for Check { name, status, detail } in &report.checks {
        let status = match status {
            Status::Ok => "ok",
            Status::Limited => "limited",
            Status::Missing => "MISSING",
        };
        let _ = writeln!(out, "{status:<8} {name:<width$}  {detail}");
    }
    let verdict = if report.recording { "this host can record" } else { "this host cannot record" };
    let _ = writeln!(out, "\n{verdict}");
    out
}
