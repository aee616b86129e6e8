//! What an image offers to an attacker, what is left of it in the slim image, and what of it was used: a pure function
//! of the original image, the plan and the manifest.
//!
//! The original is gone through once, by what stat(2) tells. Executable files are looked at once more for their
//! capabilities, and only small files that may hold a key by their name, place or mode are read.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use crate::image::{Config, Entry, ImageSource, Kind as EntryKind, Names, Totals};
use crate::manifest::{FileUse, Manifest, Origin, PathBytes, Phase, Use};
use crate::plan::{Package, Plan, packages};

pub mod capability;
mod kinds;
mod programs;
mod secrets;
mod survey;
#[cfg(test)]
mod tests;

use capability::FileCapabilities;
pub use kinds::{EXECUTABLES, KINDS, Kind, PRIVATE_KEYS};
use kinds::{SHELL, ToldBy};
use survey::Survey;

/// Most files that are read in search of private keys.
const MAX_READ: usize = 4096;
/// Longest list of shells that is read.
const MAX_SHELLS: u64 = 64 << 10;

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
        let mut finder = Finder {
            image: Names::new(image),
            survey: survey.finish(),
            plan,
            manifest,
            found: BTreeMap::new(),
        };
        finder.by_mode_and_name()?;
        finder.shells()?;
        finder.by_capabilities()?;
        let examined = finder.keys()?;
        let mut findings: Vec<Finding> = finder.found.into_values().collect();
        findings.extend(variables(&Config::parse(image.config())?));
        let (survey, slim) = (finder.survey, plan.totals);
        let packages = packages_left(packages::installed(image, &survey.homes)?, plan);
        Ok(Self {
            original: survey.totals,
            slim,
            directories: survey.directories,
            packages,
            findings,
            examined,
        })
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

struct Finder<'a> {
    image: Names<'a>,
    survey: Survey,
    plan: &'a Plan,
    manifest: &'a Manifest,
    /// By position of the kind, and the first name of the file.
    found: BTreeMap<(usize, PathBytes), Finding>,
}

impl Finder<'_> {
    fn by_mode_and_name(&mut self) -> Result<()> {
        for (kind, path) in std::mem::take(&mut self.survey.found) {
            let is_plain = KINDS[kind].name == EXECUTABLES || matches!(KINDS[kind].told_by, ToldBy::Name(_));
            let detail = if is_plain { String::new() } else { self.owner(&path)? };
            self.add(kind, &path, &path, detail);
        }
        for (kind, link) in std::mem::take(&mut self.survey.links) {
            self.link(kind, &link)?;
        }
        Ok(())
    }

    /// What /etc/shells names (shells(5)).
    fn shells(&mut self) -> Result<()> {
        let list = self.image.walk(b"/etc/shells", true)?;
        let source = self.image.source();
        let list = if list.exists { source.lookup(&list.end)? } else { None };
        let is_list = |entry: &Entry| entry.kind == EntryKind::File && entry.size <= MAX_SHELLS;
        let Some(list) = list.filter(is_list) else { return Ok(()) };
        let text = source.read_at(&list, 0, usize::try_from(list.size)?)?;
        let Some(kind) = KINDS.iter().position(|kind| kind.name == SHELL) else { return Ok(()) };
        for line in text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii) {
            if line.starts_with(b"/") {
                let physical = self.image.walk(line, false)?.end;
                self.link(kind, &physical)?;
            }
        }
        Ok(())
    }

    fn by_capabilities(&mut self) -> Result<()> {
        let Some(kind) = KINDS.iter().position(|kind| matches!(kind.told_by, ToldBy::Capabilities)) else {
            return Ok(());
        };
        for path in std::mem::take(&mut self.survey.executables) {
            let Some(entry) = self.image.source().lookup(&path)? else { continue };
            if let Some(value) = entry.xattrs.get(capability::XATTR) {
                let detail = FileCapabilities::parse(value)
                    .map_or_else(|| "not understood".to_owned(), |found| found.to_string());
                self.add(kind, &path, &path, detail);
            }
        }
        Ok(())
    }

    fn keys(&mut self) -> Result<Examined> {
        let Some(kind) = KINDS.iter().position(|kind| matches!(kind.told_by, ToldBy::Key)) else {
            return Ok(Examined::default());
        };
        let mut examined = Examined::default();
        for path in std::mem::take(&mut self.survey.may_be_keys) {
            if examined.read == MAX_READ {
                examined.unread += 1;
                continue;
            }
            examined.read += 1;
            let source = self.image.source();
            let Some(entry) = source.lookup(&path)? else { continue };
            let content = source.read_at(&entry, 0, usize::try_from(entry.size)?)?;
            if let Some(detail) = secrets::private_key(path.file_name(), &content) {
                self.add(kind, &path, &path, detail);
            }
        }
        Ok(examined)
    }

    /// Adds the program that `name` leads to, if that is one.
    fn link(&mut self, kind: usize, name: &PathBytes) -> Result<()> {
        let walked = self.image.walk(name.as_bytes(), true)?;
        if walked.exists && self.survey.executables.contains(&walked.end) {
            self.add(kind, &walked.end, name, String::new());
        }
        Ok(())
    }

    /// Adds the file at `path`, which `name` told to be of a kind.
    fn add(&mut self, kind: usize, path: &PathBytes, name: &PathBytes, detail: String) {
        let names = self.survey.names_of(path);
        let Some(first) = names.first() else { return };
        let found = self.found.entry((kind, first.clone())).or_insert_with(|| {
            let used: Vec<&FileUse> = names.iter().filter_map(|name| used(self.manifest, name)).collect();
            Finding {
                kind: KINDS[kind].name,
                name: first.clone(),
                also: BTreeSet::new(),
                detail,
                slim: names.iter().any(|name| self.plan.kept.contains_key(name)),
                uses: used.iter().flat_map(|file| file.uses.iter().copied()).collect(),
                phases: used.iter().flat_map(|file| file.phases.iter().copied()).collect(),
            }
        });
        if *name != found.name {
            found.also.insert(name.clone());
        }
    }

    /// `mode 4755, owner 0:0`.
    fn owner(&self, path: &PathBytes) -> Result<String> {
        let entry = self.image.source().lookup(path)?;
        Ok(entry.map_or_else(String::new, |Entry { mode, uid, gid, .. }| {
            format!("mode {mode:04o}, owner {uid}:{gid}")
        }))
    }
}

fn used<'a>(manifest: &'a Manifest, name: &PathBytes) -> Option<&'a FileUse> {
    manifest.files.get(name).filter(|file| file.origin == Origin::Image)
}

/// What of the image's Env looks like a secret. The slim image has the same Env. No value is told.
fn variables(config: &Config) -> Vec<Finding> {
    let Some(kind) = KINDS.iter().find(|kind| matches!(kind.told_by, ToldBy::Variable)) else {
        return Vec::new();
    };
    let secret = config.environment.iter().filter(|(name, value)| secrets::is_secret(name, value));
    let finding = |name: &str| Finding {
        kind: kind.name,
        name: name.into(),
        also: BTreeSet::new(),
        detail: String::new(),
        slim: true,
        uses: BTreeSet::new(),
        phases: BTreeSet::new(),
    };
    secret.map(|(name, _)| finding(name)).collect()
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
