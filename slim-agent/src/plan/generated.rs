//! What a plan puts into the new image that the original does not have, and all that goes in.

use std::io::Read;

use anyhow::{Context, Result};

use super::Plan;
use super::reason::Reason;
use crate::image::{Entry, ImageSource, Kind, content};
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

impl Plan {
    /// Paths of all entries of the new image, kept and generated ones, in order.
    pub fn paths(&self) -> Vec<&PathBytes> {
        let mut paths: Vec<&PathBytes> = self.kept.keys().chain(self.generated.keys()).collect();
        paths.sort();
        paths
    }

    /// The entry of the new image at one of its paths.
    ///
    /// # Errors
    /// `image` cannot be read, or is not what it was when it was planned.
    pub fn entry(&self, path: &PathBytes, image: &dyn ImageSource) -> Result<Entry> {
        match self.generated.get(path) {
            Some(generated) => Ok(generated.entry.clone()),
            None => image.lookup(path)?.with_context(|| format!("{path} vanished from the image")),
        }
    }

    /// Content of an entry of the new image: `entry.size` bytes of a regular file, nothing of anything else.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn open<'a>(&'a self, entry: &Entry, image: &'a dyn ImageSource) -> Result<Box<dyn Read + 'a>> {
        match self.generated.get(&entry.path) {
            Some(generated) => Ok(Box::new(&generated.content[..])),
            None => content(image, entry),
        }
    }
}
