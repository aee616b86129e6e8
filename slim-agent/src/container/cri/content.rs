//! containerd's content store: manifests, configs and layers' archives, each in a file that is named by its SHA-256.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::container::Absent;
use crate::container::endpoint::hex;

/// Where blobs are, below containerd's root.
const BLOBS: &str = "io.containerd.content.v1.content/blobs/sha256";
/// Largest manifest of an image; real ones have some kilobytes.
const LARGEST: u64 = 4 << 20;

/// What a manifest is to this program, Docker's and OCI's alike.
#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
}

/// The blobs of a containerd.
#[derive(Debug)]
pub(super) struct Content(PathBuf);

impl Content {
    /// The store of the containerd whose root directory is `root`.
    pub fn new(root: &Path) -> Self {
        Self(root.join(BLOBS))
    }

    /// Writes the image `id` to `to`, as an archive of an OCI layout. Every blob is checked against its name.
    ///
    /// # Errors
    /// The store cannot be read or lacks a part of the image, or `to` cannot be written.
    pub fn save(&self, id: &str, to: &File) -> Result<()> {
        let (name, manifest) = self.manifest(id)?;
        let mut archive = tar::Builder::new(to);
        let index =
            json!({ "schemaVersion": 2, "manifests": [{ "digest": format!("sha256:{name}") }] }).to_string();
        archive.append_data(&mut header(u64::try_from(index.len())?), "index.json", index.as_bytes())?;
        let mut blobs = vec![name.as_str(), plain(&manifest.config.digest)?];
        for layer in &manifest.layers {
            blobs.push(plain(&layer.digest)?);
        }
        let mut written = Vec::new();
        for blob in blobs {
            if !written.contains(&blob) {
                self.append(blob, &mut archive).with_context(|| format!("cannot save blob {blob}"))?;
                written.push(blob);
            }
        }
        archive.into_inner().and_then(|mut file| file.flush()).context("cannot write the saved image")
    }

