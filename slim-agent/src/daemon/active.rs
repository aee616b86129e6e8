//! A recording that runs: what was seen so far, its journal, and the checkpoints that make the journal short again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};

use super::journal::{self, Journal};
use super::store::ProfileKey;
use crate::decode::Record;
use crate::manifest::{Manifest, io};
use crate::probe::{Birth, Limits, NOT_DELIVERED, Probe, TRUNCATED, sentences};
use crate::recording::{Account, Began, Recorder, Saved};

/// The layout of checkpoints.
const SCHEMA: &str = "slim-agent/checkpoint/1";
/// A file in the directory of a recording.
const CHECKPOINT: &str = "checkpoint.json";
/// What the recording says of itself when facts were lost with a daemon.
const UNSAVED: &str =
    "the daemon was killed while the disk took nothing: what it held in memory only is lost";
/// What the recording says of itself when its end was not seen.
const CUT: &str =
    "the host or the kernel programs were restarted while it ran: what happened at the end is not known";

/// Longest pause between two looks at the kernel's state of a recording of which nothing new comes. Nothing is lost by
/// it: the state outlives the daemon.
const CALM: Duration = Duration::from_secs(30);
/// When an application has come up, most likely.
const SETTLED_AFTER: Duration = Duration::from_secs(20);

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

/// How the checkpoints go.
#[derive(Debug)]
struct Writing {
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

/// A recording's state on the disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    schema: String,
    /// The kernel's name of the time since the host was started.
    boot: String,
    slot: u32,
    recording: String,
    container: String,
    profile: Option<ProfileKey>,
    began_ns: u64,
    began_unix_ms: u64,
    startup_observed: bool,
    window: u32,
    window_ns: u64,
    shortcomings: std::collections::BTreeSet<String>,
    baseline: Losses,
    truncated: u64,
    manifest: Manifest,
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
            active.checkpoint.failed = Some(format!("{error:#}"));
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
            checkpoint: Writing {
                job: None,
                told: None,
                at: Instant::now(),
                calm: 0,
                hurry: false,
                settled: false,
                failed: None,
            },
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

    /// How old the last checkpoint is.
    pub fn checkpoint_age(&self) -> Duration {
        self.checkpoint.at.elapsed()
    }

    /// Why what is known is in memory only, if it is.
    pub fn unsaved(&self) -> Option<String> {
        let broken = self.journal.broken().map(|error| format!("cannot write a journal: {error}"));
        self.checkpoint.failed.clone().or(broken)
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
        let slot = self.recorder.slot();
        let lost = if self.birth.is_some() { probe.lost_of(slot)? } else { 0 };
        if self.birth.is_some() {
            self.recorder.take_state(probe)?;
        }
        let recording = self.recorder.recording(probe, self.account(losses, lost))?;
        Ok(self.recorder.facts.fold.so_far(recording))
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
            io::write(&dir.join(CHECKPOINT), &bytes)?;
            journal::remove_up_to(&dir, last);
            Ok(())
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
        match io::write(&self.dir.join(CHECKPOINT), &bytes) {
            Ok(()) => {
                journal::remove_up_to(&self.dir, last);
                Ok(())
            }
            Err(error) => {
                if had_gap {
                    self.journal.still_broken(std::io::Error::other(format!("{error:#}")));
                }
                self.checkpoint.failed = Some(format!("{error:#}"));
                Err(error)
            }
        }
    }

    /// Other kernel programs serve from now on: their losses are counted from zero.
    pub fn begin_accounting_anew(&mut self) {
        self.baseline = Losses::new();
    }

