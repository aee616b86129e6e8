//! A document as GitHub Flavored Markdown (its specification, version 0.29).

use super::document::{Block, Document, Table, printable};

/// What means something in Markdown: all of it is escaped by a backslash, in tables too.
const MARKUP: [char; 12] = ['\\', '`', '*', '_', '[', ']', '<', '>', '|', '~', '&', '#'];

/// The document as Markdown.
pub fn markdown(document: &Document) -> String {
    let mut out = String::new();
    let mut in_list = false;
    for block in &document.0 {
        let is_line = matches!(block, Block::Line(_));
        if !(out.is_empty() || in_list && is_line) {
            out.push('\n');
        }
        in_list = is_line;
        match block {
            Block::Heading(text) => out.push_str(&format!("## {}\n", escaped(text))),
            Block::Line(text) => out.push_str(&format!("- {}\n", escaped(text))),
            Block::Table(rows) => table(&mut out, rows),
        }
    }
    out
}

fn table(out: &mut String, table: &Table) {
    let mut row = |cells: &mut dyn Iterator<Item = String>| {
        out.push('|');
        cells.for_each(|cell| out.push_str(&format!(" {cell} |")));
        out.push('\n');
    };
    row(&mut table.columns.iter().map(|column| escaped(column.name)));
    row(&mut table.columns.iter().map(|column| if column.figures { "---:" } else { "---" }.to_owned()));
    for cells in &table.rows {
        row(&mut cells.iter().map(|cell| escaped(cell)));
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in printable(text).chars() {
        if MARKUP.contains(&char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::document::{figures, words};
    use super::*;
    use proptest::prelude::*;

    fn document(cell: &str) -> Document {
        let mut document = Document::default();
        document.heading("Files");
        document.line("one");
        document.line("two");
        document.table(&[words("path"), figures("bytes")], vec![vec![cell.to_owned(), "1".to_owned()]]);
        document
    }

    #[test]
    fn what_means_something_is_escaped() {
        assert_eq!(
            markdown(&document("/a|b_c`<br>\n")),
            "## Files\n\n- one\n- two\n\n| path | bytes |\n| --- | ---: |\n| /a\\|b\\_c\\`\\<br\\>\u{fffd} | 1 |\n"
        );
    }

    proptest! {
        #[test]
        fn a_row_has_as_many_cells_as_there_are_columns(cell: String) {
            let text = markdown(&document(&cell));
            let row = text.lines().last().unwrap();
            let bare = row.replace("\\\\", "").replace("\\|", "");
            prop_assert_eq!((bare.matches('|').count(), text.lines().count()), (3, 8));
        }
    }
}
