//! What pinned programs tell, and a process whose every act is known.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Result, ensure};
use slim_agent::decode::{Kind, decode};
use slim_agent::probe::{Predecessor, Probe};

use crate::pins::Born;
use crate::wait::wait_until;

/// Names of files with their slots, and births.
#[derive(Debug, Default)]
pub struct Told {
    names: BTreeSet<(u32, String)>,
    /// Slot and cgroup of each container whose birth was told.
    pub births: BTreeSet<(u32, u64)>,
}

impl Told {
    /// All that a probe has to tell.
    ///
    /// # Errors
    /// As [`Probe::drain`].
    pub fn of(probe: &mut Probe) -> Result<Self> {
        let mut told = Self::default();
        told.add(probe)?;
        Ok(told)
    }

    /// More of it.
    ///
    /// # Errors
    /// As [`Probe::drain`].
    pub fn add(&mut self, probe: &mut Probe) -> Result<()> {
        probe.drain(|bytes| {
            let slot = decode(bytes).map_or(u32::MAX, |record| record.header.slot);
            self.take(slot, bytes);
        })
    }

    /// What programs that were taken over from have still to tell.
    ///
    /// # Errors
    /// As [`Predecessor::drain`].
    pub fn add_last_words(&mut self, former: &mut Predecessor) -> Result<()> {
        former.drain(|slot, bytes| self.take(slot, bytes))
    }

    /// Whether a name was told in a slot.
    pub fn has(&self, slot: u32, name: &str) -> bool {
        self.names.contains(&(slot, name.to_owned()))
    }

    /// An error unless every one of these files was told in a slot.
    ///
    /// # Errors
    /// Some are missing, or there are so few that nothing is proved.
    pub fn has_all(&self, slot: u32, files: &[String]) -> Result<()> {
        let missing: Vec<_> = files.iter().filter(|file| !self.has(slot, file)).collect();
        let shown = missing.iter().take(10);
        ensure!(missing.is_empty(), "{} of {} are missing: {shown:?}...", missing.len(), files.len());
        ensure!(files.len() > 100, "only {} files: this proves nothing", files.len());
        Ok(())
    }

    fn take(&mut self, slot: u32, bytes: &[u8]) {
        let Ok(record) = decode(bytes) else { return };
        if record.kind == Kind::Birth {
            self.births.insert((slot, record.header.cgroup));
        } else {
            self.names.insert((slot, String::from_utf8_lossy(record.name).into_owned()));
        }
    }
}

/// A process in a container's cgroup that makes one numbered file after the other: `pinner touch`.
#[derive(Debug)]
pub struct Toucher {
    place: tempfile::TempDir,
    child: Child,
}

impl Toucher {
    /// Starts it, and waits until it is at work. `pinner` is the program.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn begin(born: &Born, pinner: &Path) -> Result<Self> {
        let place = tempfile::tempdir()?;
        let child = born.run(&format!("exec '{}' touch '{}'", pinner.display(), place.path().display()))?;
        let toucher = Self { place, child };
        wait_until("files are made", || Ok(toucher.path(20).exists()))?;
        Ok(toucher)
    }

    fn path(&self, number: usize) -> PathBuf {
        self.place.path().join(number.to_string())
    }

    /// Ends it: every file that it made.
    ///
    /// # Errors
    /// It ended otherwise.
    pub fn end(mut self) -> Result<Vec<String>> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}");
        let count = fs::read_dir(self.place.path())?.count();
        Ok((0..count).map(|number| self.path(number).to_string_lossy().into_owned()).collect())
    }
}
