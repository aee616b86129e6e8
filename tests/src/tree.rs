//! An image's file system: its layers merged, whiteouts applied.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::archive::{layer_files, open_layer};
use crate::command::output;
use crate::docker::docker;
use crate::layer::{Entry, Kind, Member, read_members};

/// A merged file system. Paths have no leading slash; the root itself is the empty path.
#[derive(Debug, Default)]
pub struct Tree {
    entries: BTreeMap<PathBuf, Node>,
    next: usize,
}

/// An entry, and a number that it shares with its hard links.
#[derive(Debug, Clone)]
struct Node {
    entry: Entry,
    inode: usize,
}

/// The file system of an image in the engine, read from its saved archive.
pub fn image_tree(image: &str) -> Result<Tree> {
    let place = tempfile::tempdir().context("cannot make a temporary directory")?;
    let archive = place.path().join("image.tar");
    docker(&["save", "-o", &archive.to_string_lossy(), image])
        .with_context(|| format!("cannot save {image}"))?;
    output(Command::new("tar").arg("-C").arg(place.path()).arg("-xf").arg(&archive))?;
    let mut tree = Tree::default();
    for file in layer_files(place.path()).with_context(|| format!("cannot find the layers of {image}"))? {
        tree.add_layer(open_layer(&file)?)?;
    }
    Ok(tree)
}

impl Tree {
    /// Every path with its entry, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries.iter().map(|(path, node)| (path.as_path(), &node.entry))
    }

    /// The entry at a path, with or without its leading slash.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<&Entry> {
        self.node(path.as_ref()).map(|node| &node.entry)
    }

    /// Bytes of content; a file with several names counts once.
    pub fn bytes(&self) -> u64 {
        let sizes = self.entries.values().filter_map(|node| match node.entry.kind {
            Kind::File { size, .. } => Some((node.inode, size)),
            _ => None,
        });
        sizes.collect::<BTreeMap<_, _>>().into_values().sum()
    }

    /// Whether two paths are names of one file.
    pub fn are_linked(&self, one: &Path, other: &Path) -> bool {
        self.node(one).zip(self.node(other)).is_some_and(|(one, other)| one.inode == other.inode)
    }

    /// For each file with more than one name: its names.
    pub fn links(&self) -> Vec<Vec<&Path>> {
        let mut groups: BTreeMap<usize, Vec<&Path>> = BTreeMap::new();
        for (path, node) in &self.entries {
            groups.entry(node.inode).or_default().push(path);
        }
        groups.into_values().filter(|names| names.len() > 1).collect()
    }

    fn node(&self, path: &Path) -> Option<&Node> {
        self.entries.get(path.strip_prefix("/").unwrap_or(path))
    }

    /// Puts a layer on top.
    fn add_layer(&mut self, layer: impl Read) -> Result<()> {
        let members = read_members(layer)?;
        // Whiteouts speak of the layers below only, wherever in the archive they come.
        for (path, _) in &members {
            self.apply_whiteout(path);
        }
        for (path, member) in members {
            if !is_whiteout(&path) {
                self.add(path, member)?;
            }
        }
        Ok(())
    }

    fn apply_whiteout(&mut self, path: &Path) {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return };
        if name == ".wh..wh..opq" {
            self.remove_below(directory);
        } else if let Some(removed) = name.as_bytes().strip_prefix(b".wh.") {
            let removed = directory.join(OsStr::from_bytes(removed));
            self.remove_below(&removed);
            self.entries.remove(&removed);
        }
    }

    fn add(&mut self, path: PathBuf, member: Member) -> Result<()> {
        let node = match member {
            Member::Entry(entry) => {
                self.next += 1;
                Node { entry, inode: self.next }
            }
            Member::HardLink(target) => self.entries.get(&target).cloned().with_context(|| {
                format!("{} is a hard link to {}, which is not there", path.display(), target.display())
            })?,
        };
        if node.entry.kind != Kind::Directory {
            self.remove_below(&path);
        }
        self.entries.insert(path, node);
        Ok(())
    }

    fn remove_below(&mut self, directory: &Path) {
        // Paths are sorted by their components: what is below a directory comes right after it.
        let after = self.entries.range::<Path, _>((Bound::Excluded(directory), Bound::Unbounded));
        let below = after.map(|(path, _)| path).take_while(|path| path.starts_with(directory));
        for path in below.cloned().collect::<Vec<_>>() {
            self.entries.remove(&path);
        }
    }
}

fn is_whiteout(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".wh."))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tar::{Builder, EntryType, Header};

    /// A layer of (path, content): `/` at the end is a directory, `-> x` as content is a hard link, `=> x` a symbolic
    /// one.
    pub(crate) fn layer(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = Header::new_ustar();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            let link = |mark, kind| content.strip_prefix(mark).map(|target| (target, kind));
            if let Some((target, kind)) = link("-> ", EntryType::Link).or(link("=> ", EntryType::Symlink)) {
                header.set_entry_type(kind);
                header.set_size(0);
                builder.append_link(&mut header, path, target).unwrap();
                continue;
            }
            let kind = if path.ends_with('/') { EntryType::Directory } else { EntryType::Regular };
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    pub(crate) fn merged(layers: &[Vec<u8>]) -> Tree {
        let mut tree = Tree::default();
        layers.iter().for_each(|layer| tree.add_layer(layer.as_slice()).unwrap());
        tree
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter().map(|(path, _)| path.to_str().unwrap()).collect()
    }

    #[test]
    fn a_whiteout_removes_what_lower_layers_have_below_it() {
        let lower = layer(&[("a/", ""), ("a/b/", ""), ("a/b/c", "1"), ("a/bc", "2")]);
        assert_eq!(paths(&merged(&[lower, layer(&[("a/.wh.b", "")])])), ["a", "a/bc"]);
    }

    #[test]
    fn an_opaque_directory_keeps_only_its_own_layer() {
        let lower = layer(&[("a/", ""), ("a/old", "1")]);
        let upper = layer(&[("a/", ""), ("a/new", "2"), ("a/.wh..wh..opq", "")]);
        assert_eq!(paths(&merged(&[lower, upper])), ["a", "a/new"]);
    }

    #[test]
    fn hard_links_are_one_file_until_a_layer_replaces_one() {
        let lower = layer(&[("one", "x"), ("two", "-> one")]);
        let tree = merged(std::slice::from_ref(&lower));
        assert!(tree.are_linked(Path::new("/one"), Path::new("/two")));
        assert_eq!(tree.links(), [[Path::new("one"), Path::new("two")]]);
        assert!(merged(&[lower, layer(&[("two", "y")])]).links().is_empty());
    }

    #[test]
    fn a_file_in_place_of_a_directory_removes_its_content() {
        let tree = merged(&[layer(&[("a/", ""), ("a/b", "1")]), layer(&[("a", "2")])]);
        assert_eq!(paths(&tree), ["a"]);
    }
}
