//! A minimal image: one layer with what a plan keeps, and the original's config.
//!
//! Written in the engines' save format, the layer first, so that nothing is held in memory or written twice. The
//! same plan and image give the same bytes.

use std::fs::File;
use std::io::{BufWriter, IntoInnerError, Seek, SeekFrom, Write};

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::Header;

use crate::image::{ImageSource, temporary, where_to_find_room};
use crate::plan::{Member, Plan};

mod config;
mod layer;
mod reference;

use layer::Layer;
pub use reference::Reference;

const BLOCK: u64 = 512;
const LAYER: &str = "layer.tar";

/// An image ready to be loaded.
#[derive(Debug)]
pub struct Built {
    /// `sha256:` and the digest of the new config, which is Docker's image id.
    pub id: String,
    /// Bytes of the uncompressed layer.
    pub layer_bytes: u64,
    /// The archive, positioned at its start.
    pub archive: File,
}

/// Builds the image that `plan` describes from the bytes of `image`, to be known as `tag`.
///
/// # Errors
/// The image cannot be read, is not what it was when it was planned, or the temporary directory is full.
pub fn build(plan: &Plan, image: &dyn ImageSource, tag: &Reference) -> Result<Built> {
    write(plan, image, tag).map_err(where_to_find_room)
}

fn write(plan: &Plan, image: &dyn ImageSource, tag: &Reference) -> Result<Built> {
    let mut out = BufWriter::with_capacity(256 * 1024, temporary()?);
    // The layer's own header, filled in once its size is known.
    out.write_all(&[0; BLOCK as usize])?;
    let mut layer = Layer::new(out);
    for member in plan.members(image) {
        let Member { entry, mut content } = member?;
        layer.append(&entry, &mut *content).with_context(|| format!("cannot export {}", entry.path))?;
    }
    let (mut out, layer_bytes, diff_id) = layer.finish()?;
    let config = config::slim(image.config(), vec![diff_id], &[], &[comment(plan, image)])?;
    let digest = hex(Sha256::digest(&config));
    let config_name = format!("{digest}.json");
    let manifest = json!([{"Config": config_name, "RepoTags": [tag.to_string()], "Layers": [LAYER]}]);
    pad(&mut out, layer_bytes)?;
    member(&mut out, &config_name, &config)?;
    member(&mut out, "manifest.json", manifest.to_string().as_bytes())?;
    out.write_all(&[0; 2 * BLOCK as usize])?;
    let mut archive = out.into_inner().map_err(IntoInnerError::into_error)?;
    archive.seek(SeekFrom::Start(0))?;
    archive.write_all(header(LAYER, layer_bytes)?.as_bytes())?;
    archive.seek(SeekFrom::Start(0))?;
    Ok(Built { id: format!("sha256:{digest}"), layer_bytes, archive })
}

fn comment(plan: &Plan, image: &dyn ImageSource) -> String {
    format!("{} files of {} that recordings saw used", plan.totals.files, image.id())
}

fn member(out: &mut impl Write, name: &str, content: &[u8]) -> std::io::Result<()> {
    let len = content.len() as u64;
    out.write_all(header(name, len)?.as_bytes())?;
    out.write_all(content)?;
    pad(out, len)
}

fn header(name: &str, size: u64) -> std::io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(header)
}

/// Fills up the last block after `len` bytes.
fn pad(out: &mut impl Write, len: u64) -> std::io::Result<()> {
    let rest = usize::try_from(len % BLOCK).unwrap_or_default();
    if rest == 0 { Ok(()) } else { out.write_all(&[0; BLOCK as usize][rest..]) }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
