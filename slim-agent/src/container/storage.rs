//! containers/storage, where podman and CRI-O keep images: a directory of a layer each, which can be read in place.
//!
//! What stands where: `overlay-images/ID/` has the image's config, `overlay-layers/layers.json` what each layer is put
//! on, `overlay-layers/LAYER.tar-split.gz` its headers, `overlay/LAYER/diff` its files.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::endpoint::sha256_hex;
use super::{ImageOnDisk, LayerOnDisk};

/// Most layers of an image: overlayfs takes 500 of them.
const MOST: usize = 1000;

/// A layer as `layers.json` has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record {
    id: String,
    #[serde(default)]
    parent: String,
    /// `sha256:...` of its archive.
    #[serde(default)]
    diff_digest: String,
    /// With these, owners on disk are not the image's.
    #[serde(default)]
    uidmap: Option<serde_json::Value>,
    #[serde(default)]
    gidmap: Option<serde_json::Value>,
}

/// An image as `images.json` has it.
#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    /// The topmost layer.
    #[serde(default)]
    layer: String,
}

/// The parts of a config that say which layers there must be.
#[derive(Debug, Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// The image `id` (with or without `sha256:`) of the storage at `root`.
///
/// # Errors
/// Why it cannot be read in place: it is not there, or its layers are not plain directories of overlayfs.
pub(super) fn image(root: &Path, id: &str) -> Result<ImageOnDisk> {
    // A program that mounts instead of the kernel marks what is removed in its own way.
    let mounter = fs::read_to_string(root.join("overlay/.has-mount-program")).unwrap_or_default();
    ensure!(mounter.trim() != "true", "the storage is mounted by a program, not by the kernel's overlayfs");
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    ensure!(is_plain(id), "{id:?} is not an image's id");
    let images: Vec<Listed> = json(&root.join("overlay-images/images.json"))?;
    let listed = images.into_iter().find(|image| image.id == id).context("the storage has no such image")?;
    let config = config(root, id)?;
    let Config { rootfs } =
        serde_json::from_slice(&config).context("the image's config is not understood")?;
    let layers: Vec<Record> = json(&root.join("overlay-layers/layers.json"))?;
    let layers = chain(layers, listed.layer, &rootfs.diff_ids)?;
    let layers = layers.iter().map(|record| layer(root, record)).collect::<Result<_>>()?;
    Ok(ImageOnDisk { config, layers })
}

/// The layers from the lowest to `top`, which must be the archives that the config names.
fn chain(records: Vec<Record>, top: String, digests: &[String]) -> Result<Vec<Record>> {
    let mut known: HashMap<_, _> = records.into_iter().map(|record| (record.id.clone(), record)).collect();
    let (mut layers, mut next) = (Vec::new(), top);
    while !next.is_empty() {
        ensure!(layers.len() < MOST, "the image has too many layers");
        // Taken out, so that a layer that is put on itself ends the search.
        let record = known.remove(&next).with_context(|| format!("the storage has no layer {next}"))?;
        next = record.parent.clone();
        layers.push(record);
    }
    layers.reverse();
    ensure!(
        layers.iter().map(|layer| &layer.diff_digest).eq(digests),
        "its layers are not those that its config names"
    );
    Ok(layers)
}

fn layer(root: &Path, record: &Record) -> Result<LayerOnDisk> {
    let id = &record.id;
    ensure!(is_plain(id), "{id:?} is not a layer's id");
    let is_mapped = |map: &Option<serde_json::Value>| map.as_ref().is_some_and(|map| !map.is_null());
    ensure!(
        !is_mapped(&record.uidmap) && !is_mapped(&record.gidmap),
        "owners in layer {id} are not the image's"
    );
    let place = root.join("overlay").join(id);
    ensure!(!place.join("composefs-data").exists(), "layer {id} keeps its content under other names");
    let dir = place.join("diff");
    fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
    // With these, modes and owners on disk are not the image's.
    let overridden = xattr::get(&dir, "user.containers.override_stat");
    ensure!(matches!(overridden, Ok(None)), "modes in layer {id} are not the image's");
    let headers = root.join("overlay-layers").join(format!("{id}.tar-split.gz"));
    Ok(LayerOnDisk { dir, headers: Some(headers).filter(|file| file.is_file()) })
}

