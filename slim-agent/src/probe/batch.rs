//! Many keys of a table of accesses with one system call (BPF_MAP_LOOKUP_BATCH and BPF_MAP_DELETE_BATCH, Linux 5.6). One
//! by one, a table of a hundred thousand takes a third of a second.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use aya::maps::MapData;
use nix::libc;
use slim_common::record::Key;

use super::raw;

/// BPF_MAP_LOOKUP_BATCH (include/uapi/linux/bpf.h).
const LOOKUP: libc::c_int = 24;
/// BPF_MAP_DELETE_BATCH.
const DELETE: libc::c_int = 27;
/// Keys of one call. The keys of one bucket of the table must fit.
const COUNT: usize = 4_096;

/// What the calls take: the member `batch` of `union bpf_attr`.
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// One call: whether it came to the end, or to a key that is not there.
///
/// # Safety
/// As [`raw::bpf`].
unsafe fn call(command: libc::c_int, attributes: &mut Attributes) -> io::Result<bool> {
    // SAFETY: the caller vouches for the attributes.
    match unsafe { raw::bpf(command, attributes) } {
        Ok(_) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(true),
        Err(error) => Err(error),
    }
}

/// All keys of a table whose values are one byte each.
///
/// # Errors
/// The kernel refuses the call.
pub(super) fn keys(map: &MapData) -> Result<Vec<Key>> {
    let mut found = Vec::new();
    let mut keys = vec![Key { what: 0, name: 0, base: 0, file: 0 }; COUNT];
    let mut values = vec![0_u8; COUNT];
    // Where the kernel went on to: the number of a bucket.
    let (mut place, mut next) = (0_u32, 0_u32);
    let mut is_first = true;
    loop {
        let mut attributes = Attributes {
            in_batch: if is_first { 0 } else { (&raw mut place) as u64 },
            out_batch: (&raw mut next) as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: COUNT as u32,
            map_fd: map.fd().as_fd().as_raw_fd() as u32,
            ..Attributes::default()
        };
        // SAFETY: keys and values have room for the count, and the places are numbers of four bytes.
        let is_last = unsafe { call(LOOKUP, &mut attributes) }.context("cannot list the accesses")?;
        found.extend(keys.iter().take(attributes.count as usize));
        if is_last {
            return Ok(found);
        }
        (place, is_first) = (next, false);
    }
}

/// Removes keys from a table, those that are not there excepted.
///
/// # Errors
/// The kernel refuses the call.
pub(super) fn remove(map: &MapData, keys: &[Key]) -> Result<()> {
    let mut rest = keys;
    while !rest.is_empty() {
        let mut attributes = Attributes {
            keys: rest.as_ptr() as u64,
            count: rest.len().min(COUNT) as u32,
            map_fd: map.fd().as_fd().as_raw_fd() as u32,
            ..Attributes::default()
        };
        // SAFETY: there are as many keys, and the kernel only reads them.
        let is_missing = unsafe { call(DELETE, &mut attributes) }.context("cannot forget accesses")?;
        // It stops at one that is not there.
        let done = attributes.count as usize + usize::from(is_missing);
        rest = rest.get(done..).unwrap_or_default();
    }
    Ok(())
}
