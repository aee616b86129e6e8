//! The JSON documents that make blobs an image: OCI image manifest and image index, as the OCI image specification
//! 1.0 has them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Blob, Built, Reference, hex};

/// The media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The file `oci-layout`.
pub const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// What one document says of a blob.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
}

/// The documents of one image.
#[derive(Debug)]
pub struct Documents {
    /// The manifest's digest, by which registries know the image.
    pub digest: String,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The bytes of `index.json`, which names the image.
    pub index: Vec<u8>,
}

impl Descriptor {
    pub fn layer(digest: &str, size: u64) -> Self {
        Self { media_type: LAYER, digest: digest.to_owned(), size }
    }
}

/// The documents of `image` with its layers compressed as `layers`.
///
/// # Errors
/// Its config is not JSON.
pub fn documents(image: &Built, layers: &[Blob]) -> Result<Documents> {
    let gzip =
        |blob: &Blob| Descriptor { media_type: LAYER_GZIP, digest: blob.digest.clone(), size: blob.len };
    let layers: Vec<_> = layers.iter().map(gzip).collect();
    Documents::new(&image.config, &layers, image.name.as_ref(), &image.annotations)
}

/// The digest of the manifest in the image's archive, where its layers are not compressed.
///
/// # Errors
/// As [`documents`].
pub fn manifest_digest(image: &Built) -> Result<String> {
    let layers: Vec<_> =
        image.layers.iter().map(|layer| Descriptor::layer(&layer.digest, layer.len)).collect();
    Ok(Documents::new(&image.config, &layers, image.name.as_ref(), &image.annotations)?.digest)
}

impl Documents {
    pub(super) fn new(
        config: &[u8],
        layers: &[Descriptor],
        name: Option<&Reference>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let config_blob =
            Descriptor { media_type: CONFIG, digest: digest(config), size: config.len() as u64 };
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config_blob, "layers": layers});
        if !annotations.is_empty() {
            manifest["annotations"] = json!(annotations);
        }
        let manifest = serde_json::to_vec(&manifest).context("cannot serialise the image's manifest")?;
        let digest = digest(&manifest);
        let mut entry = json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.len()});
        entry["platform"] = platform(config)?;
        if let Some(name) = name {
            // The first is what `oci:DIR:TAG` of skopeo and podman looks for, the second what containerd loads.
            entry["annotations"] = json!({
                "org.opencontainers.image.ref.name": name.tag(),
                "io.containerd.image.name": name.full(),
            });
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let index = serde_json::to_vec(&index).context("cannot serialise the image's index")?;
        Ok(Self { digest, manifest, index })
    }
}

/// What the image runs on, as its config says.
fn platform(config: &[u8]) -> Result<Value> {
    let config: Value = serde_json::from_slice(config).context("the image's config is not JSON")?;
    let mut platform = Map::new();
    for field in ["architecture", "os", "os.version", "variant"] {
        if let Some(value) = config.get(field).filter(|value| value.as_str().is_some_and(|s| !s.is_empty())) {
            platform.insert(field.to_owned(), value.clone());
        }
    }
    Ok(platform.into())
}

/// `sha256:` and the digest of `bytes`.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(Sha256::digest(bytes)))
}
