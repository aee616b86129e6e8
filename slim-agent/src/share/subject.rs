//! What recordings are attached to: the manifest that a repository has of the image.
//!
//! Engines know the image by its id, the digest of its config; repositories know its manifest, of which there may be
//! more than one (compressed anew, or in a list for several platforms). So the manifests that the image is known by are
//! looked at, and one is taken whose config is the image: nodes that pulled it by tag, by digest or from a mirror find
//! the same.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::Value;

use super::artifact::Descriptor;
use super::lookup::{self, Document};
use super::{DOCKER_LIST, DOCKER_MANIFEST, Digest, INDEX, MANIFEST, Named, Place};
use crate::manifest::ImageRef;

use crate::registry::Session;

/// Most names of an image that are looked at, and most platforms of a list.
const MAX_NAMES: usize = 32;
const MAX_PLATFORMS: usize = 64;

/// An image of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its manifest.
    pub manifest: Descriptor,
    /// What engines may call it: the digest of its config, and those of manifest and list.
    pub ids: Vec<Digest>,
}

/// A document about images.
#[derive(Debug)]
enum About {
    /// One image: the digest of its config.
    Image(Digest),
    /// Several, one for each platform.
    List(Vec<Platform>),
}

#[derive(Debug)]
struct Platform {
    digest: Digest,
    architecture: String,
}

/// The image's id as a digest.
///
/// # Errors
/// It is none.
pub fn id_of(image: &ImageRef) -> Result<Digest> {
    let id = image.id.parse().map_err(|why: String| anyhow!(why));
    id.context("the manifest's image has no id that can be shared")
}

/// The image as the repository has it, looked for by all names that the manifest knows; `None` when it has not.
///
/// # Errors
/// The registry does not answer or refuses.
pub fn of_image(session: &mut Session, place: &Place, image: &ImageRef) -> Result<Option<Subject>> {
    let id = id_of(image)?;
    for named in names(place, image) {
        if let Some(found) = lookup::document(session, &named)?
            && let Some(subject) = matching(session, found, &id)?
        {
            return Ok(Some(subject));
        }
    }
    Ok(None)
}

/// The image that the user named, which must be `image`.
///
/// # Errors
/// The repository does not have it, or it is another image.
pub fn named(session: &mut Session, place: &Place, named: &Named, image: &Digest) -> Result<Subject> {
    let found = must_have(session, place, named)?;
    matching(session, found, image)?.with_context(|| {
        format!("{named} in {place} is another image than {image}, of which the recordings are")
    })
}

/// The image that the user named, of a list the one for this host's processor.
///
/// # Errors
/// The repository does not have it.
pub fn any(session: &mut Session, place: &Place, named: &Named) -> Result<Subject> {
    let found = must_have(session, place, named)?;
    let platforms = match about(&found)? {
        About::Image(config) => return Ok(Subject::new(&found, config, None)),
        About::List(platforms) => platforms,
    };
    let wanted = architecture();
    let here = platforms.iter().find(|platform| platform.architecture == wanted);
    let here = here.with_context(|| {
        format!("{named} in {place} has no image for {wanted}: name the one that you mean by its digest")
    })?;
    let child = must_have(session, place, &Named::Digest(here.digest.clone()))?;
    match about(&child)? {
        About::Image(config) => Ok(Subject::new(&child, config, Some(found.digest))),
        About::List(_) => Err(anyhow!("{named} in {place} is a list of lists: name one by its digest")),
    }
}

fn must_have(session: &mut Session, place: &Place, named: &Named) -> Result<Document> {
    lookup::document(session, named)?.with_context(|| format!("{place} has no {named}"))
}

impl Subject {
    fn new(found: &Document, config: Digest, list: Option<Digest>) -> Self {
        let size = found.bytes.len() as u64;
        let manifest = Descriptor { media_type: kind(found), digest: found.digest.clone(), size };
        Self { ids: [config, manifest.digest.clone()].into_iter().chain(list).collect(), manifest }
    }
}

/// The image with this id in what was found: itself, or one of its platforms.
fn matching(session: &mut Session, found: Document, id: &Digest) -> Result<Option<Subject>> {
    let platforms = match about(&found) {
        Ok(About::List(platforms)) => platforms,
        Ok(About::Image(config)) => {
            let subject = Subject::new(&found, config, None);
            return Ok(subject.ids.contains(id).then_some(subject));
        }
        Err(error) => {
            tracing::debug!("passed over: {error:#}");
            return Ok(None);
        }
    };
    for platform in platforms {
        // A repository may lack platforms that its list names.
        let Some(child) = lookup::document(session, &Named::Digest(platform.digest))? else { continue };
        let Ok(About::Image(config)) = about(&child) else { continue };
        let here = platform.architecture == architecture();
        let subject = Subject::new(&child, config, here.then(|| found.digest.clone()));
        if subject.ids.contains(id) {
            return Ok(Some(subject));
        }
    }
    Ok(None)
}

