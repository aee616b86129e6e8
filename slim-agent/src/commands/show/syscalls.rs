//! `show --syscalls`: every system call that was made, or that the profile allows.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::View;
use super::document::{Document, spelled, words};
use super::known::Known;
use crate::export::seccomp;
use crate::manifest::Phase;

/// The view.
#[derive(Debug, Serialize)]
pub struct Syscalls {
    syscalls: BTreeMap<String, Call>,
    /// Why there is no profile; null when there is one.
    no_profile: Option<String>,
}

/// One call.
#[derive(Debug, Default, Serialize)]
struct Call {
    /// By which ABIs it was made.
    abis: BTreeSet<String>,
    /// In which phases it was carried out.
    phases: BTreeSet<Phase>,
    /// In which phases it answered EPERM or ENOSYS under a filter.
    refused: BTreeSet<Phase>,
    /// In how many recordings it was seen.
    recordings: usize,
    /// Whether the profile of `export seccomp` allows it.
    allowed: bool,
    /// Why.
    reasons: BTreeSet<String>,
}

impl Syscalls {
    /// The calls of all ABIs.
    pub fn new(known: &Known) -> Self {
        let mut syscalls: BTreeMap<String, Call> = BTreeMap::new();
        for (abi, calls) in &known.manifest.syscalls {
            for (name, used) in calls {
                let call = syscalls.entry(name.clone()).or_default();
                call.abis.insert(abi.clone());
                call.phases.extend(&used.phases);
                call.refused.extend(&used.refused);
                call.recordings = call.recordings.max(used.seen_in.len());
            }
        }
        let no_profile = match seccomp::export(&known.manifest) {
            Ok(export) => {
                for (name, reasons) in export.reasons {
                    let call = syscalls.entry(name).or_default();
                    (call.allowed, call.reasons) = (true, reasons);
                }
                None
            }
            Err(error) => Some(format!("{error:#}")),
        };
        Self { syscalls, no_profile }
    }
}

impl View for Syscalls {
    fn document(&self) -> Document {
        let mut document = Document::default();
        let row = |(name, call): (&String, &Call)| {
            let why = match (call.allowed, &self.no_profile) {
                (true, _) => call.reasons.iter().cloned().collect::<Vec<_>>().join("; "),
                (false, Some(_)) => "-".to_owned(),
                (false, None) => "not allowed".to_owned(),
            };
            vec![name.clone(), spelled(&call.phases), spelled(&call.refused), why]
        };
        let columns = ["system call", "phases", "refused", "allowed because"].map(words);
        document.table(&columns, self.syscalls.iter().map(row).collect());
        let allowed = self.syscalls.values().filter(|call| call.allowed).count();
        let observed = self.syscalls.values().filter(|call| call.recordings > 0).count();
        document.line(match &self.no_profile {
            Some(why) => format!("no profile: {why}"),
            None => format!("{observed} observed, {allowed} allowed"),
        });
        document
    }
}
