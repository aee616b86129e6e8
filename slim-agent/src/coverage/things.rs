//! What was seen, by which recordings: paths and system calls alike.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::schema::WINDOW;
use crate::manifest::{FileUse, Manifest, Origin, Phase, Recording};

/// The recordings of a manifest as samples. Watches of slim images are none.
pub struct Samples<'a> {
    /// Recordings that saw the start-up, oldest first.
    pub starts: Vec<&'a Recording>,
    /// Places in `starts`, by id.
    start_of: BTreeMap<&'a str, usize>,
    /// Numbers of the nodes that are known, by the ids of their recordings.
    node_of: BTreeMap<&'a str, usize>,
    /// How many nodes that are.
    pub nodes: usize,
    /// Hours after the first, of all recordings.
    pub hours: u64,
}

impl<'a> Samples<'a> {
    /// Those of `manifest`.
    pub fn of(manifest: &'a Manifest) -> Self {
        let started = manifest.of_use().filter(|(_, recording)| recording.startup_observed);
        let mut starts: Vec<(&String, &Recording)> = started.collect();
        // RFC 3339 in UTC sorts by time; the id makes the order the same on every host.
        starts.sort_by_key(|(id, recording)| (&recording.started, *id));
        let named = || manifest.of_use().filter_map(|(id, used)| Some((id.as_str(), used.node.as_deref()?)));
        let nodes: BTreeSet<&str> = named().map(|(_, node)| node).collect();
        let numbers: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(n, node)| (*node, n)).collect();
        Self {
            start_of: starts.iter().enumerate().map(|(place, (id, _))| (id.as_str(), place)).collect(),
            starts: starts.into_iter().map(|(_, recording)| recording).collect(),
            node_of: named().map(|(id, node)| (id, numbers[node])).collect(),
            nodes: nodes.len(),
            hours: manifest.of_use().map(|(_, recording)| u64::from(recording.windows)).sum(),
        }
    }
}

/// One path or system call.
pub struct Thing<'a> {
    /// Its name; of a system call, with its ABI.
    pub name: Cow<'a, str>,
    /// The phases in which it was used.
    pub phases: &'a BTreeSet<Phase>,
    /// Since when it is known.
    pub since: Option<u64>,
    /// Places of the starts that saw it, in the order of time.
    pub starts: Vec<usize>,
    /// Numbers of the nodes that saw it.
    pub nodes: Vec<usize>,
    /// Hours after the first of any recording in which it was used, and whether it was used in no first hour; `None` for
    /// system calls, which are not told hour by hour.
    pub hours: Option<(u64, bool)>,
}

impl<'a> Thing<'a> {
    fn seen(samples: &Samples<'_>, phases: &'a BTreeSet<Phase>, ids: &BTreeSet<String>) -> Self {
        let mut starts: Vec<_> =
            ids.iter().filter_map(|id| samples.start_of.get(id.as_str()).copied()).collect();
        starts.sort_unstable();
        let nodes: BTreeSet<_> =
            ids.iter().filter_map(|id| samples.node_of.get(id.as_str()).copied()).collect();
        let nodes = nodes.into_iter().collect();
        Self { name: Cow::Borrowed(""), phases, since: None, starts, nodes, hours: None }
    }
}

/// Whether the application used something, or its health check.
fn is_needed(phases: &BTreeSet<Phase>) -> bool {
    phases.contains(&Phase::App) || phases.contains(&Phase::Healthcheck)
}

/// Paths of the image that an export keeps because of the application or its health check.
pub fn paths<'a>(manifest: &'a Manifest, samples: &Samples<'_>) -> Vec<Thing<'a>> {
    let counts =
        |file: &FileUse| file.origin == Origin::Image && is_needed(&file.phases) && manifest.only_used(file);
    let files = manifest.files.iter().filter(|(_, file)| counts(file));
    let first_hour = WINDOW.as_millis() as u64;
    let things = files.map(|(path, file)| {
        let hours = file.windows.values().map(|&hours| u64::from(hours)).sum();
        Thing {
            name: path.escape(),
            since: file.known_since(&manifest.recordings),
            hours: Some((hours, file.first_ms >= first_hour)),
            ..Thing::seen(samples, &file.phases, &file.seen_in)
        }
    });
    things.collect()
}

/// System calls of the same.
pub fn syscalls<'a>(manifest: &'a Manifest, samples: &Samples<'_>) -> Vec<Thing<'a>> {
    let calls = manifest.syscalls.iter().flat_map(|(abi, calls)| calls.iter().map(move |call| (abi, call)));
    let counted = calls.filter(|(_, (_, call))| is_needed(&call.phases));
    let things = counted.map(|(abi, (name, call))| Thing {
        name: format!("{name} ({abi})").into(),
        since: call.known_since(&manifest.recordings),
        ..Thing::seen(samples, &call.phases, &call.seen_in)
    });
    things.collect()
}
