//! Uniting all recordings of an image that a repository has.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, ensure};

use super::artifact::Artifact;
use super::find::{Found, Progress, Refused, Wanted, find};
use super::lookup::Broken;
use super::{Digest, Named, Place, lookup};
use crate::manifest::{Manifest, io};
use crate::registry::Session;

/// Most bytes of one artifact's recordings, and of all.
const MAX_RECORDINGS: u64 = 256 << 20;
const MAX_ALL: u64 = 4 << 30;
/// How often it is looked again for what took the place of something that is gone.
const ATTEMPTS: usize = 5;

/// Adds all recordings of an image that `place` has to `all`; `progress` is told how far it is.
/// What was found, and in `refused` what is not in `all`.
///
/// Somebody may prune meanwhile: what is gone is in something newer than the lists that were read. So it looks again as
/// long as something else is gone than before.
///
/// # Errors
/// As [`find`], and when there is more than is read.
pub fn pull(
    session: &mut Session,
    place: &Place,
    wanted: &Wanted<'_>,
    all: &mut Option<Manifest>,
    progress: Progress<'_>,
) -> Result<Found> {
    let mut before = BTreeSet::new();
    for _ in 0..ATTEMPTS {
        let mut found = find(session, place, wanted, progress)?;
        unite(session, &mut found, all, progress)?;
        if found.gone.is_empty() || found.gone == before {
            return Ok(found);
        }
        before = found.gone;
    }
    Err(anyhow!("others keep deleting what is there: try again when they are done"))
}

/// Adds what was found to `all`, one after another; what is not in it moves to `refused` or `gone`.
fn unite(
    session: &mut Session,
    found: &mut Found,
    all: &mut Option<Manifest>,
    progress: Progress<'_>,
) -> Result<()> {
    let (artifacts, mut seen, mut left) = (std::mem::take(&mut found.artifacts), BTreeSet::new(), MAX_ALL);
    let count = artifacts.len();
    for (done, artifact) in artifacts.into_iter().enumerate() {
        progress("united", done, count);
        // The same recordings may be attached to several manifests of an image.
        if seen.insert(artifact.layer.digest.clone()) {
            left = left.checked_sub(artifact.layer.size).with_context(|| {
                format!("the artifacts are larger than {MAX_ALL} bytes together: unite and prune them")
            })?;
            match recordings(session, &artifact)? {
                Ok(manifest) => match all {
                    Some(all) => all.merge(manifest)?,
                    None => *all = Some(manifest),
                },
                Err(_) if is_gone(session, &artifact.digest)? => {
                    found.gone.insert(artifact.digest.to_string());
                    continue;
                }
                Err(error) => {
                    let (artifact, why) = (artifact.digest.to_string(), format!("{error:#}"));
                    found.refused.push(Refused { artifact, why });
                    continue;
                }
            }
        }
        found.artifacts.push(artifact);
    }
    Ok(())
}

fn is_gone(session: &mut Session, digest: &Digest) -> Result<bool> {
    match lookup::document(session, &Named::Digest(digest.clone())) {
        Err(error) if error.is::<Broken>() => Ok(false),
        document => Ok(document?.is_none()),
    }
}

/// What an artifact holds, checked; the inner error is about the artifact, the outer one about the registry.
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
    let said = artifact.image.to_string();
    ensure!(image.id == said, "it says that it is of image {said}, and is of {:?}", image.id);
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ImageRef;
    use crate::share::artifact::Descriptor;

    #[test]
    fn what_an_artifact_holds_is_of_the_image_that_it_says() {
        let image = Digest::of(b"image");
        let layer = Descriptor { media_type: String::new(), digest: Digest::of(b""), size: 0 };
        let artifact = Artifact { digest: Digest::of(b""), image: image.clone(), layer };
        let of = |id: Option<&str>| {
            let image = |id: &str| ImageRef { id: id.to_owned(), repo_digests: [].into(), names: [].into() };
            let bytes = io::to_bytes(&Manifest::new(id.map(image))).unwrap();
            checked(&bytes, &artifact).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(of(Some(&image.to_string())), Ok(()));
        // It would not unite with the others.
        assert!(of(Some(image.digits())).unwrap_err().contains("and is of"));
        assert!(of(Some("sha256:b")).is_err() && of(None).unwrap_err().contains("no image"));
        assert!(checked(b"{}", &artifact).is_err());
    }
}
