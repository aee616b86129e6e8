//! Adding recordings to a repository.

use anyhow::{Context, Result};

use super::artifact::{EMPTY_CONFIG, Packed};
use super::referrers::{self, Listed};
use super::subject::{self, Subject};
use super::{Digest, MANIFEST, Named, Place, lookup};
use crate::manifest::{ImageRef, Manifest};
use crate::registry::{Body, Session, pause, send};

/// How often an artifact is sent that the registry does not take.
const ATTEMPTS: u32 = 6;

/// What was done.
#[derive(Debug)]
pub struct Pushed {
    /// The artifact's own tag.
    pub tag: String,
    /// Its digest.
    pub digest: Digest,
    /// The engine's id of the image.
    pub image: Digest,
    /// The image's manifest that it refers to; `None` when the repository does not have the image.
    pub subject: Option<Digest>,
    /// Whether the repository had it before.
    pub already: bool,
    /// Where it is listed besides under its tag.
    pub listed: Listed,
}

/// Adds `manifest`, which is about `image`, to `place`, unless it is there.
///
/// # Errors
/// The registry does not answer or refuses, or the image that the user named is another one or not there.
pub fn push(session: &mut Session, place: &Place, manifest: &Manifest, image: &ImageRef) -> Result<Pushed> {
    let id = subject::id_of(image)?;
    let subject = match &place.named {
        Some(named) => Some(subject::named(session, place, named, &id)?),
        None => subject::of_image(session, place, image)?,
    };
    let packed = Packed::new(manifest, &id, subject.as_ref().map(|subject| &subject.manifest))?;
    let tag = packed.tag();
    let already = lookup::document(session, &Named::Tag(tag.clone()))?
        .is_some_and(|there| there.digest == packed.digest);
    let noted = if already { None } else { upload(session, &tag, &packed)? };
    let listed = match &subject {
        None => Listed::Nowhere,
        Some(Subject { manifest, .. }) => listed(session, &manifest.digest, &packed, noted, &tag)?,
    };
    let subject = subject.map(|subject| subject.manifest.digest);
    Ok(Pushed { tag, digest: packed.digest, image: id, subject, already, listed })
}

/// Sends blobs and document; the subject that the registry says it noted.
///
/// All nodes send the same empty config, and a registry may not know for a moment what two send at once: so a failure is
/// tried again, from the first blob on.
fn upload(session: &mut Session, tag: &str, packed: &Packed) -> Result<Option<String>> {
    let mut attempt = 0;
    loop {
        let sent = upload_once(session, tag, packed);
        attempt += 1;
        match sent {
            Err(error) if attempt < ATTEMPTS => tracing::debug!("tried again: {error:#}"),
            sent => return sent,
        }
        pause(attempt);
    }
}

fn upload_once(session: &mut Session, tag: &str, packed: &Packed) -> Result<Option<String>> {
    for bytes in [EMPTY_CONFIG, &packed.layer] {
        let digest = Digest::of(bytes).to_string();
        send(session, &digest, &Body::Bytes(bytes)).context("cannot send the recordings")?;
    }
    Ok(lookup::put(session, tag, MANIFEST, &packed.document)?.subject)
}

/// Sees to it that others' tools find the artifact. It is there already: what fails here is told and no more.
fn listed(
    session: &mut Session,
    subject: &Digest,
    packed: &Packed,
    noted: Option<String>,
    tag: &str,
) -> Result<Listed> {
    if noted.is_some() || referrers::known_to_registry(session, subject)? {
        return Ok(Listed::ByRegistry);
    }
    let added = referrers::add(session, subject, packed);
    match added {
        Ok(Listed::Nowhere) => {
            tracing::warn!(
                "others keep rewriting the list of what refers to {subject}: {tag} is not in it; pull finds it all the same"
            );
        }
        Err(error) => {
            tracing::warn!(
                "cannot add {tag} to the list of what refers to {subject}; pull finds it all the same: {error:#}"
            );
            return Ok(Listed::Nowhere);
        }
        Ok(_) => {}
    }
    added
}
