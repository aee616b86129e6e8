//! Programs that tests run, and how they ended.

use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// How a program ended, and what it printed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a program to its end, whatever its exit code.
pub fn outcome(command: &mut Command) -> Result<Outcome> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    Ok(output.into())
}

/// The standard output of a program that exits with 0, without the last line's end; anything else is an error.
pub fn output(command: &mut Command) -> Result<String> {
    let outcome = outcome(command)?;
    if outcome.code != Some(0) {
        bail!("{command:?} ended with {:?}: {}{}", outcome.code, outcome.stdout, outcome.stderr);
    }
    Ok(outcome.stdout.trim_end().to_owned())
}

impl Outcome {
    /// Standard output; an error with all that was said unless the exit code is `code`.
    pub fn expect(self, code: i32) -> Result<String> {
        if self.code != Some(code) {
            bail!("expected exit code {code}, found {:?}: {}{}", self.code, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}
