//! Images sent to a registry, as the OCI distribution specification 1.0 says: blobs that it lacks, each in one request
//! and read from the disk as it is sent, then the manifest.

use anyhow::{Context, Result, bail};

use super::image::{Built, MANIFEST, documents};
use session::{Answer, Body};

mod address;
mod challenge;
mod credentials;
mod session;

pub(super) use session::Session;

const BYTES: &str = "application/octet-stream";

/// Sends `image`, to be known by `tag`; the digest of its manifest.
pub(super) fn push(to: &mut Session, image: &Built, tag: &str) -> Result<String> {
    let layers = image.compressed()?;
    let documents = documents(image, layers)?;
    for layer in layers {
        send(to, &layer.digest, &Body::Blob(layer)).context("cannot send a layer")?;
    }
    send(to, &image.id, &Body::Bytes(&image.config)).context("cannot send the config")?;
    let path = format!("manifests/{tag}");
    let answer = to.ask("PUT", &path, MANIFEST, &Body::Bytes(&documents.manifest))?;
    answer.expect(&[201]).context("cannot send the manifest")?;
    Ok(documents.digest)
}

/// Sends a blob unless the registry has it.
fn send(to: &mut Session, digest: &str, bytes: &Body<'_>) -> Result<()> {
    let answer = to.ask("HEAD", &format!("blobs/{digest}"), "", &Body::None)?;
    match answer.status {
        200 => return Ok(()),
        404 => {}
        _ => answer.expect(&[200, 404]).map(drop)?,
    }
    let begun = to.ask("POST", "blobs/uploads/", BYTES, &Body::Bytes(&[]))?.expect(&[202])?;
    let Answer { location: Some(location), .. } = begun else {
        bail!("the registry does not say where to send it to");
    };
    let separator = if location.contains('?') { '&' } else { '?' };
    to.ask_at("PUT", &format!("{location}{separator}digest={digest}"), BYTES, bytes)?.expect(&[201]).map(drop)
}
