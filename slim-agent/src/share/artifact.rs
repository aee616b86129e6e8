//! One artifact: the OCI document that holds recordings, made and read.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ARTIFACT, Digest, MANIFEST};
use crate::manifest::{Manifest, io};

/// The media type of a config that says nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Its bytes.
pub(super) const EMPTY_CONFIG: &[u8] = b"{}";

const IMAGE: &str = "org.slim-agent.image";
const RECORDINGS: &str = "org.slim-agent.recordings";
const PATHS: &str = "org.slim-agent.paths";
const CREATED: &str = "org.opencontainers.image.created";
const TITLE: &str = "org.opencontainers.image.title";
/// Longest annotation that is put in a list.
const MAX_ANNOTATION: usize = 256;
/// What tools that fetch artifacts name the file.
const FILE: &str = "slim-agent.manifest.json";

/// How a tag of an artifact begins.
const TAG: &str = "slim-";
/// How many digits of the image's id and of the artifact's digest are in a tag.
const IMAGE_DIGITS: usize = 16;
const DIGEST_DIGITS: usize = 32;

/// What one document says of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of its bytes.
    pub media_type: String,
    /// Their digest.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
}

/// Recordings ready to be sent.
#[derive(Debug)]
pub struct Packed {
    /// The engine's id of the image that they are of.
    pub image: Digest,
    /// The digest of the document.
    pub digest: Digest,
    /// The document.
    pub document: Vec<u8>,
    /// The recordings: the manifest's canonical bytes.
    pub layer: Vec<u8>,
}

/// A document of recordings in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The document's digest.
    pub digest: Digest,
    /// The engine's id of the image that they are of, as the document says.
    pub image: Digest,
    /// The recordings.
    pub layer: Descriptor,
}

impl Packed {
    /// Packs a manifest of `image`, which `subject` describes as the repository has it.
    ///
    /// # Errors
    /// Only if serialisation itself fails.
    pub fn new(manifest: &Manifest, image: &Digest, subject: Option<&Descriptor>) -> Result<Self> {
        let layer = io::to_bytes(manifest)?;
        let mut annotations = BTreeMap::from([
            (IMAGE, image.to_string()),
            (RECORDINGS, manifest.recordings.len().to_string()),
            (PATHS, manifest.files.len().to_string()),
        ]);
        annotations.extend(last_start(manifest).map(|time| (CREATED, time)));
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT,
            "config": { "mediaType": EMPTY, "digest": Digest::of(EMPTY_CONFIG), "size": EMPTY_CONFIG.len() },
            "layers": [{
                "mediaType": ARTIFACT, "digest": Digest::of(&layer), "size": layer.len(),
                "annotations": { TITLE: FILE },
            }],
            "annotations": annotations,
        });
        if let (Some(subject), Some(fields)) = (subject, document.as_object_mut()) {
            fields.insert("subject".to_owned(), serde_json::to_value(subject)?);
        }
        let document = serde_json::to_vec(&document).context("cannot serialise the artifact")?;
        let digest = Digest::of(&document);
        Ok(Self { image: image.clone(), digest, document, layer })
    }

    /// The artifact's own tag.
    pub fn tag(&self) -> String {
        tag(&self.image, &self.digest)
    }

    /// What a list of referrers says of it.
    ///
    /// # Errors
    /// Only if it is no document, which it is.
    pub fn descriptor(&self) -> Result<Value> {
        let document: Value = serde_json::from_slice(&self.document).context("the artifact is not JSON")?;
        Ok(entry(&document, &self.document))
    }
}

/// What a list of referrers says of a document; `None` unless it is of recordings and refers to `subject`.
pub fn describe(bytes: &[u8], subject: &Digest) -> Option<Value> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let refers = document.pointer("/subject/digest").and_then(Value::as_str)? == subject.to_string();
    let ours = read(bytes).ok().flatten().is_some();
    (refers && ours).then(|| entry(&document, bytes))
}

fn entry(document: &Value, bytes: &[u8]) -> Value {
    // A list is for everybody: others cannot put there what they like.
    let own = |name: &&str| {
        let value = document.get("annotations")?.get(*name)?.as_str()?;
        (value.len() <= MAX_ANNOTATION).then(|| ((*name).to_owned(), Value::from(value)))
    };
    let annotations: serde_json::Map<_, _> =
        [IMAGE, RECORDINGS, PATHS, CREATED].iter().filter_map(own).collect();
    json!({
        "mediaType": MANIFEST, "artifactType": ARTIFACT, "digest": Digest::of(bytes), "size": bytes.len(),
        "annotations": annotations,
    })
}

/// When the last recording began; nothing where that is no time.
fn last_start(manifest: &Manifest) -> Option<String> {
    let starts = manifest.recordings.values().map(|recording| recording.started.as_str());
    let valid = |start: &&str| humantime::parse_rfc3339(start).is_ok();
    starts.filter(valid).max().map(str::to_owned)
}

fn tag(image: &Digest, digest: &Digest) -> String {
    format!("{TAG}{}-{}", first(image, IMAGE_DIGITS), in_tag(digest))
}

/// As much of an artifact's digest as is in its tag.
pub fn in_tag(digest: &Digest) -> &str {
    first(digest, DIGEST_DIGITS)
}

/// What a tag says of its artifact's digest.
pub fn digits_of_tag(name: &str) -> &str {
    name.rsplit_once('-').map_or("", |(_, digits)| digits)
}

fn first(digest: &Digest, count: usize) -> &str {
    digest.digits().get(..count).unwrap_or_default()
}

