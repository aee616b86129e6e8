//! What an export keeps of an image, each path with its reasons: a pure function of manifest, image and policy.
//!
//! The plan errs on the side of keeping: a needed file that is missing is an outage, an unneeded one a few bytes.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::image::{Config, Entry, ImageSource, Kind, Totals};
use crate::manifest::{FileUse, Manifest, Origin, PathBytes, Phase, Use};

mod keeper;
mod needs;
mod reason;
#[cfg(test)]
mod tests;

use keeper::Keeper;
pub use reason::{LeftOut, Need, Reason};

/// The schema of the explanation.
const SCHEMA: &str = "slim-agent/plan/1";

/// What the user decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// Whether what `docker exec` used is kept.
    pub include_exec: bool,
}

/// What is kept of an image.
#[derive(Debug)]
pub struct Plan {
    /// Physical paths, parents included, the root not; each with at least one reason.
    pub kept: BTreeMap<PathBytes, Vec<Reason>>,
    /// Paths of the manifest that are not kept.
    pub left_out: BTreeMap<PathBytes, LeftOut>,
    /// What the user should know, a sentence each.
    pub notes: Vec<String>,
    /// How much is kept.
    pub totals: Totals,
}

impl Plan {
    /// Decides what to keep of `image` for what `manifest` saw.
    ///
    /// # Errors
    /// The image cannot be read, or its config is not JSON.
    pub fn build(manifest: &Manifest, image: &dyn ImageSource, policy: &Policy) -> Result<Self> {
        let config = Config::parse(image.config())?;
        let counts_exec = policy.include_exec || has_unknown_healthcheck(&config, manifest);
        let mut keeper = Keeper::new(image);
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
        let notes = first.filter(|program| !ran.contains(&program.path)).map(never_ran);
        let mut plan = Self {
            kept: keeper.finish(),
            left_out,
            notes: notes.into_iter().collect(),
            totals: Totals::default(),
        };
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
        for path in sockets {
            self.kept.remove(&path);
            self.left_out.insert(path, LeftOut::Socket);
        }
        Ok(())
    }

    /// The explanation: pretty JSON with sorted keys and a final newline. `tag` is the name of what was exported.
    ///
    /// # Errors
    /// Only if serialisation itself fails.
    pub fn explain(&self, image: &str, tag: &str) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Explanation<'a> {
            schema: &'a str,
            image: &'a str,
            tag: &'a str,
            totals: Totals,
            notes: &'a [String],
            kept: &'a BTreeMap<PathBytes, Vec<Reason>>,
            left_out: &'a BTreeMap<PathBytes, LeftOut>,
        }
        let Self { kept, left_out, notes, totals } = self;
        let explanation = Explanation { schema: SCHEMA, image, tag, totals: *totals, notes, kept, left_out };
        let mut bytes =
            serde_json::to_vec_pretty(&explanation).context("cannot serialise the explanation")?;
        bytes.push(b'\n');
        Ok(bytes)
    }
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
    let (entry, otherwise) = match file.origin {
        Origin::Image => (keeper.keep(name, &used)?, LeftOut::NotInImage),
        Origin::Volume if is_seeded(manifest, name) => {
            (keeper.keep_if_there(name, &Reason::VolumeSeed)?, LeftOut::Volume)
        }
        Origin::Volume => (None, LeftOut::Volume),
        Origin::Tmpfs => (None, LeftOut::Tmpfs),
        Origin::Kernel => (None, LeftOut::Kernel),
        Origin::Outside => (None, LeftOut::Outside),
    };
    Ok(entry.ok_or(otherwise))
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
