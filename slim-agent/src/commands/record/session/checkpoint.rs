//! What is left of a recording when its agent is killed: a manifest beside the output, written anew now and then,
//! that says of itself that it is not complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::closing::fold_syscalls;
use super::{SLOT, Session};
use crate::manifest::io;

/// Between two checkpoints at the least.
const EVERY: Duration = Duration::from_secs(5);
/// A checkpoint that takes long is written less often: at most this part of the time goes into it.
const SHARE: u32 = 50;
/// What a checkpoint says of itself.
const UNFINISHED: &str =
    "the recording had not ended when this was written: its agent was killed, or still runs";

/// Where and when the next checkpoint is written.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    due: Instant,
    warned: bool,
}

impl Checkpoint {
    /// For a recording that ends in `output`; `None` for standard output. A checkpoint that an earlier, killed recording
    /// left is kept under another name: it may be the only copy.
    ///
    /// # Errors
    /// What was left cannot be renamed.
    pub fn beside(output: &Path) -> Result<Option<Self>> {
        if io::is_stdout(output) || fs::metadata(output).is_ok_and(|file| !file.is_file()) {
            return Ok(None);
        }
        let path = PathBuf::from(format!("{}.partial", output.display()));
        keep_left(&path)?;
        Ok(Some(Self { path, due: Instant::now(), warned: false }))
    }

    /// Takes it away, once the recording's manifest is written.
    pub fn remove(output: &Path) {
        let _absent = fs::remove_file(format!("{}.partial", output.display()));
    }

    fn write(&mut self, bytes: &[u8], began: Instant) {
        match io::write(&self.path, bytes) {
            Ok(()) => self.warned = false,
            Err(error) if !self.warned => {
                tracing::warn!("no checkpoint: {error:#}; the recording goes on");
                self.warned = true;
            }
            Err(_) => {}
        }
        self.due = Instant::now() + EVERY.max(began.elapsed() * SHARE);
    }
}

fn keep_left(path: &Path) -> Result<()> {
    let Ok(left) = fs::symlink_metadata(path) else { return Ok(()) };
    let when = left.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let kept = PathBuf::from(format!("{}.{}", path.display(), when.as_secs()));
    fs::rename(path, &kept).with_context(|| format!("cannot rename {}", path.display()))?;
    tracing::warn!(
        "an earlier recording was killed; what it had seen is in {}: merge takes it like any manifest",
        kept.display()
    );
    Ok(())
}

impl Session {
    /// Writes a checkpoint if one is due.
    ///
    /// # Errors
    /// The kernel's totals cannot be read. A checkpoint that cannot be written is only warned of.
    pub(super) fn save_checkpoint(&mut self) -> Result<()> {
        let began = Instant::now();
        // While calls are being counted their sums differ for a moment: then the next tick will do.
        let tally = self.probe.tally()?;
        if !tally.adds_up() {
            return Ok(());
        }
        let Some(mut checkpoint) = self.checkpoint.take_if(|checkpoint| checkpoint.due <= began) else {
            return Ok(());
        };
        let mut fold = self.facts.fold.clone();
        fold_syscalls(&mut fold, &self.probe.syscalls(SLOT)?)?;
        let mut recording = self.recording(&tally)?;
        recording.complete = false;
        recording.incomplete.insert(UNFINISHED.to_owned());
        checkpoint.write(&io::to_bytes(&fold.finish(recording))?, began);
        self.checkpoint = Some(checkpoint);
        Ok(())
    }
}
