//! Does an estimate from a few recordings predict what more of them find?

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slim_tests::{Cgroup, agent, outcome, record_script};

const FILES: u64 = 40;
const RECORDINGS: u64 = 20;
const FEW: usize = 5;

/// Whether an application needs a file in this run: the first 20 always, each other one with a chance of its own from
/// 5 to 65 %, the same in each run of the test.
fn needs(run: u64, file: u64) -> bool {
    let drawn = (run * FILES + file + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let drawn = (drawn ^ drawn >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32;
    file < 20 || drawn % 100 < 5 + (file - 20) * 3
}

/// Records an application that reads what it needs in this run.
fn recorded(run: u64, place: &Path) -> Result<PathBuf> {
    let cgroup = Cgroup::new()?;
    let path = place.join(format!("{run}.json"));
    let files: Vec<_> = (0..FILES).filter(|&file| needs(run, file)).map(|file| file.to_string()).collect();
    let script = format!("{}; cd '{}'; cat {} > /dev/null", cgroup.enter(), place.display(), files.join(" "));
    record_script(&["--cgroup", cgroup.path()], &path, &script)?.expect(0)?;
    Ok(path)
}

fn coverage(manifests: &[PathBuf], options: &[&str], code: i32) -> Result<Value> {
    let mut command = agent()?;
    command.args(["coverage", "--format", "json"]).args(options).args(manifests);
    serde_json::from_str(&outcome(&mut command)?.expect(code)?).context("coverage printed no JSON")
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no number"))
}

#[test]
fn an_estimate_from_five_recordings_holds_what_fifteen_more_find() -> Result<()> {
    let place = tempfile::tempdir()?;
    for file in 0..FILES {
        fs::write(place.path().join(file.to_string()), "text")?;
    }
    let manifests = (0..RECORDINGS).map(|run| recorded(run, place.path())).collect::<Result<Vec<_>>>()?;
    let few = coverage(&manifests[..FEW], &[], 0)?;
    let all = coverage(&manifests, &[], 0)?;
    let found_later = number(&all["paths"]["observed"])? - number(&few["paths"]["observed"])?;
    let estimate = &few["paths"]["estimate"];
    let (lower, upper) = (number(&estimate["unseen_lower"])?, number(&estimate["unseen_upper"])?);
    ensure!(found_later > 0.0, "the first five recordings found all: {few}");
    ensure!((lower..=upper).contains(&found_later), "{found_later} were found later: {few}");
    ensure!(number(&all["paths"]["estimate"]["unseen_upper"])? < upper, "{few}\n{all}");
    // As a gate: what five recordings know is not enough, what all know is.
    let rules = ["--min-recordings", "5", "--max-unseen", "2"];
    let refused = coverage(&manifests[..FEW], &rules, 6)?;
    ensure!(refused["ready"] == false && refused["unmet"].as_array().is_some_and(|unmet| unmet.len() == 1));
    coverage(&manifests, &["--min-recordings", "20", "--max-unseen", "10"], 0)?;
    // Two say nothing about the rest, and no rule lets that pass.
    ensure!(coverage(&manifests[..2], &rules, 6)?["paths"]["estimate"].is_null());
    Ok(())
}
