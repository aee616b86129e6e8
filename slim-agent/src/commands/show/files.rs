//! `show --files`: every path that was used or would be kept.

use std::collections::BTreeMap;

use serde::Serialize;

use super::View;
use super::document::{Document, list, path, spelled, words};
use super::known::Known;
use super::phrases;
use crate::manifest::{FileUse, PathBytes};
use crate::plan::{LeftOut, Reason};

/// The view.
#[derive(Debug, Serialize)]
pub struct Files<'a> {
    files: Vec<File<'a>>,
}

/// One path.
#[derive(Debug, Serialize)]
pub struct File<'a> {
    path: &'a PathBytes,
    /// As in the manifest; null for what was not used.
    pub recorded: Option<&'a FileUse>,
    /// Null when that is not known.
    pub kept: Option<bool>,
    /// Why it is kept.
    pub reasons: Vec<&'a Reason>,
    /// Why not.
    pub left_out: Option<&'a LeftOut>,
    /// What it leads to, if that is kept instead.
    pub leads_to: Option<&'a PathBytes>,
}

impl<'a> Files<'a> {
    /// All that the manifest and the plan name.
    pub fn new(known: &'a Known) -> Self {
        let mut paths: BTreeMap<&PathBytes, ()> =
            known.manifest.files.keys().map(|path| (path, ())).collect();
        if let Some(image) = &known.image {
            paths.extend(image.plan.paths().into_iter().map(|path| (path, ())));
            paths.extend(image.plan.left_out.keys().map(|path| (path, ())));
        }
        Self { files: paths.into_keys().map(|path| File::new(known, path)).collect() }
    }
}

impl View for Files<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        let columns = ["path", "origin", "uses", "by", "phases", "kept"].map(words);
        document.table(&columns, self.files.iter().map(File::row).collect());
        document
    }
}

impl<'a> File<'a> {
    /// What is known of one path.
    pub fn new(known: &'a Known, path: &'a PathBytes) -> Self {
        let recorded = known.manifest.files.get(path);
        let Some(image) = &known.image else {
            return Self { path, recorded, kept: None, reasons: Vec::new(), left_out: None, leads_to: None };
        };
        let plan = &image.plan;
        let mut reasons: Vec<&Reason> = plan.kept.get(path).into_iter().flatten().collect();
        reasons.extend(plan.generated.get(path).map(|generated| &generated.reason));
        // Engines make the root; no plan tells of it.
        let is_kept = !reasons.is_empty() || path.parent().is_none();
        let left_out = plan.left_out.get(path).filter(|_| !is_kept);
        let leads_to = image.leads.get(path);
        Self { path, recorded, kept: Some(is_kept || leads_to.is_some()), reasons, left_out, leads_to }
    }

    /// Whether it is kept and why, or why not, in words.
    pub fn verdict(&self) -> String {
        match (self.kept, self.left_out, self.leads_to) {
            (None, ..) => "-".to_owned(),
            (_, Some(why), _) => format!("no: {}", phrases::left_out(why)),
            (_, _, Some(end)) => format!("yes: as {}", path(end)),
            (Some(false), ..) => "no".to_owned(),
            (Some(true), ..) if self.reasons.is_empty() => "yes: engines make it".to_owned(),
            (Some(true), ..) => {
                let reasons: Vec<String> = self.reasons.iter().map(|reason| phrases::kept(reason)).collect();
                format!("yes: {}", reasons.join("; "))
            }
        }
    }

    fn row(&self) -> Vec<String> {
        let or_none = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or("-".to_owned());
        let of = |tell: fn(&FileUse) -> String| or_none(self.recorded.map(tell));
        vec![
            path(self.path),
            of(|file| spelled([file.origin])),
            of(|file| spelled(&file.uses)),
            of(|file| list(file.by.iter().map(path))),
            of(|file| spelled(&file.phases)),
            self.verdict(),
        ]
    }
}
