//! An image read in place from overlayfs layer directories, without mounting them.
//!
//! A lookup goes from the top layer down and stops where the kernel's overlayfs would: at the first entry that is
//! not a directory, at a whiteout (a 0/0 character device), or at an opaque directory.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom};
use std::rc::Rc;

use anyhow::Result;

use super::{Entry, Form, ImageSource, Kind, LinkId, Stat, Time, belongs_to_image};
use crate::container::ImageOnDisk;
use crate::manifest::PathBytes;

mod headers;
mod layer;

pub use layer::NotPlain;
use layer::{Found, Layer};

/// An image whose layers are directories on this host.
pub struct Overlay {
    id: String,
    config: Vec<u8>,
    /// Lowest first.
    layers: Vec<Layer>,
    /// Directory -> the layers that contribute to it, topmost first; none when it is not a directory.
    stacks: RefCell<HashMap<PathBytes, Rc<[usize]>>>,
}

impl Overlay {
    /// Opens the layer directories of image `id`. Its lookups fail with [`NotPlain`] where a layer cannot be
    /// read without the kernel's overlayfs; [`super::open_archive`] can read the image then.
    ///
    /// # Errors
    /// A directory is missing or not readable.
    pub fn new(id: &str, on_disk: ImageOnDisk) -> Result<Self> {
        let layers = on_disk.layers.into_iter().map(Layer::open).collect::<Result<_>>()?;
        Ok(Self { id: id.to_owned(), config: on_disk.config, layers, stacks: RefCell::default() })
    }

    /// The layers whose directories make up `dir`, topmost first.
    fn stack(&self, dir: &PathBytes) -> Result<Rc<[usize]>> {
        let Some(parent) = dir.parent() else { return Ok((0..self.layers.len()).rev().collect()) };
        if let Some(known) = self.stacks.borrow().get(dir) {
            return Ok(Rc::clone(known));
        }
        let mut stack = Vec::new();
        for &layer in self.stack(&parent)?.iter() {
            let Some(found) = self.layers[layer].find(dir)? else { continue };
            if !found.is_dir() {
                break;
            }
            stack.push(layer);
            if found.is_opaque()? {
                break;
            }
        }
        let stack: Rc<[usize]> = stack.into();
        self.stacks.borrow_mut().insert(dir.clone(), Rc::clone(&stack));
        Ok(stack)
    }

    /// Shows what is in `dir` but in no directory below it. Returns those directories.
    fn survey_in(&self, dir: &PathBytes, look: &mut dyn FnMut(&Stat)) -> Result<Vec<PathBytes>> {
        let (mut seen, mut directories) = (HashSet::new(), Vec::new());
        for &layer in self.stack(dir)?.iter() {
            for (name, stat) in self.layers[layer].stats(dir)? {
                let path = dir.join(&name);
                if !seen.insert(name) || layer::is_whiteout(&stat) {
                    continue;
                }
                let form = layer::form(&stat);
                let linked = stat.st_nlink > 1 && form != Form::Directory;
                look(&Stat {
                    form,
                    mode: stat.st_mode & 0o7777,
                    size: layer::size(&stat)?,
                    link: linked.then_some(LinkId { layer, inode: stat.st_ino }),
                    path: path.clone(),
                });
                if form == Form::Directory {
                    directories.push(path);
                }
            }
        }
        Ok(directories)
    }

    fn entry(&self, layer: usize, found: &Found, path: &PathBytes) -> Result<Entry> {
        let mut xattrs = found.xattrs()?;
        xattrs.retain(|name, _| belongs_to_image(name));
        let (kind, stat) = (found.kind()?, &found.stat);
        let linked = stat.st_nlink > 1 && kind != Kind::Directory;
        Ok(Entry {
            path: path.clone(),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: self.mtime(layer, found, path)?,
            size: layer::size(stat)?,
            xattrs,
            link: linked.then_some(LinkId { layer, inode: stat.st_ino }),
            kind,
            place: u64::try_from(layer)?,
        })
    }

