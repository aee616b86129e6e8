//! Uniting all recordings of an image that a repository has.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow, ensure};

use super::artifact::{self, Artifact};
use super::lookup::Broken;
use super::subject::{self, Subject};
use super::{Digest, Named, Place, lookup, referrers};
use crate::exit::{Exit, tag};
use crate::manifest::{ImageRef, Manifest, io};
use crate::registry::Session;

/// Most artifacts that are looked at, most bytes of one, and of all.
const MAX_ARTIFACTS: usize = 10_000;
const MAX_RECORDINGS: u64 = 256 << 20;
const MAX_ALL: u64 = 4 << 30;

/// Which image's recordings are wanted.
#[derive(Debug)]
pub enum Wanted<'a> {
    /// Those of this one.
    Image(&'a ImageRef),
    /// Those of the one that the place names; where it names none, of the only one that there is.
    Named,
}

/// An artifact that was left out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// Its tag or digest.
    pub artifact: String,
    /// Why.
    pub why: String,
}

/// What a repository has of an image.
#[derive(Debug)]
pub struct Found {
    /// The engine's id of the image; `None` when nothing is there.
    pub image: Option<Digest>,
    /// The image's manifest there, if it is there.
    pub subject: Option<Digest>,
    /// The artifacts, in no order that means anything.
    pub artifacts: Vec<Artifact>,
    /// What cannot be used.
    pub refused: Vec<Refused>,
}

/// Finds the artifacts.
///
/// # Errors
/// The registry does not answer or refuses; the image that was named is not there; there is more than is read; or, as
/// [`Exit::Usage`], there are several images and none was named.
pub fn find(session: &mut Session, place: &Place, wanted: &Wanted<'_>) -> Result<Found> {
    let (ids, subject) = image(session, place, wanted)?;
    let (artifacts, refused) = gather(session, &ids, subject.as_ref())?;
    let mut images: BTreeMap<Digest, Vec<Artifact>> = BTreeMap::new();
    for artifact in artifacts.into_values() {
        images.entry(artifact.image.clone()).or_default().push(artifact);
    }
    images.retain(|id, _| ids.is_empty() || ids.contains(id));
    if images.len() > 1 {
        return Err(tag(Exit::Usage, several(place, &images)));
    }
    let (image, artifacts) = images.pop_first().map_or((None, Vec::new()), |(id, all)| (Some(id), all));
    Ok(Found { image, subject: subject.map(|subject| subject.manifest.digest), artifacts, refused })
}

/// What the wanted image may be called by engines (nothing: any), and what the repository has of it.
fn image(
    session: &mut Session,
    place: &Place,
    wanted: &Wanted<'_>,
) -> Result<(Vec<Digest>, Option<Subject>)> {
    match (wanted, &place.named) {
        (Wanted::Image(image), Some(named)) => {
            let id = subject::id_of(image)?;
            let subject = subject::named(session, place, named, &id)?;
            Ok((vec![id], Some(subject)))
        }
        (Wanted::Image(image), None) => {
            Ok((vec![subject::id_of(image)?], subject::of_image(session, place, image)?))
        }
        (Wanted::Named, Some(named)) => {
            let subject = subject::any(session, place, named)?;
            Ok((subject.ids.clone(), Some(subject)))
        }
        (Wanted::Named, None) => Ok((Vec::new(), None)),
    }
}

/// All that tags and lists lead to.
fn gather(
    session: &mut Session,
    ids: &[Digest],
    subject: Option<&Subject>,
) -> Result<(BTreeMap<Digest, Artifact>, Vec<Refused>)> {
    let listed = match subject {
        Some(subject) => referrers::of(session, &subject.manifest.digest),
        None => BTreeSet::new(),
    };
    let tags = lookup::tags(session, |name| artifact::is_tag(name, ids))?;
    // What is listed by its digest need not be asked for by its tag as well.
    let known: BTreeSet<&str> = listed.iter().map(artifact::in_tag).collect();
    let more = |name: &String| !known.contains(artifact::digits_of_tag(name));
    let tags: Vec<_> = tags.into_iter().filter(more).map(Named::Tag).collect();
    tracing::debug!("{} artifacts are listed, {} more have tags", listed.len(), tags.len());
    let names: Vec<_> = listed.iter().cloned().map(Named::Digest).chain(tags).collect();
    ensure!(
        names.len() <= MAX_ARTIFACTS,
        "there are {} artifacts, more than the {MAX_ARTIFACTS} that are read: unite and prune them",
        names.len()
    );
    let (mut artifacts, mut refused) = (BTreeMap::new(), Vec::new());
    for named in names {
        match read(session, &named)? {
            Ok(Some(artifact)) => drop(artifacts.insert(artifact.digest.clone(), artifact)),
            // Deleted meanwhile, or in no way about recordings.
            Ok(None) => {}
            Err(error) => refused.push(refusal(&named, &error)),
        }
    }
    Ok((artifacts, refused))
}

