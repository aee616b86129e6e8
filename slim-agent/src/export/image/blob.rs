//! Bytes that an image refers to by digest, and their compressed form.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use super::hex;
use crate::image::archive::Section;
use crate::image::temporary;

/// The level that gzip users know: higher ones take far longer for a few percent.
const LEVEL: u32 = 6;

/// A blob somewhere in a temporary file.
#[derive(Debug, Clone)]
pub struct Blob {
    /// `sha256:...` of the bytes.
    pub digest: String,
    /// How many bytes.
    pub len: u64,
    /// Where they are.
    pub(super) section: Section,
}

impl Blob {
    /// The bytes, from the first.
    pub fn open(&self) -> impl Read + use<> {
        self.section.clone()
    }

    /// The same bytes compressed with gzip: no name, no time, a fixed level, so that they are the same every time.
    ///
    /// # Errors
    /// The temporary directory is full.
    pub fn compressed(&self) -> Result<Self> {
        let to = Hashing { to: BufWriter::new(temporary()?), digest: Sha256::new(), len: 0 };
        // Without the default name of the system: on any system the header is the same.
        let mut gzip = GzBuilder::new().operating_system(255).write(to, Compression::new(LEVEL));
        io::copy(&mut self.open(), &mut gzip).context("cannot compress a layer")?;
        let Hashing { to, digest, len } = gzip.finish().context("cannot compress a layer")?;
        let file: File = to.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Self { digest: format!("sha256:{}", hex(digest.finalize())), len, section: Section::whole(file)? })
    }
}

/// Counts and hashes what passes.
pub(super) struct Hashing<W> {
    pub to: W,
    pub digest: Sha256,
    pub len: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