    /// Takes note of a checkpoint that has reached the disk, or failed to.
    async fn written(&mut self, wait: bool) -> Written {
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
                if had_gap {
                    self.journal.still_broken(std::io::Error::other(format!("{error:#}")));
                }
                self.checkpoint.failed = Some(format!("{error:#}"));
                written.failed = 1;
            }
        }
        written
    }

    /// Notes for the next daemon that something is in memory only, until a checkpoint has it.
    fn mark(&mut self) {
        if !self.marked {
            self.marked = fs::write(&self.marker, "").is_ok();
        }
    }

    fn state(&self, manifest: Manifest) -> Result<Checkpoint> {
        let began = self.recorder.began();
        let unix = began.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Checkpoint {
            schema: SCHEMA.to_owned(),
            boot: boot()?,
            slot: self.recorder.slot(),
            recording: self.id().to_owned(),
            container: self.recorder.subject().id().unwrap_or_default().to_owned(),
            profile: self.profile.clone(),
            began_ns: began.boot_ns,
            began_unix_ms: unix.as_millis() as u64,
            startup_observed: self.recorder.startup_observed(),
            window: self.recorder.facts.fold.window(),
            window_ns: self.window_ns,
            shortcomings: self.recorder.facts.shortcomings.clone(),
            baseline: self.baseline.clone(),
            truncated: self.truncated,
            manifest,
        })
    }

    fn serialised(&mut self, probe: &Probe, losses: &Losses) -> Result<Vec<u8>> {
        let manifest = self.so_far(probe, losses)?.clone();
        serde_json::to_vec(&self.state(manifest)?).context("cannot serialise a checkpoint")
    }

    /// Makes the recording known to the next daemon before its first fact is. It outlives this process, and need not
    /// outlive more.
    fn first_checkpoint(&self) -> Result<()> {
        let image = self.recorder.subject().container().map(|container| container.image.clone());
        let bytes = serde_json::to_vec(&self.state(Manifest::new(image))?)?;
        let cannot = || format!("cannot write into {}", self.dir.display());
        fs::create_dir_all(&self.dir).with_context(cannot)?;
        let new = self.dir.join("checkpoint.new");
        fs::write(&new, bytes).and_then(|()| fs::rename(&new, self.dir.join(CHECKPOINT))).with_context(cannot)
    }

    /// The recording with what is left of it in `dir`: a checkpoint and journals. `birth` finds the kernel's state of it.
    ///
    /// # Errors
    /// There is no checkpoint that this version can read.
    pub fn resume(
        dir: PathBuf,
        marker: PathBuf,
        limits: &Limits,
        birth: impl FnOnce(u32, u64) -> Option<Birth>,
    ) -> Result<Self> {
        let saved = Checkpoint::read(&dir)?;
        let birth = saved.birth(birth)?;
        let mut shortcomings = saved.shortcomings;
        if marker.exists() {
            shortcomings.insert(UNSAVED.to_owned());
        }
        if birth.is_none() {
            shortcomings.insert(CUT.to_owned());
        }
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(saved.began_unix_ms);
        let recorder = Recorder::resume(
            saved.slot,
            Saved {
                id: saved.recording,
                container: saved.container,
                began: Began { wall, boot_ns: saved.began_ns },
                window: saved.window,
                startup_observed: saved.startup_observed,
                shortcomings,
                manifest: saved.manifest,
            },
            limits,
        );
        let mut active = Self::with(recorder, dir, marker, saved.baseline, saved.window_ns);
        (active.profile, active.truncated) = (saved.profile, saved.truncated);
        if let Some(birth) = birth {
            active.is_of(birth);
        }
        let facts = &mut active.recorder.facts;
        journal::replay(&active.dir, |fact| facts.take_fact(fact)).context("cannot read a journal")?;
        Ok(active)
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

/// The slot that the recording in `dir` still has, if it has one; `birth` finds the kernel's state of it.
pub fn slot_of(dir: &Path, birth: impl FnOnce(u32, u64) -> Option<Birth>) -> Option<u32> {
    Checkpoint::read(dir).ok()?.birth(birth).ok()?.map(|birth| birth.slot)
}

impl Checkpoint {
    fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(CHECKPOINT);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("cannot use {}", path.display()))
    }

    fn birth(&self, birth: impl FnOnce(u32, u64) -> Option<Birth>) -> Result<Option<Birth>> {
        Ok(if self.boot == boot()? { birth(self.slot, self.began_ns) } else { None })
    }
}

/// Says no longer that facts are in memory only.
pub fn unmark(marker: &Path) {
    let _none = fs::remove_file(marker);
}

/// Whether nothing is in a recording's directory yet: the daemon was killed when it had made it.
pub fn is_empty(dir: &Path) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    !entries
        .map(|entry| entry.file_name())
        .any(|name| name == CHECKPOINT || name.as_bytes().starts_with(b"journal."))
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

/// The kernel's name of the time since the host was started: random(4).
fn boot() -> Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    Ok(fs::read_to_string(path).context("cannot read the boot id")?.trim().to_owned())
}
