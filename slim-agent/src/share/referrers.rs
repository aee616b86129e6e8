//! Who refers to an image: by the registry's own knowledge, else by the list that its users keep.

use std::collections::BTreeSet;

use anyhow::Result;

use super::artifact::{self, Packed};
use super::lookup;
use super::{Digest, INDEX, MAX_DOCUMENT, Named, list};
use crate::registry::{Session, pause};

/// How often a list that others write as well is written.
const ATTEMPTS: u32 = 8;
/// How many artifacts of others are put back at once.
const MAX_OTHERS: usize = 64;

/// Where an artifact is listed besides under its own tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listed {
    /// The registry noted it.
    ByRegistry,
    /// In the list under the fallback tag.
    InList,
    /// Nowhere: the image is not in the repository, or the list could not be written.
    Nowhere,
}

/// The artifacts with recordings that refer to `subject`, as registry and list have them. What one of the two has wrong
/// or cannot tell now, the tags have right.
pub fn of(session: &mut Session, subject: &Digest) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    let take = |page: &[u8]| -> Result<()> {
        found.extend(list::artifacts(page)?);
        Ok(())
    };
    let told = lookup::pages(session, &format!("referrers/{subject}"), INDEX, take).map(drop);
    let listed = lookup::document(session, &fallback(subject)).and_then(|fallback| match fallback {
        Some(fallback) => list::artifacts(&fallback.bytes).map(|artifacts| found.extend(artifacts)),
        None => Ok(()),
    });
    for error in [told, listed].into_iter().filter_map(Result::err) {
        tracing::debug!("a list of what refers to {subject} cannot be used: {error:#}");
    }
    found
}

/// Whether the registry answers who refers to `subject`.
///
/// # Errors
/// It does not answer at all.
pub fn known_to_registry(session: &mut Session, subject: &Digest) -> Result<bool> {
    Ok(session.get(&format!("referrers/{subject}"), INDEX, MAX_DOCUMENT)?.status == 200)
}

/// Adds an artifact to the list under the fallback tag, and others of its image that are not in it: everybody rewrites
/// it, and registries know no lock, so that a writer may undo what another has just written. It is looked at again after
/// a random pause, until it has all that have tags: who writes last then has put back what it undid.
///
/// # Errors
/// The registry does not answer, does not take the list, or has something else under that tag.
pub fn add(session: &mut Session, subject: &Digest, packed: &Packed) -> Result<Listed> {
    let mut others = BTreeSet::new();
    edit(session, subject, &mut |session, current| {
        let known = current.map_or(Ok(BTreeSet::new()), list::artifacts)?;
        let known: BTreeSet<&str> = known.iter().map(artifact::in_tag).collect();
        let lacking = |name: &str| {
            artifact::is_tag(name, std::slice::from_ref(&packed.image))
                && !known.contains(artifact::digits_of_tag(name))
        };
        let mut entries = vec![packed.descriptor()?];
        let tags = lookup::tags(session, |name| lacking(name) && !others.contains(name))?;
        for name in tags.into_iter().filter(|name| *name != packed.tag()).take(MAX_OTHERS) {
            let document = lookup::document(session, &Named::Tag(name.clone()))?;
            let described = document.and_then(|document| artifact::describe(&document.bytes, subject));
            match described {
                Some(entry) => entries.push(entry),
                None => drop(others.insert(name)),
            }
        }
        list::with(current, &entries)
    })
}

/// Takes artifacts out of the list under the fallback tag, as [`add`] adds one.
///
/// # Errors
/// As [`add`].
pub fn remove(session: &mut Session, subject: &Digest, gone: &BTreeSet<Digest>) -> Result<Listed> {
    edit(session, subject, &mut |_, current| current.map_or(Ok(None), |current| list::without(current, gone)))
}

/// What a list is to be instead; `None` when it is right.
type Change<'a> = &'a mut dyn FnMut(&mut Session, Option<&[u8]>) -> Result<Option<Vec<u8>>>;

fn edit(session: &mut Session, subject: &Digest, change: Change<'_>) -> Result<Listed> {
    let mut last = None;
    for attempt in 0..ATTEMPTS {
        match edit_once(session, subject, change) {
            Ok(true) => return Ok(Listed::InList),
            Ok(false) => last = None,
            Err(error) => last = Some(error),
        }
        pause(attempt);
    }
    last.map_or(Ok(Listed::Nowhere), Err)
}

/// Whether the list was right.
fn edit_once(session: &mut Session, subject: &Digest, change: Change<'_>) -> Result<bool> {
    let named = fallback(subject);
    let current = lookup::document(session, &named)?;
    let current = current.as_ref().map(|current| current.bytes.as_slice());
    let Some(changed) = change(session, current)? else { return Ok(true) };
    lookup::put(session, &named.to_string(), INDEX, &changed)?;
    Ok(false)
}

/// The tag of the specification's fallback.
fn fallback(subject: &Digest) -> Named {
    Named::Tag(format!("sha256-{}", subject.digits()))
}
