//! What a view shows to people: headings, lines and tables, whatever they are written as.

use crate::manifest::PathBytes;

/// A document, from top to bottom.
#[derive(Debug, Default)]
pub struct Document(pub Vec<Block>);

/// A part of a document.
#[derive(Debug)]
pub enum Block {
    /// What the following is about.
    Heading(String),
    /// A sentence.
    Line(String),
    /// Rows of cells.
    Table(Table),
}

/// Rows under columns.
#[derive(Debug)]
pub struct Table {
    /// What stands above each column, and which columns have figures.
    pub columns: Vec<Column>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What stands above it.
    pub name: &'static str,
    /// Whether it has figures, which stand at the right and are never broken.
    pub figures: bool,
}

/// A column of words.
pub const fn words(name: &'static str) -> Column {
    Column { name, figures: false }
}

/// A column of figures.
pub const fn figures(name: &'static str) -> Column {
    Column { name, figures: true }
}

impl Document {
    /// Adds a heading.
    pub fn heading(&mut self, text: impl Into<String>) {
        self.0.push(Block::Heading(text.into()));
    }

    /// Adds a sentence.
    pub fn line(&mut self, text: impl Into<String>) {
        self.0.push(Block::Line(text.into()));
    }

    /// Adds a table; nothing when it has no rows.
    pub fn table(&mut self, columns: &[Column], rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            self.0.push(Block::Table(Table { columns: columns.to_vec(), rows }));
        }
    }
}

/// Words one after the other: of a set, in its order.
pub fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// Words as JSON spells them: of the enums of manifest and plan.
pub fn spelled<T: serde::Serialize>(items: impl IntoIterator<Item = T>) -> String {
    let word = |item: T| serde_json::to_value(item).ok()?.as_str().map(str::to_owned);
    list(items.into_iter().filter_map(word))
}

/// A path as JSON spells it.
pub fn path(path: &PathBytes) -> String {
    path.escape().into_owned()
}

/// Text of which nothing steers a terminal, that stays on its line, and that reads in the order it is written in.
pub fn printable(text: &str) -> String {
    text.chars().map(|char| if steers(char) { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// Whether a character is none to be seen, but changes how others are shown: control characters, line ends of Unicode,
/// and marks that turn the direction of writing.
fn steers(char: char) -> bool {
    let marks = ['\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{feff}'];
    char.is_control()
        || marks.contains(&char)
        || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
