//! `cargo xtask verifier`: how much each kernel's verifier works on each program, against a committed budget.
//!
//! A kernel refuses a program on which its verifier would look at more than a million instructions, and kernels differ
//! much in how soon they see that two paths are one: growth must show before it hurts on any of them.

mod budget;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::cargo::release_agent;
use crate::process;
use crate::setup;
use crate::style::step;
use crate::table::Table;
use crate::vm::{Guests, Kernel};
use budget::Budget;

/// Options of `cargo xtask verifier`.
#[derive(clap::Args)]
pub struct Args {
    /// Make what is measured now, and a tenth more, the budget
    #[arg(long)]
    update: bool,
}

/// Kernel -> program -> instructions.
type Measured = BTreeMap<String, BTreeMap<String, u64>>;

/// The verb.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure()?;
    let agent = step("release build of slim-agent", release_agent)?;
    let measured = measure(&agent)?;
    if args.update {
        return Budget::of(&measured).write();
    }
    check(&measured)
}

/// Loads the programs into the running kernel and into every other one.
pub fn measure(agent: &Path) -> Result<Measured> {
    let mut measured = Measured::new();
    add(&mut measured, &running_kernel()?, on_this_host(agent)?);
    let kernels = Kernel::value_variants();
    let guests = Guests::prepare(kernels)?;
    let initramfs = guests.initramfs(agent)?;
    for &kernel in kernels {
        let ended = step(&format!("the kernel programs under Linux {}", kernel.name()), || {
            guests.boot(kernel, &initramfs, "slim-agent doctor --load --format json >/out/doctor.json\n")
        })?;
        let path = ended.out.join("doctor.json");
        let report = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let programs = programs(&report).with_context(|| {
            format!("Linux {} does not take the programs; it said: {}", kernel.name(), ended.log)
        })?;
        add(&mut measured, kernel.name(), programs);
    }
    Ok(measured)
}

/// This host may run one of the other kernels, too, in another build: then the larger figure counts.
fn add(measured: &mut Measured, kernel: &str, programs: BTreeMap<String, u64>) {
    let known = measured.entry(kernel.to_owned()).or_default();
    for (name, count) in programs {
        let largest = known.entry(name).or_default();
        *largest = count.max(*largest);
    }
}

/// Shows what was measured; more than the budget is an error, and so is a program of it that was not loaded.
pub fn check(measured: &Measured) -> Result<()> {
    let budget = Budget::read()?;
    show(measured, &budget);
    let absent = budget.absent(measured);
    if !absent.is_empty() {
        bail!(
            "programs that have a budget were not loaded:\n  {}\n`slim-agent doctor --load` says there why; programs \
             that are gone leave the budget with `cargo xtask verifier --update`",
            absent.join("\n  ")
        );
    }
    let over = budget.exceeded(measured);
    if !over.is_empty() {
        bail!(
            "the verifier has more to do than the budget has:\n  {}\nmake the programs simpler, or say in a commit why \
             not and run `cargo xtask verifier --update`",
            over.join("\n  ")
        );
    }
    Ok(())
}

fn on_this_host(agent: &Path) -> Result<BTreeMap<String, u64>> {
    let output = Command::new(agent)
        .args(["doctor", "--load", "--format", "json"])
        .output()
        .with_context(|| format!("cannot run {}", agent.display()))?;
    programs(&output.stdout).with_context(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("the running kernel does not take the programs: {}", complaint.trim())
    })
}

/// Program -> instructions verified, or where the kernel does not tell them, instructions after verification.
fn programs(report: &[u8]) -> Result<BTreeMap<String, u64>> {
    let report: Value = serde_json::from_slice(report).context("`doctor --load` wrote no JSON")?;
    let listed = report["programs"].as_array().with_context(|| format!("no programs in {report}"))?;
    let figure = |program: &Value| {
        if let Some(error) = program["error"].as_str() {
            bail!("{}: {error}", program["name"]);
        }
        let name = program["name"].as_str().context("a program without a name")?;
        let told = program["verified_instructions"].as_u64();
        let count = told.or_else(|| program["translated_instructions"].as_u64());
        Ok((name.to_owned(), count.with_context(|| format!("no figures for {name}"))?))
    };
    listed.iter().map(figure).collect()
}

fn running_kernel() -> Result<String> {
    let release = process::output(&mut process::command("uname", ["-r"]))?;
    let numbers: Vec<&str> = release.splitn(3, '.').collect();
    let [major, minor, ..] = numbers.as_slice() else { bail!("cannot read the kernel version {release}") };
    Ok(format!("{major}.{minor}"))
}

fn show(measured: &Measured, budget: &Budget) {
    let mut table = Table::new(
        &[&["program"], measured.keys().map(String::as_str).collect::<Vec<_>>().as_slice()].concat(),
    );
    let names: std::collections::BTreeSet<&String> = measured.values().flat_map(BTreeMap::keys).collect();
    for name in names {
        let cells = measured.iter().map(|(kernel, programs)| match programs.get(name) {
            Some(count) => format!("{count} of {}", budget.limit(kernel, name).unwrap_or(0)),
            None => String::new(),
        });
        table.row([name.clone()].into_iter().chain(cells));
    }
    table.print();
    println!(
        "  instructions that the verifier looked at, of as many as the budget has; kernels before 5.16 do not"
    );
    println!("  tell them: there, the instructions that each program consists of after verification\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_does_not_tell_what_it_verified_is_measured_by_size_and_a_refusal_is_an_error() {
        let report = br#"{"programs": [
            {"name": "new", "verified_instructions": 70, "translated_instructions": 9, "error": null},
            {"name": "old", "verified_instructions": null, "translated_instructions": 8, "error": null}]}"#;
        let found = programs(report).unwrap_or_default();
        assert_eq!(found, BTreeMap::from([("new".to_owned(), 70), ("old".to_owned(), 8)]));
        assert!(programs(br#"{"programs": [{"name": "x", "error": "too large"}]}"#).is_err());
        assert!(programs(br#"{"checks": []}"#).is_err());
    }

    #[test]
    fn a_host_that_runs_one_of_the_other_kernels_hides_no_figure() {
        let of = |count| BTreeMap::from([("open".to_owned(), count)]);
        let mut measured = Measured::new();
        add(&mut measured, "6.1", of(9));
        add(&mut measured, "6.1", of(7));
        assert_eq!(measured, BTreeMap::from([("6.1".to_owned(), of(9))]));
    }
}
