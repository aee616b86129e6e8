//! A suite of an image: a script that prints a line for each of its cases, `ok NAME` or `not ok NAME: WHY`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::docker::Container;
use crate::process::command;

/// Seconds that a suite may take. It takes a few, but one that waits in vain at every case must not wait for ever.
pub const PATIENCE: &str = "90";

/// A case, and why it failed if it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name, which no other case of the suite has.
    pub name: String,
    /// Why it failed.
    pub failure: Option<String>,
}

/// What became of the cases that the original passes.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// Cases in all.
    pub total: usize,
    /// Each that failed, and why.
    pub failures: Vec<(String, String)>,
}

/// Runs a suite against a running container, and leaves what it said in `log`.
pub fn run(suite: &Path, container: &Container, log: &Path) -> Result<Vec<Case>> {
    let mut bounded = command("timeout", ["--kill-after=5", PATIENCE]);
    bounded.arg(suite).env("SLIM_CONTAINER_IP", container.ip()?);
    let ended = bounded.output().with_context(|| format!("cannot run {}", suite.display()))?;
    let said = [ended.stdout.as_slice(), &ended.stderr].concat();
    fs::write(log, said).with_context(|| format!("cannot write {}", log.display()))?;
    let cases = parse(&String::from_utf8_lossy(&ended.stdout));
    let all_passed = !cases.is_empty() && cases.iter().all(|case| case.failure.is_none());
    if ended.status.success() && !all_passed {
        bail!("{} ended well, and its cases did not: see {}", suite.display(), log.display());
    }
    Ok(cases)
}

/// The cases of a suite that must all pass: what the original can do.
pub fn all_pass(cases: &[Case]) -> Result<()> {
    let mut names = BTreeMap::new();
    for Case { name, failure } in cases {
        ensure!(names.insert(name, ()).is_none(), "two cases are called {name:?}");
        ensure!(failure.is_none(), "the case {name:?} fails: {}", failure.as_deref().unwrap_or_default());
    }
    ensure!(!cases.is_empty(), "the suite has no cases");
    Ok(())
}

/// The cases in what a suite said.
pub fn parse(said: &str) -> Vec<Case> {
    let case = |line: &str| match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
        (Some(name), _) => Some(Case { name: name.to_owned(), failure: None }),
        (_, Some(rest)) => {
            let (name, why) = rest.split_once(": ").unwrap_or((rest, "no reason given"));
            Some(Case { name: name.to_owned(), failure: Some(why.trim_end().to_owned()) })
        }
        (None, None) => None,
    };
    said.lines().filter_map(case).collect()
}

impl Score {
    /// What became of each case of `original`; one that was not reached has failed.
    pub fn of(original: &[Case], found: &[Case]) -> Self {
        let found: BTreeMap<_, _> = found.iter().map(|case| (&case.name, &case.failure)).collect();
        let failure = |case: &Case| match found.get(&case.name) {
            Some(None) => None,
            Some(Some(why)) => Some((case.name.clone(), why.clone())),
            None => Some((case.name.clone(), "not reached".to_owned())),
        };
        Self { total: original.len(), failures: original.iter().filter_map(failure).collect() }
    }

    /// Whether all passed.
    pub fn full(&self) -> bool {
        self.failures.is_empty()
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} of {}", self.total - self.failures.len(), self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_read_line_by_line() {
        let said = "ok GET\nhello\nnot ok a page: expected 'a: b', found ''\nnot ok EVAL\n";
        let case = |name: &str, failure: Option<&str>| Case {
            name: name.to_owned(),
            failure: failure.map(str::to_owned),
        };
        let page = case("a page", Some("expected 'a: b', found ''"));
        assert_eq!(parse(said), [case("GET", None), page, case("EVAL", Some("no reason given"))]);
    }

    #[test]
    fn what_was_not_reached_has_failed() {
        let score = Score::of(&parse("ok a\nok b\nok c\n"), &parse("ok a\nnot ok c: gone\nok more\n"));
        assert_eq!(score.to_string(), "1 of 3");
        assert_eq!(score.failures.len(), 2);
        assert!(!score.full());
    }

    #[test]
    fn an_original_must_pass_every_case_and_no_case_twice() {
        assert!(all_pass(&parse("ok a\nok b\n")).is_ok());
        for said in ["", "ok a\nok a\n", "ok a\nnot ok b: no\n"] {
            assert!(all_pass(&parse(said)).is_err(), "{said}");
        }
    }
}
