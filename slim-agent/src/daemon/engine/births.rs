//! From a slot that the kernel side gave to a container, to a recording for a profile, or to nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::FutureExt;

use super::answers::Wish;
use super::ends::Orphan;
use super::{Answer, Engine, begin};
use crate::container::{Container, Runtimes};
use crate::daemon::active::unmark;
use crate::daemon::rules::{ProfileName, profile_of};
use crate::daemon::store::ProfileKey;
use crate::probe::Birth;

/// How often runtimes that all answered are asked for a container that none of them knows.
const TRIES: u32 = 4;
/// Questions that wait for an answer at one time: an engine on a busy host answers all of many too late.
pub(super) const AT_ONCE: usize = 8;
/// Between two questions for one container, at most.
const LONGEST: Duration = Duration::from_secs(30);

/// The search for a slot's container.
#[derive(Debug)]
pub struct Search {
    /// When to ask, unless a question is on its way.
    at: Option<Instant>,
    tries: u32,
    /// Answers that none knows it.
    denials: u32,
}

impl Search {
    /// Asks with the next tick, unless a question is on its way.
    pub fn hurry(&mut self) {
        self.at = self.at.map(|at| at.min(Instant::now()));
    }
}

/// What a container is sought for.
#[derive(Debug)]
pub enum Sought {
    /// For the recording in a slot, as long as it is of the container with this id.
    Slot(u32, String),
    /// For a recording that has ended.
    Orphan(Box<Orphan>),
    /// For somebody who wants it recorded.
    Wish(Wish),
}

impl Engine {
    /// Says of new recordings which containers they are of, and begins to look for who has them.
    pub(super) fn name(&mut self, slots: &BTreeSet<u32>) -> Result<()> {
        if slots.is_empty() {
            return Ok(());
        }
        let births = self.probe.births()?;
        for slot in slots {
            match births.iter().find(|birth| birth.slot == *slot) {
                Some(birth) => self.is_of(birth.clone()),
                // The last words of one that an earlier daemon ended.
                None => self.discard(*slot),
            }
        }
        Ok(())
    }

    pub(super) fn is_of(&mut self, birth: Birth) {
        let slot = birth.slot;
        if let Some(one) = self.active.get_mut(&slot) {
            one.is_of(birth);
            self.searches.insert(slot, Search { at: Some(Instant::now()), tries: 0, denials: 0 });
            self.ask_again();
        }
    }

    /// Finds containers that came into scope while the ring was full, or no daemon lived.
    pub(super) fn find_newborn(&mut self) -> Result<()> {
        for birth in self.probe.births()? {
            let slot = birth.slot;
            if !self.active.contains_key(&slot) && !self.is_behind(slot) {
                let baseline = self.losses.clone();
                let new = begin(slot, birth.born_ns, &self.limits, &self.store, &self.config, baseline)?;
                self.active.insert(slot, new);
                self.is_of(birth);
            }
        }
        Ok(())
    }

    /// Asks the runtimes for containers whose time has come.
    pub(super) fn ask_again(&mut self) {
        let now = Instant::now();
        for (&slot, search) in &mut self.searches {
            if self.questions.len() >= AT_ONCE {
                break;
            }
            if search.at.is_none_or(|at| at > now) {
                continue;
            }
            let Some(id) = self.active.get(&slot).and_then(|one| one.recorder.subject().id()) else {
                continue;
            };
            let id = id.to_owned();
            search.at = None;
            search.tries += 1;
            let runtimes = Arc::clone(&self.runtimes);
            self.questions.push(
                async move {
                    let answer = by_id(&runtimes, &id).await;
                    (Sought::Slot(slot, id), answer)
                }
                .boxed(),
            );
        }
    }

    /// Asks the runtimes for a container that may be gone; the answer comes to [`Self::found`].
    pub(super) fn ask_for_orphan(&self, orphan: Box<Orphan>) {
        let (runtimes, id) = (Arc::clone(&self.runtimes), orphan.ended.container.clone());
        self.questions.push(async move { (Sought::Orphan(orphan), by_id(&runtimes, &id).await) }.boxed());
    }

