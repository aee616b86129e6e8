//! What an image offers to an attacker, what is left of it in the slim image, and what of it was used: a pure function
//! of the original image, the plan and the manifest.
//!
//! The original is gone through once, by what stat(2) tells. Executable files are looked at once more for their
//! capabilities, and only small files that may hold a key by their name, place or mode are read.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use crate::image::{ImageSource, Totals};
use crate::manifest::{Manifest, PathBytes, Phase, Use};
use crate::plan::{Package, Plan, packages};

pub mod capability;
mod finder;
mod kinds;
mod programs;
mod secrets;
mod survey;
#[cfg(test)]
mod tests;

pub use kinds::{EXECUTABLES, KINDS, Kind, PRIVATE_KEYS};
use survey::Survey;

/// What an image offers.
#[derive(Debug, Serialize)]
pub struct Surface {
    /// What the original holds.
    pub original: Totals,
    /// What the slim image holds.
    pub slim: Totals,
    /// Directories of the original.
    pub directories: u64,
    /// The original's packages, sorted.
    pub packages: Vec<PackageLeft>,
    /// All that is of note, by kind and name. A file that has several names is one.
    pub findings: Vec<Finding>,
    /// What was read in search of private keys.
    pub examined: Examined,
}

/// A package of the original, and how much of it the slim image has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PackageLeft {
    /// The package; its `files` are told when something is kept and the database lists them.
    #[serde(flatten)]
    pub package: Package,
    /// What is left.
    pub left: Left,
}

/// How much of a package is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Left {
    /// Every file that the original has.
    Whole,
    /// Some files, or it is not known of how many.
    Partial,
    /// Nothing.
    Removed,
}

/// Something of note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which of [`KINDS`], by name.
    pub kind: &'static str,
    /// The physical path, of several the first; or the variable's name.
    pub name: PathBytes,
    /// Names and links that lead to it and tell the kind, sorted.
    pub also: BTreeSet<PathBytes>,
    /// Mode and owner, capabilities, what sort of key; empty when there is nothing to say.
    pub detail: String,
    /// Whether the slim image has it.
    pub slim: bool,
    /// How it was used, by any of its names.
    pub uses: BTreeSet<Use>,
    /// In which phases.
    pub phases: BTreeSet<Phase>,
}

/// What was read in search of private keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Files that were read.
    pub read: usize,
    /// Files that would have been, but were too many.
    pub unread: usize,
}

/// How many of a kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// In the original.
    pub original: u64,
    /// In the slim image.
    pub slim: u64,
    /// That were executed.
    pub ran: u64,
}

impl Finding {
    /// Whether it was executed, by itself or as an interpreter.
    pub fn ran(&self) -> bool {
        self.uses.contains(&Use::Exec) || self.uses.contains(&Use::Interpreter)
    }
}

impl Surface {
    /// What `image` offers, and what is left of it when `plan`, which was made of it and of `manifest`, is carried out.
    ///
    /// # Errors
    /// The image cannot be read, or its config is not JSON.
    pub fn find(image: &dyn ImageSource, plan: &Plan, manifest: &Manifest) -> Result<Self> {
        let mut survey = Survey::default();
        image.survey(&mut |stat| survey.look(stat))?;
        let survey = survey.finish();
        let packages = packages_left(packages::installed(image, &survey.homes)?, plan);
        let (original, directories) = (survey.totals, survey.directories);
        let (findings, examined) = finder::find(image, survey, plan, manifest)?;
        Ok(Self { original, slim: plan.totals, directories, packages, findings, examined })
    }

    /// How many findings there are of the kind called `kind`.
    pub fn count(&self, kind: &str) -> Count {
        let mut count = Count::default();
        for finding in self.findings.iter().filter(|finding| finding.kind == kind) {
            count.original += 1;
            count.slim += u64::from(finding.slim);
            count.ran += u64::from(finding.ran());
        }
        count
    }
}

/// What is left of the packages that are `installed`: what the plan does not tell of is removed.
fn packages_left(installed: Vec<Package>, plan: &Plan) -> Vec<PackageLeft> {
    let mut removed: BTreeMap<(&str, String), Vec<Package>> = BTreeMap::new();
    for package in installed {
        removed.entry((package.kind, package.name.clone())).or_default().push(package);
    }
    let mut all = Vec::new();
    for package in &plan.packages {
        if let Some(same) = removed.get_mut(&(package.kind, package.name.clone())) {
            same.pop();
        }
        let whole = package.files.is_some_and(|share| share.kept >= share.of);
        all.push(PackageLeft {
            package: package.clone(),
            left: if whole { Left::Whole } else { Left::Partial },
        });
    }
    let left = Left::Removed;
    all.extend(removed.into_values().flatten().map(|package| PackageLeft { package, left }));
    all.sort();
    all
}
