//! When there was something new, and how long it was looked for since.

use serde::Serialize;

use super::things::{Samples, Thing};
use crate::manifest::Manifest;

/// A curve has at most so many points.
const MOST_POINTS: usize = 100;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// How knowledge grew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct History {
    /// When the last new thing came, in seconds since 1970; `None` when there is none, or one is not dated.
    pub last_new: Option<u64>,
    /// Seconds since then.
    pub since_new_s: Option<u64>,
    /// Of these, the seconds in which there was a recording: while nobody looks, no news is none.
    pub quiet_s: Option<u64>,
    /// How many starts at the end, begun since then, showed nothing that no start before them had.
    pub quiet_starts: usize,
    /// What was known after each start; the last hundred.
    pub by_start: Vec<Point>,
    /// What was known at the end of each hour that brought something, or of each day, or each so many days.
    pub by_time: Vec<Point>,
}

/// What was known when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Seconds since 1970: when the start was, or when the last of its hour or day came.
    pub at: u64,
    /// How many things.
    pub known: usize,
}

impl History {
    /// That of `things`.
    pub fn of(things: &[&Thing<'_>], samples: &Samples<'_>, observed: &Observed, now: u64) -> Self {
        let mut dates: Vec<u64> = things.iter().filter_map(|thing| thing.since).collect();
        dates.sort_unstable();
        let last_new = dates.last().copied().filter(|_| dates.len() == things.len());
        let mut new = vec![0_usize; samples.starts.len()];
        for first in things.iter().filter_map(|thing| thing.starts.first()) {
            new[*first] += 1;
        }
        Self {
            last_new,
            since_new_s: last_new.map(|last| now.saturating_sub(last)),
            quiet_s: last_new.map(|last| observed.since(last)),
            quiet_starts: last_new.map_or(0, |last| quiet_starts(&new, samples, last)),
            by_start: by_start(&new, samples),
            by_time: by_time(&dates),
        }
    }
}

/// A start that began before the last new thing came cannot say that it did not miss it.
fn quiet_starts(new: &[usize], samples: &Samples<'_>, last_new: u64) -> usize {
    let later = samples.starts.iter().map(|start| start.started_unix() >= Some(last_new));
    new.iter().zip(later).rev().take_while(|&(&new, later)| new == 0 && later).count()
}

fn by_start(new: &[usize], samples: &Samples<'_>) -> Vec<Point> {
    let mut known = 0;
    let points = samples.starts.iter().zip(new).map(|(start, new)| {
        known += new;
        Point { at: start.started_unix().unwrap_or_default(), known }
    });
    let mut points: Vec<_> = points.collect();
    points.split_off(points.len().saturating_sub(MOST_POINTS))
}

/// The curve through sorted dates.
fn by_time(dates: &[u64]) -> Vec<Point> {
    let (Some(first), Some(last)) = (dates.first(), dates.last()) else { return Vec::new() };
    let fits = |step: u64| (last / step - first / step) < MOST_POINTS as u64;
    let mut step = if fits(HOUR) { HOUR } else { DAY };
    while !fits(step) {
        step *= 2;
    }
    let mut points: Vec<Point> = Vec::new();
    for (place, &at) in dates.iter().enumerate() {
        let point = Point { at, known: place + 1 };
        match points.last_mut() {
            Some(last) if last.at / step == at / step => *last = point,
            _ => points.push(point),
        }
    }
    points
}

/// When there was a recording of use: spans of milliseconds since 1970 that do not touch, in order.
pub struct Observed(Vec<(u64, u64)>);

impl Observed {
    /// As far as the recordings of `manifest` say, until `now`.
    pub fn of(manifest: &Manifest, now: u64) -> Self {
        let span = |(_, recording): (_, &crate::manifest::Recording)| {
            let from = recording.started_unix()?.saturating_mul(1000);
            Some((from, from.saturating_add(recording.duration_ms).min(now.saturating_mul(1000))))
        };
        let mut spans: Vec<_> = manifest.of_use().filter_map(span).collect();
        spans.sort_unstable();
        let mut apart: Vec<(u64, u64)> = Vec::new();
        for (from, to) in spans {
            match apart.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ if from < to => apart.push((from, to)),
                _ => {}
            }
        }
        Self(apart)
    }

    /// Seconds observed since a second.
    pub fn since(&self, time: u64) -> u64 {
        let time = time.saturating_mul(1000);
        self.0.iter().map(|&(from, to)| to.saturating_sub(from.max(time))).sum::<u64>() / 1000
    }
}
