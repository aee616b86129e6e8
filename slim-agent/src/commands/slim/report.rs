//! What the command says in the end: a few lines, or JSON for programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::questions::{Exchange, Question};
use super::steps::Step;
use crate::commands::export_image::megabytes;
use crate::image::Totals;

/// All that came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The name that was asked for.
    pub tag: String,
    /// The name under which the image stands now: `tag`, or another if it was found to be different.
    pub loaded_as: String,
    /// The engine's id of the slim image.
    pub image: String,
    /// The engine's id of the original.
    pub original: String,
    /// What the original holds, in files and bytes of content.
    pub original_holds: Totals,
    /// What the slim image holds.
    pub holds: Totals,
    /// The manifest of the recording.
    pub manifest: PathBuf,
    /// The seccomp profile.
    pub seccomp: PathBuf,
    /// Why each path is kept.
    pub explanation: PathBuf,
    /// How long each step took.
    pub steps: Vec<Step>,
    /// What the original was asked, in order.
    pub probes: Vec<Probe>,
    /// How the slim image compares.
    pub verdict: Verdict,
    /// What a person should know, a sentence each.
    pub notes: Vec<String>,
}

/// One thing that the original was asked.
#[derive(Debug, Serialize)]
pub struct Probe {
    /// `GET :80/`, `--exec redis-cli PING`, `the load test`, `the container`.
    pub asked: String,
    /// `200`, `exit code 0`...
    pub outcome: String,
    /// Length of the page, or of what a command wrote.
    pub bytes: u64,
    /// Whether more than the outcome could be compared: the rest is the same in each container of the original.
    pub stable: bool,
}

/// How the slim image compares with the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All that was asked was answered alike.
    Same,
    /// The first difference, in a sentence.
    Different(String),
    /// It was not to be compared.
    NotVerified,
}

/// The probes as the report shows them; `doubts` were dissolved by asking the original again.
pub fn probes(known: &[Exchange], doubts: &BTreeMap<usize, String>) -> Vec<Probe> {
    let probe = |(at, Exchange { question, answer }): (usize, &Exchange)| Probe {
        asked: question.to_string(),
        outcome: answer.outcome.clone(),
        bytes: answer.content.length,
        stable: answer.content.whole && !doubts.contains_key(&at),
    };
    known.iter().enumerate().map(probe).collect()
}

/// What to know of a recording in which no page was there: it is about the error page only.
pub fn no_page(known: &[Exchange]) -> Option<String> {
    let pages = known.iter().filter(|exchange| matches!(exchange.question, Question::Page { .. }));
    let mut outcomes = pages.map(|exchange| exchange.answer.outcome.as_str()).peekable();
    let first = *outcomes.peek()?;
    let is_there = |outcome: &str| outcome.starts_with(['1', '2', '3']);
    let others =
        known.iter().any(|exchange| matches!(exchange.question, Question::Command(_) | Question::Load));
    (!others && !outcomes.any(is_there)).then(|| {
        format!(
            "every page answered {first} or another error: say with --http-probe what the application serves"
        )
    })
}

impl Report {
    /// Writes it to standard output as JSON.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn write_json(&self) -> Result<()> {
        crate::commands::emit(Path::new("-"), &crate::commands::json(self)?)
    }

    /// Writes it to standard error as text.
    pub fn print(&self) {
        for note in &self.notes {
            eprintln!("note: {note}");
        }
        let unstable = self.probes.iter().filter(|probe| !probe.stable);
        for Probe { asked, outcome, .. } in unstable {
            eprintln!(
                "note: {asked}: only the outcome ({outcome}) could be compared: the rest varies by itself"
            );
        }
        let Self { loaded_as, image, manifest, seccomp, explanation, .. } = self;
        eprintln!("{loaded_as}  {image}");
        eprintln!("  {}", self.size());
        eprintln!("  manifest {}", manifest.display());
        eprintln!("  seccomp  {}", seccomp.display());
        eprintln!("  why      {}", explanation.display());
    }

    fn size(&self) -> String {
        size(&self.holds, &self.original_holds)
    }
}

/// `9.8 MB of 87.5 MB, 38 of 3969 files`.
pub fn size(slim: &Totals, original: &Totals) -> String {
    format!(
        "{} of {}, {} of {} files",
        megabytes(slim.bytes),
        megabytes(original.bytes),
        slim.files,
        original.files
    )
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::*;

    fn pages(outcomes: &[&str]) -> Vec<Exchange> {
        let page = |outcome: &&str| Exchange {
            question: Question::Page { port: 80, path: "/".into() },
            answer: Answer::plain(*outcome),
        };
        outcomes.iter().map(page).collect()
    }

    #[test]
    fn only_error_pages_are_worth_a_word() {
        assert!(no_page(&pages(&["404", "no answer"])).unwrap().contains("404"));
        assert_eq!(no_page(&pages(&["404", "302"])), None);
        assert_eq!(no_page(&[]), None);
        let load = Exchange { question: Question::Load, answer: Answer::plain("exit status: 0") };
        assert_eq!(no_page(&[pages(&["404"]), vec![load]].concat()), None);
    }
}
