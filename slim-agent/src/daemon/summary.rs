//! What is told of a profile, from its manifest.

use serde_json::Value;

use super::model::{ProfileMeasures, ProfileStatus};
use super::store::ProfileKey;
use crate::coverage::{Coverage, Rules};
use crate::manifest::Manifest;

/// A profile in figures.
#[derive(Debug, Clone)]
pub struct Summary {
    key: ProfileKey,
    image: Option<crate::manifest::ImageRef>,
    recordings: u64,
    coverage: Coverage,
    shortcomings: Vec<String>,
    bytes: u64,
    /// When it was made: seconds since 1970.
    at: u64,
}

impl Summary {
    /// That of `manifest` at the time `now` (seconds since 1970); `bytes` is what it takes on the disk.
    pub fn of(key: ProfileKey, manifest: &Manifest, bytes: u64, now: u64) -> Self {
        Self {
            key,
            image: manifest.image.clone(),
            recordings: manifest.recordings.len() as u64,
            coverage: Coverage::of(manifest, now),
            shortcomings: manifest.shortcomings(),
            bytes,
            at: now,
        }
    }

    /// As the interface tells it; with the statistics in full if that is wanted.
    pub fn status(&self, rules: Option<&Rules>, in_full: bool) -> ProfileStatus {
        let Coverage { starts, nodes, observed_s, needed, .. } = &self.coverage;
        let unmet = rules.map(|rules| rules.unmet(&self.coverage));
        let coverage = || serde_json::to_value(&self.coverage).unwrap_or(Value::Null);
        ProfileStatus {
            name: self.key.name.clone(),
            image: self.image.clone(),
            recordings: self.recordings,
            starts: *starts as u64,
            nodes: *nodes as u64,
            hours: observed_s / 3600,
            paths: needed.paths.observed as u64,
            syscalls: needed.syscalls.observed as u64,
            last_new_seconds: needed.paths.history.since_new_s,
            line: self.coverage.line(),
            ready: unmet.as_ref().map(Vec::is_empty),
            unmet: unmet.unwrap_or_default(),
            coverage: in_full.then(coverage),
            shortcomings: self.shortcomings.clone(),
            bytes_on_disk: self.bytes,
            ..ProfileStatus::default()
        }
    }

    /// As the metrics tell it at the time `now`, with `active` recordings in progress.
    pub fn measures(&self, rules: Option<&Rules>, active: u64, now: u64) -> ProfileMeasures {
        let status = self.status(rules, false);
        let estimate = self.coverage.needed.paths.estimate;
        ProfileMeasures {
            name: self.key.name.clone(),
            image: format!("sha256:{}", self.key.image),
            active,
            recordings: status.recordings,
            paths: status.paths,
            syscalls: status.syscalls,
            last_new_seconds: status.last_new_seconds.map(|seconds| seconds + now.saturating_sub(self.at)),
            unseen_upper: estimate.map(|headline| headline.estimate.unseen_upper),
            ready: status.ready,
            bytes: self.bytes,
        }
    }
}
