//! Who refers to an image: by the registry's own knowledge, else by the list that its users keep.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::lookup;
use super::{Digest, INDEX, MAX_DOCUMENT, Named, list};
use crate::registry::{Session, pause};

/// How often a list that others write as well is written.
const ATTEMPTS: u32 = 8;

/// Where an artifact is listed besides under its own tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Adds an artifact to the list under the fallback tag. Others may write it at the same time, and registries know no
/// lock: so it is looked at again afterwards, after a random pause, until it has the artifact.
///
/// # Errors
/// The registry does not answer, does not take the list, or has something else under that tag.
pub fn add(session: &mut Session, subject: &Digest, descriptor: &Value) -> Result<Listed> {
    edit(session, subject, |current| list::with(current, descriptor))
}

/// Takes artifacts out of the list under the fallback tag, as [`add`] adds one.
///
/// # Errors
/// As [`add`].
pub fn remove(session: &mut Session, subject: &Digest, gone: &BTreeSet<Digest>) -> Result<Listed> {
    edit(session, subject, |current| current.map_or(Ok(None), |current| list::without(current, gone)))
}

fn edit(
    session: &mut Session,
    subject: &Digest,
    change: impl Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>>,
) -> Result<Listed> {
    let named = fallback(subject);
    for attempt in 0..ATTEMPTS {
        let current = lookup::document(session, &named)?;
        let Some(changed) = change(current.as_ref().map(|current| current.bytes.as_slice()))? else {
            return Ok(Listed::InList);
        };
        lookup::put(session, &named.to_string(), INDEX, &changed)?;
        pause(attempt);
    }
    Ok(Listed::Nowhere)
}

/// The tag of the specification's fallback.
fn fallback(subject: &Digest) -> Named {
    Named::Tag(format!("sha256-{}", subject.digits()))
}
