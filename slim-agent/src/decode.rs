//! Bytes of the ring buffer to records. Pure: hostile bytes give an error, never a panic, and a part that the
//! kernel could not read whole is `None`, never a plausible wrong path.

use std::fmt;

use slim_common::record::{Header, kind, truncated};
use slim_common::scope::phase;

use crate::manifest::{PathBytes, Phase};

/// One record of the kernel side, its names still in the ring's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The fixed part.
    pub header: Header,
    /// Call or execution.
    pub kind: Kind,
    /// Who did it.
    pub phase: Phase,
    /// The name as the process spelled it, or a socket address.
    pub name: &'a [u8],
    /// The `#!` interpreter (or the program itself, without one), as the kernel spells it. Executions only.
    pub interp: &'a [u8],
    /// Where the name starts, seen from the root of the process's mount tree.
    pub base: Option<PathBytes>,
    /// The root directory of the process, where it has one of its own.
    pub own_root: Option<PathBytes>,
    /// The file reached, seen from the root of its filesystem.
    pub reached: Option<PathBytes>,
    /// The executable, seen from the root of its filesystem.
    pub exe: Option<PathBytes>,
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A system call that named a file or a socket.
    Call,
    /// A program that was executed.
    Exec,
    /// An object that was reached: the second tier.
    File,
    /// A capability that the process had when the kernel asked for it.
    Capability,
    /// A container that came into scope by itself: only the header's slot and cgroup say something.
    Birth,
}

/// Bytes that are not a record: kernel side and agent do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than its header, or than the lengths in it.
    Short {
        /// Bytes that were there.
        found: usize,
        /// Bytes that should have been there.
        expected: usize,
    },
    /// An unknown kind.
    Kind(u8),
    /// An unknown phase.
    Phase(u8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { found, expected } => write!(out, "record of {found} bytes, expected {expected}"),
            Self::Kind(kind) => write!(out, "record of unknown kind {kind}"),
            Self::Phase(phase) => write!(out, "record of unknown phase {phase}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads one record.
///
/// # Errors
/// The bytes are not a record.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
    let short = |expected| DecodeError::Short { found: bytes.len(), expected };
    let (head, mut rest) = bytes.split_at_checked(size_of::<Header>()).ok_or(short(size_of::<Header>()))?;
    // SAFETY: `head` has the size of `Header`, which is repr(C) and consists of integers only; the read does not
    // ask for alignment.
    let header = unsafe { head.as_ptr().cast::<Header>().read_unaligned() };
    let lengths = [
        header.name_len,
        header.interp_len,
        header.base_len,
        header.own_root_len,
        header.reached_len,
        header.exe_len,
    ];
    let expected = size_of::<Header>() + lengths.iter().map(|&length| usize::from(length)).sum::<usize>();
    let mut part = |length: u16| {
        let (part, behind) = rest.split_at_checked(length.into()).ok_or(short(expected))?;
        rest = behind;
        Ok(part)
    };
    let [name, interp, base, own_root, reached, exe] = [
        part(header.name_len)?,
        part(header.interp_len)?,
        part(header.base_len)?,
        part(header.own_root_len)?,
        part(header.reached_len)?,
        part(header.exe_len)?,
    ];
    let whole = |bit: u8, walk: &[u8]| (header.truncated & bit == 0).then(|| path_of_walk(walk));
    Ok(Record {
        kind: kind_of(header.kind)?,
        phase: phase_of(header.phase)?,
        name,
        interp,
        base: whole(truncated::BASE, base),
        own_root: whole(truncated::ROOT, own_root),
        reached: whole(truncated::REACHED, reached).filter(|_| header.has_reached != 0),
        exe: whole(truncated::EXE, exe).filter(|_| header.exe_len > 0),
        header,
    })
}

fn kind_of(number: u8) -> Result<Kind, DecodeError> {
    match number {
        kind::CALL => Ok(Kind::Call),
        kind::EXEC => Ok(Kind::Exec),
        kind::FILE => Ok(Kind::File),
        kind::CAPABILITY => Ok(Kind::Capability),
        kind::BIRTH => Ok(Kind::Birth),
        unknown => Err(DecodeError::Kind(unknown)),
    }
}

/// The phase that a number of the kernel side stands for.
///
/// # Errors
/// There is none with that number.
pub fn phase_of(number: u8) -> Result<Phase, DecodeError> {
    match number {
        phase::APP => Ok(Phase::App),
        phase::RUNTIME_INIT => Ok(Phase::RuntimeInit),
        phase::RUNTIME_CONFINED => Ok(Phase::RuntimeConfined),
        phase::EXEC => Ok(Phase::Exec),
        phase::HEALTHCHECK => Ok(Phase::Healthcheck),
        unknown => Err(DecodeError::Phase(unknown)),
    }
}

/// Components from the leaf up, each with a NUL behind it, to an absolute path.
fn path_of_walk(walk: &[u8]) -> PathBytes {
    let mut path = Vec::with_capacity(walk.len() + 1);
    for part in walk.split(|&b| b == 0).rev().filter(|part| !part.is_empty()) {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    PathBytes::new(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(header: Header, parts: &[&[u8]]) -> Vec<u8> {
        let at = (&raw const header).cast::<u8>();
        // SAFETY: `Header` has no padding that is not a field.
        let mut bytes = unsafe { std::slice::from_raw_parts(at, size_of::<Header>()) }.to_vec();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    fn sample() -> Vec<u8> {
        let header = Header {
            kind: kind::CALL,
            name_len: 4,
            base_len: 8,
            reached_len: 0,
            has_reached: 1,
            ..Header::default()
        };
        bytes_of(header, &[b"conf", b"app\0srv\0"])
    }

    #[test]
    fn walks_are_turned_around() {
        let bytes = sample();
        let record = decode(&bytes).unwrap();
        assert_eq!(record.name, b"conf");
        assert_eq!(record.base, Some("/srv/app".into()));
        assert_eq!(record.reached, Some("/".into()));
        assert_eq!(record.exe, None);
    }

    #[test]
    fn a_truncated_part_is_no_path() {
        let header =
            Header { kind: kind::EXEC, base_len: 2, truncated: truncated::BASE, ..Header::default() };
        assert_eq!(decode(&bytes_of(header, &[b"a\0"])).unwrap().base, None);
    }

    #[test]
    fn lengths_beyond_the_end_are_an_error() {
        let bytes = sample();
        assert!(matches!(decode(&bytes[..bytes.len() - 1]), Err(DecodeError::Short { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, at in 0usize..100, value: u8) {
            let _ = decode(&bytes);
            bytes = sample();
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
            let _ = decode(&bytes);
        }
    }
}
