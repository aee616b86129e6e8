//! An image's layers as directories of the engine's overlay2 storage, where they can be trusted to be exactly that.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use bollard::models::{ImageInspect, SystemInfo};
use tracing::debug;

use crate::container::ImageOnDisk;
use crate::container::endpoint::sha256_hex;

/// Why layers cannot be read in place with this engine, whatever the image; `None` when they can.
pub(super) fn obstacle(info: &SystemInfo) -> Option<String> {
    let driver = info.driver.as_deref().unwrap_or("unknown");
    if driver != "overlay2" {
        return Some(format!("the storage driver is {driver}, not overlay2"));
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
    let store = Path::new(root).join("image/overlay2/imagedb/content/sha256");
    fs::read_dir(&store).err().map(|error| format!("{} cannot be read: {error}", store.display()))
}

/// The image in place: its config and its layers, lowest first. `None` when anything is not as expected: then the
/// engine's archive is the way.
pub(super) fn in_place(info: &SystemInfo, image: &ImageInspect) -> Option<ImageOnDisk> {
    if let Some(reason) = obstacle(info) {
        debug!(reason, "image layers cannot be read in place");
        return None;
    }
    let driver = image.graph_driver.as_ref().filter(|driver| driver.name == "overlay2")?;
    let layers = layer_dirs(&driver.data)?;
    let expected = image.root_fs.as_ref()?.layers.as_ref()?.len();
    if layers.len() != expected {
        debug!(found = layers.len(), expected, "the storage driver does not name every layer");
        return None;
    }
    if let Some(missing) = layers.iter().find(|dir| fs::read_dir(dir).is_err()) {
        debug!(layer = %missing.display(), "a layer cannot be read from here");
        return None;
    }
    let config = config(Path::new(info.docker_root_dir.as_deref()?), image.id.as_deref()?)?;
    Some(ImageOnDisk { config, layers })
}

/// The driver lists the layers below the top one topmost first, parted by colons.
fn layer_dirs(data: &HashMap<String, String>) -> Option<Vec<PathBuf>> {
    let top = data.get("UpperDir").filter(|dir| !dir.is_empty())?;
    let lower = data.get("LowerDir").map_or("", String::as_str);
    let lower = lower.rsplit(':').filter(|dir| !dir.is_empty()).map(PathBuf::from);
    Some(lower.chain([PathBuf::from(top)]).collect())
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