    /// Asks the runtimes for a container that somebody named; the answer comes to [`Self::found`].
    pub(super) fn ask_for(&self, name: String, wish: Wish) {
        let runtimes = Arc::clone(&self.runtimes);
        self.questions.push(async move { (Sought::Wish(wish), runtimes.find(&name).await) }.boxed());
    }

    /// Takes what the runtimes know of a container.
    ///
    /// # Errors
    /// The kernel refuses a change.
    pub(super) fn found(&mut self, sought: Sought, answer: Answer) -> Result<()> {
        match sought {
            Sought::Slot(slot, id) => self.found_in_slot(slot, &id, answer)?,
            Sought::Orphan(orphan) => self.found_orphan(*orphan, answer),
            Sought::Wish(wish) => self.found_wish(wish, answer),
        }
        self.ask_again();
        self.ask_for_orphans();
        Ok(())
    }

    fn found_in_slot(&mut self, slot: u32, id: &str, answer: Answer) -> Result<()> {
        let one = self.active.get(&slot).filter(|one| one.recorder.subject().id() == Some(id));
        let (Some(one), Some(search)) = (one, self.searches.get_mut(&slot)) else { return Ok(()) };
        let wait = Duration::from_millis(250 << search.tries.min(7)).min(LONGEST);
        match answer {
            Ok(Some((_, container))) => {
                self.searches.remove(&slot);
                self.identified(slot, container)
            }
            Ok(None) if search.denials + 1 < TRIES => {
                search.denials += 1;
                search.at = Some(Instant::now() + wait);
                Ok(())
            }
            // An earlier daemon knew it; it may have been removed since, or its engine is not there again yet.
            Ok(None) if one.profile.is_some() => {
                self.searches.remove(&slot);
                Ok(())
            }
            Ok(None) => {
                self.searches.remove(&slot);
                self.meters.unknown += 1;
                self.drop_recording(slot)
            }
            Err(error) => {
                tracing::debug!("a container is recorded before it is known whether it is wanted: {error:#}");
                search.at = Some(Instant::now() + wait);
                Ok(())
            }
        }
    }

    /// A container is known now: it is recorded for a profile, or not at all.
    fn identified(&mut self, slot: u32, container: Container) -> Result<()> {
        let Some(one) = self.active.get(&slot) else { return Ok(()) };
        // A recording that an earlier daemon began goes on, whatever the rules say by now.
        let known = one.profile.as_ref().and_then(|key| ProfileName::try_from(key.name.clone()).ok());
        let Some(name) = known.or_else(|| self.wanted(&container)) else {
            self.meters.unwanted += 1;
            return self.drop_recording(slot);
        };
        let key = ProfileKey::new(&name, &container.image);
        let Some(one) = self.active.get_mut(&slot) else { return Ok(()) };
        if one.profile.is_none() {
            tracing::info!(
                "recording {} ({:.12}) for the profile {}",
                container.name,
                container.id,
                name.as_str()
            );
            self.meters.recorded += 1;
        }
        self.probe.set_healthcheck(slot, &container.healthcheck)?;
        one.recorder.is_about(container.image.clone());
        one.profile = Some(key);
        one.recorder.take_note_of(container);
        one.hurry();
        Ok(())
    }

    /// The profile that a container is recorded for.
    pub(super) fn wanted(&self, container: &Container) -> Option<ProfileName> {
        if self.wishes.is_stopped(&container.id) {
            return None;
        }
        let wished = self.wishes.started(&container.id).cloned();
        wished.or_else(|| profile_of(&self.config.watch, container))
    }

    /// Nobody wants this recorded.
    pub(super) fn drop_recording(&mut self, slot: u32) -> Result<()> {
        self.probe.retire(slot)?;
        self.discard(slot);
        self.used.insert(slot);
        Ok(())
    }

    fn discard(&mut self, slot: u32) {
        if let Some(one) = self.active.remove(&slot) {
            self.store.remove_recording(one.id());
            unmark(&self.marker(one.id()));
        }
        self.searches.remove(&slot);
    }
}

/// The container of this full id, also when it was removed a short while ago.
async fn by_id(runtimes: &Runtimes, id: &str) -> Answer {
    match runtimes.find(id).await {
        Ok(None) => Ok(runtimes.remember(id).await),
        answer => answer,
    }
}
