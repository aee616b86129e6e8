//! What a Python source imports, at any depth of it, told without running it.
//!
//! `import` is a keyword: outside strings and comments it can be nothing else (The Python Language Reference, 7.11). So
//! words are all that has to be told apart, and neither indentation nor the grammar around a statement matters.

use std::collections::BTreeSet;

/// More is no name that somebody wrote.
const MAX_NAME: usize = 200;
/// More is no source that somebody wrote.
const MAX_IMPORTS: usize = 10_000;

/// A module that is imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    /// From how many packages up: 0 is from the top, 1 from the package that the source is in.
    pub level: usize,
    /// The names of packages and module, dots between them. The last may also be something in the module.
    pub name: Vec<u8>,
    /// Whether a name follows that is put together at run time, so that any module of the package may be meant.
    pub any_below: bool,
}

/// The imports of `source`, each once: of statements, and of calls of `import_module` and `__import__` with a literal.
pub(super) fn imports(source: &[u8]) -> BTreeSet<Import> {
    let mut found = Found(BTreeSet::new());
    let mut at = Words(source);
    while let Some(word) = at.next() {
        let mut ahead = at;
        let understood = match word {
            Word::Name(b"import") => found.modules(&mut ahead),
            Word::Name(b"from") => found.parts(&mut ahead),
            Word::Name(b"import_module" | b"__import__") => found.call(&mut ahead),
            _ => None,
        };
        // What is no import is read on behind its first word.
        if understood.is_some() && found.0.len() < MAX_IMPORTS {
            at = ahead;
        }
    }
    found.0
}

struct Found(BTreeSet<Import>);

impl Found {
    fn add(&mut self, level: usize, name: Vec<u8>, any_below: bool) {
        if name.len() <= MAX_NAME && self.0.len() < MAX_IMPORTS {
            self.0.insert(Import { level, name, any_below });
        }
    }

    /// `a.b as c, d`
    fn modules(&mut self, at: &mut Words<'_>) -> Option<()> {
        loop {
            let name = dotted(at)?;
            self.add(0, name, false);
            skip_alias(at);
            at.eat(b',')?;
        }
    }

    /// `..a.b import c as d, e`, also in brackets, or `*`
    fn parts(&mut self, at: &mut Words<'_>) -> Option<()> {
        let mut level = 0;
        while at.eat(b'.').is_some() {
            level += 1;
        }
        let module = dotted(at).unwrap_or_default();
        // `raise error from cause`, and an import in the next line.
        let is_statement = !at.is_line_end() && (level > 0 || !module.is_empty());
        at.eat_name(b"import").filter(|()| is_statement)?;
        self.add(level, module.clone(), false);
        let _ = at.eat(b'(');
        while let Some(part) = at.name() {
            let between = if module.is_empty() { &b""[..] } else { b"." };
            self.add(level, [&module, between, part].concat(), false);
            skip_alias(at);
            if at.eat(b',').is_none() {
                break;
            }
        }
        Some(())
    }

    /// `("a.b")`, `("a." + name)`, `(f".{name}", package)`
    fn call(&mut self, at: &mut Words<'_>) -> Option<()> {
        at.eat(b'(')?;
        let Some(Word::Text(text)) = at.next() else { return None };
        let end = text.iter().position(|byte| b"%{".contains(byte));
        let is_whole = end.is_none() && (at.eat(b',').is_some() || at.eat(b')').is_some());
        let text = &text[..end.unwrap_or(text.len())];
        let name = text.trim_ascii_start();
        let name = name.iter().position(|&byte| byte != b'.').map_or(&b""[..], |start| &name[start..]);
        let level = text.len() - name.len();
        if !name.iter().all(|&byte| is_of_name(byte) || byte == b'.') {
            return Some(());
        }
        match name.iter().rposition(|&byte| byte == b'.') {
            _ if is_whole => self.add(level, name.to_owned(), false),
            Some(dot) => self.add(level, name[..dot].to_owned(), true),
            None if level > 0 && name.is_empty() => self.add(level, Vec::new(), true),
            None => {}
        }
        Some(())
    }
}

