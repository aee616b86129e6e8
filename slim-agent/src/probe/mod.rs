//! The kernel side as the rest of the agent sees it: scopes go in, records and totals come out. Only this module
//! knows aya.
//!
//! A probe is either one recording's own, attached as long as it lives, or pinned and shared by all recordings of a
//! service, which give each a slot.

mod attach;
mod backlog;
mod batch;
mod bpffs;
mod btf;
pub mod calls;
mod cast;
mod clock;
mod forget;
mod handover;
mod hooks;
pub mod inventory;
mod limits;
mod load;
mod mapped;
mod maps;
mod offsets;
mod pinned;
mod raw;
mod scopes;
mod set;
mod slots;
mod stats;
pub mod support;
mod tally;
mod tasks;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use serde::Deserialize;
use slim_common::limits::{CAPABILITY_BYTES, SYSCALL_BYTES};
use tokio::io::unix::AsyncFd;

use attach::Attached;
use maps::Maps;
use stats::Programs;

pub use clock::boottime_ns;
pub use handover::Predecessor;
pub use limits::{Change, Limits};
pub use load::ABIS;
pub use pinned::Adoption;
pub use slots::Birth;
pub use stats::{Counting, ProgramStats};
pub use tally::{NOT_DELIVERED, SeenCall, SeenCapability, TRUNCATED, Tally, sentences};

/// Only a new entry is written (BPF_NOEXIST, include/uapi/linux/bpf.h).
const BPF_NOEXIST: u64 = 1;

/// The attached kernel programs. Dropping it detaches them, unless they are pinned.
pub struct Probe {
    maps: Maps,
    programs: Programs,
    ring: AsyncFd<RingBuf<MapData>>,
    hooks: BTreeMap<String, String>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Records deferred so far, of which the backlog was asked.
    deferred: u64,
    #[expect(dead_code, reason = "what counts is when it is dropped")]
    hold: Hold,
}

/// What a probe has as long as it lives.
#[expect(dead_code, reason = "what counts is when it is dropped")]
enum Hold {
    /// The only links of its programs.
    Links(Vec<Attached>),
    /// The right to the pinned programs.
    Pinned(bpffs::Lock),
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
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
        let base = match purpose {
            Purpose::Record | Purpose::Watch => hooks::BASE,
            Purpose::Measure => hooks::EMPTY,
        };
        let kernel = load::Kernel::read()?;
        let mut bpf = load::load(&kernel, base, limits, purpose)?;
        let loaded = attach::load_all(&kernel, &mut bpf, base, purpose, tier)?;
        let (links, programs) = attach::attach_all(&mut bpf, &loaded)?;
        let logger = EbpfLogger::init(&mut bpf).context("cannot read the kernel side's messages")?;
        let maps = Maps::take(&mut bpf);
        let hooks = served(&links);
        Self::of(maps, programs, hooks, Some(logger), Hold::Links(links))
    }

    fn of(
        mut maps: Maps,
        programs: Programs,
        hooks: BTreeMap<String, String>,
        logger: Option<EbpfLogger<&'static dyn log::Log>>,
        hold: Hold,
    ) -> Result<Self> {
        let ring = RingBuf::try_from(maps.remove("RECORDS")?)?;
        // SAFETY: the ring owns the map's descriptor and neither closes nor exchanges it before it is dropped.
        let ring = unsafe { AsyncFd::register(ring) }.context("cannot wait for the ring buffer")?;
        Ok(Self { maps, programs, ring, hooks, logger, deferred: 0, hold })
    }

    /// Whether the second tier serves beside the base.
    pub fn has_second_tier(&self) -> bool {
        hooks::SECOND.iter().all(|hook| self.hooks.contains_key(hook.function))
    }

    /// Kernel hook -> the tier that serves it.
    pub fn hooks(&self) -> &BTreeMap<String, String> {
        &self.hooks
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

    /// Hands every waiting record to `take`. A record is gone once `take` has returned: an agent that is killed before
    /// gets it again.
    ///
    /// # Errors
    /// The backlog cannot be read.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let ring = self.ring.get_mut();
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        while let Some(record) = ring.next() {
            take(&record);
        }
        // Whether there were any since the last time.
        let deferred = tally::deferred(&self.maps)?;
        if deferred != self.deferred {
            backlog::drain(&mut self.maps, take)?;
            self.deferred = deferred;
        }
        Ok(())
    }

    /// What became of all calls so far.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn tally(&self) -> Result<Tally> {
        Tally::read(&self.maps, self.programs.missed())
    }

    /// The system calls that a slot has used.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn syscalls(&self, slot: u32) -> Result<Vec<SeenCall>> {
        Ok(tally::seen_calls(&self.maps.value::<[u8; SYSCALL_BYTES]>("CALLED", slot)?))
    }

    /// The capabilities that processes of a slot were asked for.
    ///
    /// # Errors
    /// The slot does not exist.
    pub fn capabilities(&self, slot: u32) -> Result<Vec<SeenCapability>> {
        Ok(tally::seen_capabilities(&self.maps.value::<[u8; CAPABILITY_BYTES]>("ASKED", slot)?))
    }
}

/// Kernel hook -> tier of what is attached.
fn served(links: &[Attached]) -> BTreeMap<String, String> {
    let tier = |link: &Attached| (link.row.hook.to_owned(), link.row.kind.as_str().to_owned());
    links.iter().map(tier).collect()
}
