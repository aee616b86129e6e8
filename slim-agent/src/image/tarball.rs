//! The members of a tar archive and where their bytes lie in it, so that content is read only when it is wanted.
//!
//! The `tar` crate parses the header fields. Its reader cannot be used for the rest: it splits PAX records at
//! newlines, which may be part of an extended attribute's value.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tar::{EntryType, GnuExtSparseHeader, Header};

use super::Time;
use super::sparse::{self, Map, Parts};
use crate::manifest::PathBytes;

const BLOCK: u64 = 512;
/// PATH_MAX: no kernel can use a longer name.
const MAX_PATH: usize = 4096;
/// Largest extended header, as in Go's archive/tar, which the engines use.
const MAX_EXTENSION: u64 = 1 << 20;

/// PAX records by key.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// The bytes of an archive, asked for in ascending order.
pub(super) trait Source {
    /// Whether the archive ends before `offset`.
    fn ends_before(&mut self, offset: u64) -> Result<bool>;

    /// `len` bytes from `offset` on; more than `limit` are an error.
    fn bytes(&mut self, offset: u64, len: u64, limit: u64) -> Result<Vec<u8>>;

    /// How many of the `size` bytes of content from `offset` on are there to be skipped.
    fn content(&self, offset: u64, size: u64) -> Result<u64>;
}

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    /// The name as written.
    pub name: Vec<u8>,
    /// The link's target as written; empty when it is no link.
    pub link: Vec<u8>,
    pub kind: EntryType,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    pub size: u64,
    pub major: u32,
    pub minor: u32,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Offset of the content.
    pub offset: u64,
    /// How the content of a sparse file is stored; its size is that of the whole file.
    pub parts: Option<Parts>,
}

/// Iterates over the members of an archive; ends after the first error.
pub(super) struct Members<S> {
    source: S,
    at: u64,
    done: bool,
}

/// What the extended headers before a member said.
#[derive(Default)]
struct Extensions {
    pax: Records,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<S: Source> Members<S> {
    pub fn new(source: S) -> Self {
        Self { source, at: 0, done: false }
    }

    fn advance(&mut self) -> Result<Option<Member>> {
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            self.at += BLOCK;
            match header.entry_type() {
                EntryType::XHeader => extensions.pax.extend(pax(&self.extension(&header)?)?),
                // The engines ignore global records too.
                EntryType::XGlobalHeader => drop(self.extension(&header)?),
                EntryType::GNULongName => extensions.name = Some(text(&self.extension(&header)?)),
                EntryType::GNULongLink => extensions.link = Some(text(&self.extension(&header)?)),
                _ => return self.member(&header, extensions).map(Some),
            }
        }
    }

