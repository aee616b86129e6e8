//! The members of a tar archive and where their bytes lie in it, so that content is read only when it is wanted.
//!
//! The `tar` crate parses the header fields. Its reader cannot be used for the rest: it splits PAX records at
//! newlines, which may be part of an extended attribute's value.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use tar::{EntryType, GnuExtSparseHeader, Header};

use super::section::Section;
use crate::image::whole_seconds;

const BLOCK: u64 = 512;
/// Largest extended header, as in Go's archive/tar, which the engines use.
const MAX_EXTENSION: u64 = 1 << 20;

/// PAX records by key.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

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
    pub mtime: u64,
    pub size: u64,
    pub major: u32,
    pub minor: u32,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Offset of the content. Of a sparse file: offset of its header, after which its map and its parts follow.
    pub offset: u64,
}

/// Iterates over the members of an archive; ends after the first error.
pub(super) struct Members {
    source: Section,
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

impl Members {
    pub fn new(source: Section) -> Self {
        Self { source, at: 0, done: false }
    }

    fn advance(&mut self) -> Result<Option<Member>> {
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let start = self.at;
            self.at += BLOCK;
            match header.entry_type() {
                EntryType::XHeader => extensions.pax.extend(pax(&self.extension(&header)?)?),
                // The engines ignore global records too.
                EntryType::XGlobalHeader => drop(self.extension(&header)?),
                EntryType::GNULongName => extensions.name = Some(text(&self.extension(&header)?)),
                EntryType::GNULongLink => extensions.link = Some(text(&self.extension(&header)?)),
                _ => return self.member(&header, start, extensions).map(Some),
            }
        }
    }

    /// The header at the current position; `None` at the end of the archive.
    fn header(&self) -> Result<Option<Header>> {
        if self.at == self.source.len() {
            return Ok(None);
        }
        let block = self.source.part(self.at, BLOCK)?.bytes(BLOCK)?;
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
        let content = self.source.part(self.at, size)?.bytes(MAX_EXTENSION)?;
        self.skip(size)?;
        Ok(content)
    }

    fn skip(&mut self, size: u64) -> Result<()> {
        let next = size.checked_next_multiple_of(BLOCK).and_then(|size| self.at.checked_add(size));
        // The padding after the last member may be missing.
        self.at = next.context("tar member of impossible size")?.min(self.source.len());
        Ok(())
    }

    fn member(&mut self, header: &Header, start: u64, mut extensions: Extensions) -> Result<Member> {
        let pax = &mut extensions.pax;
        if pax.keys().any(|key| key.starts_with(b"GNU.sparse.")) {
            bail!(
                "sparse files in PAX form are not supported: import the image from an archive without them"
            );
        }
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
                Some(value) => seconds(value).context("bad PAX record mtime")?,
                None => whole_seconds(header.mtime().unwrap_or(0).cast_signed(), 0),
            },
            size,
            major: header.device_major().ok().flatten().unwrap_or(0),
            minor: header.device_minor().ok().flatten().unwrap_or(0),
            offset: self.at,
            name: Vec::new(),
            link: Vec::new(),
            xattrs: Records::new(),
        };
        let field = || header.link_name_bytes().unwrap_or_default().into_owned();
        member.link = pax.remove(&b"linkpath"[..]).or(extensions.link).unwrap_or_else(field);
        member.name =
            pax.remove(&b"path"[..]).or(extensions.name).unwrap_or_else(|| header.path_bytes().into());
        let xattr =
            |(key, value): (Vec<u8>, Vec<u8>)| Some((key.strip_prefix(b"SCHILY.xattr.")?.to_vec(), value));
        member.xattrs = extensions.pax.into_iter().filter_map(xattr).collect();
        if kind == EntryType::GNUSparse {
            member.offset = start;
            member.size = self.sparse_size(header)?;
        } else if kind == EntryType::Regular && member.name.ends_with(b"/") {
            // The form of directories before POSIX.
            (member.kind, member.size, size) = (EntryType::Directory, 0, 0);
        }
        self.source.part(self.at, size)?;
        self.skip(size)?;
        Ok(member)
    }

    /// The size of an old GNU sparse file when unpacked; its map's further blocks are skipped.
    fn sparse_size(&mut self, header: &Header) -> Result<u64> {
        let gnu = header.as_gnu().context("a sparse tar member without a GNU header")?;
        let mut more = gnu.is_extended();
        while more {
            let block = self.source.part(self.at, BLOCK)?.bytes(BLOCK)?;
            let mut map = GnuExtSparseHeader::new();
            map.as_mut_bytes().copy_from_slice(&block);
            more = map.is_extended();
            self.at += BLOCK;
        }
        gnu.real_size().context("bad size of a sparse tar member")
    }
}

impl Iterator for Members {
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
        records.insert(key.to_vec(), value.to_vec());
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

/// A PAX time such as `12.5` or `-0.5`.
fn seconds(value: &[u8]) -> Option<u64> {
    let value = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let nanoseconds = format!("{fraction:0<9.9}").parse::<u32>().ok()?;
    Some(whole_seconds(whole.parse().ok()?, nanoseconds.into()))
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

    #[test]
    fn times_are_what_engines_unpack() {
        assert_eq!(seconds(b"12.75"), Some(12));
        assert_eq!(seconds(b"-1.5"), Some(0));
        assert_eq!(seconds(b"1.2.3"), None);
        assert_eq!(seconds("1.€€€€€€€€€€".as_bytes()), None);
    }

    proptest! {
        #[test]
        fn records_never_panic(data: Vec<u8>) {
            let _ = pax(&data);
            let _ = seconds(&data);
        }
    }
}
