//! The clock of the kernel side.

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};

/// The time that records and births have: CLOCK_BOOTTIME in nanoseconds.
///
/// # Errors
/// The kernel does not tell it.
pub fn boottime_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).context("cannot read the clock")?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
