//! One layer directory: what it has at a path, and nothing outside it.
//!
//! Every open is relative to the layer's directory, beneath it, and through no symbolic link, so that no name in
//! a manifest or an image can reach the host's files.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, major, minor};

use super::headers::Headers;
use crate::container::LayerOnDisk;
use crate::image::{Device, Form, Kind, Time};
use crate::manifest::PathBytes;

/// One layer's directory, and what is known of its archive.
pub(super) struct Layer {
    dir: OwnedFd,
    name: PathBuf,
    /// Where its archive's headers are.
    note: Option<PathBuf>,
    /// Read when they are needed, which is seldom.
    headers: OnceCell<Option<Headers>>,
}

/// An entry of a layer that only the kernel's overlayfs can read.
#[derive(Debug)]
pub struct NotPlain(String);

impl fmt::Display for NotPlain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: it was redirected or has no content of its own", self.0)
    }
}

impl std::error::Error for NotPlain {}

/// What a layer has at a path.
pub(super) struct Found {
    fd: OwnedFd,
    pub stat: FileStat,
    /// For error messages.
    what: String,
}

impl Layer {
    pub fn open(on_disk: LayerOnDisk) -> Result<Self> {
        let LayerOnDisk { dir: name, headers: note } = on_disk;
        let dir = open(&name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .with_context(|| format!("cannot open image layer {}: are you root?", name.display()))?;
        Ok(Self { dir, name, note, headers: OnceCell::new() })
    }

    /// What is at `path`, whiteouts and all; nothing when it is no physical path.
    pub fn find(&self, path: &PathBytes) -> Result<Option<Found>> {
        let mut parts = path.as_bytes().split(|&byte| byte == b'/').skip(1);
        if parts.any(|part| matches!(part, b"" | b"." | b"..")) {
            return Ok(None);
        }
        let fd = match self.open_at(path, OFlag::O_PATH) {
            Ok(fd) => fd,
            // No file can have a name that is too long or has a NUL in it (EINVAL), so nothing is there.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::EINVAL) => return Ok(None),
            Err(error) => return Err(error).with_context(|| self.describe(path)),
        };
        let what = self.describe(path);
        let stat = fstat(&fd).with_context(|| what.clone())?;
        Ok(Some(Found { fd, stat, what }))
    }

    /// When `found`, which is at `path`, was last modified, as the layer's archive has it; `None` when the archive
    /// does not have it. Two hosts have the same archive, but their engines made files with other fractions of a
    /// second, and 1970 of what they cannot unpack.
    pub fn mtime(&self, path: &PathBytes, found: &Found) -> Option<Time> {
        let stat = &found.stat;
        let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
        let on_disk = Time { seconds: stat.st_mtime, nanoseconds };
        match &self.note {
            _ if nanoseconds == 0 && on_disk.seconds > 0 => Some(on_disk),
            None => Some(Time::whole(on_disk.seconds)),
            Some(note) => {
                let headers = self.headers.get_or_init(|| read_headers(note));
                headers.as_ref().map_or(Some(Time::whole(on_disk.seconds)), |known| {
                    known.time(path, found.is_dir(), on_disk)
                })
            }
        }
    }

    /// The content of the regular file at `path`, which must still have `size` bytes.
    pub fn content(&self, path: &PathBytes, size: u64) -> Result<File> {
        // O_NONBLOCK: should the file have become a pipe, this must not wait for a writer.
        let fd = self.open_at(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK);
        let fd = fd.with_context(|| self.describe(path))?;
        let stat = fstat(&fd).with_context(|| self.describe(path))?;
        ensure!(u64::try_from(stat.st_size)? == size, "{}: it is changing", self.describe(path));
        Ok(File::from(fd))
    }

    /// Names in the directory `path`, and whether each may be a whiteout.
    pub fn list(&self, path: &PathBytes) -> Result<Vec<(Vec<u8>, bool)>> {
        let list = || names(self.open_at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?);
        list().with_context(|| self.describe(path))
    }

    /// Names in the directory `path`, and what the kernel tells of each.
    pub fn stats(&self, path: &PathBytes) -> Result<Vec<(Vec<u8>, FileStat)>> {
        let read = || -> nix::Result<Vec<_>> {
            let fd = self.open_at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
            let stat = |(name, _): (Vec<u8>, bool)| {
                let stat = fstatat(&fd, name.as_slice(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
                Ok((name, stat))
            };
            names(fd.try_clone().map_err(|_| Errno::EMFILE)?)?.into_iter().map(stat).collect()
        };
        read().with_context(|| self.describe(path))
    }

    fn open_at(&self, path: &PathBytes, flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let relative = path.as_bytes().strip_prefix(b"/").unwrap_or(path.as_bytes());
        let relative = if relative.is_empty() { b"." } else { relative };
        openat2(&self.dir, relative, how)
    }

    fn describe(&self, path: &PathBytes) -> String {
        format!("cannot read {path} in image layer {}", self.name.display())
    }
}

/// Without the note the engine itself can neither save nor push the image; to slim it, seconds will do.
fn read_headers(note: &Path) -> Option<Headers> {
    let headers = Headers::read(note);
    headers.inspect_err(|error| tracing::warn!("{error:#}: times in this layer may be off by a second")).ok()
}

/// Names in a directory, and whether each may be a whiteout.
fn names(dir: OwnedFd) -> nix::Result<Vec<(Vec<u8>, bool)>> {
    let mut names = Vec::new();
    for entry in Dir::from_fd(dir)?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        // A filesystem need not tell the type.
        let maybe = entry.file_type().is_none_or(|kind| kind == Type::CharacterDevice);
        if name != b"." && name != b".." {
            names.push((name.to_vec(), maybe));
        }
    }
    Ok(names)
}

fn format(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// What an entry is.
pub(super) fn form(stat: &FileStat) -> Form {
    match format(stat) {
        SFlag::S_IFREG => Form::File,
        SFlag::S_IFDIR => Form::Directory,
        SFlag::S_IFLNK => Form::Symlink,
        _ => Form::Special,
    }
}

pub(super) fn is_whiteout(stat: &FileStat) -> bool {
    format(stat) == SFlag::S_IFCHR && stat.st_rdev == 0
}

/// Bytes of content: of regular files only.
pub(super) fn size(stat: &FileStat) -> Result<u64> {
    if format(stat) == SFlag::S_IFREG { Ok(u64::try_from(stat.st_size)?) } else { Ok(0) }
}

impl Found {
    pub fn is_dir(&self) -> bool {
        form(&self.stat) == Form::Directory
    }

    pub fn is_whiteout(&self) -> bool {
        is_whiteout(&self.stat)
    }

    /// Whether the directory hides what lower layers have in it.
    pub fn is_opaque(&self) -> Result<bool> {
        let xattrs = self.xattrs()?;
        let opaque: [&[u8]; 2] = [b"trusted.overlay.opaque", b"user.overlay.opaque"];
        Ok(opaque.iter().any(|name| xattrs.get(*name).is_some_and(|value| value == b"y")))
    }

    pub fn kind(&self) -> Result<Kind> {
        let number = |value: u64| u32::try_from(value).context("device number out of range");
        let rdev = self.stat.st_rdev;
        let device = || anyhow::Ok(Device { major: number(major(rdev))?, minor: number(minor(rdev))? });
        Ok(match format(&self.stat) {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => {
                let target = readlinkat(&self.fd, c"").with_context(|| self.what.clone())?;
                Kind::Symlink(target.as_bytes().to_vec())
            }
            SFlag::S_IFCHR => Kind::CharDevice(device()?),
            SFlag::S_IFBLK => Kind::BlockDevice(device()?),
            SFlag::S_IFIFO => Kind::Fifo,
            _ => Kind::Socket,
        })
    }

    /// All extended attributes, overlayfs' own among them.
    pub fn xattrs(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        // The xattr calls refuse an O_PATH descriptor; its magic link leads to the very inode, even when that is
        // a symbolic link.
        let this = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        let read = || -> std::io::Result<BTreeMap<_, _>> {
            let mut all = BTreeMap::new();
            for name in xattr::list_deref(&this)? {
                if let Some(value) = xattr::get_deref(&this, &name)? {
                    all.insert(name.into_vec(), value);
                }
            }
            Ok(all)
        };
        let all = match read() {
            Err(error) if error.raw_os_error() == Some(Errno::ENOTSUP as i32) => BTreeMap::new(),
            result => result.with_context(|| self.what.clone())?,
        };
        if all.keys().any(|name| name.ends_with(b".overlay.redirect") || name.ends_with(b".overlay.metacopy"))
        {
            return Err(NotPlain(self.what.clone()).into());
        }
        Ok(all)
    }
}
