//! One look at every entry of an image: what is counted, and what is worth a second look.

use std::collections::{HashMap, HashSet};

use super::kinds::{self, KINDS, ToldBy};
use super::secrets;
use crate::image::{Form, LinkId, Stat, Totals};
use crate::manifest::PathBytes;
use crate::plan::packages;

/// Lengths of files that may hold a private key.
const KEY_SIZES: std::ops::RangeInclusive<u64> = 32..=64 << 10;

/// Directories where keys are kept, whatever their names.
const KEY_PLACES: [&[u8]; 5] = [b".ssh", b"private", b"secrets", b"pki", b".gnupg"];

/// What one look at an image tells.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// What it holds.
    pub totals: Totals,
    /// Its directories, the root not counted.
    pub directories: u64,
    /// Directories of packages.
    pub homes: Vec<PathBytes>,
    /// Position in [`KINDS`], and what is of that kind by its mode or its name.
    pub found: Vec<(usize, PathBytes)>,
    /// All that can be executed.
    pub executables: HashSet<PathBytes>,
    /// Symbolic links that have the name of a program of a kind.
    pub links: Vec<(usize, PathBytes)>,
    /// Files that may hold a private key, those with the name of one first.
    pub may_be_keys: Vec<PathBytes>,
    /// The names of each file that has several.
    names: HashMap<LinkId, Vec<PathBytes>>,
    ids: HashMap<PathBytes, LinkId>,
    counted: HashSet<LinkId>,
}

impl Survey {
    /// Takes one entry in.
    pub fn look(&mut self, stat: &Stat) {
        self.totals.add_stat(stat, &mut self.counted);
        self.by_mode(stat);
        match stat.form {
            Form::File => self.file(stat),
            Form::Directory => {
                self.directories += 1;
                if packages::is_home(&stat.path) {
                    self.homes.push(stat.path.clone());
                }
            }
            Form::Symlink => {
                self.links
                    .extend(kinds::by_name(&stat.path).into_iter().map(|kind| (kind, stat.path.clone())));
            }
            Form::Special => {}
        }
    }

    /// All is seen: puts what was found into an order of its own.
    pub fn finish(mut self) -> Self {
        self.may_be_keys.sort_by_cached_key(|path| (!secrets::is_key_name(path.file_name()), path.clone()));
        self.links.sort();
        self.homes.sort();
        self.names.values_mut().for_each(|names| names.sort());
        self
    }

    /// All names of the file at a physical path, sorted.
    pub fn names_of<'a>(&'a self, path: &'a PathBytes) -> &'a [PathBytes] {
        let known = self.ids.get(path).and_then(|id| self.names.get(id));
        known.map_or(std::slice::from_ref(path), Vec::as_slice)
    }

    fn by_mode(&mut self, stat: &Stat) {
        for (at, kind) in KINDS.iter().enumerate() {
            if let ToldBy::Stat(is_one) = kind.told_by
                && is_one(stat)
            {
                self.found.push((at, stat.path.clone()));
            }
        }
    }

    fn file(&mut self, stat: &Stat) {
        if let Some(link) = stat.link {
            self.names.entry(link).or_default().push(stat.path.clone());
            self.ids.insert(stat.path.clone(), link);
        }
        if kinds::is_executable(stat) {
            self.found.extend(kinds::by_name(&stat.path).into_iter().map(|kind| (kind, stat.path.clone())));
            self.executables.insert(stat.path.clone());
        }
        if may_be_key(stat) {
            self.may_be_keys.push(stat.path.clone());
        }
    }
}

/// Whether a file is to be read to see whether it holds a private key: it is small, and has the name of one, lies where
/// keys lie, or is not for everyone to read.
fn may_be_key(stat: &Stat) -> bool {
    let is_private = stat.mode & 0o004 == 0;
    let in_place = || stat.path.components().any(|part| KEY_PLACES.contains(&part));
    KEY_SIZES.contains(&stat.size)
        && (is_private || secrets::is_key_name(stat.path.file_name()) || in_place())
}