    /// The header at the current position; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>> {
        if self.source.ends_before(self.at)? {
            return Ok(None);
        }
        let block = self.source.bytes(self.at, BLOCK, BLOCK)?;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let mut expected = header.clone();
        expected.set_cksum();
        ensure!(
            header.cksum().ok() == expected.cksum().ok(),
            "bad tar header checksum at offset {}",
            self.at
        );
        Ok(Some(header))
    }

    /// The content of an extended header, which is skipped over.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header.entry_size().context("bad size of an extended tar header")?;
        let content = self.source.bytes(self.at, size, MAX_EXTENSION)?;
        self.skip(size, size)?;
        Ok(content)
    }

    /// Goes to what follows `size` bytes, of which `there` are in the archive, and their padding.
    fn skip(&mut self, size: u64, there: u64) -> Result<()> {
        let padding = (BLOCK - size % BLOCK) % BLOCK;
        let next = self.at.checked_add(there).and_then(|at| at.checked_add(padding));
        self.at = next.context("tar member of impossible size")?;
        Ok(())
    }

    fn member(&mut self, header: &Header, mut extensions: Extensions) -> Result<Member> {
        let pax = &mut extensions.pax;
        let sparse = sparse::from_pax(pax)?;
        let number = |key: &str, field: u64| match pax.get(key.as_bytes()) {
            Some(value) => decimal(value).with_context(|| format!("bad PAX record {key}")),
            None => Ok(field),
        };
        let kind = header.entry_type();
        let has_content = matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        let mut size = if has_content {
            number("size", header.entry_size().context("bad size of a tar member")?)?
        } else {
            0
        };
        let mut member = Member {
            kind,
            mode: header.mode().unwrap_or(0) & 0o7777,
            uid: u32::try_from(number("uid", header.uid().unwrap_or(0))?).context("owner out of range")?,
            gid: u32::try_from(number("gid", header.gid().unwrap_or(0))?).context("group out of range")?,
            mtime: match pax.get(&b"mtime"[..]) {
                Some(value) => Time::from_pax(value).context("bad PAX record mtime")?,
                None => Time::whole(header.mtime().unwrap_or(0).cast_signed()),
            },
            size,
            major: header.device_major().ok().flatten().unwrap_or(0),
            minor: header.device_minor().ok().flatten().unwrap_or(0),
            offset: self.at,
            name: Vec::new(),
            link: Vec::new(),
            xattrs: Records::new(),
            parts: None,
        };
        let field = || header.link_name_bytes().unwrap_or_default().into_owned();
        member.link = pax.remove(&b"linkpath"[..]).or(extensions.link).unwrap_or_else(field);
        // A sparse file's own name is one that tells old programs so.
        let real_name = sparse.is_some().then(|| pax.remove(&b"GNU.sparse.name"[..])).flatten();
        let name = real_name.or(pax.remove(&b"path"[..])).or(extensions.name);
        member.name = name.unwrap_or_else(|| header.path_bytes().into());
        let xattr =
            |(key, value): (Vec<u8>, Vec<u8>)| Some((key.strip_prefix(b"SCHILY.xattr.")?.to_vec(), value));
        member.xattrs = extensions.pax.into_iter().filter_map(xattr).collect();
        if kind == EntryType::GNUSparse {
            let (map, size) = self.gnu_map(header)?;
            (member.parts, member.size, member.offset) = (Some(Parts::Mapped(map)), size, self.at);
        } else if let Some((parts, size)) = sparse.filter(|_| kind == EntryType::Regular) {
            (member.parts, member.size) = (Some(parts), size);
        } else if kind == EntryType::Regular && member.name.ends_with(b"/") {
            // The form of directories before POSIX.
            (member.kind, member.size, size) = (EntryType::Directory, 0, 0);
        }
        let there = self.source.content(self.at, size)?;
        self.skip(size, there)?;
        Ok(member)
    }

    /// The map of an old GNU sparse file, which its header begins and further blocks go on with, and its size.
    fn gnu_map(&mut self, header: &Header) -> Result<(Map, u64)> {
        let gnu = header.as_gnu().context("a sparse tar member without a GNU header")?;
        let mut map = Map::default();
        map.extend(&gnu.sparse)?;
        let mut more = gnu.is_extended();
        while more {
            let block = self.source.bytes(self.at, BLOCK, BLOCK)?;
            let mut extension = GnuExtSparseHeader::new();
            extension.as_mut_bytes().copy_from_slice(&block);
            map.extend(&extension.sparse)?;
            more = extension.is_extended();
            self.at += BLOCK;
        }
        let size = gnu.real_size().context("bad size of a sparse tar member")?;
        map.check(size)?;
        Ok((map, size))
    }
}

impl<S: Source> Iterator for Members<S> {
    type Item = Result<Member>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let member = self.advance().transpose();
        self.done = !matches!(member, Some(Ok(_)));
        member
    }
}

/// Parses PAX records: `LENGTH KEY=VALUE\n`, where the length counts all of it and the value may hold any byte.
fn pax(mut data: &[u8]) -> Result<Records> {
    let mut records = Records::new();
    while data.first().is_some_and(|&byte| byte != 0) {
        let record = || -> Option<(&[u8], &[u8], &[u8])> {
            let space = data.iter().position(|&byte| byte == b' ')?;
            let len = usize::try_from(decimal(&data[..space])?).ok()?;
            let body = data.get(space + 1..len)?.strip_suffix(b"\n")?;
            let equals = body.iter().position(|&byte| byte == b'=')?;
            Some((&body[..equals], &body[equals + 1..], &data[len..]))
        };
        let (key, value, rest) = record().context("malformed PAX record")?;
        match key {
            // Form 0.0 of sparse files repeats these two; the engines read them as form 0.1.
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let map: &mut Vec<u8> = records.entry(b"GNU.sparse.map".to_vec()).or_default();
                map.extend(if map.is_empty() { &b""[..] } else { b"," });
                map.extend(value);
            }
            _ => drop(records.insert(key.to_vec(), value.to_vec())),
        }
        data = rest;
    }
    // An empty value takes back what an earlier header said, but an extended attribute may well be empty.
    records.retain(|key, value| !value.is_empty() || key.starts_with(b"SCHILY.xattr."));
    Ok(records)
}

fn text(data: &[u8]) -> Vec<u8> {
    data.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The physical path that a member's name means.
pub(super) fn physical(name: &[u8]) -> Result<PathBytes> {
    ensure!(name.len() <= MAX_PATH, "a name of {} bytes: no kernel can use it", name.len());
    let mut path = PathBytes::from("/");
    for part in name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".") {
        ensure!(part != b"..", "entry {} leads out of the layer", PathBytes::from(name));
        path = path.join(part);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_may_hold_newlines() {
        let records = pax(b"30 SCHILY.xattr.user.a=x\n\ny\0z\n12 path=a=b\n").unwrap();
        assert_eq!(records[&b"SCHILY.xattr.user.a"[..]], b"x\n\ny\0z");
        assert_eq!(records[&b"path"[..]], b"a=b");
        assert!(pax(b"99 path=a\n").is_err());
        assert!(pax(b"3 a\n").is_err());
    }

    proptest! {
        #[test]
        fn records_never_panic(data: Vec<u8>) {
            let _ = pax(&data);
        }
    }
}
