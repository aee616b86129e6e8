//! Collects what is kept: names become physical paths with the links on the way, executables bring their
//! interpreters, and everything brings its parents.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};

use super::excludes::Excludes;
use super::pattern::Pattern;
use super::reason::{LeftOut, Reason};
use crate::image::{Entry, ImageSource, Kind, Names};
use crate::manifest::PathBytes;
use crate::resolve::binary::{self, Interpreter, MAX_INTERPRETERS};
use crate::resolve::walk::{Node, Tree};

/// Longest text file that is read to decide what to keep.
const MAX_TEXT: u64 = 16 << 20;

/// The paths kept so far.
pub(super) struct Keeper<'a> {
    image: Names<'a>,
    kept: BTreeMap<PathBytes, Vec<Reason>>,
    excludes: Excludes,
    executables: HashSet<PathBytes>,
    fresh: Vec<Fresh>,
    /// What was fresh once: the directory of the name, and the file.
    known: HashSet<(PathBytes, PathBytes)>,
}

/// What became of a name.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It leads to this, which is kept.
    Kept(Entry),
    /// What it leads to is excluded.
    Excluded(LeftOut),
    /// It leads nowhere.
    Missing,
}

/// A regular file that was not kept before, or not under a name in that directory.
#[derive(Debug, Clone)]
pub(super) struct Fresh {
    /// The name it was kept by.
    pub name: PathBytes,
    /// The file.
    pub entry: Entry,
}

/// All that is kept, and what the excludes took out.
pub(super) struct Finished {
    pub kept: BTreeMap<PathBytes, Vec<Reason>>,
    pub excluded: BTreeMap<PathBytes, LeftOut>,
    pub notes: Vec<String>,
}

impl Outcome {
    /// Whether there is such a file, kept or excluded.
    pub fn is_there(&self) -> bool {
        !matches!(self, Self::Missing)
    }

    /// What is kept.
    pub fn entry(self) -> Option<Entry> {
        if let Self::Kept(entry) = self { Some(entry) } else { None }
    }
}

