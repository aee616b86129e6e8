//! The kernel side as the rest of the agent sees it: scopes go in, records and totals come out. Only this module
//! knows aya.

mod btf;
pub mod calls;
mod hooks;
mod load;
mod offsets;
mod outsiders;
pub mod support;
mod tally;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError, RingBuf};
use aya_log::EbpfLogger;
use slim_common::limits::{NEAR_SCOPES, RING_BYTES, SYSCALL_BYTES};
use slim_common::scope::{ContainerId, NearScope, Scope, Slot, phase};
use tokio::io::unix::AsyncFd;

pub use load::ABIS;
pub use tally::{SeenCall, Tally};

/// Only a new entry is written (BPF_NOEXIST, include/uapi/linux/bpf.h).
const BPF_NOEXIST: u64 = 1;

/// The attached kernel programs. Dropping it detaches them.
pub struct Probe {
    bpf: Ebpf,
    ring: AsyncFd<RingBuf<MapData>>,
    hooks: BTreeMap<String, String>,
    logger: EbpfLogger<&'static dyn log::Log>,
}

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To record.
    Record,
    /// To measure what programs that do nothing cost.
    Measure,
}

impl Probe {
    /// Loads and attaches the programs. Needs a tokio runtime with I/O.
    ///
    /// # Errors
    /// The kernel refuses a program or a hook, or lacks BTF; the message says what is lost.
    pub fn attach(purpose: Purpose) -> Result<Self> {
        let hooks = match purpose {
            Purpose::Record => hooks::BASE,
            Purpose::Measure => hooks::EMPTY,
        };
        let mut bpf = load::load(hooks, RING_BYTES)?;
        let hooks = load::attach(&mut bpf, hooks)?;
        let ring = bpf.take_map("RECORDS").context("the object has no map RECORDS")?;
        // SAFETY: the ring owns the map's descriptor and neither closes nor exchanges it before it is dropped.
        let ring = unsafe { AsyncFd::register(RingBuf::try_from(ring)?) };
        let ring = ring.context("cannot wait for the ring buffer")?;
        let logger = EbpfLogger::init(&mut bpf).context("cannot read the kernel side's messages")?;
        Ok(Self { bpf, ring, hooks, logger })
    }

    /// Kernel hook -> the tier that serves it.
    pub fn hooks(&self) -> &BTreeMap<String, String> {
        &self.hooks
    }

