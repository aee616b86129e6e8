//! Has an application been watched enough? An answer from how many recordings saw each path and each system call.
//!
//! A recording that saw the start-up is one sample of what the application needs. What only one of them saw tells how
//! much none of them saw yet: that is what the estimates in [`estimate`] are made of. They rest on two assumptions, and
//! are as good as these: the recordings are of the same kind of load, each independent of the others; and what is rare
//! in them is as rare in production. What no load test asks for at all, no statistic knows.

pub mod estimate;
mod history;
mod incidence;
mod ready;

use serde::Serialize;

use crate::manifest::Manifest;
use estimate::Estimate;
pub use history::History;
use incidence::Incidence;
pub use ready::Rules;

/// What is known of one kind of things: paths, or system calls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Known {
    /// How many there are.
    pub observed: usize,
    /// How many of them exactly one recording saw.
    pub in_one: usize,
    /// How many exactly two.
    pub in_two: usize,
    /// What is still to come; `None` with fewer than [`estimate::LEAST`] recordings.
    pub estimate: Option<Estimate>,
    /// When there was something new.
    pub history: History,
}

/// How well an application is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// Recordings that saw the start-up: the samples.
    pub recordings: usize,
    /// Recordings that did not, and do not count as samples. What they saw is known all the same.
    pub without_startup: usize,
    /// Paths of the image that the application used, or its health check.
    pub paths: Known,
    /// System calls of the same, by ABI and name.
    pub syscalls: Known,
}

impl Coverage {
    /// Looks at all recordings of `manifest`. Watches of slim images are no samples.
    pub fn of(manifest: &Manifest) -> Self {
        let samples = history::samples(manifest);
        let known = |incidence: Incidence| Known {
            observed: incidence.observed(),
            in_one: incidence.seen_by(1),
            in_two: incidence.seen_by(2),
            estimate: estimate::estimate(&incidence.counts(), samples.len()),
            history: History::of(&incidence, samples.len()),
        };
        Self {
            recordings: samples.len(),
            without_startup: manifest.of_use().count() - samples.len(),
            paths: known(incidence::paths(manifest, &samples)),
            syscalls: known(incidence::syscalls(manifest, &samples)),
        }
    }
}

#[cfg(test)]
mod tests;
