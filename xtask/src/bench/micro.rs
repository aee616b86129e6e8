//! Nanoseconds per system call, in a recorded process, beside one, and without any program.
//!
//! Programs on a system call hook run for every process of the host; those that are not recorded should pay
//! next to nothing. Empty programs on the same hooks are the floor: what the kernel itself takes to call one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Bench;
use super::cgroup::Cgroup;
use crate::cargo::{cargo, target_dir};
use crate::load::median;
use crate::process;
use crate::recording::{read_json, record, run_attached};
use crate::table::Table;

/// Call -> nanoseconds, as the loop program prints them.
pub(super) type Sample = BTreeMap<String, f64>;

/// Where the loop program ran; in the order of the table's columns.
const SETTINGS: [&str; 5] =
    ["no program", "empty, outside", "empty, scoped", "recording, outside", "recording, scoped"];

/// The samples of each setting.
pub struct Costs {
    samples: BTreeMap<&'static str, Vec<Sample>>,
}

/// Runs the rounds, every setting once in each.
pub fn measure(bench: &Bench) -> Result<Costs> {
    let program = Program::build(bench)?;
    let [none, empty_outside, empty_scoped, outside, scoped] = SETTINGS;
    let mut costs = Costs { samples: BTreeMap::new() };
    for _ in 0..bench.rounds {
        costs.add(none, program.alone()?);
        let (beside, within) = program.under(bench, &["--empty-programs"])?;
        costs.add(empty_outside, beside);
        costs.add(empty_scoped, within);
        let (beside, within) = program.under(bench, &[])?;
        costs.add(outside, beside);
        costs.add(scoped, within);
    }
    Ok(costs)
}

/// The loop program, and the files that it prints into.
pub(super) struct Program {
    path: PathBuf,
    beside: PathBuf,
    within: PathBuf,
}

impl Program {
    pub(super) fn build(bench: &Bench) -> Result<Self> {
        process::run(&mut cargo(&["build", "--release", "--package", "slim-tests", "--bin", "microbench"]))?;
        Ok(Self {
            path: target_dir()?.join("release/microbench"),
            beside: bench.output.join("outside.json"),
            within: bench.output.join("scoped.json"),
        })
    }

    fn alone(&self) -> Result<Sample> {
        let printed = process::output(&mut Command::new(&self.path))?;
        sample(&serde_json::from_str(&printed).context("microbench printed no JSON")?)
    }

    /// Runs it twice during one recording of a cgroup: outside of the cgroup, then in it.
    fn under(&self, bench: &Bench, options: &[&str]) -> Result<(Sample, Sample)> {
        let cgroup = Cgroup::create()?;
        let directory = cgroup.path().to_str().context("the cgroup's path is not UTF-8")?;
        let target = [&["--cgroup", directory], options].concat();
        let manifest = bench.output.join("microbench.manifest.json");
        run_attached(&mut record(&bench.agent, &target, &manifest, &self.twice(cgroup.path())))?;
        Ok((read_sample(&self.beside)?, read_sample(&self.within)?))
    }

    /// Runs it during one recording of a cgroup with `count` more in it, in the one made in the middle.
    pub(super) fn in_one_of(&self, bench: &Bench, count: usize) -> Result<Sample> {
        let cgroup = Cgroup::create()?;
        let directory = cgroup.path().to_str().context("the cgroup's path is not UTF-8")?;
        let script = "seq -f \"$2/%.0f\" \"$3\" | xargs mkdir && echo $$ >\"$2/$4/cgroup.procs\" && exec \"$0\" >\"$1\"";
        let mut shell = process::command("sh", ["-c", script]);
        shell.arg(&self.path).arg(&self.within).arg(cgroup.path());
        shell.args([count, count.div_ceil(2)].map(|number| number.to_string()));
        let manifest = bench.output.join("microbench.manifest.json");
        run_attached(&mut record(&bench.agent, &["--cgroup", directory], &manifest, &shell))?;
        read_sample(&self.within)
    }

    fn twice(&self, cgroup: &Path) -> Command {
        let script = "\"$0\" >\"$1\" && echo $$ >\"$3/cgroup.procs\" && exec \"$0\" >\"$2\"";
        let mut shell = process::command("sh", ["-c", script]);
        shell.arg(&self.path).arg(&self.beside).arg(&self.within).arg(cgroup);
        shell
    }
}

impl Costs {
    fn add(&mut self, setting: &'static str, sample: Sample) {
        self.samples.entry(setting).or_default().push(sample);
    }

    fn median(&self, setting: &str, call: &str) -> f64 {
        let samples = self.samples.get(setting).into_iter().flatten();
        median(&samples.filter_map(|sample| sample.get(call).copied()).collect::<Vec<_>>())
    }

    fn calls(&self) -> Vec<&str> {
        let first = self.samples.values().flatten().next();
        first.map(|sample| sample.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// For machines: medians by setting and call.
    pub fn json(&self) -> Value {
        let medians = |setting: &str| -> Value {
            self.calls()
                .into_iter()
                .map(|call| (call.to_owned(), json!(self.median(setting, call))))
                .collect()
        };
        SETTINGS.iter().map(|&setting| (setting.to_owned(), medians(setting))).collect()
    }

    /// For people.
    pub fn print(&self) {
        let mut table = Table::new(&[&["ns per call"], SETTINGS.as_slice()].concat());
        for call in self.calls() {
            let cells = SETTINGS.iter().map(|setting| format!("{:.0}", self.median(setting, call)));
            table.row(std::iter::once(call.to_owned()).chain(cells));
        }
        table.print();
    }
}

fn read_sample(path: &Path) -> Result<Sample> {
    let value = read_json(path)?;
    // Lest a later round that fails read this one's figures.
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    sample(&value)
}

fn sample(value: &Value) -> Result<Sample> {
    let calls = value.as_object().context("microbench printed no object")?;
    let figure = |(call, ns): (&String, &Value)| Some((call.clone(), ns.as_f64()?));
    Ok(calls.iter().filter_map(figure).collect())
}
