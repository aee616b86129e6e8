//! The kernel side's maps by name, whether they were made with the programs or found pinned.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use aya::maps::{Array, HashMap, Map, MapData};
use aya::{Ebpf, Pod};

use super::stats;

/// All maps that are not part of the programs' own data.
pub(super) struct Maps(BTreeMap<String, Map>);

impl Maps {
    /// Takes them out of a loaded object.
    pub fn take(bpf: &mut Ebpf) -> Self {
        let names: Vec<String> = bpf.maps().map(|(name, _)| name.to_owned()).collect();
        // Sections such as `.rodata` are maps, too: the programs hold them.
        let names = names.into_iter().filter(|name| !name.starts_with('.'));
        Self(names.filter_map(|name| bpf.take_map(&name).map(|map| (name, map))).collect())
    }

    /// Opens those that are pinned in a directory.
    ///
    /// # Errors
    /// The directory cannot be listed, or holds something else.
    pub fn open(dir: &Path) -> Result<Self> {
        let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
        let mut maps = BTreeMap::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", dir.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let map = MapData::from_pin(&path).and_then(Map::from_map_data);
            maps.insert(name, map.with_context(|| format!("cannot open the map {}", path.display()))?);
        }
        Ok(Self(maps))
    }

    /// Pins all of them in a directory of a bpffs.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn pin(&self, dir: &Path) -> Result<()> {
        for (name, map) in &self.0 {
            let path = dir.join(name);
            map.pin(&path).with_context(|| format!("cannot pin the map {}", path.display()))?;
        }
        Ok(())
    }

    /// A map of any kind.
    pub fn get(&self, name: &str) -> Result<&Map> {
        self.0.get(name).ok_or_else(|| missing(name))
    }

    /// A map of any kind, to change it.
    pub fn get_mut(&mut self, name: &str) -> Result<&mut Map> {
        self.0.get_mut(name).ok_or_else(|| missing(name))
    }

    /// Takes a map away.
    pub fn remove(&mut self, name: &str) -> Result<Map> {
        self.0.remove(name).ok_or_else(|| missing(name))
    }

    /// An array.
    pub fn array<V: Pod>(&self, name: &str) -> Result<Array<&MapData, V>> {
        Array::try_from(self.get(name)?).with_context(|| format!("the map {name} is not as expected"))
    }

    /// An array, to change it.
    pub fn array_mut<V: Pod>(&mut self, name: &str) -> Result<Array<&mut MapData, V>> {
        Array::try_from(self.get_mut(name)?).with_context(|| format!("the map {name} is not as expected"))
    }

    /// A value of an array.
    pub fn value<V: Pod>(&self, name: &str, index: u32) -> Result<V> {
        self.array(name)?.get(&index, 0).with_context(|| format!("the map {name} has no entry {index}"))
    }

    /// Changes a value of an array.
    pub fn set<V: Pod>(&mut self, name: &str, index: u32, value: V) -> Result<()> {
        let set = self.array_mut(name)?.set(index, value, 0);
        set.with_context(|| format!("cannot change the entry {index} of the map {name}"))
    }

    /// A hash table.
    pub fn hash<K: Pod, V: Pod>(&self, name: &str) -> Result<HashMap<&MapData, K, V>> {
        HashMap::try_from(self.get(name)?).with_context(|| format!("the map {name} is not as expected"))
    }

    /// A hash table, to change it.
    pub fn hash_mut<K: Pod, V: Pod>(&mut self, name: &str) -> Result<HashMap<&mut MapData, K, V>> {
        HashMap::try_from(self.get_mut(name)?).with_context(|| format!("the map {name} is not as expected"))
    }

    /// What is the same in maps of all kinds.
    pub fn data(&self, name: &str) -> Result<&MapData> {
        data(self.get(name)?).with_context(|| format!("the map {name} is not as expected"))
    }

    /// Bytes of kernel memory that each of them takes, as the kernel reckons it.
    pub fn memory(&self) -> impl Iterator<Item = (&str, u64)> {
        let bytes = |map: &Map| stats::field(data(map)?.fd().as_fd(), "memlock");
        self.0.iter().filter_map(move |(name, map)| Some((name.as_str(), bytes(map)?)))
    }
}

fn missing(name: &str) -> anyhow::Error {
    anyhow!("the kernel side has no map {name}")
}

/// What is the same in all kinds of maps that the kernel side has.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::RingBuf(data)
        | Map::Queue(data) => Some(data),
        _ => None,
    }
}
