//! The config and the layers inside a saved image: Docker's archive (`manifest.json`), the OCI image layout
//! (`index.json`), and what newer engines write, which is both.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tar::EntryType;

use super::compression::plain;
use super::section::Section;
use crate::image::tarball::Members;

/// Largest JSON document that is read; real ones have some kilobytes.
const MAX_JSON: u64 = 16 << 20;
/// Most members of a saved image; real ones have three for each layer.
const MAX_MEMBERS: usize = 100_000;

/// What an image consists of.
pub(super) struct Parts {
    pub config: Vec<u8>,
    /// Uncompressed, lowest first.
    pub layers: Vec<Section>,
}

/// A member of a saved image.
enum Item {
    File(Section),
    /// Older engines write a layer that occurs twice as a link to the first.
    Link(Vec<u8>),
}

struct Saved(BTreeMap<Vec<u8>, Item>);

/// Finds the parts of the only image in `archive`.
pub(super) fn locate(archive: &Section) -> Result<Parts> {
    let saved = Saved::index(archive)?;
    let (config, layers) = if saved.0.contains_key(&b"manifest.json"[..]) {
        docker(&saved)?
    } else if saved.0.contains_key(&b"index.json"[..]) {
        oci(&saved)?
    } else {
        bail!("it has neither manifest.json nor index.json: it is not an image");
    };
    let layers =
        layers.iter().map(|name| plain(saved.file(name)?).with_context(|| format!("cannot read {name}")));
    Ok(Parts { config: saved.file(&config)?.bytes(MAX_JSON)?, layers: layers.collect::<Result<_>>()? })
}

fn docker(saved: &Saved) -> Result<(String, Vec<String>)> {
    let images = saved.json("manifest.json")?;
    let image = match images.as_array().map(Vec::as_slice) {
        Some([image]) => image,
        other => bail!("manifest.json lists {} images, not one", other.map_or(0, <[_]>::len)),
    };
    let name =
        |value: &Value| value.as_str().map(str::to_owned).context("manifest.json has an unexpected form");
    let layers = image["Layers"].as_array().context("manifest.json names no layers")?;
    Ok((name(&image["Config"])?, layers.iter().map(name).collect::<Result<_>>()?))
}

fn oci(saved: &Saved) -> Result<(String, Vec<String>)> {
    let mut document = saved.json("index.json")?;
    // An index may lead to another index, never deeper than a few levels in practice.
    for _ in 0..4 {
        let Some(manifests) = document["manifests"].as_array() else {
            let layers = document["layers"].as_array().context("the image manifest names no layers")?;
            return Ok((blob(&document["config"])?, layers.iter().map(blob).collect::<Result<_>>()?));
        };
        let mut images =
            manifests.iter().filter(|entry| is_image(entry) && blob(entry).is_ok_and(|b| saved.has(&b)));
        let image = images.next().context("index.json names no image whose parts are in the archive")?;
        ensure!(images.next().is_none(), "index.json names several images: save a single one");
        document = saved.json(&blob(image)?)?;
    }
    bail!("index.json leads to too many other indexes")
}

/// Attestations are listed beside images, for a platform that does not exist.
fn is_image(descriptor: &Value) -> bool {
    descriptor["annotations"]["vnd.docker.reference.type"].is_null()
}

fn blob(descriptor: &Value) -> Result<String> {
    let digest = descriptor["digest"].as_str().context("a descriptor without digest")?;
    Ok(format!("blobs/{}", digest.replacen(':', "/", 1)))
}

impl Saved {
    fn index(archive: &Section) -> Result<Self> {
        let mut items = BTreeMap::new();
        for member in Members::new(archive.clone()) {
            let member = member?;
            let item = match member.kind {
                EntryType::Regular => Item::File(archive.part(member.offset, member.size)?),
                EntryType::Symlink => Item::Link(beside(&member.name, &member.link)),
                EntryType::Link => Item::Link(clean(&member.link)),
                _ => continue,
            };
            items.insert(clean(&member.name), item);
            ensure!(items.len() <= MAX_MEMBERS, "it has more than {MAX_MEMBERS} members: it is not an image");
        }
        Ok(Self(items))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name.as_bytes())
    }

    fn file(&self, name: &str) -> Result<Section> {
        let mut key = name.as_bytes();
        for _ in 0..8 {
            match self.0.get(key) {
                Some(Item::File(section)) => return Ok(section.clone()),
                Some(Item::Link(target)) => key = target,
                None => break,
            }
        }
        bail!("it has no {name}: save the image again")
    }

    fn json(&self, name: &str) -> Result<Value> {
        let bytes = self.file(name)?.bytes(MAX_JSON)?;
        serde_json::from_slice(&bytes).with_context(|| format!("{name} is not JSON"))
    }
}

/// `name` without `.`, `..` and repeated slashes.
fn clean(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// Where a symbolic link at `name` leads to.
fn beside(name: &[u8], target: &[u8]) -> Vec<u8> {
    let dir = name.iter().rposition(|&byte| byte == b'/').map_or(&b""[..], |cut| &name[..cut]);
    clean(&[dir, b"/", target].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_between_layers() {
        assert_eq!(beside(b"b/layer.tar", b"../a/layer.tar"), b"a/layer.tar");
        assert_eq!(beside(b"x", b"../../y"), b"y");
        assert_eq!(clean(b"./a//b/."), b"a/b");
    }
}
