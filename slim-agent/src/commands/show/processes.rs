//! `show --by-process`: what each executable used.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::View;
use super::document::{Document, list, path, spelled, words};
use super::known::Known;
use crate::manifest::{PathBytes, Use};

/// The view.
#[derive(Debug, Serialize)]
pub struct Processes<'a> {
    /// By executable.
    processes: BTreeMap<&'a PathBytes, Process<'a>>,
}

/// What one executable used.
#[derive(Debug, Default, Serialize)]
struct Process<'a> {
    /// How, by path; what other executables did with the same path is among it.
    files: BTreeMap<&'a PathBytes, &'a BTreeSet<Use>>,
    /// How, by address.
    sockets: BTreeMap<&'a str, &'a BTreeSet<String>>,
    /// Where it is known.
    capabilities: BTreeSet<&'a str>,
}

impl<'a> Processes<'a> {
    /// All of the manifest.
    pub fn new(known: &'a Known) -> Self {
        let mut processes: BTreeMap<&PathBytes, Process<'_>> = BTreeMap::new();
        let manifest = &known.manifest;
        for (path, file) in &manifest.files {
            for by in &file.by {
                processes.entry(by).or_default().files.insert(path, &file.uses);
            }
        }
        for (address, socket) in &manifest.sockets {
            for by in &socket.by {
                processes.entry(by).or_default().sockets.insert(address, &socket.uses);
            }
        }
        for (name, capability) in &manifest.capabilities {
            for by in &capability.by {
                processes.entry(by).or_default().capabilities.insert(name);
            }
        }
        Self { processes }
    }
}

impl View for Processes<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        for (executable, process) in &self.processes {
            document.heading(path(executable));
            let Process { files, sockets, capabilities } = process;
            let mut summary = format!("{} files, {} sockets", files.len(), sockets.len());
            if !capabilities.is_empty() {
                summary.push_str(&format!(", capabilities {}", list(capabilities)));
            }
            document.line(summary);
            let files = files.iter().map(|(name, uses)| vec![path(name), spelled(*uses)]);
            let sockets = sockets.iter().map(|(address, uses)| vec![(*address).to_owned(), list(*uses)]);
            document.table(&[words("path or address"), words("uses")], files.chain(sockets).collect());
        }
        document
    }
}
