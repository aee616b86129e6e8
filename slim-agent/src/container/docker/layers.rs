//! An image's layers as directories of the engine's storage, where they can be trusted to be exactly that: Docker's
//! overlay2, and podman's overlay.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use bollard::models::{ImageInspect, SystemInfo};
use tracing::debug;

use crate::container::endpoint::sha256_hex;
use crate::container::{ImageOnDisk, LayerOnDisk, storage};

/// The storage driver of Docker.
const DOCKER: &str = "overlay2";
/// The storage driver of podman.
const PODMAN: &str = "overlay";

/// Why layers cannot be read in place with this engine, whatever the image; `None` when they can.
pub(super) fn obstacle(info: &SystemInfo) -> Option<String> {
    let driver = info.driver.as_deref().unwrap_or("unknown");
    if ![DOCKER, PODMAN].contains(&driver) {
        return Some(format!("the storage driver is {driver}, not {DOCKER}"));
    }
    let differs = info.driver_status.iter().flatten().any(|row| row == &["Native Overlay Diff", "false"]);
    if differs {
        return Some("overlayfs redirects directories here: layers are not complete in themselves".into());
    }
    let options = info.security_options.iter().flatten();
    let mapped = options.filter(|option| option.contains("name=userns") || option.contains("name=rootless"));
    if mapped.count() > 0 {
        return Some("the engine remaps user ids: owners on disk are not the image's".into());
    }
    let root = info.docker_root_dir.as_deref().unwrap_or("/var/lib/docker");
    let images = if driver == PODMAN { "overlay-images" } else { "image/overlay2/imagedb/content/sha256" };
    let store = Path::new(root).join(images);
    fs::read_dir(&store).err().map(|error| format!("{} cannot be read: {error}", store.display()))
}

/// The image in place: its config and its layers, lowest first. `None` when anything is not as expected: then the
/// engine's archive is the way.
pub(super) fn in_place(info: &SystemInfo, image: &ImageInspect) -> Option<ImageOnDisk> {
    if let Some(reason) = obstacle(info) {
        debug!(reason, "image layers cannot be read in place");
        return None;
    }
    let root = Path::new(info.docker_root_dir.as_deref()?);
    if info.driver.as_deref() == Some(PODMAN) {
        let found = storage::image(root, image.id.as_deref()?);
        return found.inspect_err(|why| debug!("image layers cannot be read in place: {why:#}")).ok();
    }
    let driver = image.graph_driver.as_ref().filter(|driver| driver.name == DOCKER)?;
    let dirs = layer_dirs(&driver.data)?;
    let digests = image.root_fs.as_ref()?.layers.as_ref()?;
    if dirs.len() != digests.len() {
        debug!(found = dirs.len(), expected = digests.len(), "the storage driver does not name every layer");
        return None;
    }
    if let Some(missing) = dirs.iter().find(|dir| fs::read_dir(dir).is_err()) {
        debug!(layer = %missing.display(), "a layer cannot be read from here");
        return None;
    }
    let config = config(root, image.id.as_deref()?)?;
    let layer = |(dir, chain): (PathBuf, String)| LayerOnDisk { headers: headers(root, &chain, &dir), dir };
    Some(ImageOnDisk { config, layers: dirs.into_iter().zip(chain_ids(digests)).map(layer).collect() })
}

/// The driver lists the layers below the top one topmost first, parted by colons.
fn layer_dirs(data: &HashMap<String, String>) -> Option<Vec<PathBuf>> {
    let top = data.get("UpperDir").filter(|dir| !dir.is_empty())?;
    let lower = data.get("LowerDir").map_or("", String::as_str);
    let lower = lower.rsplit(':').filter(|dir| !dir.is_empty()).map(PathBuf::from);
    Some(lower.chain([PathBuf::from(top)]).collect())
}

