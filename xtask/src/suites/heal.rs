//! Healing: `slim-agent watch` says what suite B lacks, `merge` adds it to the recording, and the next export has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cases::{self, Case, Score};
use super::job::Job;
use super::slim::Slim;

/// The exit code of `watch` when something was missing.
const MISSING: i32 = 5;
/// The same when nothing was, but something may have been: in listings, by which Python looks for its modules.
const INCOMPLETE: i32 = 4;
/// What is missing behind something missing is only asked for when that is there: so many times it is tried.
const ROUNDS: usize = 12;

/// How far healing came.
#[derive(Debug)]
pub struct Healed {
    /// Suite B afterwards.
    pub score: Score,
    /// How often `watch` found something and `merge` added it.
    pub rounds: usize,
}

/// Runs suite B under `watch` on what was made from `manifest`, adds what was missing, and so on until all passes or nothing
/// is missing any more.
pub fn heal(job: &Job<'_>, manifest: &Path, expected: &[Case]) -> Result<Healed> {
    let mut known = manifest.to_owned();
    let mut rounds = 0;
    loop {
        let slim = Slim::export(job, &known, &format!("healed{rounds}"))?;
        let gaps = job.file(&format!("gaps{rounds}.manifest.json"));
        let (missing, found) = watch(job, &slim, &known, &gaps)?;
        let score = Score::of(expected, &found);
        if score.full() || !missing || rounds == ROUNDS {
            return Ok(Healed { score, rounds });
        }
        rounds += 1;
        known = job.merge(&[&known, &gaps], &format!("healed{rounds}"))?;
    }
}

/// Runs suite B on a slim image under `watch`: whether anything was missing, and what became of the cases.
fn watch(job: &Job<'_>, slim: &Slim, against: &Path, gaps: &Path) -> Result<(bool, Vec<Case>)> {
    let container = slim.create()?;
    let log = job.file("watched.b.txt");
    let mut watch = Command::new(job.agent);
    watch.arg("watch").arg(container.name()).arg("--against").arg(against).arg("-o").arg(gaps);
    // That cases fail is why we are here.
    let script = "timeout --kill-after=5 \"$0\" \"$1\" >\"$2\" || true";
    watch.args(["--", "sh", "-c", script, cases::PATIENCE]).arg(job.suite_b()).arg(&log);
    let ended = watch.output().context("cannot run slim-agent watch")?;
    let missing = match ended.status.code() {
        Some(0 | INCOMPLETE) => false,
        Some(MISSING) => true,
        _ => {
            bail!("slim-agent watch ended with {}: {}", ended.status, String::from_utf8_lossy(&ended.stderr))
        }
    };
    let said = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok((missing, cases::parse(&said)))
}
