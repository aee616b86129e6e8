//! What a view is made of: the manifest, and what the engine's image adds to it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::commands::export_image::Export;
use crate::commands::runtime::RuntimeArgs;
use crate::image::{Config, Entry, ImageSource, Kind, Names};
use crate::manifest::{Manifest, PathBytes};
use crate::plan::{Plan, Policy, packages};
use crate::surface::{PackageLeft, Surface};

/// All that is known.
#[derive(Debug)]
pub struct Known {
    /// What was recorded.
    pub manifest: Manifest,
    /// What the image adds; none when there is none to look at.
    pub image: Option<OfImage>,
    /// What a person should know, a sentence each.
    pub notes: Vec<String>,
}

/// What the original image adds.
#[derive(Debug)]
pub struct OfImage {
    /// What the slim image would be.
    pub plan: Plan,
    /// What both offer, where that was asked for.
    pub surface: Option<Surface>,
    /// Whether the plan tells packages.
    pub tells_packages: bool,
    /// The ports that it declares, as `80/tcp`.
    pub declared: BTreeSet<String>,
    /// Names of the manifest that lead to something else that is kept, and what.
    pub leads: BTreeMap<PathBytes, PathBytes>,
    /// What it has at the one path that was asked for.
    pub place: Option<Place>,
}

/// What an image has at a path.
#[derive(Debug, Default, Serialize)]
pub struct Place {
    /// What the path leads to, links on the way followed; none when it leads nowhere.
    pub path: Option<PathBytes>,
    /// `file`, `directory`, `link to ...`, `device`, `pipe`, `socket`.
    pub what: String,
    /// Permission bits in octal, with setuid, setgid and sticky.
    pub mode: String,
    /// Owner and group.
    pub owner: String,
    /// Bytes of content.
    pub bytes: u64,
    /// The packages that it belongs to, as `KIND:NAME`.
    pub packages: Vec<String>,
}

/// How much of the image is to be looked at.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What it offers, which needs all of it.
    pub surface: bool,
    /// What it has here.
    pub path: Option<PathBytes>,
}

impl Known {
    /// What the manifest alone tells, and why there is nothing else.
    pub fn alone(manifest: Manifest, why: String) -> Self {
        Self { manifest, image: None, notes: vec![why] }
    }

    /// What the manifest and its image tell; the manifest alone, if no `reference` names an image and the engine does not
    /// have the recorded one.
    ///
    /// # Errors
    /// The engine does not have the image that `reference` names, or the image cannot be read.
    pub async fn with_image(
        manifest: Manifest,
        runtime: &RuntimeArgs,
        reference: Option<&str>,
        policy: &Policy,
        wanted: &Wanted,
    ) -> Result<Self> {
        let (runtime, original) = match runtime.original(&manifest, reference).await {
            Ok(found) => found,
            Err(error) if reference.is_none() => return Ok(Self::alone(manifest, without(&error))),
            Err(error) => return Err(error),
        };
        let export = Export { manifest: &manifest, original: &original.id, policy };
        let image = export
            .with_source(&*runtime, |plan, source| {
                let tells_packages = policy.package_metadata;
                Ok(OfImage { tells_packages, ..OfImage::look(plan, source, &manifest, wanted)? })
            })
            .await
            .context("cannot look at the image; --no-image shows what the manifest alone tells")?;
        let notes = image.plan.notes.clone();
        Ok(Self { manifest, image: Some(image), notes })
    }
}

impl Known {
    /// The original's packages; none where that is not known: without an image, or where the plan was to tell no
    /// packages.
    pub fn packages(&self) -> Option<&[PackageLeft]> {
        let image = self.image.as_ref().filter(|image| image.tells_packages)?;
        image.surface.as_ref().map(|surface| surface.packages.as_slice())
    }
}

/// Why the manifest is all there is.
fn without(error: &anyhow::Error) -> String {
    format!("the manifest alone, for the image is not there: {error:#}")
}

impl OfImage {
    /// Looks at as much of the image as is wanted.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn look(plan: Plan, source: &dyn ImageSource, manifest: &Manifest, wanted: &Wanted) -> Result<Self> {
        let names = Names::new(source);
        let mut leads = BTreeMap::new();
        for name in manifest.files.keys() {
            if is_open(&plan, name) {
                let end = names.walk(name.as_bytes(), true)?.end;
                leads.extend(plan.kept.contains_key(&end).then(|| (name.clone(), end)));
            }
        }
        let surface = wanted.surface.then(|| Surface::find(source, &plan, manifest)).transpose()?;
        let place = wanted.path.as_ref().map(|path| Place::find(&names, path)).transpose()?;
        let declared = Config::parse(source.config())?.exposed;
        Ok(Self { plan, surface, tells_packages: true, declared, leads, place })
    }
}

/// Whether the plan says nothing of a name: it leads to something else.
fn is_open(plan: &Plan, name: &PathBytes) -> bool {
    !plan.kept.contains_key(name) && !plan.generated.contains_key(name) && !plan.left_out.contains_key(name)
}

impl Place {
    fn find(names: &Names<'_>, path: &PathBytes) -> Result<Self> {
        let walked = names.walk(path.as_bytes(), false)?;
        let entry = if walked.exists { names.source().lookup(&walked.end)? } else { None };
        let Some(entry) = entry else { return Ok(Self::default()) };
        Ok(Self {
            what: what(&entry),
            mode: format!("{:04o}", entry.mode),
            owner: format!("{}:{}", entry.uid, entry.gid),
            bytes: entry.size,
            packages: packages::owners(names.source(), &entry.path)?,
            path: Some(entry.path),
        })
    }
}

fn what(entry: &Entry) -> String {
    match &entry.kind {
        Kind::File => "file".to_owned(),
        Kind::Directory => "directory".to_owned(),
        Kind::Symlink(target) => format!("link to {}", PathBytes::new(target.clone())),
        Kind::CharDevice(_) | Kind::BlockDevice(_) => "device".to_owned(),
        Kind::Fifo => "pipe".to_owned(),
        Kind::Socket => "socket".to_owned(),
    }
}
