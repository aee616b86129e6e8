//! A stretch of a file that can be read independently of all others.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};

use crate::image::tarball::Source;

/// A stretch of a file. Clones and parts share the file but have positions of their own.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    file: Rc<File>,
    at: u64,
    end: u64,
}

impl Section {
    pub fn whole(file: File) -> Result<Self> {
        let end = file.metadata().context("cannot tell the size of the saved image")?.len();
        Ok(Self { file: Rc::new(file), at: 0, end })
    }

    pub fn len(&self) -> u64 {
        self.end - self.at
    }

    /// `len` bytes from `offset` on.
    pub fn part(&self, offset: u64, len: u64) -> Result<Self> {
        let at = self.at.checked_add(offset);
        let end = at.and_then(|at| at.checked_add(len)).filter(|&end| end <= self.end);
        let Some((at, end)) = at.zip(end) else { bail!("it is cut off: save the image again") };
        Ok(Self { file: Rc::clone(&self.file), at, end })
    }

    /// All bytes, of which there may be at most `limit`.
    pub fn bytes(mut self, limit: u64) -> Result<Vec<u8>> {
        ensure!(self.len() <= limit, "{} bytes where at most {limit} make sense", self.len());
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).context("cannot read the saved image")?;
        Ok(bytes)
    }
}

impl Source for Section {
    fn ends_before(&mut self, offset: u64) -> Result<bool> {
        // The padding after the last member may be missing.
        Ok(offset >= self.len())
    }

    fn bytes(&mut self, offset: u64, len: u64, limit: u64) -> Result<Vec<u8>> {
        self.part(offset, len)?.bytes(limit)
    }

    fn content(&self, offset: u64, size: u64) -> Result<u64> {
        self.part(offset, size).map(|_| size)
    }
}

impl Read for Section {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.len()).map_or(into.len(), |len| len.min(into.len()));
        let got = self.file.read_at(&mut into[..want], self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}
