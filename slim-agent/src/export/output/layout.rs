//! A directory in the form of an OCI image layout, with compressed layers.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use futures_util::future::{FutureExt, LocalBoxFuture};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use serde_json::Value;

use super::{Format, Written};
use crate::container::Runtime;
use crate::export::image::{Built, LAYOUT, blob_path, documents};

pub(super) struct Layout<'a>(pub &'a Path);

/// What is at the place now.
enum Before {
    /// Nothing, or an empty directory.
    Nothing,
    /// A layout with one image, as an earlier export left it.
    Layout,
}

impl Format for Layout<'_> {
    fn check(&self) -> Result<()> {
        self.before().map(drop)?;
        let beside = self.beside();
        let probe = tempfile::tempdir_in(beside);
        probe.map(drop).with_context(|| format!("cannot write into directory {}", beside.display()))
    }

    fn write<'a>(
        &'a self,
        image: &'a Built,
        _runtime: &'a dyn Runtime,
    ) -> LocalBoxFuture<'a, Result<Written>> {
        async move {
            let digest = self.replace(image)?;
            Ok(Written { kind: "oci", to: self.0.display().to_string(), digest })
        }
        .boxed_local()
    }
}

impl Layout<'_> {
    /// Builds the layout beside its place, and moves it there.
    fn replace(&self, image: &Built) -> Result<String> {
        // Permissions as any new directory of this user gets them.
        let mut names = tempfile::Builder::new();
        let new = names.prefix(".slim-agent-").permissions(Permissions::from_mode(0o777));
        let new = new.tempdir_in(self.beside())?;
        let digest = fill(new.path(), image)?;
        match self.before()? {
            Before::Nothing => fs::rename(new.path(), self.0)?,
            // The old layout is removed under the new one's temporary name.
            Before::Layout => {
                renameat2(AT_FDCWD, new.path(), AT_FDCWD, self.0, RenameFlags::RENAME_EXCHANGE)?
            }
        }
        Ok(digest)
    }

    fn beside(&self) -> &Path {
        self.0.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Only what an export may have made is ever replaced.
    fn before(&self) -> Result<Before> {
        let place = self.0.display();
        match fs::symlink_metadata(self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Before::Nothing),
            Err(error) => return Err(error).with_context(|| format!("cannot look at {place}")),
            Ok(found) if !found.is_dir() => bail!("{place} is no directory: name another place"),
            Ok(_) => {}
        }
        if fs::read_dir(self.0).with_context(|| format!("cannot read {place}"))?.next().is_none() {
            return Ok(Before::Nothing);
        }
        let index = fs::read(self.0.join("index.json")).ok();
        let index: Option<Value> = index.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let images = index.as_ref().and_then(|index| index["manifests"].as_array()).map(Vec::len);
        if images != Some(1) || !self.0.join("oci-layout").is_file() {
            bail!("{place} has something else in it than one image: name a directory that is new or empty");
        }
        Ok(Before::Layout)
    }
}

/// Writes the parts of the layout; the manifest's digest.
fn fill(dir: &Path, image: &Built) -> Result<String> {
    let layers = image.compressed()?;
    let documents = documents(image, layers)?;
    fs::create_dir_all(dir.join("blobs/sha256"))?;
    for layer in layers {
        put(dir, &blob_path(&layer.digest), &mut layer.open())?;
    }
    put(dir, &blob_path(&image.id), &mut &image.config[..])?;
    put(dir, &blob_path(&documents.digest), &mut &documents.manifest[..])?;
    put(dir, "oci-layout", &mut LAYOUT.as_bytes())?;
    put(dir, "index.json", &mut &documents.index[..])?;
    Ok(documents.digest)
}

fn put(dir: &Path, name: &str, content: &mut dyn Read) -> Result<()> {
    let mut write = || -> io::Result<()> {
        let mut file = File::create(dir.join(name))?;
        io::copy(content, &mut file)?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {name}"))
}
