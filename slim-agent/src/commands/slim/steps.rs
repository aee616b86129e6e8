//! How the command shows where it is: a line for each step once it is over, with the time that it took, and on a terminal
//! a line for the one that goes on.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use serde::Serialize;

/// Erases to the end of the line (ECMA-48 EL).
const ERASE: &str = "\x1b[K";

/// A step that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// `create`, `record`, `probe`, `stop`, `export`, `verify`.
    pub name: &'static str,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// The steps so far.
#[derive(Debug)]
pub struct Steps {
    done: Vec<Step>,
    now: Option<(&'static str, Instant)>,
    quiet: bool,
    terminal: bool,
}

impl Steps {
    /// None so far. Nothing is shown when only errors are logged.
    pub fn none() -> Self {
        let quiet = !tracing::enabled!(tracing::Level::WARN);
        Self { done: Vec::new(), now: None, quiet, terminal: !quiet && std::io::stderr().is_terminal() }
    }

    /// Begins a step. `doing` says what it does, for a terminal.
    pub fn begin(&mut self, name: &'static str, doing: &str) {
        self.now = Some((name, Instant::now()));
        if self.terminal {
            say(&format!("\r{name:<8}    ...  {doing}{ERASE}"));
        }
    }

    /// Ends the step that was begun. `did` says what came of it.
    pub fn end(&mut self, did: &str) {
        let Some((name, since)) = self.now.take() else { return };
        let took = since.elapsed();
        self.clear();
        if !self.quiet {
            say(&format!("{name:<8} {:>5.2} s  {did}\n", took.as_secs_f32()));
        }
        self.done.push(Step { name, ms: took.as_millis() as u64 });
    }

    /// Takes the line of a step that failed away.
    pub fn clear(&self) {
        if self.terminal {
            say(&format!("\r{ERASE}"));
        }
    }

    /// The steps that are over.
    pub fn done(&self) -> &[Step] {
        &self.done
    }
}

/// In one piece: standard error has no buffer.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
