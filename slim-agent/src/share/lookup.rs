//! Questions to a registry about one repository, with bounds on what is believed.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::{DOCKER_LIST, DOCKER_MANIFEST, Digest, INDEX, MANIFEST, MAX_DOCUMENT, Named, list};
use crate::registry::{Answer, Session};

/// Most pages of a list, and most bytes of one: some registries give all tags at once.
const MAX_PAGES: usize = 1000;
const MAX_PAGE: u64 = 32 << 20;

/// What is wrong with one thing that the registry holds, as opposed to the registry itself.
#[derive(Debug)]
pub struct Broken(pub String);

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// A document of the repository.
#[derive(Debug)]
pub struct Document {
    /// Its own digest.
    pub digest: Digest,
    /// Its media type, as the registry says.
    pub kind: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The document that `named` names; `None` when the repository has none.
///
/// # Errors
/// The registry does not answer or refuses; [`Broken`]: what it gives is not what was asked for.
pub fn document(session: &mut Session, named: &Named) -> Result<Option<Document>> {
    let accept = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
    let answer = session.get(&format!("manifests/{named}"), &accept, MAX_DOCUMENT)?;
    if answer.status == 404 {
        return Ok(None);
    }
    let answer = answer.expect(&[200]).with_context(|| format!("cannot get {named}"))?;
    ensure!(answer.whole, Broken(format!("it is larger than {MAX_DOCUMENT} bytes")));
    let digest = Digest::of(&answer.bytes);
    if let Named::Digest(asked) = named {
        ensure!(*asked == digest, Broken(format!("the registry gives something else for it, {digest}")));
    }
    Ok(Some(Document { digest, kind: answer.kind.unwrap_or_default(), bytes: answer.bytes }))
}

/// The bytes of a blob, which must be what `digest` and `size` say.
///
/// # Errors
/// The registry does not answer or refuses; [`Broken`]: it has something else or nothing there.
pub fn blob(session: &mut Session, digest: &Digest, size: u64) -> Result<Vec<u8>> {
    let answer = session.get(&format!("blobs/{digest}"), "", size)?;
    ensure!(answer.status != 404, Broken(format!("the registry does not have its recordings, {digest}")));
    let answer = answer.expect(&[200]).with_context(|| format!("cannot get {digest}"))?;
    let length = answer.whole && answer.bytes.len() as u64 == size;
    ensure!(length, Broken(format!("its recordings are not of the {size} bytes that it says")));
    ensure!(Digest::of(&answer.bytes) == *digest, Broken(format!("its recordings are not {digest}")));
    Ok(answer.bytes)
}

/// All tags of the repository that `wanted` wants; none when there is no such repository.
///
/// # Errors
/// The registry does not answer or refuses, or the list has no end.
pub fn tags(session: &mut Session, wanted: impl Fn(&str) -> bool) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let take = |page: &[u8]| -> Result<()> {
        found.extend(list::tags(page)?.into_iter().filter(|name| wanted(name)));
        Ok(())
    };
    pages(session, "tags/list?n=1000", "", take).context("cannot list the tags")?;
    Ok(found)
}

/// Hands each page of a list to `take`; whether there is such a list.
///
/// # Errors
/// The registry does not answer or refuses, `take` fails, or the list has no end.
pub fn pages(
    session: &mut Session,
    path: &str,
    accept: &str,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    let (mut path, mut seen) = (path.to_owned(), BTreeSet::new());
    for _ in 0..MAX_PAGES {
        let answer = session.get(&path, accept, MAX_PAGE)?;
        if answer.status == 404 && seen.is_empty() {
            return Ok(false);
        }
        let Answer { bytes, whole, link, .. } = answer.expect(&[200])?;
        ensure!(whole, "a page is larger than {MAX_PAGE} bytes");
        take(&bytes)?;
        let Some(next) = link.as_deref().and_then(list::next) else { return Ok(true) };
        seen.insert(std::mem::replace(&mut path, next.to_owned()));
        ensure!(!seen.contains(&path), "the registry's list leads back to its beginning");
    }
    bail!("the registry's list has more than {MAX_PAGES} pages")
}

/// Sends a document, to be found as `name`.
///
/// # Errors
/// The registry does not answer, or does not take it.
pub fn put(session: &mut Session, name: &str, kind: &str, bytes: &[u8]) -> Result<Answer> {
    let answer =
        session.ask("PUT", &format!("manifests/{name}"), kind, &crate::registry::Body::Bytes(bytes))?;
    answer.expect(&[201]).map_err(|error| error.context(anyhow!("cannot send {name}")))
}
