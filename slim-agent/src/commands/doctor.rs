//! `doctor`: what this host can do, and why not.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::container::Runtimes;
use crate::container::docker::Docker;
use crate::exit::Exit;
use crate::manifest::schema::CAPABILITY_HOOK;
use crate::probe::inventory::{self, Program, Served};
use crate::probe::support::{self, Check, Status};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Load and attach the kernel programs too, and say how large each is to the kernel
    #[arg(long)]
    load: bool,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A line for each check
    Text,
    /// {"recording": true, "checks": [{"name", "status", "detail"}], "hooks": [...], "programs": [...]}
    Json,
}

/// All that was found.
#[derive(Serialize)]
struct Report {
    /// Whether `record` can work.
    recording: bool,
    checks: Vec<Check>,
    /// What serves each kernel hook.
    hooks: Vec<Served>,
    /// The kernel programs, if they were to be loaded and the host has what all of them need.
    #[serde(skip_serializing_if = "Option::is_none")]
    programs: Option<Vec<Program>>,
}

/// Runs the command. The exit code says whether recording is possible.
///
/// # Errors
/// Standard output cannot be written.
pub async fn run(args: &Args) -> Result<Exit> {
    let report = report(args.load).await;
    let bytes = match args.format {
        Format::Text => text(&report).into_bytes(),
        Format::Json => super::json(&report)?,
    };
    super::emit(Path::new("-"), &bytes)?;
    Ok(if report.recording { Exit::Ok } else { Exit::Host })
}

async fn report(load: bool) -> Report {
    let mut checks = support::checks();
    let possible = checks.iter().all(|check| check.status != Status::Missing);
    checks.push(if possible {
        Check::new("base tier", Status::Ok, "tp_btf and raw tracepoints: complete by itself")
    } else {
        Check::new("base tier", Status::Missing, "needs all of the above")
    });
    checks.push(second_tier(load));
    checks.push(capabilities(load));
    let loaded = load.then(inventory::programs);
    checks.extend(loaded.as_ref().map(programs_check));
    let recording = checks.iter().all(|check| check.status != Status::Missing);
    checks.extend(engine().await);
    checks.push(runtimes().await);
    Report { recording, checks, hooks: inventory::hooks(), programs: loaded.and_then(Result::ok) }
}

/// The tier on functions of the kernel; recording works without it.
fn second_tier(load: bool) -> Check {
    let name = "second tier";
    if !load {
        let detail = "fentry and fexit beside the base, where the kernel takes them: doctor --load tries";
        return Check::new(name, Status::Ok, detail);
    }
    match inventory::second_tier() {
        Ok(Ok(())) => {
            Check::new(name, Status::Ok, "fentry and fexit: sees what passes no system call (io_uring), too")
        }
        Ok(Err(error)) | Err(error) => Check::new(
            name,
            Status::Limited,
            format!("not on this kernel, the base tier serves alone: {error:#}"),
        ),
    }
}

/// What tells which capabilities are needed; recording works without it.
fn capabilities(load: bool) -> Check {
    let name = "capability hook";
    let without = "not recorded; exports derive a larger set from the system calls";
    if load {
        return match inventory::capabilities() {
            Ok(Ok(tier)) => Check::new(name, Status::Ok, format!("{tier} cap_capable")),
            Ok(Err(error)) | Err(error) => Check::new(name, Status::Limited, format!("{without}: {error:#}")),
        };
    }
    match inventory::hooks().into_iter().find(|served| served.hook == CAPABILITY_HOOK) {
        Some(Served { tier: Some(tier), hook, .. }) => Check::new(name, Status::Ok, format!("{tier} {hook}")),
        served => {
            let why = served.map(|served| served.detail).unwrap_or_default();
            Check::new(name, Status::Limited, format!("{why}: doctor --load tries; else {without}"))
        }
    }
}

fn programs_check(loaded: &Result<Vec<Program>>) -> Check {
    let refused = match loaded {
        Ok(programs) => programs.iter().filter_map(|program| program.error.clone()).collect(),
        Err(error) => vec![format!("{error:#}")],
    };
    if refused.is_empty() {
        return Check::new("programs", Status::Ok, "the kernel takes all of them");
    }
    Check::new("programs", Status::Missing, refused.join("; "))
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

/// Everything that containers are found in.
async fn runtimes() -> Check {
    let names = Runtimes::connect(&[]).await.names();
    if names.is_empty() {
        return Check::new("runtimes", Status::Limited, "none answers: only bare cgroups can be recorded");
    }
    Check::new("runtimes", Status::Ok, names.join("; "))
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
    out.push('\n');
    let width = report.hooks.iter().map(|served| served.hook.len()).max().unwrap_or(0);
    for Served { hook, purpose, tier, detail } in &report.hooks {
        let tier = tier.unwrap_or("NONE");
        let _ = writeln!(out, "{tier:<8} {hook:<width$}  for {purpose}; {detail}");
    }
    if let Some(programs) = &report.programs {
        out.push_str(&sizes(programs));
    }
    let verdict = if report.recording { "this host can record" } else { "this host cannot record" };
    let _ = writeln!(out, "\n{verdict}");
    out
}

/// The programs that were loaded, in numbers of instructions.
fn sizes(programs: &[Program]) -> String {
    let mut out = format!("\n{:<20} {:>9} {:>10}\n", "program", "verified", "translated");
    let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
    for program in programs {
        let (verified, translated) = (program.verified_instructions, program.translated_instructions);
        let _ = writeln!(out, "{:<20} {:>9} {:>10}", program.name, number(verified), number(translated));
    }
    if programs.iter().any(|program| program.error.is_none() && program.verified_instructions.is_none()) {
        out.push_str("(this kernel does not tell how much it verified: Linux 5.16 and newer do)\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(verified: Option<u32>, error: Option<&str>) -> Program {
        Program {
            name: "sys_exit",
            hook: "sys_exit",
            tier: "tp_btf",
            verified_instructions: verified,
            translated_instructions: error.is_none().then_some(40),
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn a_kernel_that_does_not_tell_what_it_verified_gets_a_dash_and_a_note() {
        let told = sizes(&[program(Some(1234), None)]);
        assert!(told.contains("1234") && !told.contains("5.16"), "{told}");
        let old = sizes(&[program(None, None)]);
        assert!(old.contains("- ") && old.contains("5.16") && old.contains("40"), "{old}");
    }

    #[test]
    fn a_refused_program_means_that_the_host_cannot_record() {
        assert_eq!(programs_check(&Ok(vec![program(Some(1), None)])).status, Status::Ok);
        let refused = programs_check(&Ok(vec![program(None, Some("too large"))]));
        assert_eq!((refused.status, refused.detail.as_str()), (Status::Missing, "too large"));
        assert_eq!(programs_check(&Err(anyhow::anyhow!("no BTF"))).detail, "no BTF");
    }
}
