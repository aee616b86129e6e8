//! What an earlier daemon left: kernel programs that went on recording, checkpoints and journals.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{Engine, losses_of};
use crate::daemon::MARKER;
use crate::daemon::active::{self, Active, Ended};
use crate::decode::decode;
use crate::manifest::Manifest;
use crate::probe::{Adoption, Birth, Predecessor};

/// What a recording says of itself that may have been begun anew.
const LOST: &str = "an earlier part of this recording, or of another one, could not be read any more";

impl Engine {
    /// Goes on with what is there.
    ///
    /// # Errors
    /// The kernel's tables or the state directory cannot be read.
    pub(super) fn adopt(&mut self, adoption: Adoption) -> Result<()> {
        let births = self.probe.births()?;
        let forgotten = self.forgotten();
        let lost = self.resume_recordings(&births)? || !forgotten.is_empty();
        let known: BTreeSet<u32> = self.active.keys().copied().collect();
        match adoption {
            Adoption::Fresh => tracing::info!("recording from now on"),
            Adoption::GivenUp(text) => tracing::error!("{text}"),
            Adoption::Adopted => {
                self.meters.adoptions += 1;
                tracing::info!("the kernel programs of an earlier daemon are adopted");
            }
            Adoption::HandedOver(former) => {
                self.meters.adoptions += 1;
                tracing::info!("new kernel programs have taken over from those of an earlier daemon");
                self.take_over(former)?;
            }
        }
        // What was begun while no daemon lived, and then what all of them did meanwhile.
        self.find_newborn()?;
        if lost {
            // One of these may be what was lost.
            let newborn = self.active.iter_mut().filter(|(slot, _)| !known.contains(slot));
            newborn.for_each(|(_, one)| one.lacks(LOST));
        }
        forgotten.iter().for_each(|id| active::unmark(&self.marker(id)));
        self.take()?;
        let exec = if self.config.exec { 0 } else { slim_common::scope::flags::IGNORE_EXEC };
        self.probe.set_auto(true, exec)
    }

    /// Goes on with recordings; whether one of them cannot be read any more.
    fn resume_recordings(&mut self, births: &[Birth]) -> Result<bool> {
        let by_slot: BTreeMap<u32, &Birth> = births.iter().map(|birth| (birth.slot, birth)).collect();
        let mut homeless = u32::MAX;
        let mut lost = false;
        // A slot that was given to another container since began later.
        let birth = |slot: u32, began_ns: u64| {
            let birth = by_slot.get(&slot).filter(|birth| birth.born_ns <= began_ns)?;
            Some((*birth).clone())
        };
        for id in self.store.recordings()? {
            if let Some(ended) = self.store.ended(&id).unwrap_or_default() {
                let slot = active::slot_of(&self.store.recording(&id), birth);
                self.resume_ended(id, slot, ended);
                continue;
            }
            if active::is_empty(&self.store.recording(&id)) {
                self.store.remove_recording(&id);
                continue;
            }
            match Active::resume(self.store.recording(&id), self.marker(&id), &self.limits, birth) {
                Ok(one) => self.resume_one(one, &mut homeless),
                Err(error) => {
                    tracing::error!("the recording {id} is lost: {error:#}");
                    self.store.remove_recording(&id);
                    lost = true;
                }
            }
        }
        Ok(lost)
    }

    /// Recordings that were in memory, and of which the disk has nothing.
    fn forgotten(&self) -> Vec<String> {
        let dir = self.config.socket.parent().unwrap_or(Path::new("/"));
        let markers = fs::read_dir(dir).into_iter().flatten().flatten();
        let id = |marker: fs::DirEntry| Some(marker.file_name().to_str()?.strip_prefix(MARKER)?.to_owned());
        let gone = |id: &String| active::is_empty(&self.store.recording(id));
        markers
            .filter_map(id)
            .filter(gone)
            .inspect(|id| tracing::error!("the recording {id} is lost: the disk took nothing of it in time"))
            .collect()
    }

    fn resume_one(&mut self, mut one: Active, homeless: &mut u32) {
        let container = one.recorder.subject().id().unwrap_or_default().to_owned();
        match one.birth.clone() {
            Some(birth) => {
                one.recorder.look_without_runtime(&container);
                let slot = birth.slot;
                self.active.insert(slot, one);
                self.is_of(birth);
            }
            // It has no slot any more, and ends with the next tick.
            None => {
                self.active.insert(*homeless, one);
                *homeless -= 1;
            }
        }
    }

    /// A recording that had ended, and was not in its profile yet. It is stored again, which does no harm, and its slot,
    /// if it has one still, is free then.
    fn resume_ended(&mut self, id: String, slot: Option<u32>, manifest: Manifest) {
        let container = manifest.recordings.get(&id).and_then(|one| one.container_id.clone());
        let container = container.unwrap_or_default();
        // A daemon may have been killed when it had noted the profile, and not yet the manifest that names the image.
        let profile = self.store.profile_of(&id).filter(|_| manifest.image.is_some());
        self.unsaved.push(Ended { id, container, slot, profile, manifest });
    }

    /// Takes what programs that are detached had not told.
    fn take_over(&mut self, mut former: Predecessor) -> Result<()> {
        self.find_newborn()?;
        let active = &mut self.active;
        former.drain(|slot, bytes| {
            let (Ok(mut record), Some(one)) = (decode(bytes), active.get_mut(&slot)) else { return };
            record.header.slot = slot;
            one.recorder.facts.resolver.begin();
            one.take(&record);
            one.recorder.facts.resolver.end();
        })?;
        for (&slot, one) in active.iter_mut() {
            let facts = &mut one.recorder.facts;
            facts.take_calls(former.syscalls(slot)?)?;
            facts.take_capabilities(former.capabilities(slot)?)?;
            let lost = former.lost_of(slot)?;
            if lost > 0 {
                facts.shortcomings.insert(format!(
                    "{lost} accesses were not delivered before other kernel programs took over"
                ));
            }
            one.begin_accounting_anew();
        }
        // Only what is on the disk is safe when the former programs are gone.
        let losses = losses_of(&self.probe)?;
        let mut safe = true;
        for one in active.values_mut() {
            if let Err(error) = one.save_at_once(&self.probe, &losses) {
                tracing::error!("what the former kernel programs told is held in memory: {error:#}");
                safe = false;
            }
        }
        // The next daemon finds them again, and asks them again for all that they keep.
        if safe { former.discard() } else { Ok(()) }
    }
}
