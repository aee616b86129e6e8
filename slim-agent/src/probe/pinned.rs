//! Programs that outlive their agent: pinned when they are loaded, and found again by the next agent.

use std::path::Path;

use anyhow::{Result, ensure};
use slim_common::limits::MAX_SLOTS;
use slim_common::scope::{LAYOUT, Meta};

use super::attach;
use super::bpffs::{self, Lock};
use super::handover::{self, Former, Predecessor};
use super::hooks::BASE;
use super::maps::Maps;
use super::set::{self, Set, stage};
use super::{Hold, Limits, Probe, Purpose, Tier, load, slots};

/// How an agent came to its pinned programs.
pub enum Adoption {
    /// There were none, or none that had been finished.
    Fresh,
    /// There were some of a version whose maps this one cannot read: they were detached, and what they knew is lost. The
    /// text says so.
    GivenUp(String),
    /// They are the ones that were there.
    Adopted,
    /// They are new, and have taken over from those that were there.
    HandedOver(Predecessor),
}

impl Probe {
    /// Programs, maps and links pinned below `dir`, a directory of a bpffs (it is made, and the bpffs mounted, where it is
    /// missing). What is there is adopted when it is this agent's own, with these limits and this tier; else new programs
    /// take over from it. Dropping the probe detaches nothing. Needs a tokio runtime with I/O.
    ///
    /// # Errors
    /// Another agent has the directory, or the kernel refuses a program or a hook ([`crate::exit::Exit::Host`]).
    pub fn pinned(dir: &Path, limits: &Limits, tier: Tier) -> Result<(Self, Adoption)> {
        bpffs::prepare(dir)?;
        let lock = bpffs::lock(dir)?;
        let fingerprint = load::fingerprint(limits, tier)?;
        let mut found = found(dir)?;
        let is_own = |former: &Found| {
            former.meta.layout == LAYOUT && former.meta.fingerprint == fingerprint && former.set.is_attached()
        };
        if let Some(own) = found.pop_if(|last| is_own(last)) {
            return adopt(own, found, lock);
        }
        if let Err(error) = found.iter().try_for_each(Found::readable) {
            let (probe, _none) = replace(dir, limits, tier, fingerprint, Vec::new(), lock)?;
            found.iter().try_for_each(|former| former.set.remove())?;
            let text = format!(
                "programs that were pinned in {} are of a version whose tables cannot be read ({error:#}): what they had \
                 recorded and not told is lost",
                dir.display()
            );
            return Ok((probe, Adoption::GivenUp(text)));
        }
        let is_first = found.is_empty();
        let (probe, former) = replace(dir, limits, tier, fingerprint, found, lock)?;
        Ok((probe, if is_first { Adoption::Fresh } else { Adoption::HandedOver(former) }))
    }

    /// Detaches and unpins everything below `dir`: whether there was anything.
    ///
    /// # Errors
    /// An agent uses it.
    pub fn detach(dir: &Path) -> Result<bool> {
        if !dir.exists() {
            return Ok(false);
        }
        let lock = bpffs::lock(dir)?;
        let sets = Set::all(dir)?;
        sets.iter().try_for_each(Set::remove)?;
        drop(lock);
        bpffs::remove(dir)?;
        Ok(!sets.is_empty())
    }
}

/// A set that was finished once.
pub(super) struct Found {
    /// Where it is pinned.
    pub set: Set,
    /// Its maps.
    pub maps: Maps,
    /// What they say of themselves.
    pub meta: Meta,
}

impl Found {
    /// Whether this version can take over from it.
    fn readable(&self) -> Result<()> {
        ensure!(self.meta.layout == LAYOUT, "layout {}, not {LAYOUT}", self.meta.layout);
        handover::readable(&self.maps)
    }
}

