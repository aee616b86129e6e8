//! Recall and precision of recordings, measured against strace on the same workload.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::agent::record;
use crate::container::Container;
use crate::corpus::{Corpus, corpus};
use crate::manifest::Manifest;
use crate::strace::{Access, Visible, traced};
use crate::tree::image_tree;

/// What two runs of one application used of its image.
#[derive(Debug, Default)]
pub struct Accuracy {
    /// What strace saw the application use.
    pub traced: BTreeSet<PathBuf>,
    /// What the agent recorded, and how it was used.
    pub recorded: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// Runs the image `name` of the corpus twice, under strace and under `slim-agent record`, with the same check. The
/// trace and the manifest are left in `place`.
pub fn measure(name: &str, place: &Path) -> Result<Accuracy> {
    let image = corpus(name)?;
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    let tree = image_tree(&image.tag())?;
    let run = traced(&image, &place.join(format!("{name}.strace")))
        .with_context(|| format!("running {name} under strace"))?;
    let manifest = recorded(&image, &place.join(format!("{name}.manifest.json")))
        .with_context(|| format!("recording {name}"))?;
    let visible = Visible::new(&tree, run.mounts);
    let mut accuracy = Accuracy::default();
    accuracy.traced.extend(run.accesses.iter().flat_map(|access| visible.needed(access)));
    accuracy.take(&manifest, &visible);
    Ok(accuracy)
}

fn recorded(image: &Corpus, manifest: &Path) -> Result<Manifest> {
    let container = Container::create(&image.tag(), &[], &[])?;
    record(&[container.name()], manifest, &image.check_program())?.expect(0)?;
    let manifest = Manifest::read(manifest)?;
    manifest.whole()?;
    Ok(manifest)
}

impl Accuracy {
    /// What strace saw and the agent did not record.
    pub fn missed(&self) -> Vec<&Path> {
        self.traced.iter().filter(|path| !self.recorded.contains_key(*path)).map(PathBuf::as_path).collect()
    }

    /// What the agent recorded and strace did not see, with how it was used.
    pub fn extra(&self) -> impl Iterator<Item = (&Path, &BTreeSet<String>)> {
        let extra = self.recorded.iter().filter(|(path, _)| !self.traced.contains(*path));
        extra.map(|(path, uses)| (path.as_path(), uses))
    }

    /// The share of what strace saw that was recorded.
    pub fn recall(&self) -> f64 {
        share(self.traced.len() - self.missed().len(), self.traced.len())
    }

    /// The share of what was recorded that strace saw.
    pub fn precision(&self) -> f64 {
        share(self.recorded.len() - self.extra().count(), self.recorded.len())
    }

    /// What a manifest says of the application and the image.
    fn take(&mut self, manifest: &Manifest, visible: &Visible<'_>) {
        for path in manifest.paths() {
            if manifest.origin(path) != "image" || !manifest.phases(path).contains("app") {
                continue;
            }
            let access = Access { name: path.as_bytes().to_vec(), follow: false };
            for needed in visible.needed(&access) {
                let uses = manifest.uses(path).into_iter().map(str::to_owned);
                self.recorded.entry(needed).or_default().extend(uses);
            }
        }
    }
}

/// Of nothing, everything: an application that uses no file of its image misses none.
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
