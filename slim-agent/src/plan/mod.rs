//! What an export keeps of an image, each path with its reasons: a pure function of manifest, image and policy.
//!
//! The plan errs on the side of keeping: a needed file that is missing is an outage, an unneeded one a few bytes.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};

use crate::image::{Config, Entry, ImageSource, Kind, Totals};
use crate::manifest::{FileUse, Manifest, Origin, PathBytes, Phase, Use};

mod excludes;
mod explanation;
mod generated;
mod keeper;
mod needs;
pub mod packages;
mod pattern;
mod policy;
mod reason;
mod rules;
#[cfg(test)]
mod tests;

pub use generated::Generated;
use keeper::{Finished, Keeper, Outcome};
use packages::Described;
pub use packages::{Package, Share};
pub use pattern::Pattern;
pub use policy::Policy;
pub use reason::{LeftOut, Need, Reason};
pub use rules::{PYTHON_IMPORTS, RULES, Rule, RuleSet};

/// What is kept of an image.
#[derive(Debug, Default)]
pub struct Plan {
    /// Physical paths, parents included, the root not; each with at least one reason.
    pub kept: BTreeMap<PathBytes, Vec<Reason>>,
    /// Entries of the new image that are not the original's, by physical path; none of them is in `kept`.
    pub generated: BTreeMap<PathBytes, Generated>,
    /// Paths of the manifest that are not kept, and others that are excluded.
    pub left_out: BTreeMap<PathBytes, LeftOut>,
    /// Packages of which something is kept, sorted.
    pub packages: Vec<Package>,
    /// What the user should know, a sentence each.
    pub notes: Vec<String>,
    /// How much the new image has.
    pub totals: Totals,
}

impl Plan {
    /// Decides what to keep of `image` for what `manifest` saw.
    ///
    /// # Errors
    /// The image cannot be read, or its config is not JSON.
    pub fn build(manifest: &Manifest, image: &dyn ImageSource, policy: &Policy) -> Result<Self> {
        let config = Config::parse(image.config())?;
        let mut keeper = Keeper::new(image, &policy.exclude)?;
        let mut notes = include(&mut keeper, policy)?;
        let counts_exec = policy.include_exec || has_unknown_healthcheck(&config, manifest);
        let (mut left_out, mut ran) = (BTreeMap::new(), HashSet::new());
        for (name, file) in &manifest.files {
            let verdict = keep_file(&mut keeper, manifest, name, file, counts_exec);
            match verdict.with_context(|| format!("cannot decide on {name}"))? {
                Ok(entry) if runs(file) => {
                    ran.insert(entry.path.clone());
                    keeper.keep_interpreters(entry)?;
                }
                Ok(_) => {}
                Err(why) => drop(left_out.insert(name.clone(), why)),
            }
        }
        let first = needs::keep(&mut keeper, &config, manifest)?;
        notes.extend(first.filter(|program| !ran.contains(&program.path)).map(never_ran));
        rules::apply(&mut keeper, &config, &policy.rules)?;
        let described =
            if policy.package_metadata { packages::describe(&mut keeper)? } else { Described::default() };
        let Finished { mut kept, excluded, notes: about_excludes } = keeper.finish();
        kept.retain(|path, _| !described.generated.contains_key(path));
        left_out.extend(excluded);
        notes.extend(described.notes.into_iter().chain(about_excludes));
        let Described { packages, generated, .. } = described;
        let mut plan = Self { kept, generated, left_out, packages, notes, totals: Totals::default() };
        plan.settle(image)?;
        Ok(plan)
    }

    /// Takes out what no layer can hold, and counts the rest.
    fn settle(&mut self, image: &dyn ImageSource) -> Result<()> {
        let (mut links, mut sockets) = (HashSet::new(), Vec::new());
        for path in self.kept.keys() {
            let entry = image.lookup(path)?.with_context(|| format!("{path} vanished from the image"))?;
            match entry.kind {
                Kind::Socket => sockets.push(entry.path),
                _ => self.totals.add(&entry, &mut links),
            }
        }
        for Generated { entry, .. } in self.generated.values() {
            self.totals.add(entry, &mut links);
        }
        for path in sockets {
            self.kept.remove(&path);
            self.left_out.insert(path, LeftOut::Socket);
        }
        Ok(())
    }
}

/// Keeps what the user wants in any case; notes on what there is nothing of.
fn include(keeper: &mut Keeper<'_>, policy: &Policy) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for pattern in &policy.include {
        if !keeper.keep_pattern(pattern).with_context(|| format!("cannot include {pattern}"))? {
            notes.push(format!("include {pattern} matches nothing in the image"));
        }
    }
    for name in &policy.include_packages {
        if !packages::include(keeper, name).with_context(|| format!("cannot include package {name}"))? {
            notes.push(format!(
                "the image has no package {name} of dpkg, apk, pip or npm whose files are known"
            ));
        }
    }
    Ok(notes)
}

/// Whether the image has a health check that no recording could tell from other commands put into the container:
/// then what any of them used may be the health check's. What a watch found missing does not tell them apart.
fn has_unknown_healthcheck(config: &Config, manifest: &Manifest) -> bool {
    config.healthcheck.is_some()
        && !manifest
            .files
            .values()
            .any(|file| file.phases.contains(&Phase::Healthcheck) && manifest.only_used(file))
}

/// Whether a file was run, or was running when a recording began.
fn runs(file: &FileUse) -> bool {
    [Use::Exec, Use::Interpreter, Use::Held].iter().any(|kind| file.uses.contains(kind))
}

/// Keeps one path of the manifest, or says why not.
fn keep_file(
    keeper: &mut Keeper<'_>,
    manifest: &Manifest,
    name: &PathBytes,
    file: &FileUse,
    counts_exec: bool,
) -> Result<Result<Entry, LeftOut>> {
    if !counts_exec && file.phases.iter().eq([&Phase::Exec]) {
        return Ok(Err(LeftOut::ExecOnly));
    }
    let used = Reason::Used { uses: file.uses.clone(), by: file.by.clone() };
    let (outcome, otherwise) = match file.origin {
        Origin::Image => (keeper.keep(name, &used)?, LeftOut::NotInImage),
        Origin::Volume if is_seeded(manifest, name) => {
            (keeper.keep_if_there(name, &Reason::VolumeSeed)?, LeftOut::Volume)
        }
        Origin::Volume => (Outcome::Missing, LeftOut::Volume),
        Origin::Tmpfs => (Outcome::Missing, LeftOut::Tmpfs),
        Origin::Kernel => (Outcome::Missing, LeftOut::Kernel),
        Origin::Outside => (Outcome::Missing, LeftOut::Outside),
    };
    Ok(match outcome {
        Outcome::Kept(entry) => Ok(entry),
        Outcome::Excluded(why) => Err(why),
        Outcome::Missing => Err(otherwise),
    })
}

/// Whether `name` lies on a volume of the engine, which starts as a copy of what the image has there. A bind mount
/// does not.
fn is_seeded(manifest: &Manifest, name: &PathBytes) -> bool {
    let mounts = manifest.recordings.values().flat_map(|recording| &recording.mounts);
    mounts.filter(|(_, kind)| *kind == "volume").any(|(point, _)| name.is_within(point.as_bytes()))
}

fn never_ran(program: Entry) -> String {
    format!(
        "a container of the image starts with {}, which no recording saw running: record it too, or what it opens \
         may be missing",
        program.path
    )
}
