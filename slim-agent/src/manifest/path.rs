//! Paths as bytes, and their reversible spelling in JSON.
//!
//! Linux paths are bytes (path_resolution(7)); JSON strings are Unicode. Valid UTF-8 is written as it is; a
//! byte that is not part of valid UTF-8 becomes `\xHH`, and a backslash becomes `\\`, so every path has
//! exactly one spelling and none is lost.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A path inside a container, in bytes. Absolute paths start with `/`, which is the container's root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PathBytes(Vec<u8>);

impl PathBytes {
    /// Takes the bytes as they are: no normalisation.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes of the path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as the standard library knows it.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The last component; empty for `/`.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    /// The directory that holds this path: `/` for a path in the root, `None` for `/` itself.
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.iter().rposition(|&b| b == b'/')?;
        match (cut, self.0.len()) {
            (0, 1) => None,
            (0, _) => Some(Self::new(*b"/")),
            (cut, _) => Some(Self::new(&self.0[..cut])),
        }
    }

    /// This directory's entry `name`.
    pub fn join(&self, name: &[u8]) -> Self {
        let mut bytes = self.0.clone();
        if bytes.last() != Some(&b'/') {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self(bytes)
    }

    /// The components between the slashes, empty ones left out.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|part| !part.is_empty())
    }

    /// Whether this is `dir` or lies below it.
    pub fn is_within(&self, dir: &[u8]) -> bool {
        let dir = dir.strip_suffix(b"/").unwrap_or(dir);
        self.0.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// The JSON spelling; see the module's text.
    pub fn escape(&self) -> Cow<'_, str> {
        if let Ok(text) = std::str::from_utf8(&self.0)
            && !text.contains('\\')
        {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(self.0.len() + 8);
        for chunk in self.0.utf8_chunks() {
            out.push_str(&chunk.valid().replace('\\', "\\\\"));
            for byte in chunk.invalid() {
                out.push_str(&format!("\\x{byte:02x}"));
            }
        }
        Cow::Owned(out)
    }

    /// Reads the JSON spelling back.
    ///
    /// # Errors
    /// When a backslash begins neither `\\` nor `\xHH`.
    pub fn unescape(text: &str) -> Result<Self, String> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            (rest, _) = match (byte, tail) {
                (b'\\', [b'\\', tail @ ..]) => (tail, bytes.push(b'\\')),
                (b'\\', [b'x', high, low, tail @ ..]) => {
                    let value = hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low);
                    let value = value.ok_or_else(|| format!("bad \\x escape in path {text:?}"))?;
                    (tail, bytes.push(value))
                }
                (b'\\', _) => return Err(format!("stray backslash in path {text:?}")),
                _ => (tail, bytes.push(byte)),
            };
        }
        Ok(Self(bytes))
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl From<&str> for PathBytes {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<&[u8]> for PathBytes {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Display for PathBytes {
    /// The JSON spelling with control characters escaped too: safe on a terminal.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.escape().chars() {
            if char.is_control() { write!(out, "{}", char.escape_default())? } else { write!(out, "{char}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for PathBytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.escape())
    }
}

impl Serialize for PathBytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.escape())
    }
}

impl<'de> Deserialize<'de> for PathBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        Self::unescape(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_path_survives_json(bytes: Vec<u8>) {
            let path = PathBytes::new(bytes);
            let json = serde_json::to_string(&path).unwrap();
            prop_assert_eq!(serde_json::from_str::<PathBytes>(&json).unwrap(), path);
        }

        #[test]
        fn unescape_never_panics(text: String) {
            let _ = PathBytes::unescape(&text);
        }
    }

    #[test]
    fn spelling_of_odd_bytes() {
        assert_eq!(PathBytes::new(b"/a\xffb\\c".to_vec()).escape(), "/a\\xffb\\\\c");
        assert!(PathBytes::unescape("/a\\q").is_err());
    }

    #[test]
    fn parents_and_names() {
        assert_eq!(PathBytes::from("/a/b").parent(), Some("/a".into()));
        assert_eq!(PathBytes::from("/a").parent(), Some("/".into()));
        assert_eq!(PathBytes::from("/").parent(), None);
        assert_eq!(PathBytes::from("/a/b").file_name(), b"b");
        assert!(PathBytes::from("/data/x").is_within(b"/data"));
        assert!(!PathBytes::from("/database").is_within(b"/data"));
        assert!(PathBytes::from("/x").is_within(b"/"));
    }
}
