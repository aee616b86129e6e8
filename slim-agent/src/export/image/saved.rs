//! A saved image in the form of newer engines, which is both of the older ones: Docker's archive (`manifest.json`) and
//! an OCI image layout (`index.json`). Layers come first and uncompressed, as they are written only once.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Seek, SeekFrom, Write};

use anyhow::Result;
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::Header;

use super::blob::{Blob, Hashing};
use super::{BLOCK, Built, Layer, Reference, oci};
use crate::image::archive::Section;
use crate::image::temporary;

/// What a layer is written to.
pub(super) type Out = BufWriter<File>;

/// A saved image that grows.
pub(super) struct Saved {
    out: Out,
    /// Bytes written so far.
    at: u64,
    layers: Vec<Placed>,
}

/// A layer in the archive; its header is filled in at the end.
struct Placed {
    digest: String,
    at: u64,
    len: u64,
}

impl Saved {
    pub fn new() -> Result<Self> {
        Ok(Self { out: BufWriter::with_capacity(256 * 1024, temporary()?), at: 0, layers: Vec::new() })
    }

    /// Adds a layer that `fill` writes the entries of.
    pub fn layer(&mut self, fill: impl FnOnce(&mut Layer<&mut Out>) -> Result<()>) -> Result<()> {
        self.out.write_all(&[0; BLOCK as usize])?;
        let mut layer = Layer::new(&mut self.out);
        fill(&mut layer)?;
        let (_, len, digest) = layer.finish()?;
        self.place(digest, len)
    }

    /// Adds a layer that exists.
    pub fn copy_layer(&mut self, layer: &Section) -> Result<()> {
        self.out.write_all(&[0; BLOCK as usize])?;
        let mut to = Hashing { to: &mut self.out, digest: Sha256::new(), len: 0 };
        io::copy(&mut layer.clone(), &mut to)?;
        let (len, digest) = (to.len, format!("sha256:{}", hex(to.digest.finalize())));
        self.place(digest, len)
    }

    /// What the config calls the layers.
    pub fn diff_ids(&self) -> Vec<String> {
        self.layers.iter().map(|layer| layer.digest.clone()).collect()
    }

    /// Adds what says how the layers are an image, and the headers that were left open.
    pub fn finish(
        mut self,
        config: Vec<u8>,
        name: Option<&Reference>,
        annotations: BTreeMap<String, String>,
    ) -> Result<Built> {
        let id = oci::digest(&config);
        let layers = self.layers.iter().map(|layer| oci::Descriptor::layer(&layer.digest, layer.len));
        let documents = oci::Documents::new(&config, &layers.collect::<Vec<_>>(), name, &annotations)?;
        let docker = json!([{
            "Config": blob_path(&id),
            "RepoTags": name.map(|name| vec![name.to_string()]),
            "Layers": self.layers.iter().map(|layer| blob_path(&layer.digest)).collect::<Vec<_>>(),
        }]);
        self.member(&blob_path(&id), &config)?;
        self.member(&blob_path(&documents.digest), &documents.manifest)?;
        self.member("index.json", &documents.index)?;
        self.member("oci-layout", oci::LAYOUT.as_bytes())?;
        self.member("manifest.json", docker.to_string().as_bytes())?;
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        let mut archive = self.out.into_inner().map_err(IntoInnerError::into_error)?;
        for layer in &self.layers {
            archive.seek(SeekFrom::Start(layer.at - BLOCK))?;
            archive.write_all(header(&blob_path(&layer.digest), layer.len)?.as_bytes())?;
        }
        archive.rewind()?;
        let whole = Section::whole(archive.try_clone()?)?;
        let blob =
            |Placed { digest, at, len }| anyhow::Ok(Blob { digest, len, section: whole.part(at, len)? });
        let layers = self.layers.into_iter().map(blob).collect::<Result<_>>()?;
        let (name, annotations) = (name.cloned(), annotations);
        Ok(Built { id, config, layers, name, annotations, archive, compressed: OnceCell::new() })
    }

    /// Notes the layer that was just written behind an empty header.
    fn place(&mut self, digest: String, len: u64) -> Result<()> {
        pad(&mut self.out, len)?;
        self.layers.push(Placed { digest, at: self.at + BLOCK, len });
        self.at += BLOCK + len.next_multiple_of(BLOCK);
        Ok(())
    }

    fn member(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let len = content.len() as u64;
        self.out.write_all(header(name, len)?.as_bytes())?;
        self.out.write_all(content)?;
        pad(&mut self.out, len)
    }
}

/// Where a blob stands in a layout, in an archive and in a directory alike.
pub fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn header(name: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(header)
}

/// Fills up the last block after `len` bytes.
pub(super) fn pad(out: &mut impl Write, len: u64) -> io::Result<()> {
    let rest = usize::try_from(len % BLOCK).unwrap_or_default();
    if rest == 0 { Ok(()) } else { out.write_all(&[0; BLOCK as usize][rest..]) }
}

pub(super) fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
