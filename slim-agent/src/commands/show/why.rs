//! `show --why PATH`: all that is known of one path.

use serde::Serialize;

use super::View;
use super::document::{Document, list, path, spelled, words};
use super::files::File;
use super::known::{Known, Place};
use crate::manifest::PathBytes;
use crate::surface::Finding;

/// The view.
#[derive(Debug, Serialize)]
pub struct Why<'a> {
    #[serde(flatten)]
    file: File<'a>,
    /// The path, if it is another that the manifest or the plan knows it by.
    known_as: Option<&'a PathBytes>,
    /// What the original has there; null without an image.
    in_image: Option<&'a Place>,
    /// What is of note about it.
    findings: Vec<&'a Finding>,
    #[serde(skip)]
    path: &'a PathBytes,
    #[serde(skip)]
    recordings: usize,
}

impl<'a> Why<'a> {
    /// What is known of `path`; none when nothing is.
    pub fn new(known: &'a Known, path: &'a PathBytes) -> Option<Self> {
        let place = known.image.as_ref().and_then(|image| image.place.as_ref());
        let physical = place.and_then(|place| place.path.as_ref());
        let is_told = |path: &PathBytes| {
            let plan = known.image.as_ref().map(|image| &image.plan);
            known.manifest.files.contains_key(path)
                || plan
                    .is_some_and(|plan| plan.generated.contains_key(path) || plan.left_out.contains_key(path))
        };
        if !is_told(path) && physical.is_none() {
            return None;
        }
        let known_as = physical.filter(|physical| !is_told(path) && *physical != path);
        let surface = known.image.as_ref().and_then(|image| image.surface.as_ref());
        let at = known_as.unwrap_or(path);
        let findings = surface.into_iter().flat_map(|surface| &surface.findings);
        let findings = findings.filter(|finding| finding.name == *at || finding.also.contains(at)).collect();
        let recordings = known.manifest.recordings.len();
        Some(Self { file: File::new(known, at), known_as, in_image: place, findings, path, recordings })
    }
}

impl View for Why<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        document.heading(path(self.path));
        let mut rows = Vec::new();
        let mut row = |what: &str, text: String| {
            if !text.is_empty() {
                rows.push(vec![what.to_owned(), text]);
            }
        };
        row("leads to", self.known_as.or(self.file.leads_to).map(path).unwrap_or_default());
        row("original", self.in_image.map_or("-".to_owned(), original));
        row("packages", self.in_image.map(|place| list(&place.packages)).unwrap_or_default());
        match self.file.recorded {
            Some(used) => {
                row("used", spelled(&used.uses));
                row("by", list(used.by.iter().map(path)));
                row("phases", spelled(&used.phases));
                row("lies on", spelled([used.origin]));
                row("first", format!("{} ms after a recording began", used.first_ms));
                row(
                    "seen in",
                    format!(
                        "{} of {} recordings: {}",
                        used.seen_in.len(),
                        self.recordings,
                        list(&used.seen_in)
                    ),
                );
            }
            None => row("used", "in no recording".to_owned()),
        }
        let is_there = self.in_image.is_some_and(|place| place.path.is_some());
        match (self.file.kept, self.file.left_out) {
            (None, _) => row("kept", "-".to_owned()),
            (Some(false), None) if is_there => row("kept", "no: nothing asks for it".to_owned()),
            _ => row("kept", self.file.verdict()),
        }
        let tell = |finding: &&Finding| match &*finding.detail {
            "" => finding.kind.replace('-', " "),
            detail => format!("{} ({detail})", finding.kind.replace('-', " ")),
        };
        row("of note", list(self.findings.iter().map(tell)));
        document.table(&[words("what"), words("is known")], rows);
        document
    }
}

fn original(place: &Place) -> String {
    if place.path.is_none() {
        return "does not have it".to_owned();
    }
    let Place { what, mode, owner, bytes, .. } = place;
    let size = if what == "file" { format!(", {bytes} bytes") } else { String::new() };
    format!("{what}, mode {mode}, owner {owner}{size}")
}

/// That nothing is known of a path, and what to do.
pub fn nothing(known: &Known, asked: &PathBytes) -> String {
    let where_ = if known.image.is_some() {
        "neither the manifest nor the original has it"
    } else {
        "the manifest does not have it, and there is no image to look at"
    };
    format!("nothing is known of {asked}: {where_}; show --files lists what is known")
}