/// Whether `name` has the form of an artifact's tag and, where `images` are given, is of one of them.
pub fn is_tag(name: &str, images: &[Digest]) -> bool {
    let Some((image, digest)) = name.strip_prefix(TAG).and_then(|digits| digits.split_once('-')) else {
        return false;
    };
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_hexdigit());
    let wanted = images.is_empty() || images.iter().any(|wanted| wanted.digits().starts_with(image));
    digits(image, IMAGE_DIGITS) && digits(digest, DIGEST_DIGITS) && wanted
}

/// Reads a document of a registry; `None` when it is of something else than recordings.
///
/// # Errors
/// It is one of recordings and cannot be used.
pub fn read(bytes: &[u8]) -> Result<Option<Artifact>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        artifact_type: Option<String>,
        #[serde(default)]
        layers: Vec<Value>,
        #[serde(default)]
        annotations: BTreeMap<String, Value>,
    }
    let document: Document = serde_json::from_slice(bytes).context("it is not an OCI manifest")?;
    if document.artifact_type.as_deref() != Some(ARTIFACT) {
        return Ok(None);
    }
    let [layer] = document.layers.as_slice() else {
        anyhow::bail!("it has {} layers, where one is expected", document.layers.len())
    };
    let layer: Descriptor = serde_json::from_value(layer.clone()).context("its layer is not described")?;
    ensure!(layer.media_type == ARTIFACT, "its layer is of another media type: {:?}", layer.media_type);
    let image = document.annotations.get(IMAGE).and_then(Value::as_str);
    let image = image.with_context(|| format!("it does not say of which image it is ({IMAGE})"))?;
    let image = image.parse().map_err(|why| anyhow::anyhow!("{IMAGE}: {why}"))?;
    Ok(Some(Artifact { digest: Digest::of(bytes), image, layer }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ImageRef, Observed, Recording};
    use proptest::prelude::*;

    fn packed(subject: Option<&Descriptor>) -> Packed {
        let image = Digest::of(b"image");
        let name = ImageRef { id: image.to_string(), repo_digests: [].into(), names: [].into() };
        let mut manifest = Manifest::new(Some(name));
        for (id, started) in [("a", "2026-01-02T00:00:00Z"), ("b", "2026-01-01T00:00:00Z"), ("c", "zzz")] {
            let recording = Recording::without_events(Observed::Use, true);
            manifest.recordings.insert(id.into(), Recording { started: started.into(), ..recording });
        }
        Packed::new(&manifest, &image, subject).unwrap()
    }

    #[test]
    fn what_is_packed_is_read() {
        let subject = Descriptor { media_type: MANIFEST.into(), digest: Digest::of(b"subject"), size: 7 };
        let packed = packed(Some(&subject));
        let artifact = read(&packed.document).unwrap().unwrap();
        assert_eq!((&artifact.digest, &artifact.image), (&packed.digest, &packed.image));
        assert_eq!(artifact.layer.digest, Digest::of(&packed.layer));
        assert_eq!(artifact.layer.size, packed.layer.len() as u64);
        let document: Value = serde_json::from_slice(&packed.document).unwrap();
        assert_eq!(document["subject"]["digest"], subject.digest.to_string());
        assert_eq!(document["annotations"][CREATED], "2026-01-02T00:00:00Z");
        assert_eq!(document["annotations"][RECORDINGS], "3");
        let entry = packed.descriptor().unwrap();
        assert_eq!(entry["annotations"], document["annotations"]);
        assert_eq!(describe(&packed.document, &subject.digest), Some(entry));
        assert_eq!(describe(&packed.document, &packed.image), None);
    }

    #[test]
    fn the_same_content_is_the_same_artifact() {
        assert_eq!(packed(None).document, packed(None).document);
        let document: Value = serde_json::from_slice(&packed(None).document).unwrap();
        assert_eq!(document.get("subject"), None);
        // The digest that the image specification gives for the empty config.
        let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(document["config"]["digest"], empty);
    }

    #[test]
    fn tags_tell_image_and_artifact() {
        let packed = packed(None);
        let tag = packed.tag();
        assert!(
            tag.len() < 128 && is_tag(&tag, &[]) && digits_of_tag(&tag) == in_tag(&packed.digest),
            "{tag}"
        );
        assert!(is_tag(&tag, &[Digest::of(b"x"), packed.image.clone()]));
        assert!(!is_tag(&tag, &[Digest::of(b"x")]));
        for other in
            ["slim", "slim-", "slim-1.2", "latest", &tag[1..], &tag[..tag.len() - 1], &format!("{tag}0")]
        {
            assert!(!is_tag(other, &[]), "{other}");
        }
    }

    #[test]
    fn other_artifacts_are_passed_over_and_broken_ones_refused() {
        let with = |place: &str, value: Value| {
            let mut document: Value = serde_json::from_slice(&packed(None).document).unwrap();
            *document.pointer_mut(place).unwrap() = value;
            read(document.to_string().as_bytes()).map_err(|error| error.to_string())
        };
        assert_eq!(with("/artifactType", "application/spdx+json".into()), Ok(None));
        assert_eq!(with("/artifactType", Value::Null), Ok(None));
        for (place, value, why) in [
            ("/layers", json!([]), "0 layers"),
            ("/layers/0/digest", "sha256:../..".into(), "not described"),
            ("/layers/0/size", (-1).into(), "not described"),
            ("/annotations/org.slim-agent.image", "x".into(), "no digest"),
            ("/annotations", json!({}), "of which image"),
        ] {
            let error = with(place, value).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>, text: String) {
            let _ = (read(&bytes), describe(&bytes, &Digest::of(b"")), is_tag(&text, &[]));
            let _ = digits_of_tag(&text);
        }

        #[test]
        fn a_document_with_anything_in_it_is_judged(at in 0..900usize, byte: u8) {
            let mut bytes = packed(None).document;
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = read(&bytes);
        }
    }
}
