//! A disk that is small enough to be full.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::command::output;

/// A file system of a few kilobytes. It is unmounted when this goes out of scope.
#[derive(Debug)]
pub struct SmallDisk {
    place: TempDir,
}

impl SmallDisk {
    /// Mounts one.
    pub fn new(kilobytes: u32) -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let size = format!("size={kilobytes}k");
        output(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(place.path()))?;
        Ok(Self { place })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.path().join("filling")).context("cannot fill the disk")?;
        while file.write_all(&[0; 1024]).is_ok() {}
        Ok(())
    }

    /// Frees what [`fill`](Self::fill) took.
    pub fn empty(&self) -> Result<()> {
        std::fs::remove_file(self.path().join("filling")).context("cannot free room on the disk")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}
