//! Healing: `slim-agent watch` says what suite B lacks, `merge` adds it to the recording, and the next export has it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::cases::{self, Case, Score};
use super::job::Job;
use super::slim::Slim;

/// The exit code of `watch` when something was missing.
const MISSING: i32 = 5;
/// The same when nothing was, but something may have been: in listings, by which Python looks for its modules.
const INCOMPLETE: i32 = 4;
/// Seconds that suite B may take: longer than elsewhere, for what waits in vain is to be seen to the end.
const PATIENCE: &str = "300";
/// What is missing behind something missing is only asked for when that is there: so many times it is tried.
const ROUNDS: usize = 16;

/// How far healing came.
#[derive(Debug)]
pub struct Healed {
    /// Suite B afterwards.
    pub score: Score,
    /// How often something was found and exported anew.
    pub rounds: usize,
    /// Paths that `watch` found missing.
    pub paths: BTreeSet<String>,
    /// System calls that it found denied.
    pub calls: BTreeSet<String>,
    /// Options of the export that it advised, each with its value.
    pub options: BTreeSet<Vec<String>>,
    /// Bytes of the image that came of it.
    pub bytes: u64,
}

/// What one watch told.
#[derive(Default)]
struct Told {
    paths: BTreeSet<String>,
    calls: BTreeSet<String>,
    /// Switches of rules that it advised.
    rules: BTreeSet<Vec<String>>,
    /// Other options: what a listing lacked, which may mean nothing.
    listings: BTreeSet<Vec<String>>,
}

/// Runs suite B under `watch` on what was made from `manifest`, adds what was missing, and so on until all passes or nothing
/// new is found.
pub fn heal(job: &Job<'_>, manifest: &Path, expected: &[Case]) -> Result<Healed> {
    let mut known = manifest.to_owned();
    let (mut paths, mut calls, mut options) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for rounds in 0.. {
        let words: Vec<&str> = options.iter().flatten().map(String::as_str).collect();
        let slim = Slim::export(job, &known, &format!("healed{rounds}"), &words)?;
        let gaps = job.file(&format!("gaps{rounds}.manifest.json"));
        let (told, found) = watch(job, &slim, &known, &gaps)?;
        let score = Score::of(expected, &found);
        let missing = !told.paths.is_empty() || !told.calls.is_empty();
        let mut advised = &told.rules - &options;
        if !missing && advised.is_empty() {
            // Nothing else is left that it could be.
            advised = &told.listings - &options;
        }
        if score.full() || rounds == ROUNDS || (!missing && advised.is_empty()) {
            let bytes = slim.bytes()?;
            return Ok(Healed { score, rounds, paths, calls, options, bytes });
        }
        if missing {
            known = job.merge(&[&known, &gaps], &format!("healed{}", rounds + 1))?;
        }
        paths.extend(told.paths);
        calls.extend(told.calls);
        options.extend(advised);
    }
    unreachable!("there are more rounds than numbers")
}

/// Runs suite B on a slim image under `watch`: what was told, and what became of the cases.
fn watch(job: &Job<'_>, slim: &Slim, against: &Path, gaps: &Path) -> Result<(Told, Vec<Case>)> {
    let container = slim.create()?;
    let log = job.file("watched.b.txt");
    let mut watch = Command::new(job.agent);
    watch.args(["watch", "--format", "json", container.name(), "--against"]).arg(against).arg("-o").arg(gaps);
    // That cases fail is why we are here.
    let script = "timeout --kill-after=5 \"$0\" \"$1\" >\"$2\" || true";
    watch.args(["--", "sh", "-c", script, PATIENCE]).arg(job.suite_b()).arg(&log);
    let ended = watch.output().context("cannot run slim-agent watch")?;
    if !matches!(ended.status.code(), Some(0 | INCOMPLETE | MISSING)) {
        bail!("slim-agent watch ended with {}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    }
    let said = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok((told(&String::from_utf8_lossy(&ended.stdout))?, cases::parse(&said)))
}

/// What the lines of a watch say.
fn told(lines: &str) -> Result<Told> {
    let mut told = Told::default();
    for line in lines.lines() {
        let finding: Value =
            serde_json::from_str(line).with_context(|| format!("watch printed no JSON: {line}"))?;
        let text = |key: &str| finding[key].as_str().map(str::to_owned);
        told.paths.extend(text("missing"));
        told.calls.extend(text("denied"));
        let words = finding["export"].as_array().into_iter().flatten();
        let words: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
        match words.first().map(String::as_str) {
            Some("--with") => told.rules.insert(words),
            Some(_) => told.listings.insert(words),
            None => false,
        };
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read_by_what_is_to_be_done() {
        let lines = r#"{"missing":"/a","call":"openat"}
{"denied":"dup","abi":"x86_64"}
{"listed":"/p","export":["--with","python-imports"]}
{"listed":"/d","export":["--include","/d/*"]}
{"listed":"/"}"#;
        let told = told(lines).unwrap();
        assert_eq!((told.paths.len(), told.calls.len()), (1, 1));
        assert_eq!(told.rules, [vec!["--with".to_owned(), "python-imports".to_owned()]].into());
        assert_eq!(told.listings, [vec!["--include".to_owned(), "/d/*".to_owned()]].into());
        assert!(super::told("no JSON").is_err());
    }
}
