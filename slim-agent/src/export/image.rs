//! A minimal image: what a plan keeps, in layers, with the original's config.
//!
//! Built into one temporary file that is a saved image as engines and OCI tools read it, so that nothing is held in
//! memory. The same plan and image give the same bytes.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Seek;

use anyhow::{Context, Result};

use crate::image::{Entry, ImageSource, where_to_find_room};
use crate::plan::Plan;
pub use crate::registry::Reference;

mod blob;
mod config;
mod layer;
mod oci;
mod saved;
mod shape;

pub use blob::Blob;
pub(super) use layer::Layer;
pub use oci::{Documents, LAYOUT, MANIFEST, documents, manifest_digest};
pub use saved::blob_path;
use saved::{Saved, hex, pad};
pub use shape::{Base, Shape};
use shape::{Content, Item};

const BLOCK: u64 = 512;

/// An image ready to be written to wherever it is wanted.
#[derive(Debug)]
pub struct Built {
    /// `sha256:` and the digest of the new config, which is Docker's image id.
    pub id: String,
    /// The new config, byte for byte.
    pub config: Vec<u8>,
    /// The layers, uncompressed, lowest first. The digest of each is what the config calls its `diff_id`.
    pub layers: Vec<Blob>,
    /// What it is called, if it has a name.
    pub name: Option<Reference>,
    /// What is said of it in its OCI manifest.
    pub annotations: BTreeMap<String, String>,
    /// The saved image, positioned at its start.
    pub archive: File,
    compressed: OnceCell<Vec<Blob>>,
}

impl Built {
    /// Bytes of all layers, uncompressed.
    pub fn layer_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.len).sum()
    }

    /// The saved image, from its start.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn saved(&self) -> Result<File> {
        let mut archive = self.archive.try_clone().context("cannot duplicate a file handle")?;
        archive.rewind().context("cannot read the new image")?;
        Ok(archive)
    }

    /// The layers compressed with gzip, lowest first; done once, when it is first asked for.
    ///
    /// # Errors
    /// The temporary directory is full.
    pub fn compressed(&self) -> Result<&[Blob]> {
        if self.compressed.get().is_none() {
            let blobs: Result<Vec<_>> = self.layers.iter().map(Blob::compressed).collect();
            let _first = self.compressed.set(blobs.map_err(where_to_find_room)?);
        }
        Ok(self.compressed.get().map(Vec::as_slice).unwrap_or_default())
    }
}

/// Builds the image that `plan` describes from the bytes of `image`, to be known as `name`.
///
/// # Errors
/// The image cannot be read, is not what it was when it was planned, does not fit onto the base, or the temporary
/// directory is full.
pub fn make(plan: &Plan, image: &dyn ImageSource, shape: &Shape, name: Option<&Reference>) -> Result<Built> {
    write(plan, image, shape, name).map_err(where_to_find_room)
}

fn write(plan: &Plan, image: &dyn ImageSource, shape: &Shape, name: Option<&Reference>) -> Result<Built> {
    let mut saved = Saved::new()?;
    for layer in shape.ready_layers() {
        saved.copy_layer(layer)?;
    }
    let mut comments = Vec::new();
    for content in shape::contents(plan, image, shape)? {
        comments.push(content.comment.clone());
        saved.layer(|layer| fill(layer, plan, image, &content))?;
    }
    let config = config::slim(image.config(), &saved.diff_ids(), &shape.history()?, &comments)?;
    saved.finish(config, name, shape.annotations())
}

/// Writes the entries of one layer: the one place where what is kept becomes bytes.
fn fill(
    layer: &mut Layer<&mut saved::Out>,
    plan: &Plan,
    image: &dyn ImageSource,
    content: &Content,
) -> Result<()> {
    for item in &content.items {
        let entry = item.entry(plan, image)?;
        let mut bytes = plan.open(&entry, image)?;
        layer.append(&entry, &mut *bytes).with_context(|| format!("cannot export {}", entry.path))?;
    }
    Ok(())
}

impl Item {
    /// The entry as it goes into the layer.
    fn entry(&self, plan: &Plan, image: &dyn ImageSource) -> Result<Entry> {
        match self {
            Self::AsItIs(path) => plan.entry(path, image),
            Self::Known(entry) => Ok(entry.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
