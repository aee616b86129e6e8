//! The kernel side's count of processes that are not the application, changed from here while programs change it, too.
//! Writing the map's value would undo what they added since it was read; the map's memory can be added to.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use aya::maps::Map;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// The one value of the map.
const LENGTH: NonZeroUsize = NonZeroUsize::new(size_of::<AtomicU64>()).unwrap();

/// Adds to the count, which wraps: `u64::MAX` takes one away.
pub(super) fn add(counter: &Map, amount: u64) -> Result<()> {
    let Map::Array(data) = counter else { bail!("the map OUTSIDERS is not an array") };
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let at = unsafe { mmap(None, LENGTH, protection, MapFlags::MAP_SHARED, data.fd(), 0) };
    let at = at.context("cannot map the count of processes that are not the application")?;
    // SAFETY: the mapping begins with the value, lives until munmap below, and is changed by atomic additions only.
    unsafe { at.cast::<AtomicU64>().as_ref() }.fetch_add(amount, Ordering::Relaxed);
    // SAFETY: the mapping from above, to which no reference is left.
    unsafe { munmap(at, LENGTH.get()) }.context("cannot unmap the count")
}
