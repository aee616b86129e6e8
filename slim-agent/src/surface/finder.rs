//! Puts together what a survey found: which file each name leads to, what is to be said of it, what is left of it, and
//! how it was used.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::capability::{self, FileCapabilities};
use super::kinds::{EXECUTABLES, KINDS, SHELL, ToldBy};
use super::survey::Survey;
use super::{Examined, Finding, secrets};
use crate::image::{Config, Entry, ImageSource, Kind as EntryKind, Names};
use crate::manifest::{FileUse, Manifest, Origin, PathBytes};
use crate::plan::Plan;

/// Most files that are read in search of private keys.
const MAX_READ: usize = 4096;
/// Longest list of shells that is read.
const MAX_SHELLS: u64 = 64 << 10;

/// All that is of note in `image`, by kind and name, and what was read to find it.
///
/// # Errors
/// The image cannot be read, or its config is not JSON.
pub(super) fn find(
    image: &dyn ImageSource,
    survey: Survey,
    plan: &Plan,
    manifest: &Manifest,
) -> Result<(Vec<Finding>, Examined)> {
    let mut finder = Finder { image: Names::new(image), survey, plan, manifest, found: BTreeMap::new() };
    finder.by_mode_and_name()?;
    finder.shells()?;
    finder.by_capabilities()?;
    let examined = finder.keys()?;
    let mut findings: Vec<Finding> = finder.found.into_values().collect();
    findings.extend(variables(&Config::parse(image.config())?));
    Ok((findings, examined))
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
