//! Taking the keys of some slots out of the tables of accesses, in one pass.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use aya::maps::{PerCpuArray, PerCpuValues};
use slim_common::record::Key;

use super::batch;
use super::maps::Maps;

/// A key that no access has.
const NONE: Key = Key { what: 0, name: 0, base: 0, file: 0 };

/// The slot that a key belongs to.
pub(super) fn slot_of(key: &Key) -> u32 {
    (key.what >> 48) as u32
}

/// Removes the keys of these slots from a table whose values are one byte each.
pub(super) fn keys(maps: &Maps, table: &str, slots: &BTreeSet<u32>) -> Result<()> {
    let table = maps.data(table)?;
    let found = batch::keys(table)?.into_iter().filter(|key| slots.contains(&slot_of(key)));
    batch::remove(table, &found.collect::<Vec<Key>>())
}

/// The same for what each CPU met last.
pub(super) fn recent(maps: &mut Maps, slots: &BTreeSet<u32>) -> Result<()> {
    let mut recent: PerCpuArray<_, Key> = PerCpuArray::try_from(maps.get_mut("RECENT")?)?;
    for index in 0..recent.len() {
        let values = recent.get(&index, 0).context("cannot read what was met last")?;
        if !values.iter().any(|key| *key != NONE && slots.contains(&slot_of(key))) {
            continue;
        }
        let kept = |key: &Key| if slots.contains(&slot_of(key)) { NONE } else { *key };
        let values = PerCpuValues::try_from(values.iter().map(kept).collect::<Vec<Key>>())?;
        recent.set(index, values, 0).context("cannot clear what was met last")?;
    }
    Ok(())
}