    /// The manifest, all of whose parts are here, of the image with this id (the digest of its config), and its digest.
    /// containerd's API names none for an image that was imported, so the manifests are looked through.
    fn manifest(&self, id: &str) -> Result<(String, Manifest)> {
        let hex = plain(id)?;
        let blobs = fs::read_dir(&self.0).with_context(|| format!("cannot read {}", self.0.display()))?;
        let mut names: Vec<_> = blobs.filter_map(|blob| blob.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        let mut lacking = None;
        for name in names {
            let Some(manifest) = self.small(&name).and_then(|bytes| of_image(&bytes, hex)) else { continue };
            match manifest.layers.iter().find(|layer| !self.has(&layer.digest)) {
                None => return Ok((name, manifest)),
                Some(layer) => lacking = Some(layer.digest.clone()),
            }
        }
        match lacking {
            Some(layer) => bail!(
                "containerd has discarded layer {layer} after unpacking it: get the image's content again with \
                 `ctr -n k8s.io content fetch IMAGE`, and set discard_unpacked_layers = false in its configuration"
            ),
            None => Err(Absent::Image(format!("{} has no image {id}", self.0.display())).into()),
        }
    }

    fn has(&self, digest: &str) -> bool {
        plain(digest).is_ok_and(|hex| self.0.join(hex).is_file())
    }

    /// A blob that may be a manifest.
    fn small(&self, name: &str) -> Option<Vec<u8>> {
        let file = File::open(self.0.join(plain(name).ok()?)).ok()?;
        let size = file.metadata().ok()?.len();
        let mut bytes = Vec::new();
        (size <= LARGEST).then(|| file.take(LARGEST).read_to_end(&mut bytes))?.ok()?;
        Some(bytes)
    }

    fn append(&self, hex: &str, archive: &mut tar::Builder<&File>) -> Result<()> {
        let file = File::open(self.0.join(hex))?;
        let size = file.metadata()?.len();
        let mut hashed = Hashed { inner: file.take(size), hasher: Sha256::new() };
        archive.append_data(&mut header(size), format!("blobs/sha256/{hex}"), &mut hashed)?;
        let found = self::hex(&hashed.hasher.finalize());
        ensure!(found == hex, "its sha256 is {found}");
        Ok(())
    }
}

/// The manifest in `bytes`, if they are one, of the image with this config.
fn of_image(bytes: &[u8], config: &str) -> Option<Manifest> {
    // Almost everything else is told by its first byte: archives.
    let manifest: Manifest = bytes.starts_with(b"{").then(|| serde_json::from_slice(bytes).ok())??;
    (plain(&manifest.config.digest).ok()? == config).then_some(manifest)
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// The hexadecimal digits of a SHA-256, which name a file and nothing else.
fn plain(digest: &str) -> Result<&str> {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    ensure!(
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{digest:?} is not a SHA-256"
    );
    Ok(hex)
}

/// What is read, hashed.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::endpoint::sha256_hex;
    use proptest::prelude::*;
    use std::io::Seek;

    /// A store of these blobs.
    fn store(blobs: &[&[u8]]) -> (tempfile::TempDir, Content) {
        let root = tempfile::tempdir().unwrap();
        let content = Content::new(root.path());
        fs::create_dir_all(&content.0).unwrap();
        for blob in blobs {
            fs::write(content.0.join(sha256_hex(blob)), blob).unwrap();
        }
        (root, content)
    }

    fn manifest(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
        let descriptor = |blob: &[u8]| json!({ "digest": format!("sha256:{}", sha256_hex(blob)) });
        let layers: Vec<_> = layers.iter().map(|&layer| descriptor(layer)).collect();
        json!({ "config": descriptor(config), "layers": layers }).to_string().into_bytes()
    }

    fn names(mut archive: File) -> Vec<String> {
        archive.rewind().unwrap();
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap();
        entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn an_image_is_saved_with_each_of_its_blobs_once() {
        let manifest = manifest(b"{config}", &[b"layer", b"layer"]);
        let other = b"\x1f\x8bsomething else";
        let (_root, content) = store(&[b"{config}", b"layer", &manifest, other]);
        let file = tempfile::tempfile().unwrap();
        content.save(&format!("sha256:{}", sha256_hex(b"{config}")), &file).unwrap();
        let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256_hex(bytes));
        assert_eq!(
            names(file),
            ["index.json".to_owned(), blob(&manifest), blob(b"{config}"), blob(b"layer")]
        );
    }

    #[test]
    fn what_is_not_there_is_told() {
        let manifest = manifest(b"{config}", &[b"layer"]);
        let (_root, content) = store(&[b"{config}", &manifest]);
        let file = tempfile::tempfile().unwrap();
        let why = |id: &str| format!("{:#}", content.save(id, &file).unwrap_err());
        assert!(why(&sha256_hex(b"{config}")).contains("content fetch"));
        assert!(why(&sha256_hex(b"another")).contains("has no image"));
        assert!(why("../../../etc/passwd").contains("not a SHA-256"));
    }

    #[test]
    fn a_blob_that_is_not_what_its_name_says_is_not_saved() {
        let manifest = manifest(b"{config}", &[b"layer"]);
        let (_root, content) = store(&[b"{config}", b"layer", &manifest]);
        fs::write(content.0.join(sha256_hex(b"layer")), "other").unwrap();
        let error = content.save(&sha256_hex(b"{config}"), &tempfile::tempfile().unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains("its sha256 is"), "{error:#}");
    }

    proptest! {
        #[test]
        fn any_blob_is_looked_at_without_panic(bytes: Vec<u8>, text in r#"\{"(config|layers)":.{0,40}\}"#) {
            let _ = of_image(&bytes, "00");
            let _ = of_image(text.as_bytes(), "00");
        }
    }
}