    /// The time of what `layer` has at `path`; of a directory that only lower layers list, theirs.
    fn mtime(&self, layer: usize, found: &Found, path: &PathBytes) -> Result<Time> {
        if let Some(time) = self.layers[layer].mtime(path, found) {
            return Ok(time);
        }
        for &lower in self.stack(path)?.iter().filter(|&&lower| lower < layer) {
            let found = self.layers[lower].find(path)?;
            if let Some(time) = found.and_then(|found| self.layers[lower].mtime(path, &found)) {
                return Ok(time);
            }
        }
        Ok(Time::default())
    }
}

impl ImageSource for Overlay {
    fn id(&self) -> &str {
        &self.id
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn lookup(&self, path: &PathBytes) -> Result<Option<Entry>> {
        let Some(parent) = path.parent() else { return Ok(Some(Entry::root())) };
        for &layer in self.stack(&parent)?.iter() {
            if let Some(found) = self.layers[layer].find(path)? {
                return (!found.is_whiteout()).then(|| self.entry(layer, &found, path)).transpose();
            }
        }
        Ok(None)
    }

    fn children(&self, path: &PathBytes) -> Result<Vec<Vec<u8>>> {
        let mut present: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
        for &layer in self.stack(path)?.iter() {
            for (name, maybe_whiteout) in self.layers[layer].list(path)? {
                if present.contains_key(&name) {
                    continue;
                }
                let found = maybe_whiteout.then(|| self.layers[layer].find(&path.join(&name)));
                let hidden = found.transpose()?.flatten().is_some_and(|found| found.is_whiteout());
                present.insert(name, !hidden);
            }
        }
        Ok(present.into_iter().filter_map(|(name, here)| here.then_some(name)).collect())
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + '_>> {
        let layer = usize::try_from(entry.place)?;
        Ok(Box::new(self.layers[layer].content(&entry.path, entry.size)?))
    }

    fn read_at(&self, entry: &Entry, offset: u64, len: usize) -> Result<Vec<u8>> {
        let layer = usize::try_from(entry.place)?;
        let mut file = self.layers[layer].content(&entry.path, entry.size)?;
        let mut bytes = Vec::new();
        if offset < entry.size {
            file.seek(SeekFrom::Start(offset))?;
            file.take(u64::try_from(len)?).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn layer_of(&self, entry: &Entry) -> usize {
        usize::try_from(entry.place).unwrap_or_default()
    }

    fn strata(&self, path: &PathBytes) -> Result<Vec<Entry>> {
        let (mut strata, mut unlisted) = (Vec::new(), None);
        for &layer in self.stack(path)?.iter().rev() {
            let Some(found) = self.layers[layer].find(path)? else { continue };
            // A layer need not list the directories above its entries: that they are on disk is the engine's doing.
            if self.layers[layer].mtime(path, &found).is_some() {
                strata.push(self.entry(layer, &found, path)?);
            } else if unlisted.is_none() {
                unlisted = Some(self.entry(layer, &found, path)?);
            }
        }
        if strata.is_empty() {
            strata.extend(unlisted);
        }
        Ok(strata)
    }

    fn survey(&self, look: &mut dyn FnMut(&Stat)) -> Result<()> {
        let mut todo = vec![PathBytes::from("/")];
        while let Some(dir) = todo.pop() {
            todo.extend(self.survey_in(&dir, look)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::Layers;

    fn names(image: &Overlay, dir: &str) -> Vec<String> {
        let children = image.children(&dir.into()).unwrap();
        children.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
    }

    #[test]
    fn upper_layers_hide_what_the_kernel_would_hide() {
        let image = Layers::new()
            .layer(|dir| {
                dir.file("a/low", "low")
                    .file("b/low", "low")
                    .file("c/low", "low")
                    .file("d", "low")
                    .file("gone", "x");
            })
            .layer(|dir| {
                dir.file("a/up", "up").dir("b").opaque("b").file("b/up", "").file("c", "now a file");
                dir.dir("d").whiteout("gone").whiteout("a/none");
            });
        let image = image.overlay();
        assert_eq!(names(&image, "/"), ["a", "b", "c", "d"]);
        assert_eq!(names(&image, "/a"), ["low", "up"]);
        assert_eq!(names(&image, "/b"), ["up"]);
        assert!(names(&image, "/c").is_empty());
        assert!(image.lookup(&"/c/low".into()).unwrap().is_none());
        assert!(image.lookup(&"/gone".into()).unwrap().is_none());
        assert!(image.lookup(&"/d".into()).unwrap().unwrap().is_dir());
        assert!(names(&image, "/d").is_empty());
    }

    #[test]
    fn symbolic_links_never_lead_to_the_host() {
        let image = Layers::new().layer(|dir| {
            dir.link("etc", "/etc").link("up", "../../..");
        });
        let image = image.overlay();
        assert!(image.lookup(&"/etc/passwd".into()).unwrap().is_none());
        assert!(image.lookup(&"/up/etc".into()).unwrap().is_none());
        let link = image.lookup(&"/etc".into()).unwrap().unwrap();
        assert_eq!(link.kind, Kind::Symlink(b"/etc".to_vec()));
    }

    #[test]
    fn a_part_of_a_file_is_the_same_from_every_source() {
        let image = Layers::new().layer(|dir| {
            dir.file("a", "0123456789");
        });
        for source in [&image.overlay() as &dyn ImageSource, &image.docker_archive(), &image.oci_archive()] {
            let entry = source.lookup(&"/a".into()).unwrap().unwrap();
            let part = |offset, len| source.read_at(&entry, offset, len).unwrap();
            assert_eq!((part(2, 3), part(8, 5), part(10, 1)), (b"234".into(), b"89".into(), b"".into()));
            assert!(part(u64::MAX, usize::MAX).is_empty());
        }
    }

    #[test]
    fn impossible_names_are_not_there() {
        let image = Layers::new().layer(|dir| {
            dir.file("a", "").dir("d");
        });
        let image = image.overlay();
        let long = [b"/", &[b'x'; 5000][..]].concat();
        for name in [&b"/a\0b"[..], b"/a/b", &long, b"/d/..", b"/d/../a", b"/./a", b"//a", b"/d/"] {
            assert!(image.lookup(&name.into()).unwrap().is_none());
        }
    }

    #[test]
    fn a_layer_that_only_the_kernel_can_read_is_no_source() {
        let image = Layers::new().layer(|dir| {
            dir.dir("moved").xattr("moved", "user.overlay.redirect", b"elsewhere");
        });
        let error = image.overlay().lookup(&"/moved/file".into()).map(drop).unwrap_err();
        assert!(error.context("cannot decide").is::<NotPlain>());
    }

    #[test]
    fn times_are_the_archives() {
        let odd = Time { seconds: -6, nanoseconds: 500_000_000 };
        let fine = Time { seconds: 5, nanoseconds: 1 };
        let image = Layers::new()
            .unpacked(|dir| {
                dir.dir("d").time("d", fine).file("d/odd", "").time("d/odd", odd).file("zero", "");
                dir.time("zero", Time::default());
            })
            .layer(|dir| {
                dir.file("d/here", "").time("d/here", fine).dir("d/new").time("d/new", odd).dir("kept");
            })
            .unpacked(|dir| {
                dir.file("d/new/x", "").file("far/y", "");
            });
        let image = image.overlay();
        let time = |path: &str| image.lookup(&path.into()).unwrap().unwrap().mtime;
        assert_eq!((time("/d/odd"), time("/zero")), (odd, Time::default()));
        // Made on this host: its archive has whole seconds, rounded down.
        assert_eq!((time("/d/here"), time("/kept")), (Time::whole(5), Time::whole(1_600_000_000)));
        assert_eq!((time("/d"), time("/d/new")), (Time::whole(1_600_000_000), Time::whole(-6)));
        // Directories that no archive lists have no time.
        assert_eq!(
            time("/far"),
            if nix::unistd::geteuid().is_root() { Time::default() } else { time("/far/y") }
        );
    }
}