    /// Traces a container from its first instruction: its cgroup comes into scope when it is made.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub fn watch(&mut self, container: &ContainerId, scope: Scope) -> Result<()> {
        let map = self.bpf.map_mut("WATCHED").context("the object has no map WATCHED")?;
        let mut watched: HashMap<_, ContainerId, Scope> = HashMap::try_from(map)?;
        watched.insert(container, scope, 0).context("cannot watch another container")
    }

    /// Traces a cgroup that exists.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub fn add_scope(&mut self, cgroup: u64, scope: Scope) -> Result<()> {
        let map = self.bpf.map_mut("SCOPES").context("the object has no map SCOPES")?;
        let mut scopes: HashMap<_, u64, Scope> = HashMap::try_from(map)?;
        scopes.insert(cgroup, scope, 0).context("cannot trace another cgroup")?;
        let map = self.bpf.map_mut("NEAR").context("the object has no map NEAR")?;
        let mut near: Array<_, NearScope> = Array::try_from(map)?;
        let index = cgroup as u32 & (NEAR_SCOPES - 1);
        near.set(index, NearScope { cgroup, scope }, 0).context("cannot mark the cgroup")
    }

    /// Ends tracing of everything: hooks stay attached, but no process is in scope any more.
    ///
    /// # Errors
    /// The kernel refuses a change of its table.
    pub fn close_scopes(&mut self) -> Result<()> {
        let map = self.bpf.map_mut("SCOPES").context("the object has no map SCOPES")?;
        let mut scopes: HashMap<_, u64, Scope> = HashMap::try_from(map)?;
        let traced: Vec<u64> = scopes.keys().filter_map(Result::ok).collect();
        for cgroup in &traced {
            let _ = scopes.remove(cgroup);
        }
        let map = self.bpf.map_mut("NEAR").context("the object has no map NEAR")?;
        let mut near: Array<_, NearScope> = Array::try_from(map)?;
        for cgroup in traced {
            let index = cgroup as u32 & (NEAR_SCOPES - 1);
            near.set(index, NearScope::default(), 0).context("cannot clear the cgroup's mark")?;
        }
        Ok(())
    }

    /// Says that a container's application runs already.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn set_started(&mut self, slot: u32) -> Result<()> {
        let map = self.bpf.map_mut("SLOTS").context("the object has no map SLOTS")?;
        let mut slots: Array<_, Slot> = Array::try_from(map)?;
        let now = slots.get(&slot, 0).context("no such slot")?;
        slots.set(slot, Slot { started: 1, ..now }, 0).context("cannot mark the slot as started")
    }

    /// Labels a process that was put into a container before the recording began: what it and its descendants do from
    /// now on is the phase `EXEC`. The kernel side forgets a process when it exits. `lives` tells afterwards whether it
    /// still will: an entry that comes after the exit would stay, for whoever gets the process id next.
    ///
    /// # Errors
    /// The kernel's table is full.
    pub fn mark_exec(&mut self, tgid: u32, lives: impl FnOnce() -> bool) -> Result<()> {
        // First, so that the count is never below the number of entries: at zero nobody looks at them.
        self.count_outsiders(1)?;
        let map = self.bpf.map_mut("TASKS").context("the object has no map TASKS")?;
        let mut tasks: HashMap<_, u32, u8> = HashMap::try_from(map)?;
        let inserted = tasks.insert(tgid, phase::EXEC, BPF_NOEXIST);
        let is_known = tasks.get(&tgid, 0).is_ok();
        match inserted {
            Ok(()) if lives() => return Ok(()),
            // One that the kernel side forgot meanwhile, it has also counted.
            Ok(()) if tasks.remove(&tgid).is_err() => return Ok(()),
            Ok(()) => {}
            // The kernel side labelled it itself.
            Err(_) if is_known => {}
            Err(error) => {
                self.count_outsiders(u64::MAX)?;
                return Err(error).context("cannot label another process");
            }
        }
        self.count_outsiders(u64::MAX)
    }

    /// The phase of a process that is in scope, as the kernel side knows it: see `slim_common::scope::phase`.
    ///
    /// # Errors
    /// The kernel's table cannot be read.
    pub fn phase_of(&self, tgid: u32) -> Result<u8> {
        let map = self.bpf.map("TASKS").context("the object has no map TASKS")?;
        let tasks: HashMap<_, u32, u8> = HashMap::try_from(map)?;
        match tasks.get(&tgid, 0) {
            Ok(phase) => Ok(phase),
            Err(MapError::KeyNotFound) => Ok(phase::APP),
            Err(error) => Err(error).context("cannot ask for the phase of a process"),
        }
    }

    fn count_outsiders(&self, amount: u64) -> Result<()> {
        outsiders::add(self.bpf.map("OUTSIDERS").context("the object has no map OUTSIDERS")?, amount)
    }

    /// The state of a slot.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn slot(&self, slot: u32) -> Result<Slot> {
        let map = self.bpf.map("SLOTS").context("the object has no map SLOTS")?;
        let slots: Array<_, Slot> = Array::try_from(map)?;
        slots.get(&slot, 0).context("no such slot")
    }

    /// Resolves once records may be waiting.
    ///
    /// # Errors
    /// The descriptor cannot be polled.
    pub async fn ready(&mut self) -> Result<()> {
        let mut guard = self.ring.readable_mut().await.context("cannot wait for the ring buffer")?;
        guard.clear_ready();
        Ok(())
    }

    /// Hands every waiting record to `take`; their number.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> usize {
        let ring = self.ring.get_mut();
        self.logger.flush();
        let mut records = 0;
        while let Some(record) = ring.next() {
            take(&record);
            records += 1;
        }
        records
    }

    /// What became of all calls so far.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn tally(&self) -> Result<Tally> {
        Tally::read(&self.bpf)
    }

    /// The system calls that a slot has used.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn syscalls(&self, slot: u32) -> Result<Vec<SeenCall>> {
        let map = self.bpf.map("CALLED").context("the object has no map CALLED")?;
        let called: Array<_, [u8; SYSCALL_BYTES]> = Array::try_from(map)?;
        let bytes = called.get(&slot, 0).context("no such slot")?;
        Ok(tally::seen_calls(&bytes))
    }
}
