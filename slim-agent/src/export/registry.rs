//! Images sent to a registry: blobs that it lacks, each read from the disk as it is sent, then the manifest.

use std::io::Read;

use anyhow::{Context, Result};

use super::image::{Blob, Built, MANIFEST, documents};
use crate::registry::{Body, Session, Stream, send};

impl Stream for Blob {
    fn open(&self) -> Box<dyn Read + '_> {
        Box::new(Self::open(self))
    }

    fn size(&self) -> u64 {
        self.len
    }
}

/// Sends `image`, to be known by `tag`; the digest of its manifest.
pub(super) fn push(to: &mut Session, image: &Built, tag: &str) -> Result<String> {
    let layers = image.compressed()?;
    let documents = documents(image, layers)?;
    for layer in layers {
        send(to, &layer.digest, &Body::Stream(layer)).context("cannot send a layer")?;
    }
    send(to, &image.id, &Body::Bytes(&image.config)).context("cannot send the config")?;
    let path = format!("manifests/{tag}");
    let answer = to.ask("PUT", &path, MANIFEST, &Body::Bytes(&documents.manifest))?;
    answer.expect(&[201]).context("cannot send the manifest")?;
    Ok(documents.digest)
}