/// Digests first, for they do not move; those of other repositories too, since mirrors keep them.
fn names(place: &Place, image: &ImageRef) -> Vec<Named> {
    let digests: BTreeSet<Digest> =
        image.repo_digests.iter().filter_map(|name| name.rsplit_once('@')?.1.parse().ok()).collect();
    let same = |name: &String| {
        let named = Place::from_str(&qualified(name)).ok()?;
        (named.to_string() == place.to_string()).then_some(named.named?)
    };
    let tags = image.names.iter().filter_map(same);
    digests.into_iter().map(Named::Digest).chain(tags).take(MAX_NAMES).collect()
}

/// A name as engines have it, with its registry.
fn qualified(name: &str) -> String {
    let known = name.parse::<crate::registry::Reference>().map(|reference| reference.full());
    known.unwrap_or_else(|_| name.to_owned())
}

fn about(found: &Document) -> Result<About> {
    #[derive(Deserialize)]
    struct Body {
        config: Option<Config>,
        manifests: Option<Vec<Value>>,
    }
    #[derive(Deserialize)]
    struct Config {
        digest: Digest,
    }
    let body: Body = serde_json::from_slice(&found.bytes)
        .with_context(|| format!("{} is no manifest of an image", found.digest))?;
    match (body.config, body.manifests) {
        (Some(config), _) => Ok(About::Image(config.digest)),
        (None, Some(entries)) => {
            Ok(About::List(entries.iter().filter_map(platform).take(MAX_PLATFORMS).collect()))
        }
        (None, None) => Err(anyhow!("{} is no manifest of an image", found.digest)),
    }
}

fn platform(entry: &Value) -> Option<Platform> {
    let digest = entry.get("digest")?.as_str()?.parse().ok()?;
    let architecture = entry.pointer("/platform/architecture").and_then(Value::as_str).unwrap_or_default();
    Some(Platform { digest, architecture: architecture.to_owned() })
}

/// The media type of a document: as it says itself, else as the registry says.
fn kind(found: &Document) -> String {
    let body: Option<Value> = serde_json::from_slice(&found.bytes).ok();
    let own = body.as_ref().and_then(|body| body.get("mediaType")).and_then(Value::as_str);
    let known = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST];
    let said = own.unwrap_or(&found.kind);
    known.iter().find(|known| said.starts_with(*known)).map_or(MANIFEST, |known| known).to_owned()
}

/// This host's processor, as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn found(body: &Value) -> Document {
        let bytes = body.to_string().into_bytes();
        Document { digest: Digest::of(&bytes), kind: "application/json".into(), bytes }
    }

    #[test]
    fn an_image_is_looked_for_by_digests_and_by_its_tags_in_this_repository() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let image = ImageRef {
            id: Digest::of(b"id").to_string(),
            repo_digests: set(&[
                &format!("nginx@{a}"),
                &format!("mirror:5000/nginx@{a}"),
                &format!("x@{b}"),
                "y",
            ]),
            names: set(&["nginx:1.25", "mirror:5000/nginx:1.25", "mirror:5000/other:1", "<none>"]),
        };
        let of = |place: &str| {
            names(&place.parse().unwrap(), &image).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let mut digests = vec![a.to_string(), b.to_string()];
        digests.sort();
        assert_eq!(of("other/x".replace("other", "h.x").as_str()), digests);
        let tagged = [digests, vec!["1.25".to_owned()]].concat();
        assert_eq!(of("mirror:5000/nginx"), tagged);
        assert_eq!(of("docker.io/nginx"), tagged);
        assert_eq!(id_of(&image).unwrap(), Digest::of(b"id"));
    }

    #[test]
    fn documents_about_images() {
        let (config, child) = (Digest::of(b"config"), Digest::of(b"child"));
        let image = found(&json!({ "mediaType": DOCKER_MANIFEST, "config": { "digest": config } }));
        assert!(matches!(about(&image), Ok(About::Image(digest)) if digest == config));
        assert_eq!(kind(&image), DOCKER_MANIFEST);
        let list = found(&json!({ "manifests": [
            { "digest": child, "platform": { "architecture": "arm64" } }, { "digest": "sha512:x" }, 7,
        ] }));
        let Ok(About::List(platforms)) = about(&list) else { panic!("no list") };
        assert_eq!(platforms.len(), 1);
        assert_eq!((&platforms[0].digest, platforms[0].architecture.as_str()), (&child, "arm64"));
        for none in [json!({}), json!([]), json!({ "config": { "digest": "x" } })] {
            assert!(about(&found(&none)).is_err(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_document_is_judged(bytes: Vec<u8>) {
            let found = Document { digest: Digest::of(&bytes), kind: String::new(), bytes };
            let _ = (about(&found), kind(&found));
        }
    }
}
