//! From what was written to the directories that must be writable for it.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Written;
use crate::harden::Mount;
use crate::harden::account::Account;
use crate::harden::evidence::Evidence;
use crate::image::{Entry, Kind};
use crate::manifest::{FileUse, PathBytes, Use};

/// What every engine mounts.
const KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// The directories that are needed so far.
pub(super) struct Needed<'a> {
    evidence: &'a Evidence<'a>,
    /// Who everything runs as, where that is known.
    account: Option<&'a Account>,
    mounts: &'a [Mount],
    /// By physical path.
    pub directories: BTreeMap<PathBytes, Written>,
    /// What permissions forbid.
    pub refused: Vec<PathBytes>,
}

impl<'a> Needed<'a> {
    pub fn new(evidence: &'a Evidence<'a>, account: Option<&'a Account>, mounts: &'a [Mount]) -> Self {
        Self { evidence, account, mounts, directories: BTreeMap::new(), refused: Vec::new() }
    }

    /// Adds what a written `name` of the image needs.
    pub fn add(&mut self, name: &PathBytes, file: &FileUse) -> Result<()> {
        let itself = self.evidence.names.walk(name.as_bytes(), false)?;
        let end = self.evidence.names.walk(name.as_bytes(), true)?;
        let is_link = itself.end != end.end;
        // A link is removed or replaced where it lies; all else is done to what it leads to.
        if is_link && file.uses.contains(&Use::Entry) {
            self.add_place(&itself.end, name, file)?;
        }
        if !is_link || file.uses.iter().any(|kind| [Use::Write, Use::Change, Use::Socket].contains(kind)) {
            self.add_place(&end.end, name, file)?;
        }
        Ok(())
    }

    /// A directory where a recording had a tmpfs, whatever was written.
    pub fn tmpfs(&mut self, path: &PathBytes) -> Result<()> {
        let path = self.evidence.names.walk(path.as_bytes(), true)?.end;
        let written = Written { example: path.clone(), by: [].into(), was_tmpfs: true };
        self.directories.entry(path).or_insert(written);
        Ok(())
    }

    fn add_place(&mut self, place: &PathBytes, name: &PathBytes, file: &FileUse) -> Result<()> {
        if self.is_mounted(place) {
            return Ok(());
        }
        let entry = self.evidence.entry(place)?;
        if entry.as_ref().is_some_and(Entry::is_dir) && !file.uses.contains(&Use::Change) {
            // To make a directory that is there fails alike on a read-only filesystem. The image's own directories
            // can be neither renamed nor removed in most containers: what is in them is in a lower layer.
            return Ok(());
        }
        let Some(dir) = self.directory_of(place, entry.as_ref())? else { return Ok(()) };
        if !self.is_permitted(entry.as_ref(), &dir, file) {
            self.refused.push(name.clone());
            return Ok(());
        }
        let written = Written { example: name.clone(), by: file.by.clone(), was_tmpfs: false };
        self.directories
            .entry(dir.path)
            .and_modify(|known| known.by.extend(file.by.iter().cloned()))
            .or_insert(written);
        Ok(())
    }

    /// Whether a link led out of the image, to what is writable or not for other reasons.
    fn is_mounted(&self, place: &PathBytes) -> bool {
        let mounts = self.mounts.iter().map(|mount| mount.path.as_bytes());
        KERNEL.iter().map(|dir| dir.as_bytes()).chain(mounts).any(|dir| place.is_within(dir))
    }

    /// A directory itself; for anything else, the nearest directory above it that the image has.
    fn directory_of(&self, place: &PathBytes, entry: Option<&Entry>) -> Result<Option<Entry>> {
        if let Some(entry) = entry.filter(|entry| entry.is_dir()) {
            return Ok(Some(entry.clone()));
        }
        let mut above = place.parent();
        while let Some(path) = above {
            match self.evidence.entry(&path)? {
                Some(dir) if dir.kind == Kind::Directory => return Ok(Some(dir)),
                _ => above = path.parent(),
            }
        }
        Ok(None)
    }

    /// Whether permissions let it happen: otherwise the application has already done without.
    fn is_permitted(&self, entry: Option<&Entry>, dir: &Entry, file: &FileUse) -> bool {
        let Some(account) = self.account else { return true };
        let Some(entry) = entry else { return account.can_write(dir) };
        let uses = |kind| file.uses.contains(&kind);
        account.owns(entry)
            || account.can_write(entry)
            || !entry.is_dir() && (uses(Use::Entry) || uses(Use::Socket)) && account.can_write(dir)
    }
}
