//! The tables, in Markdown.

use std::time::Duration;

use super::heal::Healed;
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
         What suite B needs that suite A did not use, and what is said without it:\n\n{}",
        each(sizes),
        each(times),
        each(failures)
    )
}

fn sizes(title: &str, figures: &Figures) -> String {
    let (fat, slim) = figures.bytes;
    let size = |size, files| format!("{}, {files} files", bytes(size));
    let healed = |healed: &Healed| match healed.rounds {
        0 => healed.score.to_string(),
        rounds => format!("{}, {}", healed.score, counted(rounds, "round")),
    };
    let healed = figures.healed.as_ref().map_or("-".to_owned(), healed);
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

/// Lines for an application: what failed, together where the like was said, and what suite B would have needed.
fn failures(title: &str, figures: &Figures) -> String {
    let (files, calls) = (figures.added.files, &figures.added.calls);
    let calls =
        if calls.is_empty() { "no more calls".to_owned() } else { format!("`{}`", calls.join("`, `")) };
    let denied = |case: &String| if figures.denied.contains(case) { ", only under the profile" } else { "" };
    let groups = groups(&figures.b.failures, denied);
    let healed = figures.healed.as_ref().map(healing).unwrap_or_default();
    format!("- {title}: suite B needs {files} more files, and {calls}.\n{groups}{healed}")
}

/// What healing added, and what fails after it.
fn healing(healed: &Healed) -> String {
    let calls: Vec<String> = healed.calls.iter().map(|call| format!("`{call}`")).collect();
    let options: Vec<String> = healed.options.iter().map(|words| format!("`{}`", words.join(" "))).collect();
    let mut added = vec![counted(healed.paths.len(), "path")];
    added.extend((!calls.is_empty()).then(|| calls.join(", ")));
    added.extend((!options.is_empty()).then(|| options.join(", ")));
    let (rounds, size) = (counted(healed.rounds, "round"), bytes(healed.bytes));
    let left = groups(&healed.score.failures, |_| "");
    let verdict = if left.is_empty() { "all pass" } else { "what still fails follows" };
    format!("  - Healed in {rounds} with {}; the image has {size}; {verdict}.\n{}", added.join(" and "), left)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Lines for failed cases, those together of which the like is said.
fn groups(failures: &[(String, String)], remark: impl Fn(&String) -> &'static str) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (case, why) in failures {
        let said = format!("`{}`{}", said(why), remark(case));
        match groups.iter_mut().find(|group| kind(&group.0) == kind(&said)) {
            Some((_, cases)) => cases.push(case),
            None => groups.push((said, vec![case])),
        }
    }
    groups.iter().map(|(said, cases)| format!("  - {said}: {}\n", cases.join(", "))).collect()
}

/// A sentence without what it names: one kind of failure reads the same for every name.
fn kind(said: &str) -> String {
    said.split(['"', '\'']).step_by(2).collect()
}

/// What the application answered, of a sentence that a suite says about it; of a page, its title.
fn said(why: &str) -> String {
    let answers = ["', found '", "' is not in '"].map(|words| why.split_once(words));
    let answer = answers.into_iter().flatten().next().map_or(why, |(_, answer)| answer);
    let answer = answer.strip_suffix('\'').unwrap_or(answer).replace('`', "'");
    let title = answer.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let answer = title.map_or(answer.as_str(), |(title, _)| title);
    match answer.char_indices().nth(REASON) {
        _ if answer.is_empty() => "no answer".to_owned(),
        Some((end, _)) => format!("{}...", answer.get(..end).unwrap_or_default()),
        None => answer.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_in_a_name_are_of_one_kind() {
        assert_eq!(kind("`no module 'a'`"), kind("`no module 'b.c'`"));
        assert_ne!(kind("`no module 'a'`"), kind("`no file 'a'`"));
    }

    #[test]
    fn a_reason_is_what_the_application_answered() {
        assert_eq!(said("expected '3', found 'ModuleNotFoundError: no x'"), "ModuleNotFoundError: no x");
        assert_eq!(said("'a' is not in '<p>`404`</p>'"), "<p>'404'</p>");
        assert_eq!(said("'a' is not in '<html> <title>Not Found</title> <p>'"), "Not Found");
        assert_eq!(said("expected 'a', found 'no module named 'b''"), "no module named 'b'");
        assert_eq!(said("expected '3', found ''"), "no answer");
        assert_eq!(said("it is not served"), "it is not served");
        assert_eq!(said(&"ä".repeat(91)).chars().count(), 93);
    }
}
