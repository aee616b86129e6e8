//! Databases of paragraphs: parted by empty lines, each a list of `KEY:VALUE` lines (deb822(5), apk-installed).

/// The paragraphs of a database, without the empty lines between them.
pub(super) fn stanzas(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while let Some(tail) = rest.strip_prefix(b"\n") {
            rest = tail;
        }
        if rest.is_empty() {
            return None;
        }
        let end = rest.windows(2).position(|pair| pair == b"\n\n").unwrap_or(rest.len());
        let (stanza, tail) = rest.split_at(end);
        rest = tail;
        Some(stanza.strip_suffix(b"\n").unwrap_or(stanza))
    })
}

/// The lines of a text.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// The first line of the value of `key`.
pub(super) fn field<'a>(stanza: &'a [u8], key: &str) -> Option<&'a str> {
    let value = lines(stanza).find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b":"))?;
    std::str::from_utf8(value).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paragraphs_and_fields() {
        let text = b"\nPackage: a\nDescription: x\n more\n\n\nPackage: b\n";
        let all: Vec<_> = stanzas(text).collect();
        assert_eq!(all, [&b"Package: a\nDescription: x\n more"[..], b"Package: b"]);
        assert_eq!(
            (field(all[0], "Package"), field(all[0], "Pack"), field(all[1], "more")),
            (Some("a"), None, None)
        );
    }

    proptest! {
        #[test]
        fn nothing_but_line_ends_is_lost(text in "[ab\n]{0,40}") {
            let whole: Vec<&[u8]> = lines(text.as_bytes()).collect();
            let parts: Vec<&[u8]> = stanzas(text.as_bytes()).flat_map(lines).collect();
            prop_assert_eq!(whole, parts);
        }
    }
}
