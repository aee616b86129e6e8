//! How names and values are spelled in a Dockerfile, so that the builder reads back what was meant.
//!
//! A word passes up to three readers: JSON, the expansion of variables (which takes `\`, `"`, `'` and `$`), and for
//! what `COPY` copies the patterns of Go's `filepath.Match`. The classic builder takes a name as it is when nothing in
//! it is a wildcard, so a wildcard is hidden in a class, as `[[]`, and not behind a backslash.

use crate::manifest::PathBytes;

/// Whether a path can be spelled at all.
pub(super) fn can_spell(path: &PathBytes) -> bool {
    std::str::from_utf8(path.as_bytes()).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// A path that `COPY` copies from.
pub(super) fn source(path: &str) -> String {
    let mut pattern = String::new();
    // A backslash stands for itself unless the name is taken as a pattern.
    let is_pattern = path.contains(['*', '?', '[']);
    for char in path.chars() {
        match char {
            '*' | '?' | '[' => pattern.extend(['[', char, ']']),
            '\\' if is_pattern => pattern.push_str("[\\\\]"),
            char => pattern.push(char),
        }
    }
    json(&expanded(&pattern))
}

/// A path that `COPY` copies to.
pub(super) fn target(path: &str) -> String {
    json(&expanded(path))
}

/// A text as the expansion of variables gives it back.
pub(super) fn expanded(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if matches!(char, '\\' | '"' | '\'' | '$') {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// A value in double quotes; `None` when it cannot be spelled.
pub(super) fn quoted(value: &str) -> Option<String> {
    if value.chars().any(|char| char.is_control() && char != '\t') {
        return None;
    }
    let mut out = String::from("\"");
    for char in value.chars() {
        if matches!(char, '\\' | '"' | '$') {
            out.push('\\');
        }
        out.push(char);
    }
    out.push('"');
    Some(out)
}

/// A JSON string.
pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names() {
        assert_eq!(source("/a b/c"), r#""/a b/c""#);
        assert_eq!(source("/w[1]*?"), r#""/w[[]1][*][?]""#);
        assert_eq!(source(r"/a\b"), r#""/a\\\\b""#);
        assert_eq!(source(r"/a\b*"), r#""/a[\\\\\\\\]b[*]""#);
        assert_eq!(source(r#"/$x"'"#), r#""/\\$x\\\"\\'""#);
        assert_eq!(target("/w[1]$"), r#""/w[1]\\$""#);
        assert!(!can_spell(&PathBytes::new(b"/\xff".to_vec())) && !can_spell(&"/a\nb".into()));
    }

    #[test]
    fn values() {
        assert_eq!(quoted(r#"a"b$c\d'e"#).as_deref(), Some(r#""a\"b\$c\\d'e""#));
        assert_eq!(quoted("a\nb"), None);
    }
}
