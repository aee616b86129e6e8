//! All that is known of profiles: what is on the disk, and what only the engine has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;

use super::answers::{unavailable, unix_now};
use super::{Engine, losses_of};
use crate::daemon::control::Refusal;
use crate::daemon::store::{ProfileKey, Store};
use crate::daemon::summary::Summary;
use crate::manifest::Manifest;

/// For how long a summary serves of whose profile nothing new is known: how long it was observed is part of it.
const SERVES: Duration = Duration::from_secs(300);

/// What is known.
pub struct Known {
    store: Store,
    /// Profiles on the disk, and those that are about to be.
    profiles: BTreeMap<ProfileKey, Basis>,
    /// What runs, or could not be stored, of the profiles that were asked for.
    live: Vec<(ProfileKey, Manifest)>,
}

/// Where the knowledge of one profile is. As long as this is the same, so is the knowledge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Basis {
    /// Time of change, and bytes, of what is stored.
    stored: Option<(SystemTime, u64)>,
    /// Recordings on the disk that are not in the profile yet.
    waiting: BTreeSet<String>,
    /// Recordings that run, or could not be stored, and how much each knows.
    live: BTreeMap<String, u64>,
}

impl Known {
    /// The profiles.
    pub fn keys(&self) -> impl Iterator<Item = &ProfileKey> {
        self.profiles.keys()
    }

    /// Whether a profile has recordings that run, or could not be stored.
    pub fn is_recorded(&self, key: &ProfileKey) -> bool {
        self.profiles.get(key).is_some_and(|basis| !basis.live.is_empty())
    }

    /// The union of all that is known of one profile.
    pub fn union_of(&self, key: &ProfileKey) -> Result<Manifest> {
        // What is not found here any more was added to the union, which is read next.
        let mut parts = Vec::new();
        for id in self.profiles.get(key).into_iter().flat_map(|basis| &basis.waiting) {
            // One that cannot be read, or does not fit, will be put aside.
            parts.extend(self.store.ended(id).unwrap_or_default());
        }
        let stored = self.store.union_of(key)?.into_iter();
        let live = self.live.iter().filter(|(of, _)| of == key).map(|(_, manifest)| manifest.clone());
        let mut parts = stored.chain(live).chain(parts);
        let mut union = parts.next().unwrap_or_else(|| Manifest::new(None));
        for part in parts {
            if let Err(error) = union.merge(part) {
                tracing::warn!("a recording was left out of the profile {}: {error}", key.name);
            }
        }
        Ok(union)
    }

    /// One profile in figures.
    pub fn summary(&self, key: &ProfileKey) -> Result<Summary, Refusal> {
        let union = self.union_of(key).map_err(|error| unavailable(&error))?;
        let stored = self.profiles.get(key).and_then(|basis| basis.stored);
        Ok(Summary::of(key.clone(), &union, stored.map_or(0, |(_, bytes)| bytes), unix_now()))
    }

    /// The profile that `name` means: `NAME`, its newest image then, or `NAME@IMAGE`.
    pub fn find(&self, name: &str) -> Result<ProfileKey, Refusal> {
        let (name, image) = name.split_once('@').map_or((name, ""), |(name, image)| (name, image));
        let image = image.trim_start_matches("sha256:");
        let named = self.profiles.iter().filter(|(key, _)| key.name == name && key.image.starts_with(image));
        let newest = named.max_by_key(|(_, basis)| {
            (!basis.live.is_empty() || !basis.waiting.is_empty(), basis.stored.map(|(changed, _)| changed))
        });
        let nothing = || {
            Refusal::not_found(format!(
                "there is no profile {name:?} here: `slim-agent list` shows what there is"
            ))
        };
        newest.map(|(key, _)| key.clone()).ok_or_else(nothing)
    }
}

impl Engine {
    /// What is known now; of what is not stored, the manifests are there for those profiles that are wanted.
    pub(super) fn known(&mut self, wanted: impl Fn(&ProfileKey) -> bool) -> Result<Known, Refusal> {
        let known = self.take().and_then(|()| self.inventory());
        known.and_then(|known| self.with_live(known, wanted)).map_err(|error| unavailable(&error))
    }

