//! Has an application been watched enough? An answer from which recordings saw each path and each system call, and when.
//!
//! # Samples
//! - A **start** is a recording that saw the container's start-up: one sample of what the application needs, however long
//!   it was. A recording that began later is no sample; what it saw is known all the same.
//! - A **node** is a host: all recordings made there.
//! - An **hour** is one of a recording's hours after its first, which is the start's. A path that no first hour had and one
//!   later hour did tells how much the next hour may bring.
//!
//! What only one sample saw tells how much none saw yet: that is what the estimates in [`estimate`] are made of.
//!
//! # Assumptions
//! - The samples are of the same kind of load, and independent of each other. Ten starts under one load test are ten
//!   samples of that load test. What no load asks for at all, no statistic knows: that is what `watch` is for.
//! - What is rare in them is as rare in production. Starts that were ended after a second count as much as those of a day.
//! - Chao2 estimates from below. If many things are needed with small chances each, there are more than it says; if there
//!   are things rarer than one in as many samples as there were, nothing in the samples can tell of them.
//! - Things that are needed together come together. The interval allows for that between starts and nodes, not between
//!   hours, of which only the numbers are known.
//! - Time counts while there was a recording, and nodes' clocks agree. Phases share the samples: a path that both the
//!   application and the health check used is counted for both, in all recordings that saw it.
//!
//! What is not known is never taken for good: too few samples give no estimate, and [`Rules`] that ask for one do not hold.

pub mod estimate;
mod history;
mod line;
mod ready;
mod things;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::manifest::{Manifest, Phase};
use estimate::{Estimate, Frequencies};
use history::Observed;
pub use history::{History, Point};
pub use line::{counted, spell};
pub use ready::Rules;
use things::{Samples, Thing};

/// So many of the newest things are named.
const NEWEST: usize = 10;

/// How well an application is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// Recordings that saw the start-up.
    pub starts: usize,
    /// Recordings that did not, and do not count as samples.
    pub without_startup: usize,
    /// Nodes that recordings name.
    pub nodes: usize,
    /// Seconds in which there was a recording; two at once count once.
    pub observed_s: u64,
    /// All that the application needs, and its health check.
    #[serde(flatten)]
    pub needed: Kinds,
    /// The same for each of the two, where it needs anything.
    pub phases: BTreeMap<Phase, Kinds>,
}

/// What is known of either kind of things.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kinds {
    /// Paths of the image.
    pub paths: Known,
    /// System calls, by ABI and name.
    pub syscalls: Known,
}

/// What is known of one kind of things.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Known {
    /// How many there are.
    pub observed: usize,
    /// How many there may be besides, by the best samples there are.
    pub estimate: Option<Headline>,
    /// When they came to be known.
    pub history: History,
    /// How many starts saw them.
    pub starts: Incidence,
    /// How many nodes did.
    pub nodes: Incidence,
    /// In how many hours after the first they were used, of those that no first hour had; `None` where hours are not told.
    pub hours: Option<Incidence>,
    /// Those that came last, newest first.
    pub newest: Vec<Newest>,
}

/// The estimate that counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Headline {
    /// What its samples are.
    pub over: Over,
    /// What it is.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// What the samples of an estimate are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// Starts, if there are enough: they show what an application needs to come up, and after that.
    Starts,
    /// Hours of those that run, if there are too few starts.
    Hours,
}

/// How many samples of one sort saw how many things.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Incidence {
    /// How many samples there are.
    pub samples: usize,
    /// How many things exactly one saw.
    pub in_one: usize,
    /// How many exactly two.
    pub in_two: usize,
    /// What is to come in more samples of the sort; `None` with fewer than [`estimate::LEAST`].
    pub estimate: Option<Estimate>,
}

/// One thing, and who saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Newest {
    /// The path, or the system call and its ABI.
    pub name: String,
    /// When it came to be known: seconds since 1970.
    pub since: u64,
    /// How many starts saw it.
    pub starts: usize,
    /// How many nodes.
    pub nodes: usize,
    /// How many hours after the first.
    pub hours: u64,
}

