//! What a layer's archive says that its directory does not: engines note the archive's headers when they unpack or
//! make it, so that they can make the same archive again.
//!
//! The note is gzip'ed JSON, a line for each stretch of the archive (github.com/vbatts/tar-split, `storage.Entry`):
//! type 2 has the bytes, in base64; type 1 stands for the content of a file, which is in the directory.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use tar::EntryType;

use crate::image::Time;
use crate::image::tarball::{Members, Source, physical};
use crate::manifest::PathBytes;

/// Longest line: an extended header of the largest size, in base64.
const MAX_LINE: u64 = 4 << 20;
/// A line that is a stretch of bytes.
const BYTES: u8 = 2;

/// What is needed of a layer's headers to tell the times that the archive has.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// Whether any time is finer than seconds. Engines write whole seconds: with any other the layer came from
    /// elsewhere, and its directory has what the archive has.
    has_fractions: bool,
    /// Times that engines do not unpack as they are.
    odd_times: HashMap<PathBytes, Time>,
    directories: HashSet<PathBytes>,
}

impl Headers {
    /// Reads the note at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Self::parse(BufReader::new(MultiGzDecoder::new(BufReader::new(file))))
            .with_context(|| format!("cannot read {}", path.display()))
    }

    fn parse(lines: impl BufRead) -> Result<Self> {
        let mut headers = Self::default();
        for member in Members::new(Stretches { lines, held: Vec::new(), start: 0 }) {
            let member = member?;
            let path = physical(&member.name)?;
            headers.has_fractions |= member.mtime.nanoseconds > 0;
            if !member.mtime.is_unpacked_as_it_is() {
                headers.odd_times.insert(path.clone(), member.mtime);
            }
            if member.kind == EntryType::Directory {
                headers.directories.insert(path);
            }
        }
        Ok(headers)
    }

    /// The time in the archive of an entry that has the time `on_disk`. `None` for a directory that is not in the
    /// archive: the engine made it on the way to another entry, when it unpacked the layer.
    pub fn time(&self, path: &PathBytes, is_dir: bool, on_disk: Time) -> Option<Time> {
        if let Some(&time) = self.odd_times.get(path) {
            return Some(time);
        }
        if is_dir && !self.directories.contains(path) {
            return None;
        }
        Some(if self.has_fractions { on_disk } else { Time::whole(on_disk.seconds) })
    }
}

/// The archive without the files' content, read line by line.
struct Stretches<R> {
    lines: R,
    /// Bytes read and not yet passed.
    held: Vec<u8>,
    /// Offset of the first of them.
    start: u64,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    payload: Option<String>,
}

impl<R: BufRead> Stretches<R> {
    /// Reads up to `end`, and forgets what is before `offset`. What is held then are the bytes from `offset` on.
    fn fill(&mut self, offset: u64, end: u64) -> Result<()> {
        while self.start + (self.held.len() as u64) < end {
            let passed = self.held.len().min(usize::try_from(offset - self.start)?);
            self.held.drain(..passed);
            self.start += passed as u64;
            let Some(bytes) = self.next_stretch()? else { break };
            self.held.extend(bytes);
        }
        Ok(())
    }

    /// The bytes of the next line; none for the content of a file. `None` at the end.
    fn next_stretch(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let length = (&mut self.lines).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(None);
        }
        ensure!(length as u64 != MAX_LINE, "a line of more than {MAX_LINE} bytes");
        let line: Line = serde_json::from_slice(&line).context("a line is not as expected")?;
        let payload = line.payload.filter(|_| line.kind == BYTES).unwrap_or_default();
        STANDARD.decode(payload).context("a stretch is not base64").map(Some)
    }
}

impl<R: BufRead> Source for Stretches<R> {
    fn ends_before(&mut self, offset: u64) -> Result<bool> {
        self.fill(offset, offset + 1)?;
        Ok(self.start + self.held.len() as u64 <= offset)
    }

    fn bytes(&mut self, offset: u64, len: u64, limit: u64) -> Result<Vec<u8>> {
        ensure!(len <= limit, "{len} bytes where at most {limit} make sense");
        self.fill(offset, offset + len)?;
        let from = usize::try_from(offset - self.start)?;
        let bytes = self.held.get(from..from + usize::try_from(len)?);
        bytes.map(<[u8]>::to_vec).context("it is cut off")
    }

    fn content(&self, _offset: u64, _size: u64) -> Result<u64> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_note_that_is_damaged_is_an_error() {
        let read = |text: &str| Headers::parse(text.as_bytes()).map_err(|error| format!("{error:#}"));
        assert!(read("").is_ok());
        assert!(read("{}").is_err_and(|why| why.contains("not as expected")));
        assert!(read(r#"{"type": 2, "payload": "?"}"#).is_err_and(|why| why.contains("base64")));
        assert!(read(r#"{"type": 2, "payload": "AAAA"}"#).is_err_and(|why| why.contains("cut off")));
        assert!(Headers::read(Path::new("/nonexistent")).is_err());
    }

    proptest! {
        #[test]
        fn any_stretches_are_read_or_refused(
            stretches in prop::collection::vec((1..=2u8, prop::collection::vec(any::<u8>(), 0..1500)), 0..6),
            rest: Vec<u8>,
        ) {
            let line = |(kind, bytes): &(u8, Vec<u8>)| {
                format!("{{\"type\": {kind}, \"payload\": \"{}\"}}\n", STANDARD.encode(bytes))
            };
            let mut note = stretches.iter().map(line).collect::<String>().into_bytes();
            note.extend(rest);
            let _ = Headers::parse(&note[..]);
        }
    }
}