    /// All that is known of the profile that `name` means.
    pub(super) fn known_of(&mut self, name: &str) -> Result<(ProfileKey, Known), Refusal> {
        let key = self.known(|_| false)?.find(name)?;
        for one in self.active.values_mut().filter(|one| one.profile.as_ref() == Some(&key)) {
            one.recorder.take_blocked(&self.probe).map_err(|error| unavailable(&error))?;
        }
        let known = self.known(|other| *other == key)?;
        Ok((key, known))
    }

    /// What is known of profiles whose summary does not serve any more.
    pub(super) fn known_anew(&mut self) -> Result<Known, Refusal> {
        let known = self.known(|_| false)?;
        let stale = self.summaries.stale(&known);
        self.with_live(known, |key| stale.contains(key)).map_err(|error| unavailable(&error))
    }

    fn inventory(&self) -> Result<Known> {
        let stored = self.store.profiles()?.into_iter();
        let of = |stored: crate::daemon::store::Stored| {
            let known = Some((stored.changed, stored.bytes));
            (stored.key, Basis { stored: known, ..Basis::default() })
        };
        let mut profiles: BTreeMap<ProfileKey, Basis> = stored.map(of).collect();
        let mut of = |key: &ProfileKey, add: &dyn Fn(&mut Basis)| {
            add(profiles.entry(key.clone()).or_default());
        };
        let uniting = self.uniting.as_ref().map(|uniting| uniting.ids());
        for (key, ids) in self.waiting.iter().chain(uniting) {
            of(key, &|basis| basis.waiting.extend(ids.iter().cloned()));
        }
        for one in self.active.values() {
            let live = (one.id().to_owned(), one.recorder.facts.fold.news());
            one.profile.iter().for_each(|key| of(key, &|basis| basis.live.extend([live.clone()])));
        }
        for ended in &self.unsaved {
            let live = (ended.id.clone(), u64::MAX);
            ended.profile.iter().for_each(|key| of(key, &|basis| basis.live.extend([live.clone()])));
        }
        Ok(Known { store: self.store.clone(), profiles, live: Vec::new() })
    }

    fn with_live(&mut self, mut known: Known, wanted: impl Fn(&ProfileKey) -> bool) -> Result<Known> {
        let losses = losses_of(&self.probe)?;
        for one in self.active.values_mut() {
            if let Some(key) = one.profile.clone().filter(&wanted) {
                known.live.push((key, one.so_far(&self.probe, &losses)?.clone()));
            }
        }
        for ended in &self.unsaved {
            let key = ended.profile.clone().filter(&wanted);
            known.live.extend(key.map(|key| (key, ended.manifest.clone())));
        }
        Ok(known)
    }
}

/// Summaries, and what each was made of.
#[derive(Clone, Default)]
pub struct Summaries(Arc<Mutex<BTreeMap<ProfileKey, Kept>>>);

struct Kept {
    basis: Basis,
    since: Instant,
    summary: Arc<Summary>,
}

impl Kept {
    fn serves(&self, basis: &Basis) -> bool {
        self.basis == *basis && self.since.elapsed() < SERVES
    }
}

impl Summaries {
    /// Profiles that have none, or one that does not serve any more.
    fn stale(&self, known: &Known) -> BTreeSet<ProfileKey> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|key, _| known.profiles.contains_key(key));
        let serves = |key, basis| kept.get(key).is_some_and(|kept| kept.serves(basis));
        known.profiles.iter().filter(|(key, basis)| !serves(key, basis)).map(|(key, _)| key.clone()).collect()
    }

    /// That of a profile: the one there is, or a new one of what is known.
    pub fn of(&self, known: &Known, key: &ProfileKey) -> Result<Arc<Summary>, Refusal> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let basis = known.profiles.get(key).cloned().unwrap_or_default();
        let has_live = known.live.iter().any(|(of, _)| of == key);
        if let Some(summary) = kept().get(key).filter(|kept| !has_live && kept.basis == basis) {
            return Ok(Arc::clone(&summary.summary));
        }
        let summary = Arc::new(known.summary(key)?);
        kept().insert(key.clone(), Kept { basis, since: Instant::now(), summary: Arc::clone(&summary) });
        Ok(summary)
    }
}
