//! One set of pinned programs, maps and links: the directory `DIR/N` of a bpffs, with a directory for each of the three.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aya::Ebpf;
use slim_common::scope::Meta;

use super::attach::Attached;
use super::hooks::{self, BASE, Row};
use super::maps::Maps;
use super::raw;
use super::stats::Programs;

const MAPS: &str = "maps";
const PROGRAMS: &str = "programs";
const LINKS: &str = "links";

/// How far a set has come: values of [`Meta::ready`].
pub(super) mod stage {
    /// Its agent was ended while it made it.
    pub const UNFINISHED: u32 = 0;
    /// Everything is pinned and attached.
    pub const READY: u32 = 1;
    /// Another set serves, and has all that this one knew; its last records may be there still.
    pub const RETIRED: u32 = 2;
}

/// A set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Set {
    number: u32,
    dir: PathBuf,
}

impl Set {
    /// All sets below a directory, the oldest first.
    pub fn all(dir: &Path) -> Result<Vec<Self>> {
        let names = names(dir)?;
        let numbered =
            names.iter().filter_map(|name| Some(Self { number: name.parse().ok()?, dir: dir.join(name) }));
        let mut sets: Vec<Self> = numbered.collect();
        sets.sort();
        Ok(sets)
    }

    /// A new one, with nothing in it, behind all others.
    pub fn make(dir: &Path) -> Result<Self> {
        let number = Self::all(dir)?.last().map_or(1, |last| last.number.saturating_add(1));
        let set = Self { number, dir: dir.join(number.to_string()) };
        for part in [MAPS, PROGRAMS, LINKS] {
            let path = set.dir.join(part);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(set)
    }

    /// Pins maps, programs and links. The set is not finished by this.
    pub fn pin(&self, maps: &Maps, bpf: &mut Ebpf, links: Vec<Attached>) -> Result<()> {
        maps.pin(&self.dir.join(MAPS))?;
        for Attached { row, link } in links {
            let path = self.dir.join(PROGRAMS).join(row.program);
            let program = bpf.program_mut(row.program).context("an attached program is not in the object")?;
            program.pin(&path).with_context(|| format!("cannot pin the program {}", path.display()))?;
            let path = self.dir.join(LINKS).join(row.program);
            link.pin(&path).with_context(|| format!("cannot pin the link {}", path.display()))?;
        }
        Ok(())
    }

    /// Its maps.
    pub fn maps(&self) -> Result<Maps> {
        Maps::open(&self.dir.join(MAPS))
    }

    /// Its programs.
    pub fn programs(&self) -> Result<Programs> {
        let dir = self.dir.join(PROGRAMS);
        let open = |row: Row| {
            let path = dir.join(row.program);
            let fd = raw::pinned(&path);
            Ok((
                row.program.to_owned(),
                fd.with_context(|| format!("cannot open the program {}", path.display()))?,
            ))
        };
        Ok(Programs(self.rows()?.into_iter().map(open).collect::<Result<_>>()?))
    }

    /// What its links attach.
    pub fn rows(&self) -> Result<Vec<Row>> {
        Ok(names(&self.dir.join(LINKS))?.iter().filter_map(|name| hooks::row(name)).collect())
    }

    /// Whether all that the base tier consists of is attached.
    pub fn is_attached(&self) -> bool {
        let has = |rows: Vec<Row>| BASE.iter().all(|hook| rows.iter().any(|row| row.program == hook.program));
        self.rows().is_ok_and(has)
    }

    /// Detaches its programs; with a set that has none attached there is nothing to do.
    pub fn detach(&self) -> Result<()> {
        unpin(&self.dir.join(LINKS))
    }

    /// Takes all of it out of the kernel.
    pub fn remove(&self) -> Result<()> {
        for part in [LINKS, PROGRAMS, MAPS] {
            let path = self.dir.join(part);
            unpin(&path)?;
            remove_dir(&path)?;
        }
        remove_dir(&self.dir)
    }
}

/// What a set's maps say of themselves; `None` for those of a version that says it otherwise.
pub(super) fn meta(maps: &Maps) -> Option<Meta> {
    maps.value("META", 0).ok()
}

/// Writes what a set's maps say of themselves.
pub(super) fn set_meta(maps: &mut Maps, meta: Meta) -> Result<()> {
    maps.set("META", 0, meta)
}

fn unpin(dir: &Path) -> Result<()> {
    for name in names(dir)? {
        let path = dir.join(name);
        fs::remove_file(&path).with_context(|| format!("cannot unpin {}", path.display()))?;
    }
    Ok(())
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Names in a directory; none when it does not exist.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot list {}", dir.display()))?,
    };
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        Ok(entry.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}
