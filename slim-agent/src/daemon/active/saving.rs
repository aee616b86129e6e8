//! When checkpoints are written, and what is noted where they cannot be.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::{JoinHandle, spawn_blocking};

use super::checkpoint::CHECKPOINT;
use super::{Active, Losses};
use crate::daemon::journal;
use crate::manifest::io;
use crate::probe::Probe;

/// Longest pause between two looks at the kernel's state of a recording of which nothing new comes. Nothing is lost by
/// it: the state outlives the daemon.
const CALM: Duration = Duration::from_secs(30);
/// When an application has come up, most likely.
const SETTLED_AFTER: Duration = Duration::from_secs(20);

/// How the checkpoints go.
#[derive(Debug)]
pub(super) struct Writing {
    /// The one that is on its way to the disk.
    job: Option<(JoinHandle<Result<()>>, bool)>,
    /// What the last one told: how much there was to know.
    told: Option<u64>,
    /// When one was on the disk last, or the recording began.
    at: Instant,
    /// Looks at the kernel's state in a row that told nothing new.
    calm: u32,
    /// Whether the next one does not wait: something is known that no journal has.
    hurry: bool,
    /// Whether the calls that processes are blocked in were asked for after the start-up.
    settled: bool,
    /// Why the last one is not.
    failed: Option<String>,
}

impl Writing {
    /// None written yet.
    pub(super) fn begin() -> Self {
        Self {
            job: None,
            told: None,
            at: Instant::now(),
            calm: 0,
            hurry: false,
            settled: false,
            failed: None,
        }
    }

    /// Takes note of one that the disk did not take.
    pub(super) fn refused(&mut self, error: &anyhow::Error) {
        self.failed = Some(format!("{error:#}"));
    }
}

/// What became of checkpoints since the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// On the disk.
    pub done: u64,
    /// Refused by it.
    pub failed: u64,
}

impl Active {
    /// How old the last checkpoint is.
    pub fn checkpoint_age(&self) -> Duration {
        self.checkpoint.at.elapsed()
    }

    /// Why what is known is in memory only, if it is.
    pub fn unsaved(&self) -> Option<String> {
        let broken = self.journal.broken().map(|error| format!("cannot write a journal: {error}"));
        self.checkpoint.failed.clone().or(broken)
    }

    /// Writes a checkpoint if there is something new to tell, or an earlier one failed, and none is on its way.
    ///
    /// # Errors
    /// The kernel's state cannot be read. What the disk does not take is tried again.
    pub async fn save(&mut self, probe: &Probe, losses: &Losses, every: Duration) -> Result<Written> {
        let written = self.written(false).await;
        let waits = self.checkpoint.at.elapsed() < self.pause(every)
            && !self.checkpoint.hurry
            && self.unsaved().is_none();
        if self.checkpoint.job.is_some() || waits {
            return Ok(written);
        }
        if self.birth.is_some() {
            self.recorder.take_state(probe)?;
            self.take_blocked_once(probe)?;
        }
        let news = self.recorder.facts.fold.news();
        if self.checkpoint.told == Some(news) && self.unsaved().is_none() {
            self.checkpoint.at = Instant::now();
            self.checkpoint.calm = self.checkpoint.calm.saturating_add(1);
            return Ok(written);
        }
        self.checkpoint.calm = 0;
        let bytes = self.serialised(probe, losses)?;
        let had_gap = self.journal.broken().is_some();
        let last = self.journal.begin_next();
        self.checkpoint.told = Some(news);
        self.checkpoint.hurry = false;
        let dir = self.dir.clone();
        let job = spawn_blocking(move || {
            fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
            store(&dir, &bytes, last)
        });
        self.checkpoint.job = Some((job, had_gap));
        Ok(written)
    }

    /// How long the next checkpoint waits: longer where nothing new comes.
    fn pause(&self, every: Duration) -> Duration {
        let Writing { told, calm, settled, .. } = self.checkpoint;
        let is_calm = settled && told == Some(self.recorder.facts.fold.news());
        if is_calm { every.saturating_mul(calm.saturating_add(1)).min(CALM).max(every) } else { every }
    }

    /// A process that waits for ever in one call never returns from it: no hook sees that call, and when the process is
    /// killed nobody can ask any more.
    fn take_blocked_once(&mut self, probe: &Probe) -> Result<()> {
        if self.checkpoint.settled || self.recorder.began().elapsed()? < SETTLED_AFTER {
            return Ok(());
        }
        self.checkpoint.settled = true;
        self.recorder.take_blocked(probe)
    }

    /// Has the next checkpoint written soon: something is known that no journal has.
    pub fn hurry(&mut self) {
        self.checkpoint.hurry = true;
    }

    /// Writes the last checkpoint of a daemon that ends, and waits for it.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn save_now(&mut self, probe: &Probe, losses: &Losses) -> Result<Written> {
        self.written(true).await;
        self.save(probe, losses, Duration::ZERO).await?;
        Ok(self.written(true).await)
    }

    /// Writes a checkpoint before anything else goes on.
    ///
    /// # Errors
    /// The kernel's state cannot be read, or the disk does not take it.
    pub fn save_at_once(&mut self, probe: &Probe, losses: &Losses) -> Result<()> {
        let bytes = self.serialised(probe, losses)?;
        let had_gap = self.journal.broken().is_some();
        let last = self.journal.begin_next();
        store(&self.dir, &bytes, last).inspect_err(|error| self.not_stored(had_gap, error))
    }

    /// Takes note of a checkpoint that the disk did not take. What a journal before it lacked, none has now.
    fn not_stored(&mut self, had_gap: bool, error: &anyhow::Error) {
        if had_gap {
            self.journal.still_broken(std::io::Error::other(format!("{error:#}")));
        }
        self.checkpoint.refused(error);
    }

    /// Takes note of a checkpoint that has reached the disk, or failed to.
    pub(super) async fn written(&mut self, wait: bool) -> Written {
        let mut written = Written::default();
        let ready = self.checkpoint.job.as_ref().is_some_and(|(job, _)| wait || job.is_finished());
        let Some((job, had_gap)) = (if ready { self.checkpoint.job.take() } else { None }) else {
            return written;
        };
        let result = job.await.unwrap_or_else(|broken| Err(broken.into()));
        match result {
            Ok(()) => {
                self.checkpoint.at = Instant::now();
                self.checkpoint.failed = None;
                if self.journal.broken().is_none() {
                    unmark(&self.marker);
                    self.marked = false;
                }
                written.done = 1;
            }
            Err(error) => {
                self.checkpoint.told = None;
                self.not_stored(had_gap, &error);
                written.failed = 1;
            }
        }
        written
    }

    /// Notes for the next daemon that something is in memory only, until a checkpoint has it.
    pub(super) fn mark(&mut self) {
        if !self.marked {
            self.marked = fs::write(&self.marker, "").is_ok();
        }
    }
}

/// Writes a checkpoint, and removes the journals up to `last`, which it holds.
fn store(dir: &Path, bytes: &[u8], last: u64) -> Result<()> {
    io::write(&dir.join(CHECKPOINT), bytes)?;
    journal::remove_up_to(dir, last);
    Ok(())
}

/// Says no longer that facts are in memory only.
pub fn unmark(marker: &Path) {
    let _none = fs::remove_file(marker);
}
