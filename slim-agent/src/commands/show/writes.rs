//! `show --writes`: the directories in which something was written, made, renamed or removed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::View;
use super::document::{Document, figures, list, path, spelled, words};
use super::known::Known;
use crate::manifest::{FileUse, Manifest, Origin, PathBytes, Phase, Use};

/// The view.
#[derive(Debug, Serialize)]
pub struct Writes<'a> {
    directories: BTreeMap<PathBytes, Directory<'a>>,
}

/// What was done in one directory.
#[derive(Debug, Default, Serialize)]
struct Directory<'a> {
    /// Where what was written lies.
    origins: BTreeSet<Origin>,
    /// What was written.
    paths: BTreeSet<&'a PathBytes>,
    /// By which executables.
    by: BTreeSet<&'a PathBytes>,
    /// In which phases.
    phases: BTreeSet<Phase>,
}

impl<'a> Writes<'a> {
    /// All of the manifest, but for what the kernel or the container's runtime has or does.
    pub fn new(known: &'a Known) -> Self {
        let mut directories: BTreeMap<PathBytes, Directory<'_>> = BTreeMap::new();
        for (path, file) in written(&known.manifest) {
            let directory = directories.entry(path.parent().unwrap_or_default()).or_default();
            directory.origins.insert(file.origin);
            directory.paths.insert(path);
            directory.by.extend(&file.by);
            directory.phases.extend(&file.phases);
        }
        Self { directories }
    }

    /// How many directories.
    pub fn count(&self) -> usize {
        self.directories.len()
    }
}

impl View for Writes<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        let row = |(name, directory): (&PathBytes, &Directory<'_>)| {
            vec![
                path(name),
                directory.paths.len().to_string(),
                spelled(&directory.origins),
                list(
                    directory.paths.iter().map(|path| String::from_utf8_lossy(path.file_name()).into_owned()),
                ),
                list(directory.by.iter().map(|by| path(by))),
                spelled(&directory.phases),
            ]
        };
        let columns =
            [words("directory"), figures("paths"), words("on"), words("names"), words("by"), words("phases")];
        document.table(&columns, self.directories.iter().map(row).collect());
        document.line(format!("{} directories", self.count()));
        document
    }
}

fn written(manifest: &Manifest) -> impl Iterator<Item = (&PathBytes, &FileUse)> {
    let is_write = |file: &FileUse| file.uses.contains(&Use::Write) || file.uses.contains(&Use::Entry);
    let is_here = |file: &FileUse| matches!(file.origin, Origin::Image | Origin::Volume | Origin::Tmpfs);
    let counts =
        move |file: &FileUse| is_write(file) && is_here(file) && Phase::any_in_container(&file.phases);
    manifest.files.iter().filter(move |(_, file)| counts(file))
}