/// The finished sets below a directory, the oldest first. The others are removed: an agent was ended while it made them,
/// and whatever served before that serves still.
fn found(dir: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for set in Set::all(dir)? {
        let maps = set.maps();
        let unknown = Meta { layout: 0, ready: stage::READY, fingerprint: [0; 32] };
        match maps.map(|maps| (set::meta(&maps), maps)) {
            Ok((Some(meta), _)) if meta.ready == stage::UNFINISHED => set.remove()?,
            Ok((Some(meta), maps)) => found.push(Found { set, maps, meta }),
            Ok((None, maps)) if set.is_attached() => found.push(Found { set, maps, meta: unknown }),
            Ok((None, _)) => set.remove()?,
            // It records, and this agent may not look at it: that is no reason to end it.
            Err(error) if set.is_attached() => return Err(error),
            Err(_) => set.remove()?,
        }
    }
    Ok(found)
}

/// Goes on with a set that is there. Those before it are what an agent was ended in the middle of taking over from.
fn adopt(own: Found, before: Vec<Found>, lock: Lock) -> Result<(Probe, Adoption)> {
    let Found { set, mut maps, .. } = own;
    slots::mend(&mut maps)?;
    let former = take_over(&mut maps, before)?;
    let rows = set.rows()?;
    let hooks = rows.iter().map(|row| (row.hook.to_owned(), row.kind.as_str().to_owned())).collect();
    let probe = Probe::of(maps, set.programs()?, hooks, None, Hold::Pinned(lock))?;
    Ok((probe, if former.is_empty() { Adoption::Adopted } else { Adoption::HandedOver(former) }))
}

/// Makes a new set, which takes over from those before it.
fn replace(
    dir: &Path,
    limits: &Limits,
    tier: Tier,
    fingerprint: [u8; 32],
    before: Vec<Found>,
    lock: Lock,
) -> Result<(Probe, Predecessor)> {
    let kernel = load::Kernel::read()?;
    let mut bpf = load::load(&kernel, BASE, &roomy(limits, &before)?, Purpose::Record)?;
    let loaded = attach::load_all(&kernel, &mut bpf, BASE, Purpose::Record, tier)?;
    let set = Set::make(dir)?;
    let mut maps = Maps::take(&mut bpf);
    let serving = before.iter().rfind(|former| former.meta.ready == stage::READY);
    handover::copy(serving.map(|former| &former.maps), &mut maps)?;
    let (links, programs) = attach::attach_all(&mut bpf, &loaded)?;
    let hooks = super::served(&links);
    if let Err(error) = set.pin(&maps, &mut bpf, links) {
        // Else they would run to no purpose until another agent finds them.
        let _also_refused = set.remove();
        return Err(error);
    }
    set::set_meta(&mut maps, Meta { layout: LAYOUT, ready: stage::READY, fingerprint })?;
    let former = take_over(&mut maps, before)?;
    Ok((Probe::of(maps, programs, hooks, None, Hold::Pinned(lock))?, former))
}

/// The limits, with as many slots as those that are in use need.
fn roomy(limits: &Limits, before: &[Found]) -> Result<Limits> {
    let mut slots = limits.slots;
    for former in before {
        let used = slots::in_use(&former.maps)?;
        slots = used.iter().map(|birth| birth.slot + 1).chain([slots]).max().unwrap_or(slots);
    }
    Ok(Limits { slots: slots.min(MAX_SLOTS), ..*limits })
}

/// Retires the sets before a finished one. Those that still serve have it brought up to date first.
fn take_over(maps: &mut Maps, before: Vec<Found>) -> Result<Predecessor> {
    let mut former = Vec::new();
    for Found { set, maps: mut old, mut meta } in before {
        if meta.ready == stage::READY {
            handover::reconcile(&old, maps)?;
            meta.ready = stage::RETIRED;
            // Before it is detached: from then on it does not know any more what is.
            set::set_meta(&mut old, meta)?;
        }
        set.detach()?;
        former.push(Former::new(set, old, maps)?);
    }
    super::scopes::wait_for_programs();
    Ok(Predecessor::new(former))
}
