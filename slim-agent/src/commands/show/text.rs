//! A document for a terminal: columns of equal width, as wide as the terminal at the most.

use std::fmt::Write;

use super::document::{Block, Column, Document, Table, printable};

/// Between two columns.
const GAP: usize = 2;
/// A column of words is made no narrower than this.
const NARROWEST: usize = 10;

/// The document as text; `width` is the terminal's, if it is one. Then headings are bold if `colours`.
pub fn text(document: &Document, width: Option<usize>, colours: bool) -> String {
    let mut out = String::new();
    let mut after_table = false;
    for (at, block) in document.0.iter().enumerate() {
        let is_line = matches!(block, Block::Line(_));
        if at > 0 && (!is_line || after_table) {
            out.push('\n');
        }
        after_table = matches!(block, Block::Table(_));
        match block {
            Block::Heading(text) => bold(&mut out, &printable(text), colours),
            Block::Line(text) => {
                let lines = wrapped(&printable(text), width.unwrap_or(usize::MAX));
                lines.iter().for_each(|line| out.extend([line, "\n"]));
            }
            Block::Table(rows) => table(&mut out, rows, width, colours),
        }
    }
    out
}

fn bold(out: &mut String, text: &str, colours: bool) {
    let (on, off) = if colours { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    out.extend([on, text, off, "\n"]);
}

fn table(out: &mut String, table: &Table, width: Option<usize>, colours: bool) {
    let cells: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let widths = widths(&table.columns, &cells, width);
    let names: Vec<String> = table.columns.iter().map(|column| column.name.to_owned()).collect();
    for line in lines(&names, &table.columns, &widths) {
        bold(out, &line, colours);
    }
    for row in &cells {
        for line in lines(row, &table.columns, &widths) {
            out.extend([&line, "\n"]);
        }
    }
}

/// How wide each column is: as its widest cell, or less where the terminal is too narrow.
fn widths(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> Vec<usize> {
    let widest = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| length(cell)).max();
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| widest(at).unwrap_or_default().max(length(column.name)))
        .collect();
    let Some(room) = width.map(|width| width.saturating_sub(GAP * columns.len().saturating_sub(1))) else {
        return widths;
    };
    while widths.iter().sum::<usize>() > room {
        let flexible = widths.iter_mut().zip(columns).filter(|(_, column)| !column.figures);
        match flexible.map(|(width, _)| width).filter(|width| **width > NARROWEST).max() {
            Some(width) => *width -= 1,
            None => break,
        }
    }
    widths
}

/// A row as lines: cells that do not fit go on below.
fn lines(row: &[String], columns: &[Column], widths: &[usize]) -> Vec<String> {
    let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, &width)| wrapped(cell, width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or_default();
    let line = |at: usize| {
        let mut line = String::new();
        for ((cell, column), &width) in cells.iter().zip(columns).zip(widths) {
            let text = cell.get(at).map_or("", String::as_str);
            let pad = " ".repeat(width.saturating_sub(length(text)));
            // Writing to a string cannot fail.
            let _written = if column.figures {
                write!(line, "{pad}{text}{:GAP$}", "")
            } else {
                write!(line, "{text}{pad}{:GAP$}", "")
            };
        }
        line.truncate(line.trim_end().len());
        line
    };
    (0..height).map(line).collect()
}

/// Text as lines of `width` characters at the most, broken between words where that can be.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let used = lines.last().map_or(0, |line| length(line));
        if used > 0 && used + 1 + word.len() <= width {
            append(&mut lines, " ");
        } else if used > 0 {
            lines.push(String::new());
        }
        while word.len() > width.max(1) {
            let rest = word.split_off(width.max(1));
            append(&mut lines, &word.iter().collect::<String>());
            lines.push(String::new());
            word = rest;
        }
        append(&mut lines, &word.iter().collect::<String>());
    }
    lines
}

fn append(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::super::document::{figures, words};
    use super::*;
    use proptest::prelude::*;

    fn document(rows: &[[&str; 2]]) -> Document {
        let mut document = Document::default();
        document.heading("Head");
        document.line("a line");
        let rows = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        document.table(&[words("what"), figures("count")], rows);
        document.line("the end");
        document
    }

    #[test]
    fn figures_stand_at_the_right_and_words_are_broken_to_fit() {
        let document = document(&[["short", "1"], ["words that are long", "1000"]]);
        assert_eq!(
            text(&document, None, false),
            "Head\na line\n\nwhat                 count\nshort                    1\n\
             words that are long   1000\n\nthe end\n"
        );
        assert_eq!(
            text(&document, Some(18), true),
            "\x1b[1mHead\x1b[0m\na line\n\n\x1b[1mwhat         count\x1b[0m\nshort            1\n\
             words that    1000\nare long\n\nthe end\n"
        );
    }

    #[test]
    fn no_name_steers_the_terminal() {
        let text = text(&document(&[["/a\x1b[2J\nb\u{202e}c", "1"]]), None, false);
        assert!(text.contains("/a\u{fffd}[2J\u{fffd}b\u{fffd}c") && !text.contains('\x1b'), "{text:?}");
    }

    proptest! {
        #[test]
        fn every_line_fits_and_no_letter_is_lost(cell in "[a-z /]{0,60}", width in 20_usize..60) {
            let text = text(&document(&[[&cell, "12"]]), Some(width), false);
            prop_assert!(text.lines().all(|line| length(line) <= width), "{text}");
            let letters = |text: &str| text.chars().filter(|char| char.is_alphabetic()).count();
            prop_assert_eq!(letters(&text), letters("Headalinewhatcounttheend") + letters(&cell));
        }
    }
}
