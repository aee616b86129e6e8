//! What is left of a recording when its agent is killed: a manifest beside the output, written anew now and then,
//! that says of itself that it is not complete.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::{JoinHandle, spawn_blocking};

use super::Session;
use crate::manifest::io;
use crate::probe::{Probe, Tally};
use crate::recording::Account;

/// Between two checkpoints at the least.
const EVERY: Duration = Duration::from_secs(5);
/// A checkpoint that takes long is written less often: at most this part of the time goes into it.
const SHARE: u32 = 50;
/// How often the counters are read for a moment at which no call is being counted.
const READINGS: usize = 100;
/// What a checkpoint says of itself.
const UNFINISHED: &str =
    "the recording had not ended when this was written: its agent was killed, or still runs";

/// How the writing of a checkpoint went, and what it took with all that came before.
type Written = (Result<()>, Duration);

/// Where and when the next checkpoint is written.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    due: Instant,
    /// The last one on its way to the disk, which may be slow: records are taken meanwhile.
    writing: Option<JoinHandle<Written>>,
    /// What the last one told: how much there was to know, and why it was not complete.
    told: Option<(u64, BTreeSet<String>)>,
    warned: bool,
}

impl Checkpoint {
    /// For a recording that ends in `output`; `None` for standard output and for devices. A checkpoint that an earlier,
    /// killed recording left is kept under another name: it may be the only copy.
    ///
    /// # Errors
    /// What was left cannot be renamed.
    pub fn beside(output: &Path) -> Result<Option<Self>> {
        if io::is_stdout(output) || fs::metadata(output).is_ok_and(|file| !file.is_file()) {
            return Ok(None);
        }
        let path = with_suffix(output, ".partial");
        keep_left(&path)?;
        Ok(Some(Self { path, due: Instant::now(), writing: None, told: None, warned: false }))
    }

    /// Takes it away, once the recording's manifest is written.
    pub fn remove(self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!("cannot remove the checkpoint {}: {error}", self.path.display());
            }
            _ => {}
        }
    }

    /// Takes note of a checkpoint that has reached the disk, or failed to; false while it is on its way.
    async fn written(&mut self, wait: bool) -> bool {
        if !wait && self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return false;
        }
        let Some(writing) = self.writing.take() else { return true };
        let (result, took) = writing.await.unwrap_or_else(|broken| (Err(broken.into()), Duration::ZERO));
        match result {
            Ok(()) => self.warned = false,
            Err(error) => {
                // Told again with the next one.
                self.told = None;
                if !self.warned {
                    tracing::warn!("no checkpoint: {error:#}; the recording goes on");
                }
                self.warned = true;
            }
        }
        self.due = Instant::now() + EVERY.max(took * SHARE);
        true
    }

    fn hand_on(&mut self, bytes: Vec<u8>, began: Instant) {
        tracing::debug!("a checkpoint of {} bytes was put together in {:?}", bytes.len(), began.elapsed());
        let path = self.path.clone();
        self.writing = Some(spawn_blocking(move || (io::write(&path, &bytes), began.elapsed())));
    }
}

/// `path` with more behind its name, whatever bytes that has.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Renames what an earlier recording left, to the first free of `PATH.1`, `PATH.2`...
fn keep_left(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let mut names = (1_u32..).map(|number| with_suffix(path, &format!(".{number}")));
    let Some(kept) = names.find(|name| fs::symlink_metadata(name).is_err()) else { return Ok(()) };
    fs::rename(path, &kept)
        .with_context(|| format!("cannot rename {}, which a killed recording left", path.display()))?;
    tracing::warn!(
        "an earlier recording was killed; what it had seen is in {}: merge takes it like any manifest",
        kept.display()
    );
    Ok(())
}

/// The totals at a moment at which no call is being counted: meanwhile, sums differ.
fn settled(probe: &Probe) -> Result<Tally> {
    for _ in 1..READINGS {
        let tally = probe.tally()?;
        if tally.adds_up() {
            return Ok(tally);
        }
    }
    probe.tally()
}

impl Session {
    /// Has checkpoints written from now on.
    pub fn begin_checkpoints(&mut self, checkpoint: Option<Checkpoint>) {
        self.checkpoint = checkpoint;
    }

    /// No more checkpoints; the last one, on the disk.
    pub async fn end_checkpoints(&mut self) -> Option<Checkpoint> {
        let mut checkpoint = self.checkpoint.take()?;
        checkpoint.written(true).await;
        Some(checkpoint)
    }

    /// Writes a checkpoint if one is due and there is something new to tell.
    ///
    /// # Errors
    /// The kernel's totals cannot be read. A checkpoint that cannot be written is only warned of.
    pub(super) async fn save_checkpoint(&mut self) -> Result<()> {
        let Some(mut checkpoint) = self.checkpoint.take() else { return Ok(()) };
        let saved = self.save_to(&mut checkpoint).await;
        self.checkpoint = Some(checkpoint);
        saved
    }

    async fn save_to(&mut self, checkpoint: &mut Checkpoint) -> Result<()> {
        let began = Instant::now();
        if !checkpoint.written(false).await || checkpoint.due > began {
            return Ok(());
        }
        self.recorder.take_state(&self.probe)?;
        let mut recording = self.recorder.recording(&self.probe, Account::from(&settled(&self.probe)?))?;
        recording.complete = false;
        recording.incomplete.insert(UNFINISHED.to_owned());
        let told = Some((self.recorder.facts.fold.news(), recording.incomplete.clone()));
        if told == checkpoint.told {
            checkpoint.due = began + EVERY;
            return Ok(());
        }
        checkpoint.told = told;
        let bytes = io::to_bytes(self.recorder.facts.fold.so_far(recording))?;
        checkpoint.hand_on(bytes, began);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_recordings_left_is_kept_each_under_a_name_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("m.json");
        for left in ["first", "second"] {
            fs::write(with_suffix(&output, ".partial"), left).unwrap();
            assert!(Checkpoint::beside(&output).unwrap().is_some());
        }
        assert!(!with_suffix(&output, ".partial").exists());
        assert_eq!(fs::read(with_suffix(&output, ".partial.1")).unwrap(), b"first");
        assert_eq!(fs::read(with_suffix(&output, ".partial.2")).unwrap(), b"second");
    }

    #[test]
    fn data_that_streams_out_has_no_checkpoint() {
        for output in ["-", "/dev/stdout", "/dev/null"] {
            assert!(Checkpoint::beside(Path::new(output)).unwrap().is_none(), "{output}");
        }
    }
}
