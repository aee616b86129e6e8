//! Finding all artifacts of an image in a repository.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::artifact::{self, Artifact};
use super::lookup::Broken;
use super::subject::{self, Subject};
use super::{Digest, Named, Place, lookup, referrers};
use crate::exit::{Exit, tag};
use crate::manifest::ImageRef;
use crate::registry::Session;

/// Most artifacts that are looked at.
const MAX_ARTIFACTS: usize = 10_000;

/// Is told what is being done, and how many are done of how many.
pub type Progress<'a> = &'a mut dyn FnMut(&str, usize, usize);

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
    /// What was listed and is not there.
    pub gone: BTreeSet<String>,
}

/// What is behind a name.
enum Read {
    Recordings(Artifact),
    /// Something else, which does not concern us.
    Other,
    /// Nothing any more.
    Gone,
    /// Recordings that cannot be used.
    Refused(Refused),
}

/// Finds the artifacts.
///
/// # Errors
/// The registry does not answer or refuses; the image that was named is not there; there is more than is read; or, as
/// [`Exit::Usage`], there are several images and none was named.
pub fn find(
    session: &mut Session,
    place: &Place,
    wanted: &Wanted<'_>,
    progress: Progress<'_>,
) -> Result<Found> {
    let (ids, subject) = image(session, place, wanted)?;
    let names = names(session, &ids, subject.as_ref())?;
    let subject = subject.map(|subject| subject.manifest.digest);
    let mut found =
        Found { image: None, subject, artifacts: Vec::new(), refused: Vec::new(), gone: BTreeSet::new() };
    let mut images: BTreeMap<Digest, BTreeMap<Digest, Artifact>> = BTreeMap::new();
    for (done, named) in names.iter().enumerate() {
        progress("looked at", done, names.len());
        match read(session, named)? {
            Read::Recordings(artifact) if ids.is_empty() || ids.contains(&artifact.image) => {
                let of_image = images.entry(artifact.image.clone()).or_default();
                of_image.insert(artifact.digest.clone(), artifact);
            }
            Read::Recordings(_) | Read::Other => {}
            Read::Gone => drop(found.gone.insert(named.to_string())),
            Read::Refused(refused) => found.refused.push(refused),
        }
    }
    if images.len() > 1 {
        return Err(tag(Exit::Usage, several(place, &images)));
    }
    if let Some((image, artifacts)) = images.pop_first() {
        (found.image, found.artifacts) = (Some(image), artifacts.into_values().collect());
    }
    Ok(found)
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

/// All that tags and lists name.
fn names(session: &mut Session, ids: &[Digest], subject: Option<&Subject>) -> Result<Vec<Named>> {
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
    Ok(names)
}

fn read(session: &mut Session, named: &Named) -> Result<Read> {
    let refused = |why: &dyn std::fmt::Display| {
        Read::Refused(Refused { artifact: named.to_string(), why: format!("{why:#}") })
    };
    let document = match lookup::document(session, named) {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Read::Gone),
        Err(error) if error.is::<Broken>() => return Ok(refused(&error)),
        Err(error) => return Err(error),
    };
    if let Named::Tag(name) = named
        && artifact::digits_of_tag(name) != artifact::in_tag(&document.digest)
    {
        return Ok(refused(&format!("what its tag names was replaced by {}", document.digest)));
    }
    Ok(match artifact::read(&document.bytes) {
        Ok(artifact) => artifact.map_or(Read::Other, Read::Recordings),
        Err(error) => refused(&error),
    })
}

fn several(place: &Place, images: &BTreeMap<Digest, BTreeMap<Digest, Artifact>>) -> String {
    let list: Vec<_> = images.iter().map(|(id, all)| format!("\n  {id}, {} artifacts", all.len())).collect();
    format!(
        "{place} has recordings of {} images: name one by its tag or digest there, or with --image:{}",
        images.len(),
        list.concat()
    )
}
