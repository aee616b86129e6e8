//! The archives that engines make of such images.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::{LayerDir, Layers};
use crate::image::Time;
use crate::image::archive::Archive;

impl Layers {
    /// The image as Docker saves it.
    pub fn docker_archive(&self) -> Archive {
        docker_archive(&self.config, self.layers.iter().map(layer_tar))
    }

    /// The image of a single layer.
    pub fn archive_of(layer: &[u8]) -> Archive {
        docker_archive(br#"{"config": {}}"#, [layer.to_vec()])
    }

    /// The image as an OCI layout with compressed layers and an attestation beside it.
    pub fn oci_archive(&self) -> Archive {
        Archive::index(saved(&self.oci_parts()), "sha256:test").unwrap()
    }

    /// The image as Docker saves it since version 25: an OCI layout that manifest.json leads into, too.
    pub fn both_archive(&self) -> Archive {
        let layers: Vec<_> = (0..self.layers.len()).map(|n| format!("blobs/sha256/{n}")).collect();
        let manifest = json!([{"Config": "blobs/sha256/c0", "RepoTags": ["a:b"], "Layers": layers}]);
        let mut parts = self.oci_parts();
        parts.push(("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap()));
        parts.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion": "1.0.0"}"#.to_vec()));
        Archive::index(saved(&parts), "sha256:test").unwrap()
    }

    fn oci_parts(&self) -> Vec<(String, Vec<u8>)> {
        let mut parts = vec![("blobs/sha256/c0".to_owned(), self.config.clone())];
        let mut layers = Vec::new();
        for (n, layer) in self.layers.iter().enumerate() {
            parts.push((format!("blobs/sha256/{n}"), gzip(&layer_tar(layer))));
            layers.push(json!({"digest": format!("sha256:{n}")}));
        }
        let manifest = json!({"config": {"digest": "sha256:c0"}, "layers": layers});
        parts.push(("blobs/sha256/m".to_owned(), serde_json::to_vec(&manifest).unwrap()));
        let note = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let index =
            json!({"manifests": [{"digest": "sha256:m"}, {"digest": "sha256:0", "annotations": note}]});
        parts.push(("index.json".to_owned(), serde_json::to_vec(&index).unwrap()));
        parts
    }
}

fn docker_archive(config: &[u8], layers: impl IntoIterator<Item = Vec<u8>>) -> Archive {
    let named = |(n, layer)| (format!("{n}/layer.tar"), layer);
    let layers: Vec<_> = layers.into_iter().enumerate().map(named).collect();
    let names: Vec<_> = layers.iter().map(|(name, _)| name).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": null, "Layers": names}]);
    let mut parts = vec![("config.json".to_owned(), config.to_vec())];
    parts.push(("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap()));
    parts.extend(layers);
    Archive::index(saved(&parts), "sha256:test").unwrap()
}

/// A file with an archive of `parts`.
fn saved(parts: &[(String, Vec<u8>)]) -> File {
    let mut builder = Builder::new(tempfile::tempfile().unwrap());
    for (name, content) in parts {
        let mut header = Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    let mut file = builder.into_inner().unwrap();
    file.rewind().unwrap();
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// The headers of `archive` as the engine notes them.
pub(super) fn note(archive: &[u8]) -> Vec<u8> {
    let stretch = |bytes: &[u8]| json!({"type": 2, "payload": STANDARD.encode(bytes), "position": 0});
    let (mut lines, mut at) = (Vec::new(), 0);
    for member in tar::Archive::new(archive).entries().unwrap() {
        let member = member.unwrap();
        let (start, size) = (usize::try_from(member.raw_file_position()).unwrap(), member.size());
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        lines.push(stretch(&archive[at..start]));
        lines.push(json!({"type": 1, "name": name, "size": size, "payload": "AAAAAAAAAAA="}));
        at = start + usize::try_from(size).unwrap();
    }
    lines.push(stretch(&archive[at..]));
    gzip(lines.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes())
}

/// The layer as engines write it: whiteouts by name, hard links to the first name.
pub(super) fn layer_tar(layer: &LayerDir) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let mut seen: HashMap<u64, PathBuf> = HashMap::new();
    for path in layer.descendants() {
        let full = layer.root().join(&path);
        if !layer.is_only_implied(&full) {
            append(&mut builder, layer, &path, &full, &mut seen);
        }
    }
    builder.into_inner().unwrap()
}

fn append(
    builder: &mut Builder<Vec<u8>>,
    layer: &LayerDir,
    path: &Path,
    full: &Path,
    seen: &mut HashMap<u64, PathBuf>,
) {
    let meta = fs::symlink_metadata(full).unwrap();
    let made_here = Time::whole(meta.mtime());
    let time = if layer.unpacked { layer.wanted_time(meta.ino()) } else { made_here };
    let mut header = Header::new_gnu();
    header.set_metadata(&meta);
    header.set_mode(meta.mode() & 0o7777);
    header.set_mtime(time.to_field());
    header.set_size(0);
    if header.entry_type() == EntryType::Char && meta.rdev() == 0 {
        header.set_entry_type(EntryType::Regular);
        let name = [b".wh.", path.file_name().unwrap().as_bytes()].concat();
        let whiteout = path.with_file_name(std::ffi::OsStr::from_bytes(&name));
        return builder.append_data(&mut header, whiteout, &[][..]).unwrap();
    }
    let xattrs: Vec<_> = xattr::list(full).unwrap().map(|n| n.to_str().unwrap().to_owned()).collect();
    let own = xattrs.iter().filter(|name| !name.contains("overlay"));
    let own = own.map(|name| (format!("SCHILY.xattr.{name}"), xattr::get(full, name).unwrap().unwrap()));
    let mtime = time.to_pax().map(|time| ("mtime".to_owned(), time.into_bytes()));
    let records: Vec<_> = mtime.into_iter().chain(own).collect();
    builder.append_pax_extensions(records.iter().map(|(key, value)| (key.as_str(), &value[..]))).unwrap();
    let first = (meta.nlink() > 1 && !meta.is_dir()).then(|| seen.get(&meta.ino())).flatten();
    if let Some(first) = first {
        header.set_entry_type(EntryType::Link);
        return builder.append_link(&mut header, path, first).unwrap();
    }
    seen.insert(meta.ino(), path.to_owned());
    if meta.is_symlink() {
        builder.append_link(&mut header, path, fs::read_link(full).unwrap()).unwrap();
    } else if meta.is_file() {
        header.set_size(meta.len());
        builder.append_data(&mut header, path, File::open(full).unwrap()).unwrap();
    } else {
        builder.append_data(&mut header, path, &[][..]).unwrap();
    }
    if xattrs.iter().any(|name| name == "user.overlay.opaque") {
        let mut header = Header::new_gnu();
        header.set_size(0);
        builder.append_data(&mut header, path.join(".wh..wh..opq"), &[][..]).unwrap();
    }
}
