//! `coverage`: has an application been watched enough?

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::manifests::ManifestArgs;
use crate::coverage::{Coverage, Known, Rules, estimate};
use crate::exit::Exit;

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
    /// Not ready unless the last N recordings brought nothing new
    #[arg(long, value_name = "N")]
    quiet_recordings: Option<usize>,
    /// Not ready when more than N paths, or system calls, may be unseen (upper bound of the estimate)
    #[arg(long, value_name = "N", value_parser = bound)]
    max_unseen: Option<f64>,
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
    /// {"ready", "unmet", "recordings", "paths": {"observed", "estimate", ...}, "syscalls"}
    Json,
}

/// What is told.
#[derive(Serialize)]
struct Report<'a> {
    /// Whether all rules hold that were given.
    ready: bool,
    /// Why not.
    unmet: &'a [String],
    #[serde(flatten)]
    coverage: &'a Coverage,
}

/// Runs the command.
///
/// # Errors
/// A manifest cannot be read, they are about different images, or standard output cannot be written.
pub fn run(args: &Args) -> Result<Exit> {
    let coverage = Coverage::of(&args.manifests.union()?);
    let rules =
        Rules { recordings: args.min_recordings, quiet: args.quiet_recordings, unseen: args.max_unseen };
    let unmet = rules.unmet(&coverage);
    let bytes = match args.format {
        Format::Text => text(&coverage, &unmet).into_bytes(),
        Format::Json => super::json(&Report { ready: unmet.is_empty(), unmet: &unmet, coverage: &coverage })?,
    };
    super::emit(Path::new("-"), &bytes)?;
    Ok(if unmet.is_empty() { Exit::Ok } else { Exit::Unproved })
}

fn text(coverage: &Coverage, unmet: &[String]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} recordings saw the start-up", coverage.recordings);
    if coverage.without_startup > 0 {
        let _ = writeln!(text, "{} others did not, and do not count here", coverage.without_startup);
    }
    let _ = writeln!(text, "{}", line("paths", &coverage.paths));
    let _ = writeln!(text, "{}", line("system calls", &coverage.syscalls));
    for reason in unmet {
        let _ = writeln!(text, "not ready: {reason}");
    }
    text
}

/// `412 paths, nothing new in the last 7 recordings, an estimated 0-2 unseen; ...`
fn line(what: &str, known: &Known) -> String {
    let quiet = match known.history.quiet {
        0 => "something new in the last recording".to_owned(),
        1 => "nothing new in the last recording".to_owned(),
        quiet => format!("nothing new in the last {quiet} recordings"),
    };
    let estimated = match known.estimate {
        None => format!("too few recordings for an estimate ({} are needed)", estimate::LEAST),
        Some(estimate) => format!(
            "an estimated {:.0}-{:.0} unseen; the next recording shows something new with a chance of {:.0} %",
            estimate.unseen_lower,
            estimate.unseen_upper.ceil(),
            estimate.chance_of_new * 100.0
        ),
    };
    format!("{} {what}, {quiet}, {estimated}", known.observed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::History;

    #[test]
    fn one_line_says_it() {
        let known = Known {
            observed: 412,
            in_one: 1,
            in_two: 3,
            estimate: Some(estimate::Estimate {
                unseen: 0.2,
                unseen_lower: 0.02,
                unseen_upper: 1.4,
                new_in_next: 0.07,
                chance_of_new: 0.068,
            }),
            history: History { new: vec![411, 1, 0, 0], quiet: 2 },
        };
        assert_eq!(
            line("paths", &known),
            "412 paths, nothing new in the last 2 recordings, an estimated 0-2 unseen; the next recording shows \
             something new with a chance of 7 %"
        );
        let few = Known { estimate: None, history: History { new: vec![412], quiet: 0 }, ..known };
        assert_eq!(
            line("paths", &few),
            "412 paths, something new in the last recording, too few recordings for an estimate (3 are needed)"
        );
    }

    #[test]
    fn bounds_are_numbers_from_zero_up() {
        assert_eq!(bound("2.5"), Ok(2.5));
        assert!(["-1", "NaN", "inf", "few"].iter().all(|text| bound(text).is_err()));
    }
}
