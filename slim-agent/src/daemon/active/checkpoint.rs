//! A recording's state on the disk, for the next daemon.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Active, Losses};
use crate::daemon::journal;
use crate::daemon::store::ProfileKey;
use crate::manifest::Manifest;
use crate::probe::{Birth, Limits, Probe};
use crate::recording::{Began, Recorder, Saved};

/// The layout of checkpoints.
const SCHEMA: &str = "slim-agent/checkpoint/1";
/// A file in the directory of a recording.
pub(super) const CHECKPOINT: &str = "checkpoint.json";
/// What the recording says of itself when facts were lost with a daemon.
const UNSAVED: &str =
    "the daemon was killed while the disk took nothing: what it held in memory only is lost";
/// What the recording says of itself when its end was not seen.
const CUT: &str =
    "the host or the kernel programs were restarted while it ran: what happened at the end is not known";

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
    shortcomings: BTreeSet<String>,
    baseline: Losses,
    truncated: u64,
    manifest: Manifest,
}

impl Active {
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

    pub(super) fn serialised(&mut self, probe: &Probe, losses: &Losses) -> Result<Vec<u8>> {
        let manifest = self.so_far(probe, losses)?.clone();
        serde_json::to_vec(&self.state(manifest)?).context("cannot serialise a checkpoint")
    }

    /// Makes the recording known to the next daemon before its first fact is. It outlives this process, and need not
    /// outlive more.
    pub(super) fn first_checkpoint(&self) -> Result<()> {
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

/// Whether nothing is in a recording's directory yet: the daemon was killed when it had made it.
pub fn is_empty(dir: &Path) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    !entries
        .map(|entry| entry.file_name())
        .any(|name| name == CHECKPOINT || name.as_bytes().starts_with(b"journal."))
}

/// The kernel's name of the time since the host was started: random(4).
fn boot() -> Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    Ok(fs::read_to_string(path).context("cannot read the boot id")?.trim().to_owned())
}
