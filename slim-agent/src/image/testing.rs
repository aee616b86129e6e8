//! Images made of directories, for tests: each is read as overlay layers and as the engine's archive.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};
use nix::sys::time::TimeSpec;
use serde_json::json;
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::archive::Archive;
use super::overlay::Overlay;
use super::{Entry, ImageSource};
use crate::container::ImageOnDisk;
use crate::manifest::PathBytes;

/// An image, layer by layer.
pub(crate) struct Layers {
    dirs: Vec<TempDir>,
    config: Vec<u8>,
}

/// One layer's directory in overlayfs form.
pub(crate) struct LayerDir<'a>(&'a Path);

impl LayerDir<'_> {
    /// The place for an entry: what this layer has there is removed, and its parents are made.
    fn place(&self, path: &str) -> PathBuf {
        let mut at = self.0.to_path_buf();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            let here = fs::symlink_metadata(&at);
            match (here, parts.peek()) {
                (Ok(meta), Some(_)) if meta.is_dir() => {}
                (Ok(meta), None) if meta.is_dir() => fs::remove_dir_all(&at).unwrap(),
                (Ok(_), _) => fs::remove_file(&at).unwrap(),
                (Err(_), _) => {}
            }
            if parts.peek().is_some() && !at.exists() {
                fs::create_dir(&at).unwrap();
            }
        }
        at
    }

    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.place(path), content).unwrap();
        self
    }

    pub fn dir(&self, path: &str) -> &Self {
        fs::create_dir(self.place(path)).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        symlink(target, self.place(path)).unwrap();
        self
    }

    /// A hard link; nothing when there is no such file in this layer.
    pub fn hard(&self, path: &str, target: &str) -> &Self {
        let from = self.0.join(target);
        let to = self.place(path);
        if fs::symlink_metadata(&from).is_ok_and(|meta| meta.is_file()) {
            fs::hard_link(from, to).unwrap();
        }
        self
    }

    pub fn mode(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.0.join(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub fn xattr(&self, path: &str, name: &str, value: &[u8]) -> &Self {
        xattr::set(self.0.join(path), name, value).unwrap();
        self
    }

    pub fn fifo(&self, path: &str) -> &Self {
        mknod(&self.place(path), SFlag::S_IFIFO, Mode::from_bits_truncate(0o640), 0).unwrap();
        self
    }

    pub fn whiteout(&self, path: &str) -> &Self {
        mknod(&self.place(path), SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
        self
    }

    pub fn opaque(&self, path: &str) -> &Self {
        self.xattr(path, "user.overlay.opaque", b"y")
    }
}

impl Layers {
    pub fn new() -> Self {
        Self { dirs: Vec::new(), config: br#"{"config": {}}"#.to_vec() }
    }

    pub fn config(mut self, config: &serde_json::Value) -> Self {
        self.config = serde_json::to_vec(config).unwrap();
        self
    }

    pub fn layer(mut self, fill: impl FnOnce(&LayerDir<'_>)) -> Self {
        let dir = TempDir::new().unwrap();
        fill(&LayerDir(dir.path()));
        let moment = TimeSpec::new(1_600_000_000, 123_456_789);
        for path in descendants(dir.path()) {
            nix::sys::stat::utimensat(
                nix::fcntl::AT_FDCWD,
                &dir.path().join(path),
                &moment,
                &moment,
                nix::sys::stat::UtimensatFlags::NoFollowSymlink,
            )
            .unwrap();
        }
        self.dirs.push(dir);
        self
    }

    /// The image as overlay layers; needs the directories as long as it is read.
    pub fn overlay(&self) -> Overlay {
        let layers = self.dirs.iter().map(|dir| dir.path().to_path_buf()).collect();
        Overlay::new("sha256:test", ImageOnDisk { config: self.config.clone(), layers }).unwrap()
    }

    /// The image as Docker saves it.
    pub fn docker_archive(&self) -> Archive {
        let names: Vec<String> = (0..self.dirs.len()).map(|n| format!("{n}/layer.tar")).collect();
        let manifest = json!([{"Config": "config.json", "RepoTags": null, "Layers": names}]);
        let mut parts = vec![
            ("config.json".to_owned(), self.config.clone()),
            ("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap()),
        ];
        parts.extend(names.into_iter().zip(self.dirs.iter().map(|dir| layer_tar(dir.path()))));
        Archive::index(saved(&parts), "sha256:test").unwrap()
    }

    /// The image as an OCI layout with compressed layers and an attestation beside it.
    pub fn oci_archive(&self) -> Archive {
        let mut parts = vec![("blobs/sha256/c0".to_owned(), self.config.clone())];
        let mut layers = Vec::new();
        for (n, dir) in self.dirs.iter().enumerate() {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&layer_tar(dir.path())).unwrap();
            parts.push((format!("blobs/sha256/{n}"), gz.finish().unwrap()));
            layers.push(json!({"digest": format!("sha256:{n}")}));
        }
        let manifest = json!({"config": {"digest": "sha256:c0"}, "layers": layers});
        parts.push(("blobs/sha256/m".to_owned(), serde_json::to_vec(&manifest).unwrap()));
        let note = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let index =
            json!({"manifests": [{"digest": "sha256:m"}, {"digest": "sha256:0", "annotations": note}]});
        parts.push(("index.json".to_owned(), serde_json::to_vec(&index).unwrap()));
        Archive::index(saved(&parts), "sha256:test").unwrap()
    }
}

/// A file with an archive of `parts`.
fn saved(parts: &[(String, Vec<u8>)]) -> File {
    let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
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

fn descendants(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(at) = todo.pop() {
        let mut names: Vec<_> =
            fs::read_dir(dir.join(&at)).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            let path = at.join(name);
            if fs::symlink_metadata(dir.join(&path)).unwrap().is_dir() {
                todo.push(path.clone());
            }
            found.push(path);
        }
    }
    // Directories' own times last, as setting them below would change nothing any more.
    found.sort();
    found
}

/// The layer in `dir` as engines write it: whiteouts by name, hard links to the first name.
fn layer_tar(dir: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut seen: HashMap<u64, PathBuf> = HashMap::new();
    for path in descendants(dir) {
        let full = dir.join(&path);
        let meta = fs::symlink_metadata(&full).unwrap();
        let mut header = Header::new_gnu();
        header.set_metadata(&meta);
        header.set_mode(meta.mode() & 0o7777);
        header.set_mtime(u64::try_from(meta.mtime()).unwrap());
        header.set_size(0);
        let name = path.file_name().unwrap().to_str().unwrap();
        if header.entry_type() == EntryType::Char && meta.rdev() == 0 {
            header.set_entry_type(EntryType::Regular);
            let whiteout = path.with_file_name(format!(".wh.{name}"));
            builder.append_data(&mut header, whiteout, &[][..]).unwrap();
            continue;
        }
        let xattrs: Vec<_> = xattr::list(&full).unwrap().map(|n| n.to_str().unwrap().to_owned()).collect();
        let values: Vec<_> = xattrs.iter().map(|name| xattr::get(&full, name).unwrap().unwrap()).collect();
        let is_own = |name: &&String| !name.contains("overlay");
        let keys: Vec<_> = xattrs.iter().map(|name| format!("SCHILY.xattr.{name}")).collect();
        let pax = keys.iter().zip(&values).filter(|(key, _)| is_own(key));
        builder.append_pax_extensions(pax.map(|(key, value)| (key.as_str(), &value[..]))).unwrap();
        if meta.nlink() > 1
            && !meta.is_dir()
            && let Some(first) = seen.get(&meta.ino())
        {
            header.set_entry_type(EntryType::Link);
            builder.append_link(&mut header, &path, first).unwrap();
            continue;
        }
        seen.insert(meta.ino(), path.clone());
        if meta.is_symlink() {
            builder.append_link(&mut header, &path, fs::read_link(&full).unwrap()).unwrap();
        } else if meta.is_file() {
            header.set_size(meta.len());
            builder.append_data(&mut header, &path, File::open(&full).unwrap()).unwrap();
        } else {
            builder.append_data(&mut header, &path, &[][..]).unwrap();
        }
        if xattrs.iter().any(|name| name == "user.overlay.opaque") {
            let mut header = Header::new_gnu();
            header.set_size(0);
            builder.append_data(&mut header, path.join(".wh..wh..opq"), &[][..]).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// Everything that can be said of an image: its entries without what is private to the source, hard links as the
/// first name of the file, and contents.
pub(crate) fn everything(image: &dyn ImageSource) -> Vec<(Entry, Option<PathBytes>, Vec<u8>)> {
    let mut all = Vec::new();
    let mut links = HashMap::new();
    let mut paths = vec![PathBytes::from("/")];
    let mut next = 0;
    while next < paths.len() {
        let dir = paths[next].clone();
        next += 1;
        paths.extend(image.children(&dir).unwrap().iter().map(|name| dir.join(name)));
    }
    paths.sort();
    for path in paths {
        let mut entry = image.lookup(&path).unwrap().unwrap();
        let mut content = Vec::new();
        if entry.kind == super::Kind::File {
            image.open(&entry).unwrap().read_to_end(&mut content).unwrap();
        }
        let first = entry.link.take().map(|link| links.entry(link).or_insert(path).clone());
        entry.place = 0;
        all.push((entry, first, content));
    }
    all
}