impl Coverage {
    /// Looks at all recordings of `manifest`, at the time `now` (seconds since 1970). Watches of slim images are no samples.
    pub fn of(manifest: &Manifest, now: u64) -> Self {
        let (samples, observed) = (Samples::of(manifest), Observed::of(manifest, now));
        let (paths, syscalls) = (things::paths(manifest, &samples), things::syscalls(manifest, &samples));
        let kinds = |counts: &dyn Fn(&Thing<'_>) -> bool| {
            let known = |things: &[Thing<'_>]| {
                let counted: Vec<_> = things.iter().filter(|thing| counts(thing)).collect();
                Known::of(&counted, &samples, &observed, now)
            };
            Kinds { paths: known(&paths), syscalls: known(&syscalls) }
        };
        let phases = [Phase::App, Phase::Healthcheck]
            .map(|phase| (phase, kinds(&|thing| thing.phases.contains(&phase))));
        let is_known = |kinds: &Kinds| kinds.paths.observed + kinds.syscalls.observed > 0;
        Self {
            starts: samples.starts.len(),
            without_startup: manifest.of_use().count() - samples.starts.len(),
            nodes: samples.nodes,
            observed_s: observed.since(0),
            needed: kinds(&|_| true),
            phases: phases.into_iter().filter(|(_, kinds)| is_known(kinds)).collect(),
        }
    }
}

impl Known {
    fn of(things: &[&Thing<'_>], samples: &Samples<'_>, observed: &Observed, now: u64) -> Self {
        let starts = Frequencies::of_places(things.iter().map(|thing| &*thing.starts), samples.starts.len());
        let nodes = Frequencies::of_places(things.iter().map(|thing| &*thing.nodes), samples.nodes);
        let starts = Incidence::of(&starts, things.len());
        let hours = hours(things, samples);
        let headline =
            |over, estimate: Option<Estimate>| estimate.map(|estimate| Headline { over, estimate });
        let by_hours = || headline(Over::Hours, hours.and_then(|hours| hours.estimate));
        Self {
            observed: things.len(),
            estimate: headline(Over::Starts, starts.estimate).or_else(by_hours),
            history: History::of(things, samples, observed, now),
            starts,
            nodes: Incidence::of(&nodes, things.len()),
            hours,
            newest: newest(things),
        }
    }
}

impl Incidence {
    /// With nothing observed at all, nothing is estimated.
    fn of(frequencies: &Frequencies, observed: usize) -> Self {
        let (in_one, in_two) = frequencies.rare();
        let estimate = frequencies.estimate(observed).filter(|_| observed > 0);
        Self { samples: frequencies.samples(), in_one, in_two, estimate }
    }
}

/// What a first hour had is known to every start, however seldom it is used later: those it did not have count.
fn hours(things: &[&Thing<'_>], samples: &Samples<'_>) -> Option<Incidence> {
    let told: Vec<(u64, bool)> = things.iter().filter_map(|thing| thing.hours).collect();
    let late = told.iter().filter(|(_, late)| *late).map(|(hours, _)| *hours as usize);
    let frequencies = Frequencies::of_counts(late, samples.hours as usize);
    (!told.is_empty()).then(|| Incidence::of(&frequencies, things.len()))
}

fn newest(things: &[&Thing<'_>]) -> Vec<Newest> {
    let dated = things.iter().filter_map(|thing| Some((thing.since?, *thing)));
    let mut dated: Vec<(u64, &Thing<'_>)> = dated.collect();
    dated.sort_by(|(one, thing), (other, than)| other.cmp(one).then_with(|| thing.name.cmp(&than.name)));
    let named = dated.into_iter().take(NEWEST).map(|(since, thing)| Newest {
        name: thing.name.to_string(),
        since,
        starts: thing.starts.len(),
        nodes: thing.nodes.len(),
        hours: thing.hours.map_or(0, |(hours, _)| hours),
    });
    named.collect()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
