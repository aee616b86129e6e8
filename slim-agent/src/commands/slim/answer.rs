//! What a container answers to what it is asked, in a form that can be held against another container's answer.

use sha2::{Digest, Sha256};

/// Bytes of a content that are held, to look for links and to show where two differ.
const HELD: usize = 256 * 1024;
/// Bytes that are shown around the place where two contents differ.
const SHOWN: usize = 60;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What counts first: `200`, `exit code 0`, `no answer`, `still running`.
    pub outcome: String,
    /// What else is said of it: `text/html`, `text/html to /docs/`.
    pub detail: String,
    /// What came with it.
    pub content: Content,
}

impl Answer {
    /// An outcome alone.
    pub fn plain(outcome: impl Into<String>) -> Self {
        Self { outcome: outcome.into(), detail: String::new(), content: Content::of(&[], false) }
    }

    /// How this differs, behind the same outcome, from what was `expected`; for a person.
    pub fn difference(&self, expected: &Self) -> Option<String> {
        if self.detail != expected.detail {
            return Some(format!("{:?} instead of {:?}", self.detail, expected.detail));
        }
        let differs = self.content.differs_from(&expected.content);
        differs.then(|| self.content.difference(&expected.content))
    }
}

/// Bytes that came with an answer, known by their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// How many there were.
    pub length: u64,
    /// The first of them.
    pub head: Vec<u8>,
    /// Whether they came to their end: what did not cannot be compared.
    pub whole: bool,
    digest: [u8; 32],
}

/// Gathers a [`Content`] as its parts come.
#[derive(Debug, Default)]
pub struct Gathered {
    digest: Sha256,
    head: Vec<u8>,
    length: u64,
}

impl Gathered {
    /// Takes the next part.
    pub fn take(&mut self, part: &[u8]) {
        self.digest.update(part);
        self.length += part.len() as u64;
        let room = HELD - self.head.len();
        self.head.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    /// How many bytes came so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What came; `whole` when that was all.
    pub fn end(self, whole: bool) -> Content {
        let Self { digest, head, length } = self;
        Content { length, head, whole, digest: digest.finalize().into() }
    }
}

impl Content {
    /// All of `bytes`, or `cut` off there.
    pub fn of(bytes: &[u8], cut: bool) -> Self {
        let mut gathered = Gathered::default();
        gathered.take(bytes);
        gathered.end(!cut)
    }

    /// Whether both came to their end and are not the same.
    fn differs_from(&self, other: &Self) -> bool {
        self.whole && other.whole && (self.digest, self.length) != (other.digest, other.length)
    }

    /// Where this differs from what was `expected`, for a person.
    fn difference(&self, expected: &Self) -> String {
        let at =
            self.head.iter().zip(&expected.head).take_while(|(found, expected)| found == expected).count();
        let shown = |content: &Self| {
            let from = at.saturating_sub(SHOWN / 2);
            let to = (from + SHOWN).min(content.head.len());
            content.head.get(from..to).unwrap_or_default().escape_ascii().to_string()
        };
        let lengths = format!("{} bytes instead of {}", self.length, expected.length);
        if at == HELD {
            return format!("{lengths}, not the same after the first {HELD}");
        }
        format!("{lengths}, from byte {at} on: \"{}\" instead of \"{}\"", shown(self), shown(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Content {
        Content::of(bytes, false)
    }

    #[test]
    fn a_difference_is_shown_where_it_begins() {
        let text = whole(b"Hello, big world").difference(&whole(b"Hello, world"));
        assert_eq!(
            text,
            "16 bytes instead of 12, from byte 7 on: \"Hello, big world\" instead of \"Hello, world\""
        );
        let text = whole(b"\x1b[2J").difference(&whole(b""));
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn what_did_not_come_to_its_end_is_not_compared() {
        assert!(whole(b"a").differs_from(&whole(b"b")));
        assert!(!whole(b"a").differs_from(&Content::of(b"b", true)));
        assert!(!whole(b"a").differs_from(&whole(b"a")));
    }

    #[test]
    fn a_difference_behind_what_is_held_is_found() {
        let (mut one, mut other) = (vec![b'x'; HELD + 9], vec![b'x'; HELD + 9]);
        (one[HELD + 3], other[HELD + 3]) = (b'1', b'2');
        let (one, other) = (whole(&one), whole(&other));
        assert_eq!(one.head.len(), HELD);
        assert!(one.differs_from(&other) && one.difference(&other).contains("after the first"));
    }

    proptest! {
        #[test]
        fn parts_make_the_same_whole(parts: Vec<Vec<u8>>, other: Vec<u8>) {
            let mut gathered = Gathered::default();
            parts.iter().for_each(|part| gathered.take(part));
            let (content, other) = (gathered.end(true), whole(&other));
            prop_assert_eq!(&content, &whole(&parts.concat()));
            prop_assert_eq!(content.differs_from(&other), content != other);
            let _ = content.difference(&other);
        }
    }
}
