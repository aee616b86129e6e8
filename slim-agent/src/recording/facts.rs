//! From records to the growing manifest of one recording.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;

use super::Recorder;
use crate::capability;
use crate::container::cgroup;
use crate::decode::{Record, decode, phase_of};
use crate::manifest::Observed;
use crate::manifest::fold::{Actor, Fold};
use crate::probe::{ABIS, Probe, SeenCall, SeenCapability, boottime_ns};
use crate::resolve::{Fact, Object, Resolver, snapshot};
use crate::syscall_table::{self, Abi};

/// What is read out of the records: what a recording is about.
pub trait Reading {
    /// What that is.
    fn observed(&self) -> Observed;

    /// The facts that one record tells.
    fn facts(&mut self, resolver: &mut Resolver, record: &Record<'_>) -> Vec<Fact>;

    /// Which of the system calls made so far belong into the manifest.
    fn calls(&mut self, made: Vec<SeenCall>) -> Vec<SeenCall>;

    /// Why it is not complete, a sentence each.
    fn shortcomings(&self) -> BTreeSet<String>;
}

/// What a container uses: all that the records tell.
pub struct Used;

impl Reading for Used {
    fn observed(&self) -> Observed {
        Observed::Use
    }

    fn facts(&mut self, resolver: &mut Resolver, record: &Record<'_>) -> Vec<Fact> {
        resolver.resolve(record)
    }

    fn calls(&mut self, made: Vec<SeenCall>) -> Vec<SeenCall> {
        made
    }

    fn shortcomings(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
}

/// What the records have told so far.
pub struct Facts {
    /// What is read out of them.
    pub reading: Box<dyn Reading>,
    /// Turns records into facts.
    pub resolver: Resolver,
    /// Gathers the facts.
    pub fold: Fold,
    /// Records that could not be read.
    pub undecodable: u64,
    /// When something new was seen last.
    pub last_new: Instant,
    /// Why the recording is not complete, as far as the user side knows: a sentence each.
    pub shortcomings: BTreeSet<String>,
}

impl Facts {
    /// Nothing told yet.
    pub fn new(reading: Box<dyn Reading>, resolver: Resolver, fold: Fold) -> Self {
        let last_new = Instant::now();
        Self { reading, resolver, fold, undecodable: 0, last_new, shortcomings: BTreeSet::new() }
    }

    /// Takes one record of the ring buffer.
    pub fn take(&mut self, bytes: &[u8]) {
        match decode(bytes) {
            Ok(record) => self.read(&record).into_iter().for_each(|fact| self.take_fact(fact)),
            Err(error) => {
                tracing::warn!("{error}");
                self.undecodable += 1;
            }
        }
    }

    /// What one record tells.
    pub fn read(&mut self, record: &Record<'_>) -> Vec<Fact> {
        self.reading.facts(&mut self.resolver, record)
    }

    /// Takes what is known to have happened.
    pub fn take_fact(&mut self, fact: Fact) {
        let actor = Actor { by: fact.by.as_ref(), phase: fact.phase, time_ns: fact.time_ns };
        let new = match fact.object {
            Object::Path { path, origin, usage } => self.fold.file(path, origin, usage, actor),
            Object::Socket { address, usage, protocol } => {
                self.fold.socket(address, &usage, protocol.as_deref(), actor)
            }
            Object::Capability(name) => {
                self.fold.capability_by(name, actor);
                false
            }
        };
        if new {
            self.last_new = Instant::now();
        }
    }

    /// Takes what a process held when the recording began; whether it was not known at all before. What is held was
    /// not missing.
    pub fn take_held(&mut self, fact: Fact) -> bool {
        if self.reading.observed() == Observed::Missing {
            return false;
        }
        let known = match &fact.object {
            Object::Path { path, .. } => self.fold.has_file(path),
            Object::Socket { address, .. } => self.fold.has_socket(address),
            Object::Capability(_) => true,
        };
        self.take_fact(fact);
        !known
    }

    /// Takes the system calls that the kernel side noted.
    ///
    /// # Errors
    /// One is of a phase that there is not, or the clock cannot be read.
    pub fn take_calls(&mut self, made: Vec<SeenCall>) -> Result<()> {
        let now = boottime_ns()?;
        for call in self.reading.calls(made) {
            let Some(abi) = ABIS.get(call.abi) else { continue };
            self.fold.syscall(
                abi.as_str(),
                call_name(*abi, call.nr),
                phase_of(call.phase)?,
                call.refused,
                now,
            );
        }
        Ok(())
    }

    /// Takes the capabilities that the kernel side noted.
    ///
    /// # Errors
    /// One is of a phase that there is not.
    pub fn take_capabilities(&mut self, asked: Vec<SeenCapability>) -> Result<()> {
        for SeenCapability { phase, number, refused } in asked {
            self.fold.capability(capability::name(number), phase_of(phase)?, refused);
        }
        Ok(())
    }
}

impl Recorder {
    /// Takes the calls that processes of the cgroup are blocked in: they have no end that a hook could see. They were
    /// not refused.
    ///
    /// # Errors
    /// The kernel side does not tell a process's phase.
    pub fn take_blocked(&mut self, probe: &Probe) -> Result<()> {
        if self.facts.reading.observed() == Observed::Missing {
            return Ok(());
        }
        let now = boottime_ns()?;
        for pid in self.cgroup.as_deref().map(cgroup::processes).unwrap_or_default() {
            let phase = phase_of(probe.phase_of(pid)?)?;
            let (numbers, is_32_bit) = snapshot::blocked_in(pid);
            let abi = ABIS[usize::from(is_32_bit)];
            for nr in numbers {
                self.facts.fold.syscall(abi.as_str(), call_name(abi, nr), phase, false, now);
            }
        }
        Ok(())
    }
}

/// Name of a system call, or its number where the table has none.
pub fn call_name(abi: Abi, nr: u32) -> String {
    syscall_table::name(abi, nr).map_or_else(|| format!("syscall_{nr}"), str::to_owned)
}
