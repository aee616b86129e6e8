//! Deleting artifacts that a newer one makes needless.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::artifact::Artifact;
use super::find::{Wanted, find};
use super::{Digest, Place, pull, referrers};
use crate::manifest::{ImageRef, Manifest, io};
use crate::registry::{Body, Session};

/// Deletes the artifacts that tell nothing that `manifest` does not, which has just been pushed as `kept`. How many it
/// deleted. What cannot be read is left.
///
/// No two prunes at once can delete each other's: only one can be the larger, and equal content is left alone.
///
/// # Errors
/// The registry does not answer, or does not delete.
pub fn prune(
    session: &mut Session,
    place: &Place,
    manifest: &Manifest,
    image: &ImageRef,
    kept: &Digest,
) -> Result<usize> {
    let found = find(session, place, &Wanted::Image(image), &mut |_, _, _| {})?;
    let whole = io::to_bytes(manifest)?;
    let own = Digest::of(&whole);
    let mut deleted = BTreeSet::new();
    for artifact in &found.artifacts {
        let is_other = artifact.digest != *kept && artifact.layer.digest != own;
        if is_other && adds_nothing(session, artifact, manifest, &whole)? {
            delete(session, &artifact.digest)?;
            deleted.insert(artifact.digest.clone());
        }
    }
    if let Some(subject) = found.subject.filter(|_| !deleted.is_empty()) {
        referrers::remove(session, &subject, &deleted)?;
    }
    Ok(deleted.len())
}

fn adds_nothing(
    session: &mut Session,
    artifact: &Artifact,
    manifest: &Manifest,
    whole: &[u8],
) -> Result<bool> {
    let Ok(recordings) = pull::recordings(session, artifact)? else { return Ok(false) };
    let mut union = manifest.clone();
    union.merge(recordings)?;
    Ok(io::to_bytes(&union)? == whole)
}

fn delete(session: &mut Session, digest: &Digest) -> Result<()> {
    let answer = session.ask("DELETE", &format!("manifests/{digest}"), "", &Body::None)?;
    // Somebody else may have been faster.
    answer
        .expect(&[200, 202, 404])
        .map(drop)
        .with_context(|| format!("cannot delete {digest}, which is united"))
}