/// What the engine knows each layer by: the digest of its archive and of all below it, as the OCI image
/// specification defines `ChainID`. In hex, without the algorithm.
fn chain_ids(digests: &[String]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for digest in digests {
        ids.push(match ids.last() {
            None => digest.strip_prefix("sha256:").unwrap_or(digest).to_owned(),
            Some(below) => sha256_hex(format!("sha256:{below} {digest}").as_bytes()),
        });
    }
    ids
}

/// The headers of the layer `chain`, if the engine has it in `dir` indeed.
fn headers(root: &Path, chain: &str, dir: &Path) -> Option<PathBuf> {
    let place = root.join("image/overlay2/layerdb/sha256").join(chain);
    let cache = fs::read_to_string(place.join("cache-id")).ok()?;
    let name = dir.parent().and_then(Path::file_name)?;
    Some(place.join("tar-split.json.gz")).filter(|file| name == cache.trim_end() && file.is_file())
}

/// The config's bytes, which must hash to the image's id.
fn config(root: &Path, id: &str) -> Option<Vec<u8>> {
    let digest = id.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let path = root.join("image/overlay2/imagedb/content/sha256").join(digest);
    let bytes = fs::read(&path).ok()?;
    if sha256_hex(&bytes) != digest {
        debug!(config = %path.display(), "its sha256 is not the image's id");
        return None;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn layers_come_lowest_first() {
        let three = data(&[("LowerDir", "/o/b/diff:/o/a/diff"), ("UpperDir", "/o/c/diff")]);
        let expected: Vec<_> = ["/o/a/diff", "/o/b/diff", "/o/c/diff"].map(PathBuf::from).into();
        assert_eq!(layer_dirs(&three), Some(expected));
        assert_eq!(layer_dirs(&data(&[("UpperDir", "/o/c/diff")])), Some(vec!["/o/c/diff".into()]));
        assert_eq!(layer_dirs(&data(&[])), None);
    }

    #[test]
    fn storage_that_cannot_be_trusted_is_not_read() {
        let info = |value| -> SystemInfo { serde_json::from_value(value).unwrap() };
        let why = |value| obstacle(&info(value)).unwrap_or_default();
        assert!(why(json!({ "Driver": "btrfs" })).contains("btrfs"));
        let mapped = json!({ "Driver": "overlay2", "SecurityOptions": ["name=userns"] });
        assert!(why(mapped).contains("user ids"));
        let redirected = json!({ "Driver": "overlay2", "DriverStatus": [["Native Overlay Diff", "false"]] });
        assert!(why(redirected).contains("redirects"));
    }

    #[test]
    fn layers_are_known_by_all_that_is_below_them() {
        let digests = ["sha256:aa".to_owned(), "sha256:bb".to_owned(), "sha256:cc".to_owned()];
        let second = sha256_hex(b"sha256:aa sha256:bb");
        let third = sha256_hex(format!("sha256:{second} sha256:cc").as_bytes());
        assert_eq!(chain_ids(&digests), ["aa".to_owned(), second, third]);
    }

    #[test]
    fn headers_are_those_of_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("image/overlay2/layerdb/sha256/c0");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("cache-id"), "d1").unwrap();
        let found = |dir: &str| headers(root.path(), "c0", Path::new(dir));
        assert_eq!(found("/o/d1/diff"), None);
        fs::write(place.join("tar-split.json.gz"), "").unwrap();
        assert_eq!(found("/o/d1/diff"), Some(place.join("tar-split.json.gz")));
        assert_eq!(found("/o/d2/diff"), None);
    }

    #[test]
    fn a_config_must_hash_to_the_id() {
        let root = tempfile::tempdir().unwrap();
        let store = root.path().join("image/overlay2/imagedb/content/sha256");
        fs::create_dir_all(&store).unwrap();
        let digest = sha256_hex(b"{}");
        fs::write(store.join(&digest), "{}").unwrap();
        assert_eq!(config(root.path(), &format!("sha256:{digest}")).as_deref(), Some(&b"{}"[..]));
        fs::write(store.join(&digest), "{ }").unwrap();
        assert_eq!(config(root.path(), &format!("sha256:{digest}")), None);
        assert_eq!(config(root.path(), "sha256:../../x"), None);
    }
}
