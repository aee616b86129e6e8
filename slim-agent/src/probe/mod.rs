//! The kernel side as the rest of the agent sees it: scopes go in, records and totals come out. Only this module
//! knows aya.

mod btf;
pub mod calls;
mod cast;
mod hooks;
pub mod inventory;
mod limits;
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
use slim_common::limits::{BACKLOG_BYTES, CAPABILITY_BYTES, COMMAND_BYTES, NEAR_SCOPES, SYSCALL_BYTES};
use slim_common::record::Key;
use slim_common::scope::{Command, ContainerId, NearScope, STAYS, Scope, Slot, phase};
use tokio::io::unix::AsyncFd;

use crate::exit::{Exit, tag};

pub use limits::{Change, Limits};
pub use load::ABIS;
pub use tally::{SeenCall, SeenCapability, Tally};

/// Only a new entry is written (BPF_NOEXIST, include/uapi/linux/bpf.h).
const BPF_NOEXIST: u64 = 1;

/// The attached kernel programs. Dropping it detaches them.
pub struct Probe {
    bpf: Ebpf,
    ring: AsyncFd<RingBuf<MapData>>,
    hooks: BTreeMap<String, String>,
    logger: EbpfLogger<&'static dyn log::Log>,
    /// Records deferred so far, of which the backlog was asked.
    deferred: u64,
}

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To record.
    Record,
    /// To watch for lookups that find nothing, directories that are listed, and calls that are refused.
    Watch,
    /// To measure what programs that do nothing cost.
    Measure,
}

/// Which programs serve a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Tier {
    /// The second tier where the kernel has it, else the base tier alone
    #[default]
    Auto,
    /// Raw tracepoints only
    Base,
    /// Functions of the kernel beside them: sees io_uring, too; an error where the kernel has no fentry
    Fentry,
}

impl Probe {
    /// Loads and attaches the programs. Needs a tokio runtime with I/O.
    ///
    /// # Errors
    /// The kernel refuses a program or a hook, or lacks BTF; the message says what is lost.
    pub fn attach(purpose: Purpose, limits: &Limits, tier: Tier) -> Result<Self> {
        let hooks = match purpose {
            Purpose::Record | Purpose::Watch => hooks::BASE,
            Purpose::Measure => hooks::EMPTY,
        };
        let kernel = load::Kernel::read()?;
        let mut bpf = load::load(&kernel, hooks, limits, purpose)?;
        let mut hooks = load::attach(&kernel, &mut bpf, hooks)?;
        if purpose == Purpose::Record && tier != Tier::Base {
            match load::attach_second(&kernel, &mut bpf) {
                Ok(second) => hooks.extend(second),
                Err(error) if tier == Tier::Fentry => return Err(tag(Exit::Host, format!("{error:#}"))),
                Err(error) => tracing::debug!("the base tier serves alone: {error:#}"),
            }
        }
        if purpose == Purpose::Record {
            match load::attach_capabilities(&kernel, &mut bpf, tier == Tier::Base) {
                Ok(served) => hooks.extend(served),
                Err(error) => tracing::debug!("capabilities are not recorded: {error:#}"),
            }
        }
        let ring = bpf.take_map("RECORDS").context("the object has no map RECORDS")?;
        // SAFETY: the ring owns the map's descriptor and neither closes nor exchanges it before it is dropped.
        let ring = unsafe { AsyncFd::register(RingBuf::try_from(ring)?) };
        let ring = ring.context("cannot wait for the ring buffer")?;
        let logger = EbpfLogger::init(&mut bpf).context("cannot read the kernel side's messages")?;
        Ok(Self { bpf, ring, hooks, logger, deferred: 0 })
    }

    /// Whether the second tier serves beside the base.
    pub fn has_second_tier(&self) -> bool {
        hooks::SECOND.iter().all(|hook| self.hooks.contains_key(hook.function))
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
        // Again should the kernel side have counted at that very moment.
        while near.get(&index, 0).context("cannot look at the cgroup's mark")?.members < STAYS {
            let mark = NearScope { cgroup, scope, members: STAYS, pad: 0 };
            near.set(index, mark, 0).context("cannot mark the cgroup")?;
        }
        Ok(())
    }

    /// Says what the health check of a slot's container executes.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn set_healthcheck(&mut self, slot: u32, words: &[String]) -> Result<()> {
        let map = self.bpf.map_mut("HEALTHCHECKS").context("the object has no map HEALTHCHECKS")?;
        let mut commands: Array<_, Command> = Array::try_from(map)?;
        commands.set(slot, command(words), 0).context("cannot note the health check")
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

    /// Hands every waiting record to `take`.
    ///
    /// # Errors
    /// The backlog cannot be read.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let ring = self.ring.get_mut();
        self.logger.flush();
        while let Some(record) = ring.next() {
            take(&record);
        }
        self.drain_backlog(take)
    }

    /// Takes the records that found the ring full, if there were any since the last time.
    fn drain_backlog(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let deferred = tally::deferred(&self.bpf)?;
        if deferred == self.deferred {
            return Ok(());
        }
        let map = self.bpf.map_mut("BACKLOG").context("the object has no map BACKLOG")?;
        let mut backlog: HashMap<_, Key, [u8; BACKLOG_BYTES]> = HashMap::try_from(map)?;
        // A key that is removed while they are listed would begin the list anew.
        let keys: Vec<Key> = backlog.keys().filter_map(Result::ok).collect();
        for key in keys {
            if let Ok(record) = backlog.get(&key, 0) {
                take(&record);
                backlog.remove(&key).context("cannot clear the backlog")?;
            }
        }
        self.deferred = deferred;
        Ok(())
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

    /// The capabilities that processes of a slot were asked for.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn capabilities(&self, slot: u32) -> Result<Vec<SeenCapability>> {
        let map = self.bpf.map("ASKED").context("the object has no map ASKED")?;
        let asked: Array<_, [u8; CAPABILITY_BYTES]> = Array::try_from(map)?;
        let bytes = asked.get(&slot, 0).context("no such slot")?;
        Ok(tally::seen_capabilities(&bytes))
    }
}

/// A command as /proc/PID/cmdline would show it: each word with a NUL behind it.
fn command(words: &[String]) -> Command {
    let line: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
    let mut bytes = [0; COMMAND_BYTES];
    let shown = line.len().min(COMMAND_BYTES);
    bytes[..shown].copy_from_slice(&line[..shown]);
    Command { length: line.len() as u64, bytes }
}
