//! Original images, entry by entry: the only place that file content and metadata are taken from.
//!
//! A source answers for *physical* paths: absolute, without `.`, `..` or repeated slashes, and with no symbolic
//! link on the way. [`crate::resolve::walk`] turns any other name into one. One file in this module implements
//! [`ImageSource`] for each place an image can be read from; all of them describe the same image alike.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek};

use anyhow::{Context, Error, Result};
use serde::Serialize;

use crate::container::Runtime;
use crate::manifest::PathBytes;

pub mod archive;
pub mod config;
pub mod cut;
pub mod names;
pub mod overlay;
mod sparse;
mod tarball;
#[cfg(test)]
pub(crate) mod testing;
mod time;

pub use config::Config;
pub use names::Names;
pub use time::Time;

/// Where an image's original bytes come from.
pub trait ImageSource {
    /// The engine's id of the image: `sha256:...`.
    fn id(&self) -> &str;

    /// The image's config, byte for byte.
    fn config(&self) -> &[u8];

    /// The entry at a physical path, a symbolic link as itself.
    ///
    /// # Errors
    /// The storage cannot be read; that there is no such entry is `None`.
    fn lookup(&self, path: &PathBytes) -> Result<Option<Entry>>;

    /// Names of the entries of a directory, sorted; none when there is no directory at `path`.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn children(&self, path: &PathBytes) -> Result<Vec<Vec<u8>>>;

    /// The content of a regular file that [`lookup`](Self::lookup) found: `entry.size` bytes.
    ///
    /// # Errors
    /// The storage cannot be read, or is not what it was at the lookup.
    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + '_>>;

    /// Up to `len` bytes of a regular file from `offset` on, fewer at its end.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn read_at(&self, entry: &Entry, offset: u64, len: usize) -> Result<Vec<u8>>;

    /// How many layers the image has.
    fn layers(&self) -> usize;

    /// The layer that provides an entry which [`lookup`](Self::lookup) found; 0 is the lowest. Of a directory: the
    /// topmost that has it.
    fn layer_of(&self, entry: &Entry) -> usize;

    /// The directory at a physical path as each layer that contributes to it has it, lowest layer first; none when
    /// there is no directory.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn strata(&self, path: &PathBytes) -> Result<Vec<Entry>>;

    /// Shows `look` every entry but the root, in no particular order: the one operation whose cost grows with the image.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn survey(&self, look: &mut dyn FnMut(&Stat)) -> Result<()>;
}

/// What of an entry costs little to tell: as much as stat(2) does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Physical path.
    pub path: PathBytes,
    /// What it is.
    pub form: Form,
    /// As [`Entry::mode`].
    pub mode: u32,
    /// As [`Entry::size`].
    pub size: u64,
    /// As [`Entry::link`].
    pub link: Option<LinkId>,
}

/// What an entry is, without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a pipe or a socket.
    Special,
}

/// One name in an image and all that is to be preserved about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Physical path.
    pub path: PathBytes,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: 12 bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification, as the layer's archive has it.
    pub mtime: Time,
    /// Bytes of content; 0 for everything but a regular file.
    pub size: u64,
    /// Extended attributes that belong to the image.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Names with equal identities are one file under several names; `None` when there is one name only.
    pub link: Option<LinkId>,
    /// Where the source finds the content again; means nothing to anyone else.
    pub(crate) place: u64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link and its target, verbatim.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket: bound once, of no use in an image, and not representable in a layer.
    Socket,
}

/// A device number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The driver's device.
    pub minor: u32,
}

/// The identity that hard links share, within one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// The layer: a hard link never crosses layers.
    pub layer: usize,
    /// The inode in it, or the number of the archive member.
    pub inode: u64,
}

impl Entry {
    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// As a survey shows it.
    fn stat(&self) -> Stat {
        let form = match self.kind {
            Kind::File => Form::File,
            Kind::Directory => Form::Directory,
            Kind::Symlink(_) => Form::Symlink,
            Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Socket => Form::Special,
        };
        Stat { path: self.path.clone(), form, mode: self.mode, size: self.size, link: self.link }
    }

