//! What a plan puts into the new image that the original does not have, and the way over all that goes in.

use std::io::{self, Read};

use anyhow::{Context, Result};

use super::Plan;
use super::reason::Reason;
use crate::image::{Entry, ImageSource, Kind};
use crate::manifest::PathBytes;

/// An entry that the plan makes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// What is to be in the image: owned by root, with the time of what it was made from, so that it is reproducible.
    pub entry: Entry,
    /// Its content.
    pub content: Vec<u8>,
    /// Why it is there.
    pub reason: Reason,
}

impl Generated {
    /// A file `path` with `content`, made from `from`.
    pub fn file(path: PathBytes, content: Vec<u8>, from: &Entry, reason: Reason) -> Self {
        let size = content.len() as u64;
        Self { entry: entry(path, Kind::File, 0o644, size, from), content, reason }
    }

    /// A directory `path`, made for what was made from `from`.
    pub fn directory(path: PathBytes, from: &Entry, reason: Reason) -> Self {
        Self { entry: entry(path, Kind::Directory, 0o755, 0, from), content: Vec::new(), reason }
    }
}

fn entry(path: PathBytes, kind: Kind, mode: u32, size: u64, from: &Entry) -> Entry {
    let made = Entry { path, kind, mode, uid: 0, gid: 0, size, link: None, ..from.clone() };
    Entry { xattrs: Default::default(), ..made }
}

/// One entry of the new image.
pub struct Member<'a> {
    /// Its name and metadata.
    pub entry: Entry,
    /// Its content: `entry.size` bytes for a regular file, nothing for anything else.
    pub content: Box<dyn Read + 'a>,
}

impl Plan {
    /// All entries of the new image in the order of their paths, kept and generated ones, each opened when it is its turn.
    /// An entry is an error when `image` is not what it was when it was planned, or cannot be read.
    pub fn members<'a>(&'a self, image: &'a dyn ImageSource) -> impl Iterator<Item = Result<Member<'a>>> {
        let mut paths: Vec<&PathBytes> = self.kept.keys().chain(self.generated.keys()).collect();
        paths.sort();
        paths.into_iter().map(move |path| {
            if let Some(Generated { entry, content, .. }) = self.generated.get(path) {
                return Ok(Member { entry: entry.clone(), content: Box::new(&content[..]) });
            }
            let entry = image.lookup(path)?.with_context(|| format!("{path} vanished from the image"))?;
            let content = if entry.kind == Kind::File { image.open(&entry)? } else { Box::new(io::empty()) };
            Ok(Member { entry, content })
        })
    }
}
