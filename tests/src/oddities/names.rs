//! Names as bytes, in the spelling that manifests and directives share.

use std::fmt;

use anyhow::{Context, Result, bail};

/// A name: any bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Reads the spelling of a manifest: `\xHH` is a byte, `\\` a backslash.
    pub fn spelled(text: &str) -> Result<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('\\') {
            bytes.extend_from_slice(before.as_bytes());
            if let Some(tail) = behind.strip_prefix('\\') {
                bytes.push(b'\\');
                rest = tail;
                continue;
            }
            let digits = behind.strip_prefix('x').and_then(|digits| digits.get(..2));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(
                byte.with_context(|| format!("a backslash in {text:?} begins neither \\\\ nor \\xHH"))?,
            );
            rest = &behind[3..];
        }
        bytes.extend_from_slice(rest.as_bytes());
        Ok(Self(bytes))
    }

    /// Reads a name of a directive: besides the spelling of a manifest, `{255*x}` repeats.
    pub fn of_directive(text: &str) -> Result<Self> {
        let Some((before, behind)) = text.split_once('{') else { return Self::spelled(text) };
        let Some((repeated, after)) = behind.split_once('}') else { bail!("{text:?} has no }} for its {{") };
        let (times, what) = repeated.split_once('*').with_context(|| format!("{repeated:?} is not N*x"))?;
        let times = times.parse().with_context(|| format!("{times:?} is no number"))?;
        let mut all = Self::spelled(before)?.0;
        all.extend(Self::spelled(what)?.0.repeat(times));
        all.extend(Self::of_directive(after)?.0);
        Ok(Self(all))
    }

    /// This name, seen from `directory` unless it begins with a slash.
    pub fn within(self, directory: &str) -> Self {
        match self.0.as_slice() {
            [b'/', ..] => self,
            b"." => Self(directory.into()),
            name => Self([directory.as_bytes(), b"/", name].concat()),
        }
    }

    /// Whether it is `directory` or lies below it.
    pub fn is_within(&self, directory: &str) -> bool {
        let rest = self.0.strip_prefix(directory.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

impl fmt::Display for Bytes {
    /// Long runs of one name would hide what differs: they are cut in the middle.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.escape_ascii().to_string();
        if text.len() <= 160 {
            return out.write_str(&text);
        }
        write!(out, "{}...({} bytes)...{}", &text[..70], self.0.len(), &text[text.len() - 70..])
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_repetitions_are_read() {
        let read = |text| Bytes::of_directive(text).unwrap().0;
        assert_eq!(read("a\\xff\\\\b"), b"a\xff\\b");
        assert_eq!(read("{2*ab}/{3*x}"), b"abab/xxx");
        assert_eq!(read("{2*\\x0a}"), b"\n\n");
        for wrong in ["\\q", "\\x1", "{2*a", "{a}", "{a*b}"] {
            assert!(Bytes::of_directive(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_lies_within_its_directory_and_in_no_namesake() {
        assert_eq!(Bytes::from("x").within("/odd/a"), Bytes::from("/odd/a/x"));
        assert_eq!(Bytes::from(".").within("/odd/a"), Bytes::from("/odd/a"));
        assert_eq!(Bytes::from("/x").within("/odd/a"), Bytes::from("/x"));
        assert!(Bytes::from("/odd/a/x").is_within("/odd/a") && Bytes::from("/odd/a").is_within("/odd/a"));
        assert!(!Bytes::from("/odd/ab").is_within("/odd/a"));
    }
}
