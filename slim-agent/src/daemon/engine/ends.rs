//! How recordings end: their manifests go to the disk, come together in their profiles, and their slots are free again.

use std::collections::BTreeSet;
use std::mem;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::{JoinHandle, spawn_blocking};

use super::births::{AT_ONCE, Search};
use super::{Answer, Engine, losses_of};
use crate::daemon::active::{self, Ended};
use crate::daemon::config::Span;
use crate::daemon::store::ProfileKey;
use crate::probe::boottime_ns;
use crate::recording::Began;

/// How long a container has a slot before it must be in scope, on a host that is very busy.
const YOUNG: Duration = Duration::from_millis(200);
/// Between two rounds in which slots are made free, unless few are left: each round is a pass over the kernel's tables.
const RECYCLE_EVERY: Duration = Duration::from_secs(30);
/// The part of all slots that is too few.
const FEW: usize = 4;
/// How long a container engine may be away before what it had is given up.
const ORPHAN_FOR: Duration = Duration::from_secs(24 * 3600);
/// Between two questions for one container that is gone, at most.
const ORPHAN_EVERY: Duration = Duration::from_secs(60);
/// Between two looks at what is too old.
const RETIRE_EVERY: Duration = Duration::from_secs(600);
/// How far a clock goes wrong without having been set.
const STEADY: Duration = Duration::from_secs(3600);
/// Recordings whose hour ends within so long begin the next one together: each pass over the kernel's table serves all.
const TOGETHER: Duration = Duration::from_secs(30);

/// A recording of a container of which no runtime told before it ended.
#[derive(Debug)]
pub struct Orphan {
    pub(super) ended: Ended,
    since: Instant,
    next: Instant,
    tries: u32,
}

impl Orphan {
    /// One that is asked for at once.
    pub fn new(ended: Ended) -> Self {
        let now = Instant::now();
        Self { ended, since: now, next: now, tries: 0 }
    }
}

/// A union that is being written.
pub struct Uniting {
    key: ProfileKey,
    ids: BTreeSet<String>,
    job: JoinHandle<Result<()>>,
}

impl Uniting {
    /// The profile, and the recordings that go into it.
    pub fn ids(&self) -> (&ProfileKey, &BTreeSet<String>) {
        (&self.key, &self.ids)
    }
}

impl Engine {
    /// Ends the recordings whose containers are gone.
    pub(super) async fn end_what_is_over(&mut self) -> Result<()> {
        let alive = self.probe.scopes_of()?;
        let over = |(slot, one): (&u32, &active::Active)| {
            // Its slot is in use a moment before its cgroup is in scope.
            let is_young = one.recorder.began().elapsed().is_ok_and(|age| age < YOUNG);
            (one.birth.is_none() || !alive.contains_key(slot) && !is_young).then_some(*slot)
        };
        let over: Vec<u32> = self.active.iter().filter_map(over).collect();
        if over.is_empty() {
            return Ok(());
        }
        // What they did last may have come since the ring was emptied.
        self.take()?;
        for slot in over {
            self.end_recording(slot).await?;
        }
        Ok(())
    }

    /// Ends one recording, whose records have been taken.
    pub(super) async fn end_recording(&mut self, slot: u32) -> Result<()> {
        let Some(one) = self.active.get_mut(&slot) else { return Ok(()) };
        if one.birth.is_some() {
            one.recorder.take_blocked(&self.probe)?;
            self.probe.leave(slot)?;
            self.take()?;
        }
        let Some(one) = self.active.remove(&slot) else { return Ok(()) };
        self.searches.remove(&slot);
        let losses = losses_of(&self.probe)?;
        let ended = one.finish(&self.probe, &losses).await?;
        self.meters.ended += 1;
        if let Some(recording) = ended.manifest.recordings.get(&ended.id).filter(|_| ended.profile.is_some())
        {
            let paths = ended.manifest.files.len();
            tracing::info!("the recording of {} ended: {paths} paths", recording.container_name);
        }
        self.unsaved.push(ended);
        Ok(())
    }

    /// Stores what has ended. Only then may its slot be forgotten: what the disk does not have, the next daemon finds in
    /// the kernel.
    ///
    /// # Errors
    /// The kernel refuses to free a slot.
    pub(super) fn save_ended(&mut self) -> Result<()> {
        self.meters.unsaved = None;
        for mut ended in mem::take(&mut self.unsaved) {
            if let Err(error) = self.store.keep_ended(&ended.id, ended.profile.as_ref(), &ended.manifest) {
                self.meters.unsaved = Some(format!("{error:#}"));
                self.unsaved.push(ended);
                continue;
            }
            active::unmark(&self.marker(&ended.id));
            if let Some(slot) = ended.slot.take() {
                self.probe.retire(slot)?;
                self.used.insert(slot);
            }
            match ended.profile.clone() {
                Some(key) => _ = self.waiting.entry(key).or_default().insert(ended.id),
                None => self.orphans.push(Orphan::new(ended)),
            }
        }
        Ok(())
    }

    /// Slots that belong to nothing that runs.
    pub(super) fn is_behind(&self, slot: u32) -> bool {
        let is_ending = |ended: &Ended| ended.slot == Some(slot);
        self.used.contains(&slot) || self.unsaved.iter().any(is_ending)
    }

