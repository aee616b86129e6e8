//! What the programs cost, as the kernel counts it: fields of the descriptors' fdinfo.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use aya::sys::{Stats, enable_stats};

use super::Probe;

/// How often a program ran and how long, since it was loaded, while the kernel counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramStats {
    /// Name of the program.
    pub name: String,
    /// Times that it ran.
    pub run_count: u64,
    /// Nanoseconds that it ran.
    pub run_time_ns: u64,
}

/// The loaded programs.
pub(super) struct Programs(pub Vec<(String, OwnedFd)>);

impl Programs {
    /// Runs that the kernel left out because the program ran on that CPU already (5.12; older kernels do not tell).
    pub fn missed(&self) -> u64 {
        self.0.iter().filter_map(|(_, fd)| field(fd.as_fd(), "recursion_misses")).sum()
    }
}

/// A number of a descriptor's fdinfo: proc_pid_fdinfo(5).
pub(super) fn field(fd: BorrowedFd<'_>, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.trim().parse().ok()
}

/// Has the kernel count how long programs run, as long as it is held. The counting costs every program of the host
/// some ten nanoseconds a run.
#[derive(Debug)]
pub struct Counting(#[expect(dead_code, reason = "what counts is that it is open")] OwnedFd);

impl Counting {
    /// Begins to count.
    ///
    /// # Errors
    /// The kernel does not allow it: it takes CAP_SYS_ADMIN, where all else does with CAP_BPF and CAP_PERFMON.
    pub fn begin() -> Result<Self> {
        Ok(Self(enable_stats(Stats::RunTime).context("cannot have the kernel count the programs' time")?))
    }
}

impl Probe {
    /// What each program cost since it was loaded; all zero unless [`Counting`] is held by somebody.
    ///
    /// # Errors
    /// /proc does not tell.
    pub fn program_stats(&self) -> Result<Vec<ProgramStats>> {
        let stats = |(name, fd): &(String, OwnedFd)| {
            let number = |field_name| {
                field(fd.as_fd(), field_name)
                    .with_context(|| format!("the kernel does not tell the {field_name} of {name}"))
            };
            let (run_count, run_time_ns) = (number("run_cnt")?, number("run_time_ns")?);
            Ok(ProgramStats { name: name.clone(), run_count, run_time_ns })
        };
        self.programs.0.iter().map(stats).collect()
    }

    /// Bytes of kernel memory that each map takes.
    pub fn memory(&self) -> BTreeMap<String, u64> {
        // SAFETY: the descriptor of the ring, which lives as long as the probe.
        let ring = unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) };
        let ring = field(ring, "memlock").map(|bytes| ("RECORDS", bytes));
        self.maps.memory().chain(ring).map(|(name, bytes)| (name.to_owned(), bytes)).collect()
    }
}
