//! Images made of directories, for tests: each is read as overlay layers and as the engine's archive.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat};
use nix::sys::time::TimeSpec;
use tempfile::TempDir;

use super::overlay::Overlay;
use super::{Entry, ImageSource, Time, Totals};
use crate::container::{ImageOnDisk, LayerOnDisk};
use crate::manifest::PathBytes;

mod archives;
pub(crate) mod random;

/// The time of every entry that is given none.
const MOMENT: Time = Time { seconds: 1_600_000_000, nanoseconds: 123_456_789 };

/// An image, layer by layer.
pub(crate) struct Layers {
    layers: Vec<LayerDir>,
    config: Vec<u8>,
}

/// One layer's directory in overlayfs form.
pub(crate) struct LayerDir {
    dir: TempDir,
    /// Its archive's headers, as the engine notes them.
    note: PathBuf,
    /// Whether it was unpacked from an archive. Of a layer that was made here the archive has whole seconds.
    unpacked: bool,
    /// The times of inodes.
    times: RefCell<HashMap<u64, Time>>,
    /// Directories that no one asked for by name, and that are root's as those that engines make.
    implied: RefCell<BTreeSet<PathBuf>>,
}

impl LayerDir {
    fn new(unpacked: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let note = dir.path().join("tar-split.json.gz");
        fs::create_dir(dir.path().join("diff")).unwrap();
        Self { dir, note, unpacked, times: RefCell::default(), implied: RefCell::default() }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("diff")
    }

