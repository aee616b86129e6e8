//! Layers put on top of each other, as an engine unpacks them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use anyhow::{Context, Result, bail, ensure};
use tar::EntryType;

use crate::image::sparse::Parts;
use crate::image::tarball::{Member, physical};
use crate::image::{Device, Entry, Kind, LinkId, belongs_to_image};
use crate::manifest::PathBytes;

/// Most memory that the index of an image may take, in bytes: a million entries take about 300 MB.
const MAX_INDEX: usize = 1 << 30;

/// Where the content of a member lies.
#[derive(Debug)]
pub(super) struct Content {
    pub layer: usize,
    pub offset: u64,
    /// Of a sparse file only.
    pub parts: Option<Parts>,
}

/// All entries that the layers so far add up to, without the root.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub entries: BTreeMap<PathBytes, Entry>,
    /// By [`Entry::place`].
    pub contents: Vec<Content>,
    /// What lower layers say of directories that a higher one lists again, lowest first.
    below: HashMap<PathBytes, Vec<Entry>>,
    cost: usize,
}

impl Tree {
    /// Puts layer number `layer` on top. Whiteouts hide what lower layers have, never what their own layer has.
    pub fn apply(&mut self, layer: usize, members: impl Iterator<Item = Result<Member>>) -> Result<()> {
        let (mut own, mut opaque) = (Vec::new(), Vec::new());
        for member in members {
            let member = member?;
            let path = physical(&member.name)?;
            self.cost += 256 + 2 * path.as_bytes().len() + member.link.len();
            self.cost +=
                member.xattrs.iter().map(|(name, value)| 64 + name.len() + value.len()).sum::<usize>();
            self.cost += if let Some(Parts::Mapped(map)) = &member.parts { map.cost() } else { 0 };
            ensure!(self.cost <= MAX_INDEX, "it has too many entries: its index would not fit into 1 GB");
            match (path.file_name(), path.parent()) {
                (b".wh..wh..opq", Some(dir)) => {
                    self.remove_below(&dir);
                    opaque.push(dir);
                }
                // Notes of the aufs storage driver to itself.
                (name, _) if name.starts_with(b".wh..wh.") => continue,
                (name, Some(dir)) if name.starts_with(b".wh.") => self.remove(&dir.join(&name[4..])),
                (_, None) => continue,
                _ => {
                    own.push((path, member));
                    continue;
                }
            }
            self.make_parents(layer, &path)?;
        }
        for (path, member) in own {
            let name = path.to_string();
            self.insert(layer, path, member).with_context(|| format!("cannot read layer entry {name}"))?;
        }
        for dir in opaque {
            self.below.remove(&dir);
        }
        Ok(())
    }

    fn insert(&mut self, layer: usize, path: PathBytes, member: Member) -> Result<()> {
        let entry = self.entry(layer, path, member)?;
        self.make_parents(layer, &entry.path)?;
        if !entry.is_dir() {
            self.remove_below(&entry.path);
        }
        let is_dir = entry.is_dir();
        let path = entry.path.clone();
        match self.entries.insert(path.clone(), entry) {
            Some(lower) if is_dir && lower.is_dir() && self.layer_of(&lower) < layer => {
                self.below.entry(path).or_default().push(lower);
            }
            Some(_) if !is_dir => drop(self.below.remove(&path)),
            _ => {}
        }
        Ok(())
    }

    /// The layer that an entry came from.
    pub fn layer_of(&self, entry: &Entry) -> usize {
        let content = usize::try_from(entry.place).ok().and_then(|place| self.contents.get(place));
        content.map_or(0, |content| content.layer)
    }

    /// A directory as each layer that lists it has it, lowest first.
    pub fn strata(&self, path: &PathBytes) -> Vec<Entry> {
        let Some(top) = self.entries.get(path).filter(|entry| entry.is_dir()) else { return Vec::new() };
        self.below.get(path).into_iter().flatten().chain([top]).cloned().collect()
    }

    fn entry(&mut self, layer: usize, path: PathBytes, mut member: Member) -> Result<Entry> {
        let device = Device { major: member.major, minor: member.minor };
        let kind = match member.kind {
            EntryType::Link => return self.hard_link(layer, path, &member.link),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(member.link),
            EntryType::Char => Kind::CharDevice(device),
            EntryType::Block => Kind::BlockDevice(device),
            EntryType::Fifo => Kind::Fifo,
            other => bail!("unknown type {other:?}"),
        };
        let place = u64::try_from(self.contents.len())?;
        self.contents.push(Content { layer, offset: member.offset, parts: member.parts.take() });
        member.xattrs.retain(|name, _| belongs_to_image(name));
        let Member { mode, uid, gid, mtime, size, xattrs, .. } = member;
        Ok(Entry { path, kind, mode, uid, gid, mtime, size, xattrs, link: None, place })
    }

    fn hard_link(&mut self, layer: usize, path: PathBytes, target: &[u8]) -> Result<Entry> {
        let target = physical(target)?;
        let original = self.entries.get_mut(&target).filter(|entry| !entry.is_dir());
        let original =
            original.with_context(|| format!("it is a hard link to {target}, which is not there"))?;
        let link = *original.link.get_or_insert(LinkId { layer, inode: original.place });
        Ok(Entry { path, link: Some(link), ..original.clone() })
    }

    /// Layers need not list the directories above their entries; engines make them then.
    fn make_parents(&mut self, layer: usize, path: &PathBytes) -> Result<()> {
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| dir.as_bytes() != b"/") {
            if self.entries.get(&dir).is_some_and(Entry::is_dir) {
                break;
            }
            above = dir.parent();
            let place = u64::try_from(self.contents.len())?;
            self.contents.push(Content { layer, offset: 0, parts: None });
            self.entries.insert(dir.clone(), Entry { path: dir, place, ..Entry::root() });
        }
        Ok(())
    }

    fn remove(&mut self, path: &PathBytes) {
        self.entries.remove(path);
        self.below.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, dir: &PathBytes) {
        let doomed: Vec<_> = self.entries.range(below(dir)).map(|(path, _)| path.clone()).collect();
        for path in doomed {
            self.entries.remove(&path);
            self.below.remove(&path);
        }
    }

    /// Names in `dir`, sorted.
    pub fn children(&self, dir: &PathBytes) -> Vec<Vec<u8>> {
        let (mut from, to) = below(dir);
        let skip = dir.as_bytes().len() + usize::from(dir.as_bytes() != b"/");
        let mut names = Vec::new();
        while let Some((path, _)) = self.entries.range((from, to.clone())).next() {
            let name = &path.as_bytes()[skip..];
            // What lies deeper is skipped as a whole: its directory's own name came before it.
            from = match name.iter().position(|&byte| byte == b'/') {
                Some(cut) => after(&path.as_bytes()[..skip + cut]),
                None => {
                    names.push(name.to_vec());
                    Bound::Excluded(path.clone())
                }
            };
        }
        names
    }
}

/// The range of all that lies below `dir`: `dir/` up to the first byte after the slash.
fn below(dir: &PathBytes) -> (Bound<PathBytes>, Bound<PathBytes>) {
    let dir = dir.as_bytes().strip_suffix(b"/").unwrap_or(dir.as_bytes());
    let Bound::Included(end) = after(dir) else { return (Bound::Unbounded, Bound::Unbounded) };
    (Bound::Excluded(PathBytes::new([dir, b"/"].concat())), Bound::Excluded(end))
}

fn after(dir: &[u8]) -> Bound<PathBytes> {
    Bound::Included(PathBytes::new([dir, &[b'/' + 1]].concat()))
}
