//! `show --surface` and `show --executables`: what the images offer to an attacker, one by one.

use serde::Serialize;

use super::View;
use super::document::{Block, Document, figures, list, path, spelled, words};
use super::known::Known;
use crate::surface::{EXECUTABLES, Examined, Finding, KINDS, PRIVATE_KEYS, Surface};

/// The view.
#[derive(Debug, Serialize)]
pub struct Findings<'a> {
    /// What each kind is.
    kinds: Vec<About>,
    /// By kind and name; null without an image.
    findings: Option<Vec<&'a Finding>>,
    /// How many files were read in search of private keys.
    examined: Option<Examined>,
}

/// A kind of findings.
#[derive(Debug, Serialize)]
struct About {
    kind: &'static str,
    about: &'static str,
    original: Option<u64>,
    slim: Option<u64>,
    ran: Option<u64>,
}

impl<'a> Findings<'a> {
    /// All but what is no more than executable.
    pub fn of_note(known: &'a Known) -> Self {
        Self::of(known, |kind| kind != EXECUTABLES)
    }

    /// All that can be executed.
    pub fn executables(known: &'a Known) -> Self {
        Self::of(known, |kind| kind == EXECUTABLES)
    }

    fn of(known: &'a Known, belongs: fn(&str) -> bool) -> Self {
        let surface: Option<&Surface> = known.image.as_ref().and_then(|image| image.surface.as_ref());
        let about = |kind: &'static crate::surface::Kind| {
            let count = surface.map(|surface| surface.count(kind.name));
            let of = |pick: fn(crate::surface::Count) -> u64| count.map(pick);
            let (original, slim, ran) =
                (of(|count| count.original), of(|count| count.slim), of(|count| count.ran));
            About { kind: kind.name, about: kind.about, original, slim, ran }
        };
        let findings =
            surface.map(|surface| surface.findings.iter().filter(|one| belongs(one.kind)).collect());
        let examined = surface.map(|surface| surface.examined);
        Self {
            kinds: KINDS.iter().filter(|kind| belongs(kind.name)).map(about).collect(),
            findings,
            examined,
        }
    }
}

impl View for Findings<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        let Some(findings) = &self.findings else { return document };
        for kind in &self.kinds {
            document.heading(kind.kind.replace('-', " "));
            document.line(kind.about);
            document.0.extend(self.examined.filter(|_| kind.kind == PRIVATE_KEYS).map(searched));
            let of_kind: Vec<_> = findings.iter().filter(|finding| finding.kind == kind.kind).collect();
            if of_kind.is_empty() {
                document.line("none");
            }
            let columns =
                [words("name"), words("also"), words("what"), words("slim"), words("used"), words("phases")];
            document.table(&columns, of_kind.into_iter().map(|finding| row(finding)).collect());
        }
        document
    }
}

/// What was read in search of private keys.
fn searched(Examined { read, unread }: Examined) -> Block {
    let beyond = if unread > 0 { format!("; {unread} more were too many") } else { String::new() };
    Block::Line(format!(
        "{read} small files were read that have the name of a key, lie where keys lie, or are not for everyone to \
         read{beyond}"
    ))
}

fn row(finding: &Finding) -> Vec<String> {
    vec![
        path(&finding.name),
        list(finding.also.iter().map(path)),
        finding.detail.clone(),
        if finding.slim { "yes" } else { "no" }.to_owned(),
        spelled(&finding.uses),
        spelled(&finding.phases),
    ]
}

/// `show --packages`: the original's packages, and how much of each is left.
#[derive(Debug, Serialize)]
pub struct Packages<'a> {
    /// Null where it is not known.
    packages: Option<&'a [crate::surface::PackageLeft]>,
}

impl<'a> Packages<'a> {
    /// All of the original.
    pub fn new(known: &'a Known) -> Self {
        Self { packages: known.packages() }
    }
}

impl View for Packages<'_> {
    fn document(&self) -> Document {
        let mut document = Document::default();
        let row = |of: &crate::surface::PackageLeft| {
            let share =
                of.package.files.map_or("-".to_owned(), |share| format!("{}/{}", share.kept, share.of));
            let name = of.package.name.clone();
            vec![of.package.kind.to_owned(), name, of.package.version.clone(), spelled([of.left]), share]
        };
        let columns = [words("kind"), words("package"), words("version"), words("left"), figures("files")];
        document.table(&columns, self.packages.unwrap_or_default().iter().map(row).collect());
        document
    }
}
