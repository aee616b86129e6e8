//! YAML with comments, as much of it as manifests of platforms need. Every text is a JSON string, which YAML reads alike,
//! so that nothing in it can mean something else.

use super::deployment::one_line;

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Yaml {
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Item>),
    Map(Vec<Entry>),
}

/// An element of a list.
#[derive(Debug, Clone)]
pub(super) struct Item {
    comment: String,
    value: Yaml,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    comment: String,
    key: String,
    value: Yaml,
}

/// A key with its value.
pub(super) fn entry(key: &str, value: impl Into<Yaml>) -> Entry {
    Entry { comment: String::new(), key: key.to_owned(), value: value.into() }
}

/// An element of a list.
pub(super) fn item(value: impl Into<Yaml>) -> Item {
    Item { comment: String::new(), value: value.into() }
}

impl Entry {
    /// With a line above that says why.
    pub fn because(self, comment: impl Into<String>) -> Self {
        Self { comment: comment.into(), ..self }
    }
}

impl Item {
    /// With a line above that says why.
    pub fn because(self, comment: impl Into<String>) -> Self {
        Self { comment: comment.into(), ..self }
    }
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Yaml {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<Item>> for Yaml {
    fn from(items: Vec<Item>) -> Self {
        Self::List(items)
    }
}

impl From<Vec<Entry>> for Yaml {
    fn from(entries: Vec<Entry>) -> Self {
        Self::Map(entries)
    }
}

/// Comments at the top of a document, a line each.
pub(super) fn comments(lines: &[String]) -> String {
    lines.iter().map(|line| format!("# {}\n", one_line(line))).collect()
}

/// A document, without `---`.
pub(super) fn document(entries: Vec<Entry>) -> String {
    let mut out = String::new();
    write(&Yaml::Map(entries), 0, &mut out);
    out
}

fn write(value: &Yaml, indent: usize, out: &mut String) {
    match value {
        Yaml::Map(entries) => {
            for Entry { comment, key, value } in entries {
                explain(comment, indent, out);
                out.push_str(&format!("{:indent$}{}:", "", spelled_key(key)));
                write_value(value, indent, out);
            }
        }
        Yaml::List(items) => {
            for Item { comment, value } in items {
                explain(comment, indent, out);
                out.push_str(&format!("{:indent$}-", ""));
                write_item(value, indent, out);
            }
        }
        Yaml::Bool(_) | Yaml::Number(_) | Yaml::Text(_) => out.push_str(&scalar(value)),
    }
}

fn explain(comment: &str, indent: usize, out: &mut String) {
    if !comment.is_empty() {
        out.push_str(&format!("{:indent$}# {}\n", "", one_line(comment)));
    }
}

/// What comes after `key:`.
fn write_value(value: &Yaml, indent: usize, out: &mut String) {
    match value {
        Yaml::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            write(value, indent + 2, out);
        }
        Yaml::List(items) if !items.is_empty() => {
            out.push('\n');
            write(value, indent + 2, out);
        }
        value => out.push_str(&format!(" {}\n", scalar(value))),
    }
}

/// What comes after `-`: a map begins on the same line.
fn write_item(value: &Yaml, indent: usize, out: &mut String) {
    match value {
        Yaml::Map(entries) if !entries.is_empty() => {
            let mut block = String::new();
            write(value, indent + 2, &mut block);
            out.push(' ');
            out.push_str(block.trim_start());
        }
        value => write_value(value, indent, out),
    }
}

fn scalar(value: &Yaml) -> String {
    match value {
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(value) => value.to_string(),
        Yaml::Text(text) => quoted(text),
        Yaml::List(_) => "[]".to_owned(),
        Yaml::Map(_) => "{}".to_owned(),
    }
}

fn spelled_key(key: &str) -> String {
    let is_plain = key.chars().all(|char| char.is_ascii_alphanumeric() || "._-/".contains(char));
    let begins = key.starts_with(|char: char| char.is_ascii_alphabetic());
    // What a reader may take for something else than a text.
    let is_word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        .contains(&key.to_ascii_lowercase().as_str());
    if is_plain && begins && !is_word { key.to_owned() } else { quoted(key) }
}

/// A JSON string without what YAML does not take in one.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        match u32::from(char) {
            code @ (0x7f..=0x9f | 0x2028 | 0x2029 | 0xfeff | 0xfffe | 0xffff) => {
                out.push_str(&format!("\\u{code:04x}"))
            }
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn maps_and_lists_in_each_other() {
        let text = document(vec![
            entry("a", vec![entry("b", true), entry("yes", "x\n").because("why\nnot")]),
            entry(
                "list",
                vec![
                    item(vec![entry("one", 1), entry("two", vec![item("x").because("deep")])]),
                    item("plain").because("an item"),
                    item(Vec::<Entry>::new()),
                ],
            ),
            entry("none", Vec::<Item>::new()),
        ]);
        let expected = [
            "a:",
            "  b: true",
            "  # why\u{fffd}not",
            "  \"yes\": \"x\\n\"",
            "list:",
            "  - one: 1",
            "    two:",
            "      # deep",
            "      - \"x\"",
            "  # an item",
            "  - \"plain\"",
            "  - {}",
            "none: []",
            "",
        ];
        assert_eq!(text, expected.join("\n"));
    }

    proptest! {
        #[test]
        fn every_text_is_one_line_of_json(text: String) {
            let spelled = quoted(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&spelled).unwrap(), text);
            let breaks = spelled.chars().any(|char| char.is_control() || char == '\u{2028}');
            prop_assert!(!breaks);
        }
    }
}
