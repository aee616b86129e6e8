//! What a user is told when something is wrong: the exit code and the words, both checked.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::command::{Outcome, outcome};

/// Runs a program that must end with `code` and say each of `words` on standard error. Standard output must be
/// empty: a script that reads it must not take a refusal for data.
pub fn refused(command: &mut Command, code: i32, words: &[&str]) -> Result<Outcome> {
    let found = told(command, code, words)?;
    ensure!(found.stdout.is_empty(), "{command:?} wrote to standard output: {}", found.stdout);
    Ok(found)
}

/// As [`refused`], whatever is on standard output.
pub fn told(command: &mut Command, code: i32, words: &[&str]) -> Result<Outcome> {
    let found = outcome(command)?;
    expect(&found, code, words)?;
    Ok(found)
}

/// An error unless the program ended with `code` and its standard error has each of `words`.
pub fn expect(found: &Outcome, code: i32, words: &[&str]) -> Result<()> {
    let Outcome { code: ended, stderr, .. } = found;
    ensure!(*ended == Some(code), "expected exit code {code}, found {ended:?}; it said:\n{stderr}");
    let missing: Vec<_> = words.iter().filter(|word| !stderr.contains(**word)).collect();
    ensure!(missing.is_empty(), "expected the words {missing:?} in:\n{stderr}");
    Ok(())
}
