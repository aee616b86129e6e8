//! Load on a web server, and what it answers.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{command, output};

/// wrk against `url`, its report written to `report`: one thread, enough connections to keep a server busy.
///
/// A file, because a recording that runs this has its own use for standard output.
pub fn wrk(url: &str, seconds: u32, report: &Path) -> Command {
    let duration = format!("-d{seconds}s");
    let mut command = command("sh", ["-c", "exec wrk -t1 -c16 \"$1\" \"$2\" >\"$0\""]);
    command.arg(report).args([&duration, url]);
    command
}

/// Requests per second, from the report of [`wrk`].
pub fn rate(report: &Path) -> Result<f64> {
    let printed = fs::read_to_string(report).with_context(|| format!("cannot read {}", report.display()))?;
    requests_per_second(&printed)
}

fn requests_per_second(printed: &str) -> Result<f64> {
    let figure = printed.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    figure.and_then(|text| text.trim().parse().ok()).with_context(|| format!("wrk gave no rate: {printed}"))
}

/// The page at `url`; a status of 400 or more is an error.
pub fn fetch(url: &str) -> Result<String> {
    output(&mut command("curl", ["--silent", "--show-error", "--fail", "--max-time", "10", url]))
}

/// The middle one of `values`, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => f64::NAN,
        (middle, 1) => sorted[middle],
        (middle, _) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_prints_its_rate_near_the_end() {
        let printed =
            "  412 requests in 1.00s, 1.2MB read\nRequests/sec:    411.53\nTransfer/sec:      1.20MB\n";
        assert_eq!(requests_per_second(printed).unwrap(), 411.53);
        assert!(requests_per_second("unable to connect").is_err());
    }

    #[test]
    fn a_median_does_not_care_for_outliers() {
        assert_eq!(median(&[1.0, 900.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 900.0]), 3.0);
        assert!(median(&[]).is_nan());
    }
}
