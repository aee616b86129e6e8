//! Values of an array map that are changed from here while programs change them, too: writing a value whole would undo
//! what they did since it was read, but the map's memory can be mapped and changed word by word.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use anyhow::{Context, Result, bail, ensure};
use aya::maps::Map;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// An array map's memory.
pub(super) struct Mapped {
    at: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Mapped {
    /// Maps an array that was made for it (BPF_F_MMAPABLE), of `length` bytes.
    pub fn new(map: &Map, length: usize) -> Result<Self> {
        let Map::Array(data) = map else { bail!("only an array can be mapped") };
        let length = NonZeroUsize::new(length).context("an empty array cannot be mapped")?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let at = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, data.fd(), 0) };
        Ok(Self { at: at.context("cannot map an array of the kernel side")?, length })
    }

    /// The number of eight bytes at an offset.
    pub fn word(&self, offset: usize) -> Result<&AtomicU64> {
        // SAFETY: within the mapping and aligned, as `place` checks; changed by atomic operations only.
        Ok(unsafe { self.place(offset, 8)?.cast::<AtomicU64>().as_ref() })
    }

    /// The number of four bytes at an offset.
    pub fn half(&self, offset: usize) -> Result<&AtomicU32> {
        // SAFETY: as above.
        Ok(unsafe { self.place(offset, 4)?.cast::<AtomicU32>().as_ref() })
    }

    fn place(&self, offset: usize, size: usize) -> Result<NonNull<c_void>> {
        ensure!(offset.is_multiple_of(size) && offset + size <= self.length.get(), "no number at {offset}");
        // SAFETY: the offset is within the mapping.
        Ok(unsafe { self.at.byte_add(offset) })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, to which no reference is left.
        let _unmapped = unsafe { munmap(self.at, self.length.get()) };
    }
}
