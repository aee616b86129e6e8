//! The tables, in Markdown.

use std::time::Duration;

use super::job::Figures;
use crate::table::bytes;

/// Characters of a reason: what a program says can be long.
const REASON: usize = 90;

/// What was found, a row for each application.
pub fn text(rows: &[(&str, Figures)]) -> String {
    let each = |line: fn(&str, &Figures) -> String| -> String {
        rows.iter().map(|(title, figures)| line(title, figures)).collect()
    };
    format!(
        "| application | original | slim | factor | suite A | suite B | B, healed | calls |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n{}\n\
         | application | agent to container | export | start, original | start, slim |\n\
         |---|--:|--:|--:|--:|\n{}\n\
         What of suite B fails, and what is said then:\n\n{}",
        each(sizes),
        each(times),
        each(failures)
    )
}

fn sizes(title: &str, figures: &Figures) -> String {
    let (fat, slim) = figures.bytes;
    let size = |size, files| format!("{}, {files} files", bytes(size));
    let healed = figures.healed.as_ref().map_or(String::new(), |(score, _)| score.to_string());
    format!(
        "| {title} | {} | {} | {:.1} | {} | {} | {healed} | {} |\n",
        size(fat, figures.files.0),
        size(slim, figures.files.1),
        fat as f64 / slim as f64,
        figures.a,
        figures.b,
        figures.syscalls
    )
}

fn times(title: &str, figures: &Figures) -> String {
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let (original, slim) = (seconds(figures.starts.original), seconds(figures.starts.slim));
    let (record, export) = (seconds(figures.record), seconds(figures.export));
    format!("| {title} | {record} | {export} | {original} | {slim} |\n")
}

/// A line for an application; none where all passes.
fn failures(title: &str, figures: &Figures) -> String {
    let failed = figures.b.failures.iter().map(|(case, why)| {
        let denied = if figures.denied.contains(case) { ", a call that the profile denies" } else { "" };
        format!("{case} (`{}`{denied})", said(why))
    });
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() { String::new() } else { format!("- {title}: {}.\n", failed.join("; ")) }
}

/// What the application answered, of a sentence that a suite says about it.
fn said(why: &str) -> String {
    let answers = ["', found '", "' is not in '"].map(|words| why.split_once(words));
    let answer =
        answers.into_iter().flatten().next().map_or(why, |(_, answer)| answer.trim_end_matches('\''));
    let answer = answer.replace('`', "'");
    match answer.char_indices().nth(REASON) {
        _ if answer.is_empty() => "no answer".to_owned(),
        Some((end, _)) => format!("{}...", answer.get(..end).unwrap_or_default()),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_what_the_application_answered() {
        assert_eq!(said("expected '3', found 'ModuleNotFoundError: no x'"), "ModuleNotFoundError: no x");
        assert_eq!(said("'a' is not in '<h1>`404`</h1>'"), "<h1>'404'</h1>");
        assert_eq!(said("expected '3', found ''"), "no answer");
        assert_eq!(said("it is not served"), "it is not served");
        assert_eq!(said(&"ä".repeat(91)).chars().count(), 93);
    }
}