    /// The place for an entry: what this layer has there is removed, and its parents are made.
    fn place(&self, path: impl AsRef<Path>) -> PathBuf {
        let mut at = self.root();
        let mut parts =
            path.as_ref().components().filter(|part| matches!(part, Component::Normal(_))).peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            let here = fs::symlink_metadata(&at);
            match (here, parts.peek()) {
                (Ok(meta), Some(_)) if meta.is_dir() => {}
                (Ok(meta), None) if meta.is_dir() => fs::remove_dir_all(&at).unwrap(),
                (Ok(_), _) => fs::remove_file(&at).unwrap(),
                (Err(_), _) => {}
            }
            self.implied.borrow_mut().remove(&at);
            if parts.peek().is_some() && !at.exists() {
                fs::create_dir(&at).unwrap();
                if fs::metadata(&at).unwrap().uid() == 0 {
                    self.implied.borrow_mut().insert(at.clone());
                }
            }
        }
        at
    }

    pub fn file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.place(path), content).unwrap();
        self
    }

    pub fn dir(&self, path: impl AsRef<Path>) -> &Self {
        fs::create_dir(self.place(path)).unwrap();
        self
    }

    pub fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> &Self {
        symlink(target, self.place(path)).unwrap();
        self
    }

    /// A hard link; nothing when there is no such file in this layer.
    pub fn hard(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> &Self {
        let from = self.root().join(target);
        let to = self.place(path);
        if fs::symlink_metadata(&from).is_ok_and(|meta| meta.is_file()) {
            fs::hard_link(from, to).unwrap();
        }
        self
    }

    pub fn mode(&self, path: impl AsRef<Path>, mode: u32) -> &Self {
        fs::set_permissions(self.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub fn xattr(&self, path: impl AsRef<Path>, name: &str, value: &[u8]) -> &Self {
        xattr::set(self.root().join(path), name, value).unwrap();
        self
    }

    pub fn fifo(&self, path: impl AsRef<Path>) -> &Self {
        mknod(&self.place(path), SFlag::S_IFIFO, Mode::from_bits_truncate(0o640), 0).unwrap();
        self
    }

    pub fn whiteout(&self, path: impl AsRef<Path>) -> &Self {
        mknod(&self.place(path), SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
        self
    }

    pub fn opaque(&self, path: impl AsRef<Path>) -> &Self {
        self.xattr(path, "user.overlay.opaque", b"y")
    }

    /// When the entry is said to have been modified; nothing when there is none.
    pub fn time(&self, path: impl AsRef<Path>, time: Time) -> &Self {
        if let Ok(meta) = fs::symlink_metadata(self.root().join(path)) {
            self.times.borrow_mut().insert(meta.ino(), time);
        }
        self
    }

    fn wanted_time(&self, inode: u64) -> Time {
        self.times.borrow().get(&inode).copied().unwrap_or(MOMENT)
    }

    /// Whether the archive does not list the directory, because what lies below it implies it.
    fn is_only_implied(&self, path: &Path) -> bool {
        let implied = self.unpacked && self.implied.borrow().contains(path);
        implied && fs::read_dir(path).unwrap().next().is_some()
    }

    /// Puts the times on disk as the engine does, and notes the headers.
    fn finish(self) -> Self {
        for path in self.descendants() {
            let path = self.root().join(path);
            let mut time = self.wanted_time(fs::symlink_metadata(&path).unwrap().ino());
            if self.unpacked && !time.is_unpacked_as_it_is() {
                time = Time::default();
            }
            if !self.is_only_implied(&path) {
                let time = TimeSpec::new(time.seconds, time.nanoseconds.into());
                utimensat(AT_FDCWD, &path, &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();
            }
        }
        fs::write(&self.note, archives::note(&archives::layer_tar(&self))).unwrap();
        self
    }

    fn descendants(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = Vec::new();
        let mut todo = vec![PathBuf::new()];
        while let Some(at) = todo.pop() {
            for entry in fs::read_dir(self.root().join(&at)).unwrap() {
                let path = at.join(entry.unwrap().file_name());
                if fs::symlink_metadata(self.root().join(&path)).unwrap().is_dir() {
                    todo.push(path.clone());
                }
                found.push(path);
            }
        }
        found.sort();
        found
    }
}

impl Layers {
    pub fn new() -> Self {
        Self { layers: Vec::new(), config: br#"{"config": {}}"#.to_vec() }
    }

    pub fn config(mut self, config: &serde_json::Value) -> Self {
        self.config = serde_json::to_vec(config).unwrap();
        self
    }

    /// A layer that was made on this host.
    pub fn layer(self, fill: impl FnOnce(&LayerDir)) -> Self {
        self.add(LayerDir::new(false), fill)
    }

    /// A layer that came from elsewhere, in an archive that has times to the nanosecond.
    pub fn unpacked(self, fill: impl FnOnce(&LayerDir)) -> Self {
        self.add(LayerDir::new(true), fill)
    }

    fn add(mut self, layer: LayerDir, fill: impl FnOnce(&LayerDir)) -> Self {
        fill(&layer);
        self.layers.push(layer.finish());
        self
    }

    /// The image as overlay layers; needs the directories as long as it is read.
    pub fn overlay(&self) -> Overlay {
        let on_disk = |layer: &LayerDir| LayerOnDisk { dir: layer.root(), headers: Some(layer.note.clone()) };
        let layers = self.layers.iter().map(on_disk).collect();
        Overlay::new("sha256:test", ImageOnDisk { config: self.config.clone(), layers }).unwrap()
    }
}

/// Everything that can be said of an image: its entries without what is private to the source, hard links as the
/// first name of the file, and contents.
pub(crate) fn everything(image: &dyn ImageSource) -> Vec<(Entry, Option<PathBytes>, Vec<u8>)> {
    let mut totals = (Totals::default(), HashSet::new());
    let mut stats = HashMap::new();
    image.survey(&mut |stat| assert_eq!(stats.insert(stat.path.clone(), stat.clone()), None)).unwrap();
    let mut all = Vec::new();
    let mut links = HashMap::new();
    let mut paths = vec![PathBytes::from("/")];
    let mut next = 0;
    while next < paths.len() {
        let dir = paths[next].clone();
        next += 1;
        paths.extend(image.children(&dir).unwrap().iter().map(|name| dir.join(name)));
    }
    paths.sort();
    for path in paths {
        let mut entry = image.lookup(&path).unwrap().unwrap();
        assert_eq!(stats.remove(&path), entry.path.parent().map(|_| entry.stat()));
        let mut content = Vec::new();
        if entry.kind == super::Kind::File {
            image.open(&entry).unwrap().read_to_end(&mut content).unwrap();
        }
        totals.0.add(&entry, &mut totals.1);
        let first = entry.link.take().map(|link| links.entry(link).or_insert(path).clone());
        entry.place = 0;
        all.push((entry, first, content));
    }
    assert_eq!((stats.len(), Totals::of(image).unwrap()), (0, totals.0));
    all
}
