//! `show`: one table of what the original offers, what the slim image does, and what was used.

use serde::Serialize;

use super::View;
use super::document::{Document, figures, list, words};
use super::known::Known;
use super::recordings;
use crate::manifest::{ImageRef, Recording, schema::RecordingId};

mod figure;
mod rows;

pub use figure::{Figure, Unit};

/// The view.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// The image that was recorded; null for a bare cgroup.
    image: Option<&'a ImageRef>,
    /// Every recording, by its id.
    recordings: &'a std::collections::BTreeMap<RecordingId, Recording>,
    /// What was not seen, a sentence each.
    shortcomings: Vec<String>,
    /// The table.
    figures: Vec<Figure>,
    /// Said beside what all views say.
    #[serde(skip)]
    notes: Vec<String>,
}

impl<'a> Summary<'a> {
    /// What is known, in figures.
    pub fn new(known: &'a Known) -> Self {
        let (figures, notes) = rows::all(known);
        let manifest = &known.manifest;
        Self {
            image: manifest.image.as_ref(),
            recordings: &manifest.recordings,
            shortcomings: manifest.shortcomings(),
            figures,
            notes,
        }
    }
}

impl View for Summary<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        document.line(match self.image {
            Some(ImageRef { id, names, .. }) if names.is_empty() => format!("image {id}"),
            Some(ImageRef { id, names, .. }) => format!("image {} ({id})", list(names)),
            None => "a bare cgroup, no image".to_owned(),
        });
        recordings::describe(self.recordings, &mut document);
        for shortcoming in &self.shortcomings {
            document.line(format!("not complete: {shortcoming}"));
        }
        let columns = [
            words(""),
            figures("original"),
            figures("slim"),
            figures("difference"),
            figures(""),
            figures("ran"),
        ];
        document.table(&columns, self.figures.iter().map(Figure::row).collect());
        document
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn more(&self) -> Option<String> {
        Some(more(&self.figures))
    }
}

/// Which option shows what each figure counts; of what the option does not name itself, from which row to which.
fn more(all: &[Figure]) -> String {
    let mut options: Vec<(&str, Vec<&str>)> = Vec::new();
    for figure in all {
        match options.iter_mut().find(|(option, _)| *option == figure.shown_by) {
            Some((_, names)) => names.push(figure.name),
            None => options.push((figure.shown_by, vec![figure.name])),
        }
    }
    let told = options.into_iter().map(|(option, names)| {
        let word = option.trim_start_matches('-');
        match names[..] {
            _ if names.iter().any(|name| name.starts_with(word)) => option.to_owned(),
            [first, .., last] => format!("{option} ({first} to {last})").replace("-in-", " in "),
            _ => format!("{option} ({})", list(names).replace('-', " ")),
        }
    });
    format!("more: {}, --by-process, --why PATH", list(told))
}