    /// The root as every engine makes it when a container starts, whatever a layer says. A layer may or may not
    /// have an entry for it, and its time on disk is that of the unpacking: so it has none.
    fn root() -> Self {
        Self {
            path: PathBytes::from("/"),
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            size: 0,
            xattrs: BTreeMap::new(),
            link: None,
            place: 0,
        }
    }
}

/// How much an image holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Entries that are not directories; each hard link counts.
    pub files: u64,
    /// Bytes of content; hard links count once.
    pub bytes: u64,
}

impl Totals {
    /// Counts `entry`; `links` holds the identities that were counted already.
    pub(crate) fn add(&mut self, entry: &Entry, links: &mut HashSet<LinkId>) {
        if !entry.is_dir() {
            self.count(entry.size, entry.link, links);
        }
    }

    /// All that an image holds.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn of(image: &dyn ImageSource) -> Result<Self> {
        let (mut totals, mut links) = (Self::default(), HashSet::new());
        image.survey(&mut |stat| totals.add_stat(stat, &mut links))?;
        Ok(totals)
    }

    /// As [`add`](Self::add), for what a survey shows.
    pub(crate) fn add_stat(&mut self, stat: &Stat, links: &mut HashSet<LinkId>) {
        if stat.form != Form::Directory {
            self.count(stat.size, stat.link, links);
        }
    }

    fn count(&mut self, size: u64, link: Option<LinkId>, links: &mut HashSet<LinkId>) {
        self.files += 1;
        if link.is_none_or(|link| links.insert(link)) {
            self.bytes += size;
        }
    }
}

/// The content of a regular file; of anything else, nothing.
///
/// # Errors
/// As [`ImageSource::open`].
pub fn content<'a>(image: &'a dyn ImageSource, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
    if entry.kind == Kind::File { image.open(entry) } else { Ok(Box::new(io::empty())) }
}

/// The image `id`, from the cheapest place it can be read from.
///
/// # Errors
/// The engine does not have the image, or neither its layers nor its archive can be read.
pub async fn open(runtime: &dyn Runtime, id: &str) -> Result<Box<dyn ImageSource>> {
    if let Some(on_disk) = runtime.image_on_disk(id).await? {
        return Ok(Box::new(overlay::Overlay::new(id, on_disk)?));
    }
    Ok(Box::new(open_archive(runtime, id).await?))
}

/// The image `id` as the engine saves it: slower, but it works with every storage driver.
///
/// # Errors
/// The engine cannot save the image, the disk is full, or the archive is not understood.
pub async fn open_archive(runtime: &dyn Runtime, id: &str) -> Result<archive::Archive> {
    let mut file = temporary()?;
    let to = file.try_clone().context("cannot duplicate a file handle")?;
    runtime.save_image(id, to).await.map_err(where_to_find_room)?;
    file.rewind().context("cannot read the saved image")?;
    archive::Archive::index(file, id).with_context(|| format!("cannot read the saved image {id}"))
}

/// A file without a name, in `TMPDIR`.
///
/// # Errors
/// The directory is missing, full or read-only.
pub(crate) fn temporary() -> Result<File> {
    tempfile::tempfile().with_context(|| {
        let dir = std::env::temp_dir();
        format!("cannot make a temporary file in {}: set TMPDIR to a directory with space", dir.display())
    })
}

/// An error because of a full disk, with what to do against it; any other as it is.
pub(crate) fn where_to_find_room(error: Error) -> Error {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    if cause.is_none_or(|cause| cause.kind() != io::ErrorKind::StorageFull) {
        return error;
    }
    let dir = std::env::temp_dir();
    error.context(format!("no space for the image in {}: set TMPDIR to a directory with more", dir.display()))
}

/// Whether an extended attribute is part of the image. What overlayfs notes for itself and what the host's
/// security modules put on every file is not; nor is a name with `=`, which no layer can carry.
fn belongs_to_image(xattr: &[u8]) -> bool {
    let foreign: [&[u8]; 5] =
        [b"trusted.overlay.", b"user.overlay.", b"security.selinux", b"security.ima", b"security.evm"];
    !xattr.contains(&b'=') && !foreign.iter().any(|prefix| xattr.starts_with(prefix))
}
