//! `coverage`: has an application been watched enough?

use std::cmp::Reverse;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::manifests::ManifestArgs;
use crate::coverage::{Coverage, Incidence, Kinds, Newest, Rules, counted, spell};
use crate::exit::Exit;
use crate::manifest::Phase;

/// So many of the newest things are told in the text.
const NEWEST: usize = 3;

/// Arguments of `coverage`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifests: ManifestArgs,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Not ready with fewer recordings that saw the start-up
    #[arg(long, value_name = "N")]
    min_recordings: Option<usize>,
    /// Not ready with recordings of fewer nodes
    #[arg(long, value_name = "N")]
    min_nodes: Option<usize>,
    /// Not ready with fewer hours in which there was a recording
    #[arg(long, value_name = "N")]
    min_hours: Option<u64>,
    /// Not ready unless nothing new came for so long, while there was a recording: 48h, "2days 12h"
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    quiet_for: Option<Duration>,
    /// Not ready unless the last N recordings brought nothing new
    #[arg(long, value_name = "N")]
    quiet_recordings: Option<usize>,
    /// Not ready when more than N paths, or system calls, may be unseen (upper bound of the estimate)
    #[arg(long, value_name = "N", value_parser = bound)]
    max_unseen: Option<f64>,
}

impl Args {
    fn rules(&self) -> Rules {
        Rules {
            quiet: self.quiet_for,
            quiet_starts: self.quiet_recordings,
            starts: self.min_recordings,
            nodes: self.min_nodes,
            hours: self.min_hours,
            unseen_upper: self.max_unseen,
        }
    }
}

/// A number that something can be at most.
fn bound(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| format!("{text:?} is no number from 0 up"))
}

/// How the result is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// {"ready", "unmet", "line", "starts", "nodes", "paths": {"observed", "estimate", ...}, "syscalls", "phases"}
    Json,
}

/// What is told.
#[derive(Serialize)]
struct Report<'a> {
    /// Whether all rules hold that were given.
    ready: bool,
    /// Why not.
    unmet: &'a [String],
    /// All in one line.
    line: String,
    #[serde(flatten)]
    coverage: &'a Coverage,
}

/// Runs the command.
///
/// # Errors
/// A manifest cannot be read, they are about different images, or standard output cannot be written.
pub fn run(args: &Args) -> Result<Exit> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let coverage = Coverage::of(&args.manifests.union()?, now);
    let unmet = args.rules().unmet(&coverage);
    let bytes = match args.format {
        Format::Text => text(&coverage, &unmet).into_bytes(),
        Format::Json => super::json(&Report {
            ready: unmet.is_empty(),
            unmet: &unmet,
            line: coverage.line(),
            coverage: &coverage,
        })?,
    };
    super::emit(Path::new("-"), &bytes)?;
    Ok(if unmet.is_empty() { Exit::Ok } else { Exit::Unproved })
}

fn text(coverage: &Coverage, unmet: &[String]) -> String {
    let mut lines = vec![coverage.line(), coverage.needed.syscalls.line("system call")];
    lines.push(format!("{} observed", spell(coverage.observed_s)));
    if coverage.without_startup > 0 {
        let others = counted(coverage.without_startup, "recording");
        lines.push(format!("{others} did not see the start-up: no samples"));
    }
    kinds("", &coverage.needed, &mut lines);
    if coverage.phases.len() > 1 {
        for (phase, known) in &coverage.phases {
            let name = if *phase == Phase::App { "application: " } else { "health check: " };
            kinds(name, known, &mut lines);
        }
    }
    newest(&coverage.needed, &mut lines);
    lines.extend(unmet.iter().map(|reason| format!("not ready: {reason}")));
    lines.join("\n") + "\n"
}

/// Two kinds of things, by each kind of samples.
fn kinds(name: &str, kinds: &Kinds, lines: &mut Vec<String>) {
    for (what, known) in [("path", &kinds.paths), ("system call", &kinds.syscalls)] {
        lines.push(format!("{name}{}", counted(known.observed, what)));
        let hours = known.hours.as_ref().map(|hours| ("hour", "hours", hours));
        let samples = [("start", "starts", &known.starts), ("node", "nodes", &known.nodes)];
        lines.extend(samples.into_iter().chain(hours).filter_map(by_samples));
    }
}

/// `  by 14 starts: 1 was seen by one only, 3 by two; ...`
fn by_samples((one, many, seen): (&str, &str, &Incidence)) -> Option<String> {
    let estimate = seen.estimate?;
    let percent = |chance: f64| format!("{:.0} %", chance * 100.0);
    Some(format!(
        "  by {} {many}: {} seen by one only, {} by two, an estimated {:.0}-{:.0} by none; the next {one} shows something \
         new with a chance of {} (at most {})",
        seen.samples,
        seen.in_one,
        seen.in_two,
        estimate.unseen_lower,
        estimate.unseen_upper,
        percent(estimate.chance_of_new),
        percent(estimate.chance_upper)
    ))
}

/// What came last, so that a person can judge what it was that took so long.
fn newest(known: &Kinds, lines: &mut Vec<String>) {
    let mut newest: Vec<_> = known.paths.newest.iter().chain(&known.syscalls.newest).collect();
    newest.sort_by_key(|newest| Reverse(newest.since));
    for Newest { name, since, starts, .. } in newest.into_iter().take(NEWEST) {
        let at =
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(*since)).unwrap_or(SystemTime::UNIX_EPOCH);
        lines.push(format!(
            "  new at {}: {name}, seen by {starts} starts",
            humantime::format_rfc3339_seconds(at)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Manifest, Observed, Recording};

    #[test]
    fn the_text_says_the_line_the_details_and_why_it_is_not_ready() {
        let mut manifest = Manifest::new(None);
        for start in 0..4 {
            let recording = Recording {
                started: format!("1970-01-01T0{start}:00:00Z"),
                duration_ms: 600_000,
                node: Some(format!("node{}", start % 2)),
                ..Recording::without_events(Observed::Use, start > 0)
            };
            manifest.recordings.insert(start.to_string(), recording);
        }
        let file = r#"{"origin": "image", "uses": [], "by": [], "phases": ["app"], "first_ms": 9, "first_seen": 600,
            "seen_in": ["0", "1", "2", "3"]}"#;
        manifest.files.insert("/etc/x".into(), serde_json::from_str(file).unwrap());
        let text = text(&Coverage::of(&manifest, 90_000), &["why".into()]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "1 path, nothing new for 30 min, an estimated 0-3 unseen; 3 starts, 2 nodes");
        assert_eq!(lines[1], "0 system calls");
        let more = [
            "40 min observed",
            "1 recording did not see the start-up: no samples",
            "1 path",
            "  by 3 starts: 0 seen by one only, 0 by two, an estimated 0-3 by none; the next start shows something new \
             with a chance of 0 % (at most 56 %)",
            "  new at 1970-01-01T00:10:00Z: /etc/x, seen by 3 starts",
            "not ready: why",
        ];
        assert!(more.iter().all(|line| lines.contains(line)), "{text}");
    }

    #[test]
    fn bounds_are_numbers_from_zero_up() {
        assert_eq!(bound("2.5"), Ok(2.5));
        assert!(["-1", "NaN", "inf", "few"].iter().all(|text| bound(text).is_err()));
    }
}
