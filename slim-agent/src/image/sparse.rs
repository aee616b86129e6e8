//! Files of which an archive has only the parts that are no holes.
//!
//! GNU tar has written the map of the parts in four ways: into headers of its own, into PAX records in two ways (0.0
//! and 0.1), and before the content (1.0). See "Storing Sparse Files" in its manual.

use std::collections::BTreeMap;
use std::io::{self, Read};

use anyhow::{Context, Result, bail, ensure};
use tar::GnuSparseHeader;

/// Longest map, in bytes of the archive; the engines read no longer header either.
pub(super) const MAX_MAP: u64 = 1 << 20;
const BLOCK: usize = 512;

/// Where the parts lie in the file: offset and length of each, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Map(Vec<(u64, u64)>);

/// How a member's content is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    /// The parts of this map, one after the other.
    Mapped(Map),
    /// The map, then the parts.
    MapFirst,
}

impl Map {
    /// Adds what a GNU header lists; its unused places are zero.
    pub fn extend(&mut self, listed: &[GnuSparseHeader]) -> Result<()> {
        for part in listed.iter().filter(|part| !part.is_empty()) {
            self.0.push((part.offset()?, part.length()?));
        }
        ensure!(self.0.len() * BLOCK / 21 < MAX_MAP as usize, "a map of too many parts");
        Ok(())
    }

    /// Offsets and lengths in turns, parted by commas.
    fn from_record(record: &[u8]) -> Result<Self> {
        let numbers = record.split(|&byte| byte == b',').map(number).collect::<Result<Vec<_>>>()?;
        ensure!(numbers.len() % 2 == 0, "an offset without a length");
        Ok(Self(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()))
    }

    /// Reads the map before the content, with its padding: the number of parts, then offsets and lengths in turns,
    /// a line each.
    pub fn read(content: &mut impl Read) -> Result<Self> {
        let mut lines = Lines { content, block: Vec::new(), blocks: 0 };
        let count = lines.number()?;
        let mut map = Self::default();
        for _ in 0..count {
            map.0.push((lines.number()?, lines.number()?));
        }
        Ok(map)
    }

    /// Whether the parts can be those of a file of `size` bytes.
    pub fn check(&self, size: u64) -> Result<()> {
        let mut at = 0;
        for &(offset, length) in &self.0 {
            let end = offset.checked_add(length).filter(|&end| offset >= at && end <= size);
            at = end.context("a map whose parts overlap or end after the file")?;
        }
        Ok(())
    }

    /// What the map takes of memory, in bytes.
    pub fn cost(&self) -> usize {
        self.0.len() * size_of::<(u64, u64)>()
    }
}

/// What PAX records say of a member's parts: how they are stored, and the size of the file.
pub(super) fn from_pax(records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Option<(Parts, u64)>> {
    let record = |key: &str| records.get(format!("GNU.sparse.{key}").as_bytes());
    let Some(size) = record("realsize").or(record("size")) else {
        ensure!(record("map").is_none(), "a sparse file without its size");
        return Ok(None);
    };
    let size = number(size)?;
    match record("major").map(Vec::as_slice) {
        Some(b"1") => Ok(Some((Parts::MapFirst, size))),
        Some(b"0") | None => {
            let map = record("map").map_or(Ok(Map::default()), |map| Map::from_record(map))?;
            map.check(size)?;
            Ok(Some((Parts::Mapped(map), size)))
        }
        Some(_) => {
            bail!("a sparse file of an unknown form: import the image from an archive without such files")
        }
    }
}

fn number(digits: &[u8]) -> Result<u64> {
    let digits = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    digits.context("a map that holds no number where one is due")
}

/// Lines of text in blocks.
struct Lines<'a, R> {
    content: &'a mut R,
    /// What has been read and not used, last byte first.
    block: Vec<u8>,
    blocks: u64,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            let Some(byte) = self.block.pop() else {
                self.next_block()?;
                continue;
            };
            if byte == b'\n' {
                return number(&digits);
            }
            digits.push(byte);
        }
    }

    fn next_block(&mut self) -> Result<()> {
        self.blocks += 1;
        ensure!(self.blocks * BLOCK as u64 <= MAX_MAP, "a map of too many parts");
        self.block.resize(BLOCK, 0);
        self.content.read_exact(&mut self.block).context("it ends within the map of a sparse file")?;
        self.block.reverse();
        Ok(())
    }
}

/// A file put together from its parts, with zeros between them.
pub(super) struct Whole<R> {
    parts: R,
    map: std::vec::IntoIter<(u64, u64)>,
    /// Zeros before the next part, and what is left of the part.
    zeros: u64,
    data: u64,
    /// Bytes of the file so far told of by `zeros` and `data`, and in all.
    known: u64,
    size: u64,
}

impl<R: Read> Whole<R> {
    /// The file of `size` bytes whose `parts` lie as `map` says.
    pub fn new(parts: R, map: Map, size: u64) -> Result<Self> {
        map.check(size)?;
        Ok(Self { parts, map: map.0.into_iter(), zeros: 0, data: 0, known: 0, size })
    }

    fn next_part(&mut self) {
        // After the last part the file may end in a hole.
        let (offset, length) = self.map.next().unwrap_or((self.size, 0));
        (self.zeros, self.data) = (offset - self.known, length);
        self.known = offset + length;
    }
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.zeros == 0 && self.data == 0 && self.known < self.size {
            self.next_part();
        }
        let at_most = |count: u64| usize::try_from(count).map_or(into.len(), |count| count.min(into.len()));
        if self.zeros > 0 {
            let count = at_most(self.zeros);
            into[..count].fill(0);
            self.zeros -= count as u64;
            return Ok(count);
        }
        let wanted = at_most(self.data);
        let count = self.parts.read(&mut into[..wanted])?;
        self.data -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(parts: &[u8], map: &[(u64, u64)], size: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Whole::new(parts, Map(map.to_vec()), size)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn holes_are_zeros() {
        assert_eq!(whole(b"abc", &[(1, 2), (3, 0), (4, 1)], 7).unwrap(), b"\0ab\0c\0\0");
        assert_eq!(whole(b"", &[], 3).unwrap(), b"\0\0\0");
        assert!(whole(b"abc", &[(1, 2), (2, 1)], 9).is_err());
        assert!(whole(b"abc", &[(1, 2)], 2).is_err());
        assert!(whole(b"", &[(u64::MAX, 2)], 2).is_err());
    }

    #[test]
    fn the_map_before_the_content() {
        let mut content = b"2\n0\n3\n9\n1\n".to_vec();
        content.resize(BLOCK, 0);
        content.extend(b"abcd");
        let mut rest = &content[..];
        assert_eq!(Map::read(&mut rest).unwrap(), Map(vec![(0, 3), (9, 1)]));
        assert_eq!(rest, b"abcd");
        let endless = b"99999999999\n".iter().chain(b"1\n".iter().cycle()).copied();
        let endless: Vec<u8> = endless.take(2 << 20).collect();
        assert!(Map::read(&mut &endless[..]).is_err_and(|error| error.to_string().contains("too many")));
    }

    proptest! {
        #[test]
        fn any_map_is_read_or_refused(text: Vec<u8>, record: Vec<u8>, map: Vec<(u8, u8)>, size: u16) {
            let _ = Map::read(&mut &text[..]);
            let _ = Map::from_record(&record);
            let map: Vec<_> = map.iter().map(|&(offset, length)| (offset.into(), length.into())).collect();
            if let Ok(bytes) = whole(&vec![1; 1 << 16], &map, size.into()) {
                prop_assert_eq!(bytes.len(), usize::from(size));
            }
        }
    }
}
