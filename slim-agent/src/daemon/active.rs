//! A recording that runs: what was seen so far, its journal, and the checkpoints that make the journal short again.

mod checkpoint;
mod saving;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::journal::Journal;
use super::store::ProfileKey;
use crate::decode::Record;
use crate::manifest::Manifest;
use crate::probe::{Birth, NOT_DELIVERED, Probe, TRUNCATED, sentences};
use crate::recording::{Account, Recorder};
use saving::Writing;

pub use checkpoint::{is_empty, slot_of};
pub use saving::unmark;

/// Losses by reason, as [`crate::probe::Tally::losses`] tells them.
pub type Losses = BTreeMap<String, u64>;

/// A recording that runs.
pub struct Active {
    /// What was seen so far.
    pub recorder: Recorder,
    /// The profile that it goes to; `None` as long as no runtime told which container it is.
    pub profile: Option<ProfileKey>,
    /// The kernel's state of its slot, if it has one: not when it was found after the host's restart.
    pub birth: Option<Birth>,
    dir: PathBuf,
    journal: Journal,
    /// Losses of the kernel side before it began.
    baseline: Losses,
    /// Records with a path that was too long to follow.
    truncated: u64,
    /// CLOCK_BOOTTIME at which its present hour began, nanoseconds.
    window_ns: u64,
    checkpoint: Writing,
    /// Where it is noted that facts are in memory only: on a file system that has room when the disk has none.
    marker: PathBuf,
    marked: bool,
}

impl Active {
    /// A recording that begins. `dir` is its directory, which need not be there: what cannot be written is held in memory.
    pub fn begin(
        recorder: Recorder,
        profile: Option<ProfileKey>,
        dir: PathBuf,
        marker: PathBuf,
        baseline: Losses,
    ) -> Self {
        let window_ns = recorder.began().boot_ns;
        let mut active = Self::with(recorder, dir, marker, baseline, window_ns);
        active.profile = profile;
        if let Err(error) = active.first_checkpoint() {
            active.checkpoint.refused(&error);
            active.mark();
        }
        active
    }

    /// Says why it is not complete, also to the next daemon.
    pub fn lacks(&mut self, what: &str) {
        self.recorder.facts.shortcomings.insert(what.to_owned());
        self.mark();
    }

    fn with(recorder: Recorder, dir: PathBuf, marker: PathBuf, baseline: Losses, window_ns: u64) -> Self {
        Self {
            journal: Journal::in_dir(&dir),
            recorder,
            profile: None,
            birth: None,
            dir,
            baseline,
            truncated: 0,
            window_ns,
            checkpoint: Writing::begin(),
            marked: marker.exists(),
            marker,
        }
    }

    /// Says which container it is of, and in which slot.
    pub fn is_of(&mut self, birth: Birth) {
        self.recorder.is_of(&birth.container);
        self.birth = Some(birth);
    }

    /// Id of the recording.
    pub fn id(&self) -> &str {
        self.recorder.facts.fold.id()
    }

    /// Takes one record: what it tells is in the journal before it counts as taken.
    pub fn take(&mut self, record: &Record<'_>) {
        self.truncated += u64::from(record.header.truncated != 0);
        let facts = self.recorder.facts.read(record);
        self.journal.append(&facts);
        if self.journal.broken().is_some() {
            self.mark();
        }
        facts.into_iter().for_each(|fact| self.recorder.facts.take_fact(fact));
    }

    /// Bytes in the journal.
    pub fn journal_bytes(&self) -> u64 {
        self.journal.bytes()
    }

    /// Whether its hour is over.
    pub fn window_is_over(&self, now_ns: u64, window: Duration) -> bool {
        now_ns.saturating_sub(self.window_ns) >= window.as_nanos() as u64
    }

    /// Begins its next hour. The kernel side is to forget what it told.
    pub fn next_window(&mut self, now_ns: u64) {
        self.window_ns = now_ns;
        self.recorder.facts.fold.next_window();
    }

    /// What the kernel side says of this recording, `losses` being those of all so far.
    fn account(&self, losses: &Losses, lost: u64) -> Account {
        let mut own: Losses = losses
            .iter()
            .map(|(reason, count)| {
                (reason.clone(), count.saturating_sub(self.baseline.get(reason).copied().unwrap_or_default()))
            })
            .collect();
        own.insert(NOT_DELIVERED.to_owned(), lost);
        own.insert(TRUNCATED.to_owned(), self.truncated);
        let own = own.iter().map(|(reason, count)| (reason.as_str(), *count));
        Account { counters: BTreeMap::new(), incomplete: sentences(own) }
    }

    /// Its manifest as it is now.
    ///
    /// # Errors
    /// The kernel's state cannot be read.
    pub fn so_far(&mut self, probe: &Probe, losses: &Losses) -> Result<&Manifest> {
        let recording = if self.birth.is_some() {
            self.recorder.take_state(probe)?;
            let lost = probe.lost_of(self.recorder.slot())?;
            self.recorder.recording(probe, self.account(losses, lost))?
        } else if let Some(before) = self.recorder.before() {
            before
        } else {
            self.recorder.recording(probe, self.account(losses, 0))?
        };
        Ok(self.recorder.facts.fold.so_far(recording))
    }

    /// Other kernel programs serve from now on: their losses are counted from zero.
    pub fn begin_accounting_anew(&mut self) {
        self.baseline = Losses::new();
    }

    /// Its manifest, now that it has ended. Whoever has stored it, removes its marker.
    ///
    /// # Errors
    /// The kernel's state cannot be read.
    pub async fn finish(mut self, probe: &Probe, losses: &Losses) -> Result<Ended> {
        self.written(true).await;
        let manifest = self.so_far(probe, losses)?.clone();
        let container = self.recorder.subject().id().unwrap_or_default().to_owned();
        let slot = self.birth.as_ref().map(|birth| birth.slot);
        Ok(Ended { id: self.id().to_owned(), container, slot, profile: self.profile, manifest })
    }
}

/// A recording that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// Full id of the container.
    pub container: String,
    /// The slot that it had, which is kept until the manifest is stored.
    pub slot: Option<u32>,
    /// The profile that it goes to; `None` as long as no runtime told which container it is.
    pub profile: Option<ProfileKey>,
    /// What was seen.
    pub manifest: Manifest,
}
