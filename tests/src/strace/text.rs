//! How strace spells names: in quotes, or behind a descriptor in angle brackets, with the escapes of C.

use anyhow::{Context, Result, bail, ensure};

/// The bytes of an argument in quotes: `"/etc/caf\303\251"`.
pub fn quoted(argument: &str) -> Result<Vec<u8>> {
    let inner = argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    unescaped(inner.with_context(|| format!("expected a whole name in quotes, found {argument}"))?)
}

/// The path behind a descriptor, `3</etc/passwd>` or `AT_FDCWD</srv>`; `None` for what is no path, as a socket.
pub fn annotated(argument: &str) -> Result<Option<Vec<u8>>> {
    let Some((descriptor, rest)) = argument.split_once('<') else { return Ok(None) };
    let is_descriptor = descriptor == "AT_FDCWD" || descriptor.parse::<u32>().is_ok();
    let Some((path, _)) = rest.split_once('>').filter(|(path, _)| is_descriptor && path.starts_with('/'))
    else {
        return Ok(None);
    };
    unescaped(path).map(Some)
}

fn unescaped(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'\\' {
            let (value, used) = escape(rest).with_context(|| format!("in the name {text:?}"))?;
            bytes.push(value);
            rest = &rest[used..];
        } else {
            bytes.push(*byte);
        }
    }
    Ok(bytes)
}

/// What stands behind a backslash, and how many characters it takes.
fn escape(rest: &[u8]) -> Result<(u8, usize)> {
    let simple = |value| Ok((value, 1));
    match rest.first() {
        Some(b'n') => simple(b'\n'),
        Some(b't') => simple(b'\t'),
        Some(b'r') => simple(b'\r'),
        Some(b'v') => simple(0x0b),
        Some(b'f') => simple(0x0c),
        Some(&quoted @ (b'"' | b'\\')) => simple(quoted),
        Some(b'x') => digits(rest.get(1..3).unwrap_or_default(), 16).map(|value| (value, 3)),
        Some(b'0'..=b'7') => {
            let length = rest.iter().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
            digits(&rest[..length], 8).map(|value| (value, length))
        }
        other => bail!("unexpected escape {other:?}"),
    }
}

fn digits(digits: &[u8], radix: u32) -> Result<u8> {
    ensure!(!digits.is_empty(), "an escape without digits");
    let text = std::str::from_utf8(digits).context("an escape that is no number")?;
    u8::from_str_radix(text, radix).with_context(|| format!("the escape {text} is no byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_escapes_of_c() {
        assert_eq!(quoted(r#""/a \"b\"\\\n\303\2517""#).unwrap(), b"/a \"b\"\\\n\xc3\xa97");
        assert_eq!(quoted(r#""\x2f\x00\0""#).unwrap(), b"/\0\0");
    }

    #[test]
    fn a_name_that_strace_cut_short_is_an_error() {
        assert!(quoted(r#""/usr/li"..."#).is_err());
        assert!(quoted("0x7ffd10").is_err());
        assert!(quoted(r#""\q""#).is_err());
        assert!(quoted(r#""\777""#).is_err());
    }

    #[test]
    fn descriptors_carry_paths_or_something_else() {
        assert_eq!(annotated(r"3</srv/a\76b>").unwrap().unwrap(), b"/srv/a>b");
        assert_eq!(annotated("AT_FDCWD</>").unwrap().unwrap(), b"/");
        assert_eq!(annotated("3</tmp/gone>(deleted)").unwrap().unwrap(), b"/tmp/gone");
        for no_path in ["4<socket:[56709]>", "5<pipe:[1]>", "AT_FDCWD", "-1", "\"3</x>\""] {
            assert_eq!(annotated(no_path).unwrap(), None, "{no_path}");
        }
    }
}
