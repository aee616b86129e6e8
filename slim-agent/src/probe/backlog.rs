//! Records that found the ring full, and wait in a table.

use std::collections::BTreeSet;
use std::mem::offset_of;

use anyhow::{Context, Result};
use slim_common::limits::BACKLOG_BYTES;
use slim_common::record::{Header, Key};

use super::forget;
use super::maps::Maps;

/// Hands every record that waits to `take`. It is gone once `take` has returned.
pub(super) fn drain(maps: &mut Maps, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut backlog = maps.hash_mut::<Key, [u8; BACKLOG_BYTES]>("BACKLOG")?;
    // A key that is removed while they are listed would begin the list anew.
    let keys: Vec<Key> = backlog.keys().filter_map(Result::ok).collect();
    for key in keys {
        if let Ok(record) = backlog.get(&key, 0) {
            take(&record);
            backlog.remove(&key).context("cannot clear the backlog")?;
        }
    }
    Ok(())
}

/// Removes the records of these slots.
pub(super) fn forget(maps: &mut Maps, slots: &BTreeSet<u32>) -> Result<()> {
    let mut backlog = maps.hash_mut::<Key, [u8; BACKLOG_BYTES]>("BACKLOG")?;
    let keys: Vec<Key> = backlog.keys().filter_map(Result::ok).collect();
    let gone = keys.iter().filter(|key| slots.contains(&forget::slot_of(key)));
    gone.into_iter().try_for_each(|key| backlog.remove(key)).context("cannot clear the backlog")
}

/// The slot in a record's header.
pub(super) fn slot_of(record: &[u8]) -> Option<u32> {
    let bytes = record.get(offset_of!(Header, slot)..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}
