//! The entries of one layer, as its archive has them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// The digest of its content.
        sha256: [u8; 32],
    },
    /// A directory.
    Directory,
    /// A symbolic link, with its target as it is spelled.
    Symlink(PathBuf),
    /// A device node: `c` or `b`, major, minor.
    Device(char, u32, u32),
    /// A named pipe.
    Fifo,
}

/// A file system entry with all that an archive tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time: seconds, and the nanoseconds where the archive has them.
    pub mtime: (i64, u32),
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// One member of a layer's archive.
#[derive(Debug)]
pub enum Member {
    /// An entry of its own.
    Entry(Entry),
    /// Another name of the entry at that path.
    HardLink(PathBuf),
}

/// Reads the members of a layer, in their order. Paths have no leading `/` or `./`.
pub fn read_members(layer: impl Read) -> Result<Vec<(PathBuf, Member)>> {
    let mut archive = Archive::new(layer);
    let mut members = Vec::new();
    for entry in archive.entries().context("cannot read a layer's archive")? {
        let mut entry = entry.context("a layer's archive breaks off")?;
        let path = normal(&PathBuf::from(OsString::from_vec(entry.path_bytes().into_owned())))?;
        let member =
            member(&mut entry).with_context(|| format!("cannot read the entry {}", path.display()))?;
        members.push((path, member));
    }
    Ok(members)
}

fn member<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Member> {
    let link = entry.link_name_bytes().map(|name| PathBuf::from(OsString::from_vec(name.into_owned())));
    let header = entry.header();
    let device = |letter| -> Result<Kind> {
        let number = |part: Option<u32>| part.context("a device without numbers");
        Ok(Kind::Device(letter, number(header.device_major()?)?, number(header.device_minor()?)?))
    };
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => content(entry)?,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(link.context("a symbolic link without a target")?),
        EntryType::Link => {
            return Ok(Member::HardLink(normal(&link.context("a hard link without a target")?)?));
        }
        EntryType::Char => device('c')?,
        EntryType::Block => device('b')?,
        EntryType::Fifo => Kind::Fifo,
        other => bail!("unexpected kind {other:?}"),
    };
    with_metadata(kind, entry).map(Member::Entry)
}

fn content<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Kind> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        let count = entry.read(&mut buffer)?;
        if count == 0 {
            return Ok(Kind::File { size, sha256: hasher.finalize().into() });
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

fn with_metadata<R: Read>(kind: Kind, entry: &mut tar::Entry<'_, R>) -> Result<Entry> {
    let header = entry.header();
    let mut found = Entry {
        kind,
        mode: header.mode()? & 0o7777,
        uid: header.uid()?,
        gid: header.gid()?,
        mtime: (header.mtime()?.cast_signed(), 0),
        xattrs: BTreeMap::new(),
    };
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        let (key, value) = (extension.key()?, extension.value_bytes());
        let text = || std::str::from_utf8(value).context("a PAX record is not UTF-8");
        match key {
            "mtime" => found.mtime = seconds(text()?)?,
            "uid" => found.uid = text()?.parse()?,
            "gid" => found.gid = text()?.parse()?,
            _ => {
                if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    found.xattrs.insert(name.to_owned(), value.to_vec());
                }
            }
        }
    }
    Ok(found)
}

/// `12.5` is 12 seconds and 500,000,000 nanoseconds.
fn seconds(text: &str) -> Result<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds = format!("{fraction:0<9}");
    let parsed = whole.parse().ok().zip(nanoseconds.get(..9).and_then(|digits| digits.parse().ok()));
    parsed.with_context(|| format!("{text:?} is no time"))
}

fn normal(path: &Path) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => bail!("{} leaves its archive", path.display()),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_times_keep_their_nanoseconds() {
        assert_eq!(seconds("1700000000.25").unwrap(), (1_700_000_000, 250_000_000));
        assert_eq!(seconds("17").unwrap(), (17, 0));
        assert!(seconds("soon").is_err());
    }

    #[test]
    fn paths_lose_what_archives_put_before_them() {
        assert_eq!(normal(Path::new("./etc/passwd")).unwrap(), Path::new("etc/passwd"));
        assert_eq!(normal(Path::new("/etc/")).unwrap(), Path::new("etc"));
        assert!(normal(Path::new("../etc")).is_err());
    }
}
