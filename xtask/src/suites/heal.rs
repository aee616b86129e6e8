//! Healing: `slim-agent watch` says what suite B lacks, `merge` adds it to the recording, and the next export has it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cases::{self, Case, Score};
use super::job::Job;
use super::slim::Slim;

/// The exit code of `watch` when something was missing.
const MISSING: i32 = 5;
/// What is missing behind something missing is only asked for when that is there: so many times it is tried.
const ROUNDS: usize = 8;

/// Suite B on the image that `watch` and `merge` arrive at from `manifest`, and how often they ran. `b` is its score
/// before.
pub fn heal(job: &Job<'_>, manifest: &Path, expected: &[Case], b: &Score) -> Result<(Score, usize)> {
    let (mut score, mut known) = (b.clone(), manifest.to_owned());
    for round in 0..ROUNDS {
        if score.full() {
            return Ok((score, round));
        }
        let slim = Slim::export(job, &known, &format!("healed{round}"))?;
        let gaps = job.file(&format!("gaps{round}.manifest.json"));
        if !watch(job, &slim, &known, &gaps)? {
            return Ok((score, round));
        }
        known = job.merge(&[&known, &gaps], &format!("healed{round}"))?;
        let healed = Slim::export(job, &known, &format!("tried{round}"))?;
        let container = healed.create()?;
        container.start()?;
        score = Score::of(expected, &job.try_suite(&job.suite_b(), &container, &format!("healed{round}.b"))?);
    }
    Ok((score, ROUNDS))
}

/// Runs suite B on a slim image under `watch`; whether anything was missing.
fn watch(job: &Job<'_>, slim: &Slim, against: &Path, gaps: &Path) -> Result<bool> {
    let container = slim.create()?;
    let mut watch = Command::new(job.agent);
    watch.arg("watch").arg(container.name()).arg("--against").arg(against).arg("-o").arg(gaps);
    // That cases fail is why we are here.
    watch
        .args(["--", "sh", "-c", "timeout --kill-after=5 \"$0\" \"$1\" || true", cases::PATIENCE])
        .arg(job.suite_b());
    let ended = watch.output().context("cannot run slim-agent watch")?;
    match ended.status.code() {
        Some(0) => Ok(false),
        Some(MISSING) => Ok(true),
        _ => {
            bail!("slim-agent watch ended with {}: {}", ended.status, String::from_utf8_lossy(&ended.stderr))
        }
    }
}