    /// Adds what has ended to its profile, one profile at a time.
    pub(super) async fn unite(&mut self) {
        match self.uniting.take() {
            Some(uniting) if !uniting.job.is_finished() => {
                self.uniting = Some(uniting);
                return;
            }
            Some(uniting) => self.united(uniting).await,
            None => {}
        }
        let Some((key, ids)) = self.waiting.pop_first() else { return };
        let (store, keep) = (self.store.clone(), self.config.retention.recordings);
        let (job_key, job_ids): (_, Vec<String>) = (key.clone(), ids.iter().cloned().collect());
        let job = spawn_blocking(move || store.unite(&job_key, &job_ids, keep));
        self.uniting = Some(Uniting { key, ids, job });
    }

    /// Takes note of a union that was written, or waits for it.
    pub(super) async fn united(&mut self, uniting: Uniting) {
        let Uniting { key, ids, job } = uniting;
        let result = job.await.unwrap_or_else(|broken| Err(broken.into()));
        if let Err(error) = result {
            tracing::warn!("a recording waits to be added to the profile {}: {error:#}", key.name);
            self.waiting.entry(key).or_default().extend(ids);
        }
    }

    /// Makes the slots of what has ended free again.
    pub(super) fn recycle(&mut self) -> Result<()> {
        let waiting = self.used.len();
        let all = self.limits.slots as usize;
        let few = all.saturating_sub(self.active.len() + waiting) < all / FEW;
        if waiting == 0 || !few && Instant::now() < self.next_recycling {
            return Ok(());
        }
        self.next_recycling = Instant::now() + RECYCLE_EVERY;
        // Records of theirs that are still in the ring would pass for those of the next in their slots.
        self.take()?;
        self.probe.recycle(&self.used).context("cannot free slots")?;
        self.used.clear();
        Ok(())
    }

    /// Begins the next hour of recordings whose hour is over.
    pub(super) fn begin_windows(&mut self) -> Result<()> {
        let (now, window) = (boottime_ns()?, self.config.window.0);
        if !self.active.values().any(|one| one.window_is_over(now, window)) {
            return Ok(());
        }
        let early = window.saturating_sub(TOGETHER.min(window / 10));
        let due: BTreeSet<u32> = self
            .active
            .iter()
            .filter_map(|(&slot, one)| one.window_is_over(now, early).then_some(slot))
            .collect();
        self.take()?;
        for slot in &due {
            if let Some(one) = self.active.get_mut(slot) {
                one.recorder.take_blocked(&self.probe)?;
                one.next_window(now);
            }
        }
        self.probe.renew(&due)
    }

    /// Asks for containers that were gone before any engine told of them.
    pub(super) fn ask_for_orphans(&mut self) {
        let now = Instant::now();
        let room = AT_ONCE.saturating_sub(self.questions.len());
        let due = self.orphans.extract_if(.., |orphan| orphan.next <= now).take(room);
        for mut orphan in due.collect::<Vec<_>>() {
            orphan.next = now + Duration::from_secs(1 << orphan.tries.min(6)).min(ORPHAN_EVERY);
            orphan.tries += 1;
            self.ask_for_orphan(Box::new(orphan));
        }
    }

    /// A container engine is there again: what it did not answer is asked now.
    pub(super) fn ask_at_once(&mut self) {
        let now = Instant::now();
        self.orphans.iter_mut().for_each(|orphan| orphan.next = now);
        self.searches.values_mut().for_each(Search::hurry);
    }

    /// Takes what the runtimes know of a container whose recording has ended, or gives it up.
    pub(super) fn found_orphan(&mut self, orphan: Orphan, answer: Answer) {
        match answer {
            Ok(Some((_, container))) => self.adopt_orphan(orphan, &container),
            Err(_) if orphan.since.elapsed() < ORPHAN_FOR => self.orphans.push(orphan),
            Ok(None) | Err(_) => {
                self.meters.unknown += 1;
                self.store.remove_recording(&orphan.ended.id);
            }
        }
    }

    fn adopt_orphan(&mut self, orphan: Orphan, container: &crate::container::Container) {
        let Orphan { mut ended, .. } = orphan;
        let Some(name) = self.wanted(container) else {
            self.meters.unwanted += 1;
            return self.store.remove_recording(&ended.id);
        };
        self.meters.recorded += 1;
        ended.profile = Some(ProfileKey::new(&name, &container.image));
        ended.manifest.image = Some(container.image.clone());
        if let Some(recording) = ended.manifest.recordings.get_mut(&ended.id) {
            recording.container_name.clone_from(&container.name);
            recording.runtime = Some(container.runtime.clone());
            recording.seccomp.clone_from(&container.seccomp);
            recording.mounts.clone_from(&container.mounts);
        }
        self.unsaved.push(ended);
    }

    /// Removes profiles that are too old or too many.
    pub(super) fn retire(&mut self) {
        if Instant::now() < self.next_retirement {
            return;
        }
        self.next_retirement = Instant::now() + RETIRE_EVERY;
        let recorded: BTreeSet<&ProfileKey> =
            self.active.values().filter_map(|one| one.profile.as_ref()).chain(self.waiting.keys()).collect();
        let mut retention = self.config.retention.clone();
        // A clock that was set makes everything look old.
        if Began::now().is_ok_and(|now| self.meters.began.set_by(now) > STEADY) {
            tracing::debug!("nothing is removed for its age: the clock was set since the daemon began");
            retention.idle = Span(Duration::MAX);
        }
        if let Err(error) = self.store.retire(&retention, &|key| recorded.contains(key)) {
            tracing::warn!("cannot look for old profiles: {error:#}");
        }
    }
}
