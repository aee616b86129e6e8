//! `show --capabilities`: every capability that the kernel was asked for.

use std::collections::BTreeMap;

use serde::Serialize;

use super::View;
use super::document::{Document, list, path, spelled, words};
use super::known::Known;
use crate::manifest::CapabilityUse;

/// The view.
#[derive(Debug, Serialize)]
pub struct Capabilities<'a> {
    /// Whether every recording saw them: only then what is not among them was not asked for.
    measured: bool,
    capabilities: &'a BTreeMap<String, CapabilityUse>,
}

impl<'a> Capabilities<'a> {
    /// All of the manifest.
    pub fn new(known: &'a Known) -> Self {
        let manifest = &known.manifest;
        Self { measured: manifest.measured_capabilities(), capabilities: &manifest.capabilities }
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
        if !self.measured {
            document.line("not every recording measured capabilities: others may be needed");
        }
        document
    }
}
