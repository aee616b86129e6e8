//! A layer: a tar archive that depends on nothing but its entries.
//!
//! GNU headers hold any name and any owner. Extended attributes go into PAX records, where Go's reader and with it
//! every engine looks for them, and so do times that are no whole seconds since 1970.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use super::blob::Hashing;
use super::{BLOCK, hex, pad};
use crate::image::{Entry, Kind, LinkId};
use crate::manifest::PathBytes;

/// Bytes of a name that fit into a header.
const NAME: usize = 100;

/// A layer being written to `W`.
pub(in crate::export) struct Layer<W> {
    to: Hashing<W>,
    /// Files with several names -> the first of them.
    links: HashMap<LinkId, PathBytes>,
}

impl<W: Write> Layer<W> {
    pub fn new(to: W) -> Self {
        Self { to: Hashing { to, digest: Sha256::new(), len: 0 }, links: HashMap::new() }
    }

    /// Says that a file with several names will be there under `first` where this layer goes: its other names become
    /// hard links to that.
    pub fn is_there(&mut self, link: LinkId, first: &PathBytes) {
        self.links.insert(link, first.clone());
    }

    /// Adds `entry`; a further name of a file that is in the layer already becomes a hard link. `content` is read
    /// for regular files only.
    pub fn append(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let first = entry.link.and_then(|link| self.links.get(&link)).cloned();
        let (kind, target) = match (&first, &entry.kind) {
            (Some(first), _) => (EntryType::Link, relative(first, false)),
            (None, Kind::Symlink(target)) => (EntryType::Symlink, target.clone()),
            (None, kind) => (entry_type(kind)?, Vec::new()),
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(entry.mode);
        header.set_uid(entry.uid.into());
        header.set_gid(entry.gid.into());
        header.set_mtime(entry.mtime.to_field());
        header.set_size(if kind == EntryType::Regular { entry.size } else { 0 });
        if let Kind::CharDevice(device) | Kind::BlockDevice(device) = &entry.kind {
            header.set_device_major(device.major)?;
            header.set_device_minor(device.minor)?;
        }
        self.extension(EntryType::XHeader, &pax(entry))?;
        let name = relative(&entry.path, entry.is_dir());
        let fields = header.as_old_mut();
        self.name(EntryType::GNULongLink, &target, &mut fields.linkname)?;
        self.name(EntryType::GNULongName, &name, &mut fields.name)?;
        header.set_cksum();
        self.to.write_all(header.as_bytes())?;
        if kind == EntryType::Regular {
            let copied = io::copy(&mut content.take(entry.size), &mut self.to)?;
            ensure!(copied == entry.size, "it has {copied} bytes, not {}: it is changing", entry.size);
            pad(&mut self.to, copied)?;
        }
        if let (Some(link), None) = (entry.link, first) {
            self.links.insert(link, entry.path.clone());
        }
        Ok(())
    }

    /// The writer, the layer's bytes, and `sha256:` with its digest.
    pub fn finish(mut self) -> io::Result<(W, u64, String)> {
        self.to.write_all(&[0; 2 * BLOCK as usize])?;
        let Hashing { to, digest, len } = self.to;
        Ok((to, len, format!("sha256:{}", hex(digest.finalize()))))
    }

    /// Writes `name` into a header's field, or before the header when it is too long for it.
    fn name(&mut self, kind: EntryType, name: &[u8], field: &mut [u8; NAME]) -> io::Result<()> {
        if name.len() > NAME {
            self.extension(kind, &[name, b"\0"].concat())?;
        }
        let fits = name.len().min(NAME);
        field[..fits].copy_from_slice(&name[..fits]);
        Ok(())
    }

    /// A header whose content belongs to the next one; none when there is nothing to say.
    fn extension(&mut self, kind: EntryType, content: &[u8]) -> io::Result<()> {
        if content.is_empty() {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        let name = b"././@LongLink";
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.to.write_all(header.as_bytes())?;
        self.to.write_all(content)?;
        pad(&mut self.to, content.len() as u64)
    }
}

fn entry_type(kind: &Kind) -> Result<EntryType> {
    Ok(match kind {
        Kind::File => EntryType::Regular,
        Kind::Directory => EntryType::Directory,
        Kind::Symlink(_) => EntryType::Symlink,
        Kind::CharDevice(_) => EntryType::Char,
        Kind::BlockDevice(_) => EntryType::Block,
        Kind::Fifo => EntryType::Fifo,
        Kind::Socket => anyhow::bail!("a layer cannot hold a socket"),
    })
}

/// The name of an entry in a layer.
fn relative(path: &PathBytes, is_dir: bool) -> Vec<u8> {
    let name = path.as_bytes().strip_prefix(b"/").unwrap_or(path.as_bytes());
    if is_dir { [name, b"/"].concat() } else { name.to_vec() }
}

/// The PAX records of an entry, sorted.
fn pax(entry: &Entry) -> Vec<u8> {
    let mut records = Vec::new();
    if let Some(mtime) = entry.mtime.to_pax() {
        record(&mut records, b"mtime", mtime.as_bytes());
    }
    for (name, value) in &entry.xattrs {
        record(&mut records, &[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    records
}

/// Appends `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    let start = format!("{len} ");
    for part in [start.as_bytes(), key, b"=", value, b"\n"] {
        records.extend_from_slice(part);
    }
}
