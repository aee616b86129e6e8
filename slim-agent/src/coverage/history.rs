//! When there was something new: recordings in the order of time.

use serde::Serialize;

use super::incidence::Incidence;
use crate::manifest::Manifest;

/// How knowledge grew from recording to recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct History {
    /// What each recording brought that none before it had, in the order of time.
    pub new: Vec<usize>,
    /// How many recordings at the end brought nothing.
    pub quiet: usize,
}

impl History {
    /// The history of `incidence` in as many samples.
    pub fn of(incidence: &Incidence, samples: usize) -> Self {
        let mut new = vec![0; samples];
        for first in incidence.firsts() {
            if let Some(count) = new.get_mut(first) {
                *count += 1;
            }
        }
        let quiet = new.iter().rev().take_while(|&&count| count == 0).count();
        Self { new, quiet }
    }
}

/// Ids of the recordings that saw the start-up, oldest first.
pub fn samples(manifest: &Manifest) -> Vec<&str> {
    let mut samples: Vec<_> = manifest.of_use().filter(|(_, recording)| recording.startup_observed).collect();
    // RFC 3339 in UTC sorts by time; the id makes the order the same on every host.
    samples.sort_by_key(|(id, recording)| (&recording.started, *id));
    samples.into_iter().map(|(id, _)| id.as_str()).collect()
}