/// `a.b.c`
fn dotted(at: &mut Words<'_>) -> Option<Vec<u8>> {
    let mut name = at.name()?.to_owned();
    while at.eat(b'.').is_some() {
        let part = at.name()?;
        // The whole of it is read, to go on behind it, but no more kept than tells that it is too long.
        if name.len() <= MAX_NAME {
            name = [&name, &b"."[..], part].concat();
        }
    }
    Some(name)
}

/// `as name`
fn skip_alias(at: &mut Words<'_>) {
    if at.eat_name(b"as").is_some() {
        at.name();
    }
}

/// What a source is made of, as far as imports are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word<'a> {
    /// A name, a keyword or a number.
    Name(&'a [u8]),
    /// What stands between quotes.
    Text(&'a [u8]),
    /// Any other character.
    Sign(u8),
}

/// The words of what is left of a source.
#[derive(Clone, Copy)]
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            let (&first, rest) = self.0.split_first()?;
            match first {
                b'#' => self.take(|byte| byte != b'\n'),
                // A backslash joins lines.
                b'\\' | b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' => {
                    self.0 = rest;
                    &[]
                }
                b'"' | b'\'' => return Some(Word::Text(self.text(first))),
                _ if is_of_name(first) => {
                    let name = self.take(is_of_name);
                    // Raw text, bytes and the like; in each, a backslash keeps a quote from ending it.
                    let is_prefix = name.len() <= 2 && name.iter().all(|byte| b"rRbBfFuU".contains(byte));
                    match self.0.first() {
                        Some(&quote @ (b'"' | b'\'')) if is_prefix => {
                            return Some(Word::Text(self.text(quote)));
                        }
                        _ => return Some(Word::Name(name)),
                    }
                }
                _ => {
                    self.0 = rest;
                    return Some(Word::Sign(first));
                }
            };
        }
    }

    /// What stands between the quotes that come next. One of a line ends with the line at the latest.
    fn text(&mut self, quote: u8) -> &'a [u8] {
        let triple = [quote; 3];
        let (end, rest) = match self.0.strip_prefix(&triple) {
            Some(rest) => (&triple[..], rest),
            None => (&triple[..1], self.0.get(1..).unwrap_or_default()),
        };
        let mut at = 0;
        while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
            let is_line_end = end.len() == 1 && left[0] == b'\n';
            if left.starts_with(end) || is_line_end {
                self.0 = left.strip_prefix(end).unwrap_or(left);
                return &rest[..at];
            }
            at += if left[0] == b'\\' { 2 } else { 1 };
        }
        self.0 = &[];
        rest
    }

    fn take(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| !belongs(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// Whether nothing follows in this line, which a backslash at its end makes longer.
    fn is_line_end(&self) -> bool {
        let mut left = self.0;
        loop {
            left = match left {
                [b' ' | b'\t' | b'\x0c', rest @ ..]
                | [b'\\', b'\n', rest @ ..]
                | [b'\\', b'\r', b'\n', rest @ ..] => rest,
                _ => return matches!(left, [] | [b'\r' | b'\n' | b'#', ..]),
            };
        }
    }

    /// Takes what comes next if it is this character.
    fn eat(&mut self, sign: u8) -> Option<()> {
        let mut ahead = *self;
        (ahead.next()? == Word::Sign(sign)).then(|| *self = ahead)
    }

    /// Takes what comes next if it is this word.
    fn eat_name(&mut self, name: &[u8]) -> Option<()> {
        let mut ahead = *self;
        (ahead.next()? == Word::Name(name)).then(|| *self = ahead)
    }

    /// Takes what comes next if it is a name; those that begin an import are none.
    fn name(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        match ahead.next()? {
            Word::Name(name) if name != b"import" && name != b"from" => {
                *self = ahead;
                Some(name)
            }
            _ => None,
        }
    }
}

/// Names may be in any script.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The imports, as a person would write them in one word.
    fn found(source: &str) -> String {
        let text = |import: Import| {
            let name = String::from_utf8(import.name).unwrap();
            format!("{}{name}{}", ".".repeat(import.level), if import.any_below { "*" } else { "" })
        };
        imports(source.as_bytes()).into_iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn statements_are_found_wherever_they_stand() {
        for (source, expected) in [
            ("import a.b, c as d\nx = 1", "a.b c"),
            ("import a\nb, c = 1, 2", "a"),
            ("import a . b;import c", "a.b c"),
            ("def f():\n\ttry: import a\n\texcept ImportError: from b import c", "a b b.c"),
            ("from a.b import c as d, e\nf, g = 1, 2", "a.b a.b.c a.b.e"),
            ("from a import (  # why\n  b,\n  c as d,\n)\ne", "a a.b a.c"),
            ("from a import *", "a"),
            ("from . import a, b", ". .a .b"),
            ("from .... import a\nfrom .b.c import d", ".b.c .b.c.d .... ....a"),
            ("import a, \\\n  b", "a b"),
            ("from a \\\n import b", "a a.b"),
            ("if x: yield from a\nraise x from import_error", ""),
            ("raise x from y\nimport z", "z"),
            ("from from import a", "a"),
            ("import ä", "ä"),
        ] {
            assert_eq!(found(source), expected, "{source}");
        }
    }

    #[test]
    fn text_and_comments_import_nothing() {
        for source in [
            "'import a'",
            "# import a",
            "'''\nimport a\n'''",
            "r'\\'; import a'",
            "rb\"\"\"\n\" import a \"\"\"",
            "x = ' \\\n import a'",
            "important = reimport(a)",
            "\"\"\"never ended\nimport a",
        ] {
            assert_eq!(found(source), "", "{source}");
        }
        assert_eq!(found("x = 'never ended\nimport a"), "a");
        assert_eq!(found("'a'.b; f'{c}'\nimport d # e"), "d");
    }

    #[test]
    fn calls_with_a_literal_are_imports_and_with_a_part_of_one_mean_any_module() {
        for (source, expected) in [
            ("importlib.import_module('a.b')", "a.b"),
            ("m = __import__(\"a\", globals())", "a"),
            ("import_module('.a', __name__)", ".a"),
            ("__import__('a.b.' + name, level=0)", "a.b*"),
            ("import_module(f'..a.{name}x')", "..a*"),
            ("import_module('a.b_%s' % name)", "a*"),
            ("import_module('.' + name, package)", ".*"),
            ("import_module('a{}'.format(name))", ""),
            ("import_module(name)", ""),
            ("import_module('not a name')", ""),
            ("from importlib import import_module", "importlib importlib.import_module"),
        ] {
            assert_eq!(found(source), expected, "{source}");
        }
    }

    #[test]
    fn what_nobody_wrote_has_an_end() {
        let long = "a.".repeat(100_000) + "a";
        assert_eq!(found(&format!("import {long}\nimport b")), "b");
        let many: String = (0..20_000).map(|n| format!("import a{n}\n")).collect();
        assert_eq!(imports(many.as_bytes()).len(), MAX_IMPORTS);
        assert_eq!(found(&"from ".repeat(100_000)), "");
    }

    proptest! {
        #[test]
        fn any_bytes_are_fine(source: Vec<u8>) {
            imports(&source);
        }

        #[test]
        fn any_words_are_fine(words in proptest::collection::vec(
            proptest::sample::select(vec!["import", "from", "a", ".", ",", "(", ")", "*", "as", "\n", "'", "\"\"\"", "\\", "#",
                "__import__", " "]), 0..40)) {
            let source = words.concat();
            for import in imports(source.as_bytes()) {
                prop_assert!(import.name.len() <= MAX_NAME && !import.name.contains(&b'\''));
            }
        }

        #[test]
        fn a_statement_is_found_whatever_stands_before(before: Vec<u8>) {
            // A line ends every text that does not go over lines.
            let before: Vec<u8> = before.into_iter().filter(|byte| !b"\"'\\".contains(byte)).collect();
            let source = [&before, &b"\nimport wanted\n"[..]].concat();
            let wanted = Import { level: 0, name: b"wanted".to_vec(), any_below: false };
            prop_assert!(imports(&source).contains(&wanted));
        }
    }
}
