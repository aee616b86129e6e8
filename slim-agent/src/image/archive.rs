//! An image read from the archive that the engine saves: the fallback where its layers cannot be read in place.
//!
//! The archive is indexed once; content is read from it only when it is wanted.

use std::fs::File;
use std::io::{self, Read};

use anyhow::{Context, Result};

use super::sparse::{Map, Parts, Whole};
use super::tarball::Members;
use super::{Entry, ImageSource, Stat};
use crate::manifest::PathBytes;

mod compression;
mod locate;
mod merge;
mod section;

use merge::{Content, Tree};
pub(crate) use section::Section;

/// An indexed archive.
pub struct Archive {
    id: String,
    config: Vec<u8>,
    /// Lowest first.
    layers: Vec<Section>,
    tree: Tree,
}

impl Archive {
    /// Reads the structure of a saved image; `id` is the engine's id of it.
    ///
    /// # Errors
    /// It is cut off, is not a saved image, holds several, or has entries that no engine could unpack.
    pub fn index(file: File, id: &str) -> Result<Self> {
        let parts = locate::locate(&Section::whole(file)?)?;
        let mut tree = Tree::default();
        for (number, layer) in parts.layers.iter().enumerate() {
            let applied = tree.apply(number, Members::new(layer.clone()));
            applied.with_context(|| format!("cannot read layer {} of the image", number + 1))?;
        }
        Ok(Self { id: id.to_owned(), config: parts.config, layers: parts.layers, tree })
    }

    /// The layers as archives, uncompressed, lowest first.
    pub(crate) fn layer_archives(&self) -> &[Section] {
        &self.layers
    }
}

impl ImageSource for Archive {
    fn id(&self) -> &str {
        &self.id
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn lookup(&self, path: &PathBytes) -> Result<Option<Entry>> {
        if path.parent().is_none() {
            return Ok(Some(Entry::root()));
        }
        Ok(self.tree.entries.get(path).cloned())
    }

    fn children(&self, path: &PathBytes) -> Result<Vec<Vec<u8>>> {
        Ok(self.tree.children(path))
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + '_>> {
        let content = usize::try_from(entry.place).ok().and_then(|place| self.tree.contents.get(place));
        let Content { layer, offset, parts } = content.context("an entry of another image")?;
        let layer = &self.layers[*layer];
        let Some(parts) = parts else { return Ok(Box::new(layer.part(*offset, entry.size)?)) };
        let mut stored = layer.part(*offset, layer.len().saturating_sub(*offset))?;
        let map = match parts {
            Parts::Mapped(map) => map.clone(),
            Parts::MapFirst => {
                Map::read(&mut stored).with_context(|| format!("cannot read {}", entry.path))?
            }
        };
        Ok(Box::new(Whole::new(stored, map, entry.size)?))
    }

    fn read_at(&self, entry: &Entry, offset: u64, len: usize) -> Result<Vec<u8>> {
        let content = usize::try_from(entry.place).ok().and_then(|place| self.tree.contents.get(place));
        let Content { layer, offset: start, parts } = content.context("an entry of another image")?;
        let mut bytes = Vec::new();
        if offset >= entry.size {
            return Ok(bytes);
        }
        let len = (entry.size - offset).min(u64::try_from(len)?);
        if parts.is_none() {
            self.layers[*layer].part(start.saturating_add(offset), len)?.read_to_end(&mut bytes)?;
        } else {
            let mut whole = self.open(entry)?;
            io::copy(&mut whole.by_ref().take(offset), &mut io::sink())?;
            whole.take(len).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn layer_of(&self, entry: &Entry) -> usize {
        self.tree.layer_of(entry)
    }

    fn strata(&self, path: &PathBytes) -> Result<Vec<Entry>> {
        Ok(self.tree.strata(path))
    }

    fn survey(&self, look: &mut dyn FnMut(&Stat)) -> Result<()> {
        self.tree.entries.values().for_each(|entry| look(&entry.stat()));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
