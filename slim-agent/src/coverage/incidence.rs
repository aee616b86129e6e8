//! Which recordings saw what.

use std::collections::BTreeSet;

use crate::manifest::{FileUse, Manifest, Origin, Phase};

/// For each thing, the samples that saw it: their places in the order of time.
pub struct Incidence(Vec<Vec<usize>>);

impl Incidence {
    /// How many things there are, those included that no sample saw.
    pub fn observed(&self) -> usize {
        self.0.len()
    }

    /// How many exactly `samples` samples saw.
    pub fn seen_by(&self, samples: usize) -> usize {
        self.0.iter().filter(|seen| seen.len() == samples).count()
    }

    /// For each thing that a sample saw, how many did.
    pub fn counts(&self) -> Vec<usize> {
        self.0.iter().map(Vec::len).filter(|&count| count > 0).collect()
    }

    /// For each thing that a sample saw, the first that did.
    pub fn firsts(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().filter_map(|seen| seen.iter().copied().min())
    }
}

/// Paths of the image that an export keeps because of the application or its health check.
pub fn paths(manifest: &Manifest, samples: &[&str]) -> Incidence {
    let counts = |file: &&FileUse| {
        file.origin == Origin::Image && is_application(&file.phases) && manifest.only_used(file)
    };
    Incidence(manifest.files.values().filter(counts).map(|file| places(&file.seen_in, samples)).collect())
}

/// System calls of the application or its health check.
pub fn syscalls(manifest: &Manifest, samples: &[&str]) -> Incidence {
    let calls = manifest.syscalls.values().flat_map(|calls| calls.values());
    let counted = calls.filter(|call| is_application(&call.phases));
    Incidence(counted.map(|call| places(&call.seen_in, samples)).collect())
}

fn is_application(phases: &BTreeSet<Phase>) -> bool {
    phases.contains(&Phase::App) || phases.contains(&Phase::Healthcheck)
}

fn places(seen_in: &BTreeSet<String>, samples: &[&str]) -> Vec<usize> {
    samples.iter().enumerate().filter(|(_, id)| seen_in.contains(**id)).map(|(place, _)| place).collect()
}