impl<'a> Keeper<'a> {
    /// Keeps nothing yet, and never what `excludes` cover.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn new(source: &'a dyn ImageSource, excludes: &[Pattern]) -> Result<Self> {
        let image = Names::new(source);
        let begun = |pattern: &Pattern| {
            let walked = image.walk(pattern.base().as_bytes(), true)?;
            anyhow::Ok((pattern.clone(), walked.exists.then_some(walked.end)))
        };
        let excludes = Excludes::new(excludes.iter().map(begun).collect::<Result<_>>()?);
        let (kept, executables) = (BTreeMap::new(), HashSet::new());
        Ok(Self { image, kept, excludes, executables, fresh: Vec::new(), known: HashSet::new() })
    }

    /// The image.
    pub fn source(&self) -> &'a dyn ImageSource {
        self.image.source()
    }

    /// What `name` leads to, links followed.
    pub fn find(&self, name: &[u8]) -> Result<Option<Entry>> {
        let walked = self.image.walk(name, true)?;
        if walked.exists { self.image.source().lookup(&walked.end) } else { Ok(None) }
    }

    /// The physical path of `name`, a link as last component not followed, and whether it leads to a directory; none
    /// when nothing is there.
    pub fn physical(&self, name: &PathBytes) -> Result<Option<(PathBytes, bool)>> {
        let walked = self.image.walk(name.as_bytes(), false)?;
        let end = match self.image.node(&walked.end) {
            Node::Symlink(_) => self.image.walk(walked.end.as_bytes(), true)?.end,
            _ => walked.end.clone(),
        };
        let is_dir = self.image.node(&end) == Node::Directory;
        Ok(walked.exists.then_some((walked.end, is_dir)))
    }

    /// Whether a pattern excludes a physical path that there is `reason` to put into the image.
    pub fn excludes(&mut self, path: &PathBytes, reason: &Reason) -> bool {
        self.excludes.take(path, reason).is_some()
    }

    /// Whether something is kept at a physical path.
    pub fn keeps(&self, path: &PathBytes) -> bool {
        self.kept.contains_key(path)
    }

    /// The physical paths kept so far, sorted; parents may be missing.
    pub fn paths(&self) -> impl Iterator<Item = &PathBytes> {
        self.kept.keys()
    }

    /// The content of a small file, links followed; `None` when there is none, or it is not small.
    pub fn text(&self, name: &[u8]) -> Result<Option<(Entry, Vec<u8>)>> {
        let file = self.find(name)?.filter(|entry| entry.kind == Kind::File && entry.size <= MAX_TEXT);
        let Some(entry) = file else { return Ok(None) };
        let bytes = self.image.source().read_at(&entry, 0, usize::try_from(entry.size)?)?;
        Ok(Some((entry, bytes)))
    }

    /// The names in a directory, links followed; none when there is no directory.
    pub fn list(&self, name: &PathBytes) -> Result<Vec<Vec<u8>>> {
        match self.find(name.as_bytes())? {
            Some(entry) if entry.is_dir() => self.image.source().children(&entry.path),
            _ => Ok(Vec::new()),
        }
    }

    /// Keeps what `name` leads to and the links on the way. When nothing is there, the nearest directory is kept, so
    /// that the application can make it; the result is the link, if `name` is one that leads nowhere.
    pub fn keep(&mut self, name: &PathBytes, reason: &Reason) -> Result<Outcome> {
        let walked = self.image.walk(name.as_bytes(), true)?;
        let mut found = if walked.exists { Some(walked.end.clone()) } else { None };
        let mut excluded = None;
        if !walked.hops.is_empty() {
            let itself = self.image.walk(name.as_bytes(), false)?.end;
            for hop in walked.hops {
                if hop == itself {
                    excluded = excluded.or(self.add(hop, reason.clone()));
                    found.get_or_insert(itself.clone());
                } else {
                    excluded = excluded.or(self.add(hop, Reason::SymlinkHop(name.clone())));
                }
            }
        }
        if walked.exists {
            excluded = excluded.or(self.add(walked.end, reason.clone()));
        } else {
            let nearest = self.nearest(&walked.end)?;
            self.add(nearest, Reason::AboveMissing(name.clone()));
        }
        if let Some(pattern) = excluded {
            return Ok(Outcome::Excluded(LeftOut::Excluded(pattern)));
        }
        let Some(path) = found else { return Ok(Outcome::Missing) };
        let Some(entry) = self.image.source().lookup(&path)? else { return Ok(Outcome::Missing) };
        let place = (name.parent().unwrap_or_default(), path);
        if entry.kind == Kind::File && self.known.insert(place) {
            self.fresh.push(Fresh { name: name.clone(), entry: entry.clone() });
        }
        Ok(Outcome::Kept(entry))
    }

    /// As [`keep`](Self::keep), but nothing is kept when the image has no such file.
    pub fn keep_if_there(&mut self, name: &PathBytes, reason: &Reason) -> Result<Outcome> {
        if self.find(name.as_bytes())?.is_none() {
            return Ok(Outcome::Missing);
        }
        self.keep(name, reason)
    }

    /// Keeps what `name` leads to, and if that is a directory, all that lies below it. Links below it are kept with
    /// what they lead to, but not what lies below that.
    pub fn keep_tree(&mut self, name: &PathBytes, reason: &Reason) -> Result<Outcome> {
        let outcome = self.keep_if_there(name, reason)?;
        let mut todo: Vec<PathBytes> = Vec::new();
        if let Outcome::Kept(entry) = &outcome
            && entry.is_dir()
        {
            todo.push(entry.path.clone());
        }
        while let Some(dir) = todo.pop() {
            for child in self.image.source().children(&dir)? {
                let path = dir.join(&child);
                self.keep(&path, reason)?;
                if self.image.node(&path) == Node::Directory {
                    todo.push(path);
                }
            }
        }
        self.image.whole(outcome)
    }

    /// Keeps what a pattern means; whether that is anything.
    pub fn keep_pattern(&mut self, pattern: &Pattern) -> Result<bool> {
        let reason = Reason::Included(pattern.to_string());
        let base = self.image.walk(pattern.base().as_bytes(), true)?;
        let found = if base.exists { pattern.find(self.image.source(), &base.end)? } else { Vec::new() };
        if !found.is_empty() {
            // The links on the way to where the matches begin.
            self.keep(pattern.base(), &reason)?;
        }
        for path in &found {
            if pattern.is_plain() || self.image.node(path) == Node::Directory {
                self.keep_tree(path, &reason)?;
            } else {
                self.keep(path, &reason)?;
            }
        }
        self.image.whole(!found.is_empty())
    }

    /// Keeps what the kernel loads to run `executable`.
    pub fn keep_interpreters(&mut self, executable: Entry) -> Result<()> {
        let mut at = executable;
        for _ in 0..MAX_INTERPRETERS {
            if at.kind != Kind::File || !self.executables.insert(at.path.clone()) {
                return Ok(());
            }
            let source = self.image.source();
            let found = binary::interpreter(|offset, len| source.read_at(&at, offset, len));
            let (name, reason) = match found.with_context(|| format!("cannot read executable {}", at.path))? {
                Some(Interpreter::Script(name)) => (name, Reason::ScriptInterpreter(at.path)),
                Some(Interpreter::Elf(name)) => (name, Reason::ElfInterpreter(at.path)),
                None => return Ok(()),
            };
            let Some(next) = self.keep_if_there(&PathBytes::new(name), &reason)?.entry() else {
                return Ok(());
            };
            at = next;
        }
        Ok(())
    }

    /// A file that no rule has looked at yet.
    pub fn next_fresh(&mut self) -> Option<Fresh> {
        self.fresh.pop()
    }

    /// The deepest directory above `missing`.
    fn nearest(&self, missing: &PathBytes) -> Result<PathBytes> {
        let mut at = PathBytes::from("/");
        for part in missing.components() {
            let next = at.join(part);
            if self.image.node(&next) != Node::Directory {
                break;
            }
            at = next;
        }
        self.image.whole(at)
    }

    /// Keeps a physical path, unless a pattern excludes it: that is the result.
    fn add(&mut self, path: PathBytes, reason: Reason) -> Option<String> {
        if let Some(pattern) = self.excludes.take(&path, &reason) {
            return Some(pattern.to_string());
        }
        reason.join(self.kept.entry(path).or_default());
        None
    }

    /// All that is kept, with the directories above it. The root is not part of it: engines make it.
    pub fn finish(mut self) -> Finished {
        let paths: Vec<PathBytes> = self.kept.keys().cloned().collect();
        for path in paths {
            let mut above = path.parent();
            while let Some(dir) = above {
                above = dir.parent();
                let reasons = self.kept.entry(dir).or_default();
                if !reasons.is_empty() {
                    break;
                }
                reasons.push(Reason::Parent(path.clone()));
            }
        }
        self.kept.remove(&PathBytes::from("/"));
        let (excluded, notes) = self.excludes.finish();
        Finished { kept: self.kept, excluded, notes }
    }
}
