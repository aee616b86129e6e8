//! A directory in the form of an OCI image layout, with compressed layers.

use std::fs;
use std::path::Path;

use anyhow::Result;
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde_json::Value;

use super::{Format, Written};
use crate::container::Runtime;
use crate::export::directory::{Place, has_only, put};
use crate::export::image::{Built, LAYOUT, blob_path, documents};

pub(super) struct Layout<'a>(pub &'a Path);

impl Format for Layout<'_> {
    fn check(&self) -> Result<()> {
        self.place().check()
    }

    fn write<'a>(
        &'a self,
        image: &'a Built,
        _runtime: &'a dyn Runtime,
    ) -> LocalBoxFuture<'a, Result<Written>> {
        async move {
            let digest = self.place().fill(|dir| fill(dir, image))?;
            Ok(Written { kind: "oci", to: self.0.display().to_string(), digest })
        }
        .boxed_local()
    }
}

impl Layout<'_> {
    fn place(&self) -> Place<'_> {
        Place { path: self.0, is_ours: is_of_one_image }
    }
}

/// Whether a directory is a layout of one image, as an export leaves it: what someone added to it is not thrown away.
fn is_of_one_image(dir: &Path) -> bool {
    let index = fs::read(dir.join("index.json")).ok();
    let index: Option<Value> = index.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let images = index.as_ref().and_then(|index| index["manifests"].as_array()).map(Vec::len);
    images == Some(1) && has_only(dir, &["blobs", "index.json", "oci-layout"])
}

/// Writes the parts of the layout; the manifest's digest.
fn fill(dir: &Path, image: &Built) -> Result<String> {
    let layers = image.compressed()?;
    let documents = documents(image, layers)?;
    fs::create_dir_all(dir.join("blobs/sha256"))?;
    for layer in layers {
        put(dir, &blob_path(&layer.digest), &mut layer.open())?;
    }
    put(dir, &blob_path(&image.id), &mut &image.config[..])?;
    put(dir, &blob_path(&documents.digest), &mut &documents.manifest[..])?;
    put(dir, "oci-layout", &mut LAYOUT.as_bytes())?;
    put(dir, "index.json", &mut &documents.index[..])?;
    Ok(documents.digest)
}