/// The artifact of this name; the inner error is about the artifact, the outer one about the registry.
fn read(session: &mut Session, named: &Named) -> Result<Result<Option<Artifact>>> {
    let document = match lookup::document(session, named) {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Ok(None)),
        Err(error) if error.is::<Broken>() => return Ok(Err(error)),
        Err(error) => return Err(error),
    };
    Ok(match named {
        Named::Tag(name) if !artifact::digits_of_tag(name).eq(artifact::in_tag(&document.digest)) => {
            Err(anyhow!("what its tag names was replaced by {}", document.digest))
        }
        _ => artifact::read(&document.bytes),
    })
}

fn refusal(named: &impl ToString, error: &anyhow::Error) -> Refused {
    Refused { artifact: named.to_string(), why: format!("{error:#}") }
}

fn several(place: &Place, images: &BTreeMap<Digest, Vec<Artifact>>) -> String {
    let list: Vec<_> = images.iter().map(|(id, all)| format!("\n  {id}, {} artifacts", all.len())).collect();
    format!(
        "{place} has recordings of {} images: name one by its tag or digest there, or with --image:{}",
        images.len(),
        list.concat()
    )
}

/// Adds what the artifacts hold to `all`, one after another; `progress` is told how many are done. How many were added,
/// and what cannot be used, which is not in `all`.
///
/// # Errors
/// The registry does not answer, or there is more than is read.
pub fn unite(
    session: &mut Session,
    artifacts: &[Artifact],
    all: &mut Option<Manifest>,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Refused>> {
    let (mut refused, mut seen, mut left) = (Vec::new(), BTreeSet::new(), MAX_ALL);
    for (done, artifact) in artifacts.iter().enumerate() {
        progress(done);
        // The same recordings may be attached to several manifests of an image.
        if !seen.insert(&artifact.layer.digest) {
            continue;
        }
        left = left.checked_sub(artifact.layer.size).with_context(|| {
            format!("the artifacts are larger than {MAX_ALL} bytes together: unite and prune them")
        })?;
        match recordings(session, artifact)? {
            Ok(manifest) => match all {
                Some(all) => all.merge(manifest)?,
                None => *all = Some(manifest),
            },
            Err(error) => refused.push(refusal(&artifact.digest, &error)),
        }
    }
    Ok(refused)
}

/// What an artifact holds, checked; errors as in [`read`].
///
/// # Errors
/// The registry does not answer.
pub fn recordings(session: &mut Session, artifact: &Artifact) -> Result<Result<Manifest>> {
    let size = artifact.layer.size;
    if size > MAX_RECORDINGS {
        return Ok(Err(anyhow!("it is of {size} bytes, more than the {MAX_RECORDINGS} that are read")));
    }
    let bytes = match lookup::blob(session, &artifact.layer.digest, size) {
        Ok(bytes) => bytes,
        Err(error) if error.is::<Broken>() => return Ok(Err(error)),
        Err(error) => return Err(error),
    };
    Ok(checked(&bytes, artifact))
}

fn checked(bytes: &[u8], artifact: &Artifact) -> Result<Manifest> {
    let manifest = io::parse(bytes)?;
    let image = manifest.image.as_ref().context("it is of no image")?;
    let id = subject::id_of(image)?;
    ensure!(id == artifact.image, "it says that it is of image {}, and is of {id}", artifact.image);
    Ok(manifest)
}