/// The config's bytes, which must hash to the image's id. A name with a colon is spelled in base64.
fn config(root: &Path, id: &str) -> Result<Vec<u8>> {
    let name = format!("={}", STANDARD.encode(format!("sha256:{id}")));
    let path = root.join("overlay-images").join(id).join(name);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if sha256_hex(&bytes) != id {
        bail!("{}: its sha256 is not the image's id", path.display());
    }
    Ok(bytes)
}

fn json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not understood", path.display()))
}

/// Whether a name can be one component of a path and nothing else.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A storage with one image of two layers.
    fn storage(config: &str) -> (tempfile::TempDir, String) {
        let root = tempfile::tempdir().unwrap();
        let id = sha256_hex(config.as_bytes());
        let at = |name: &str| root.path().join(name);
        for dir in ["overlay/aa/diff", "overlay/bb/diff", "overlay-layers", &format!("overlay-images/{id}")] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        let file = STANDARD.encode(format!("sha256:{id}"));
        fs::write(at(&format!("overlay-images/{id}/={file}")), config).unwrap();
        let images = json!([{ "id": id, "layer": "bb" }]);
        fs::write(at("overlay-images/images.json"), images.to_string()).unwrap();
        let layers = json!([
            { "id": "bb", "parent": "aa", "diff-digest": "sha256:2" },
            { "id": "aa", "diff-digest": "sha256:1" },
        ]);
        fs::write(at("overlay-layers/layers.json"), layers.to_string()).unwrap();
        fs::write(at("overlay-layers/aa.tar-split.gz"), "").unwrap();
        (root, id)
    }

    const CONFIG: &str = r#"{"rootfs":{"diff_ids":["sha256:1","sha256:2"]}}"#;

    fn why_not(root: &Path, id: &str) -> String {
        format!("{:#}", image(root, id).unwrap_err())
    }

    fn change_layers(root: &Path, change: impl Fn(&mut Value)) {
        let path = root.join("overlay-layers/layers.json");
        let mut layers = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut layers);
        fs::write(path, layers.to_string()).unwrap();
    }

    #[test]
    fn an_image_comes_with_its_layers_lowest_first() {
        let (root, id) = storage(CONFIG);
        let found = image(root.path(), &format!("sha256:{id}")).unwrap();
        assert_eq!(found.config, CONFIG.as_bytes());
        let dirs: Vec<_> = found.layers.iter().map(|layer| layer.dir.clone()).collect();
        assert_eq!(dirs, ["aa", "bb"].map(|id| root.path().join("overlay").join(id).join("diff")));
        let has_headers: Vec<_> = found.layers.iter().map(|layer| layer.headers.is_some()).collect();
        assert_eq!(has_headers, [true, false]);
    }

    #[test]
    fn what_is_not_plainly_the_image_is_not_read() {
        let (root, id) = storage(CONFIG);
        assert!(why_not(root.path(), "../../etc").contains("not an image's id"));
        assert!(why_not(root.path(), &"0".repeat(64)).contains("no such image"));
        change_layers(root.path(), |layers| layers[0]["uidmap"] = json!([{ "size": 1 }]));
        assert!(why_not(root.path(), &id).contains("owners"));
        change_layers(root.path(), |layers| layers[0]["diff-digest"] = json!("sha256:3"));
        assert!(why_not(root.path(), &id).contains("its config names"));
        change_layers(root.path(), |layers| layers[1]["parent"] = json!("bb"));
        assert!(why_not(root.path(), &id).contains("no layer bb"));
        fs::write(root.path().join("overlay/.has-mount-program"), "true").unwrap();
        assert!(why_not(root.path(), &id).contains("by a program"));
    }

    #[test]
    fn content_under_other_names_is_not_read() {
        let (root, id) = storage(CONFIG);
        fs::create_dir(root.path().join("overlay/bb/composefs-data")).unwrap();
        assert!(why_not(root.path(), &id).contains("other names"));
    }
}
