//! `show --capabilities`: every capability that the kernel was asked for; where that was not measured, those that the
//! system calls may need.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::View;
use super::document::{Document, list, path, spelled, words};
use super::known::Known;
use crate::capability;
use crate::manifest::{CapabilityUse, Phase};

/// The view.
#[derive(Debug, Serialize)]
pub struct Capabilities<'a> {
    /// Whether every recording saw them: only then what is not among them was not asked for.
    measured: bool,
    capabilities: &'a BTreeMap<String, CapabilityUse>,
    /// What the engine gives and the application's system calls may need, with these calls: rather too much. Null where
    /// it was measured, or no calls are known.
    may_be_needed: Option<BTreeMap<&'static str, BTreeSet<String>>>,
}

impl<'a> Capabilities<'a> {
    /// All of the manifest.
    pub fn new(known: &'a Known) -> Self {
        let manifest = &known.manifest;
        let measured = manifest.measured_capabilities();
        let derives = !measured && manifest.calls_in_container().next().is_some();
        let may_be_needed = derives.then(|| capability::derived_from(manifest.calls_in_container()));
        Self { measured, capabilities: &manifest.capabilities, may_be_needed }
    }

    /// How many the application needs, or may need; none when nothing tells.
    pub fn count(&self) -> Option<u64> {
        let had = || self.capabilities.values().filter(|used| Phase::any_in_container(&used.phases)).count();
        let count = if self.measured { Some(had()) } else { self.may_be_needed.as_ref().map(BTreeMap::len) };
        count.map(|count| count as u64)
    }

    /// What it means that they were not measured.
    pub fn caveat(&self) -> Option<String> {
        let why = "capabilities were not measured in every recording";
        (!self.measured).then(|| match self.may_be_needed {
            Some(_) => format!("{why}: what the system calls may need counts, which is rather too much"),
            None => why.to_owned(),
        })
    }
}

impl View for Capabilities<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        let row = |(name, used): (&String, &CapabilityUse)| {
            vec![name.clone(), spelled(&used.phases), spelled(&used.refused), list(used.by.iter().map(path))]
        };
        let columns = ["capability", "had in", "lacked in", "by"].map(words);
        document.table(&columns, self.capabilities.iter().map(row).collect());
        let row = |(name, calls): (&&str, &BTreeSet<String>)| vec![(*name).to_owned(), list(calls)];
        let derived = self.may_be_needed.iter().flatten().map(row).collect();
        document.table(&[words("capability"), words("may be needed by")], derived);
        self.caveat().into_iter().for_each(|caveat| document.line(caveat));
        document
    }
}
