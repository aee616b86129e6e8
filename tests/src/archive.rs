//! Saved images: where the layers are in an unpacked archive.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The files of an image's layers, lowest first, in an archive unpacked at `directory`.
///
/// Both forms that engines save are read: `manifest.json` with paths, and an OCI layout with digests.
pub fn layer_files(directory: &Path) -> Result<Vec<PathBuf>> {
    if directory.join("manifest.json").exists() {
        let manifest = json(&directory.join("manifest.json"))?;
        let layers = strings(&manifest[0]["Layers"]).context("manifest.json names no layers")?;
        return Ok(layers.iter().map(|path| directory.join(path)).collect());
    }
    let index = json(&directory.join("index.json")).context("neither a saved image nor an OCI layout")?;
    let mut document = json(&blob(directory, &index["manifests"][0]["digest"])?)?;
    // An index may hold an index, of one image for several platforms.
    if document["manifests"].is_array() {
        document = json(&blob(directory, &document["manifests"][0]["digest"])?)?;
    }
    let layers = document["layers"].as_array().context("the image's manifest names no layers")?;
    layers.iter().map(|layer| blob(directory, &layer["digest"])).collect()
}

/// A layer's bytes, decompressed.
pub fn open_layer(path: &Path) -> Result<Layer> {
    let mut file = File::open(path).with_context(|| format!("cannot open the layer {}", path.display()))?;
    let mut magic = [0; 2];
    let compressed = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    file.rewind().context("cannot rewind a layer")?;
    if !compressed {
        return Ok(Layer::Plain(BufReader::new(file)));
    }
    let gzip = Command::new("gzip").arg("-dc").stdin(file).stdout(Stdio::piped()).spawn();
    Ok(Layer::Gzip(gzip.context("cannot run gzip to read a compressed layer")?))
}

/// A readable layer.
#[derive(Debug)]
pub enum Layer {
    /// As it is stored.
    Plain(BufReader<File>),
    /// From the program that decompresses it.
    Gzip(Child),
}

impl Read for Layer {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(gzip) => gzip.stdout.as_mut().map_or(Ok(0), |output| output.read(buffer)),
        }
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        if let Self::Gzip(gzip) = self {
            // Closing its output ends it, also when only a part was read.
            drop(gzip.stdout.take());
            let _ended = gzip.wait();
        }
    }
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn strings(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

fn blob(directory: &Path, digest: &Value) -> Result<PathBuf> {
    match digest.as_str().and_then(|digest| digest.split_once(':')) {
        Some((algorithm, hex)) => Ok(directory.join("blobs").join(algorithm).join(hex)),
        None => bail!("expected a digest, found {digest}"),
    }
}
