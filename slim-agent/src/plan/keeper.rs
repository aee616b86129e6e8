//! Collects what is kept: names become physical paths with the links on the way, executables bring their
//! interpreters, and everything brings its parents.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};

use anyhow::{Context, Result};

use super::reason::Reason;
use crate::image::{Entry, ImageSource, Kind, Names};
use crate::manifest::PathBytes;
use crate::resolve::binary::{self, Interpreter};
use crate::resolve::walk::{Node, Tree};

/// How many interpreters of interpreters the kernel follows (BINPRM rewrites in fs/exec.c).
const MAX_INTERPRETERS: usize = 5;

/// The paths kept so far.
pub(super) struct Keeper<'a> {
    image: Names<'a>,
    kept: BTreeMap<PathBytes, Vec<Reason>>,
    executables: HashSet<PathBytes>,
}

impl<'a> Keeper<'a> {
    pub fn new(source: &'a dyn ImageSource) -> Self {
        Self { image: Names::new(source), kept: BTreeMap::new(), executables: HashSet::new() }
    }

    /// What `name` leads to, links followed.
    pub fn find(&self, name: &[u8]) -> Result<Option<Entry>> {
        let walked = self.image.walk(name, true)?;
        if walked.exists { self.image.source().lookup(&walked.end) } else { Ok(None) }
    }

    /// Keeps what `name` leads to and the links on the way. When nothing is there, the nearest directory is kept, so
    /// that the application can make it; the result is the link, if `name` is one that leads nowhere.
    pub fn keep(&mut self, name: &PathBytes, reason: &Reason) -> Result<Option<Entry>> {
        let walked = self.image.walk(name.as_bytes(), true)?;
        let mut found = if walked.exists { Some(walked.end.clone()) } else { None };
        if !walked.hops.is_empty() {
            let itself = self.image.walk(name.as_bytes(), false)?.end;
            for hop in walked.hops {
                if hop == itself {
                    self.add(hop, reason.clone());
                    found.get_or_insert(itself.clone());
                } else {
                    self.add(hop, Reason::SymlinkHop(name.clone()));
                }
            }
        }
        if walked.exists {
            self.add(walked.end, reason.clone());
        } else {
            let nearest = self.nearest(&walked.end)?;
            self.add(nearest, Reason::AboveMissing(name.clone()));
        }
        found.map_or(Ok(None), |path| self.image.source().lookup(&path))
    }

    /// As [`keep`](Self::keep), but nothing is kept when the image has no such file.
    pub fn keep_if_there(&mut self, name: &PathBytes, reason: &Reason) -> Result<Option<Entry>> {
        if self.find(name.as_bytes())?.is_none() {
            return Ok(None);
        }
        self.keep(name, reason)
    }

    /// Keeps what the kernel loads to run `executable`.
    pub fn keep_interpreters(&mut self, executable: Entry) -> Result<()> {
        let mut at = executable;
        for _ in 0..MAX_INTERPRETERS {
            if at.kind != Kind::File || !self.executables.insert(at.path.clone()) {
                return Ok(());
            }
            let source = self.image.source();
            let found = binary::interpreter(|offset, len| read(source, &at, offset, len));
            let (name, reason) = match found.with_context(|| format!("cannot read executable {}", at.path))? {
                Some(Interpreter::Script(name)) => (name, Reason::ScriptInterpreter(at.path)),
                Some(Interpreter::Elf(name)) => (name, Reason::ElfInterpreter(at.path)),
                None => return Ok(()),
            };
            let Some(next) = self.keep_if_there(&PathBytes::new(name), &reason)? else { return Ok(()) };
            at = next;
        }
        Ok(())
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

    fn add(&mut self, path: PathBytes, reason: Reason) {
        reason.join(self.kept.entry(path).or_default());
    }

    /// All that is kept, with the directories above it. The root is not part of it: engines make it.
    pub fn finish(mut self) -> BTreeMap<PathBytes, Vec<Reason>> {
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
        self.kept
    }
}

/// Up to `len` bytes of a file from `offset` on.
fn read(source: &dyn ImageSource, entry: &Entry, offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if offset < entry.size {
        let mut content = source.open(entry)?;
        io::copy(&mut content.by_ref().take(offset), &mut io::sink())?;
        content.take(len as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
