//! A build context that makes the slim image with any builder and without this program: a Dockerfile that copies
//! the files out of the original, and a small archive with all that `COPY` cannot copy.
//!
//! `COPY` follows symbolic links, knows no single directory, and makes two files of two hard links. So directories,
//! links, devices and pipes come from the archive, with all their metadata, and so do the few files that have extended
//! attributes or a name that a Dockerfile cannot spell. The archive is unpacked last: directories get the times that
//! copying into them changed.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, IntoInnerError};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::directory::{Place, has_only, put};
use super::image::Layer;
use crate::image::{Entry, ImageSource, Kind, LinkId};
use crate::manifest::{ImageRef, PathBytes};
use crate::plan::Plan;

mod config;
mod text;
mod words;

const DOCKERFILE: &str = "Dockerfile";
/// What `COPY` cannot copy.
const SKELETON: &str = "skeleton.tar";
/// What the image will hold.
const LIST: &str = "files.json";
/// Why.
const EXPLANATION: &str = "plan.json";
const SCHEMA: &str = "slim-agent/dockerfile/1";

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Files that the build copies out of the original.
    pub copied: usize,
    /// Entries that come from the archive in the context.
    pub packed: usize,
    /// What the built image will not have as the original has it, a sentence each.
    pub notes: Vec<String>,
}

/// Where the entries of an image come from when it is built.
struct Sources {
    /// Directory -> the files in it that are copied.
    copied: BTreeMap<PathBytes, Vec<PathBytes>>,
    /// All others.
    packed: Vec<Entry>,
    /// Of files with several names: the one that is copied.
    firsts: HashMap<LinkId, PathBytes>,
}

/// One entry of the list.
#[derive(Serialize)]
struct Listed {
    kind: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    /// Seconds since 1970.
    mtime: i64,
    size: u64,
    from: &'static str,
}

/// Fails early where [`write`] would fail.
///
/// # Errors
/// The place cannot be written to, or holds something else than an earlier context.
pub fn check(dir: &Path) -> Result<()> {
    place(dir).check()
}

/// Writes the context of the image that `plan` keeps of `image`, known as `original`, to directory `dir`: whole or not
/// at all. The explanation calls the new image `title`.
///
/// # Errors
/// The image cannot be read, or the directory cannot be written.
pub fn write(
    plan: &Plan,
    image: &dyn ImageSource,
    original: &ImageRef,
    title: &str,
    dir: &Path,
) -> Result<Made> {
    let sources = Sources::of(plan, image)?;
    let config = config::lines(image.config())?;
    let text = text::dockerfile(original, &sources.copied, &config);
    place(dir).fill(|dir| {
        put(dir, DOCKERFILE, &mut text.as_bytes())?;
        sources.pack(plan, image, &dir.join(SKELETON))?;
        put(dir, LIST, &mut &list(plan, image, &sources)?[..])?;
        put(dir, EXPLANATION, &mut &plan.explain(&original.id, title)?[..])
    })?;
    let copied = sources.copied.values().map(Vec::len).sum();
    Ok(Made { copied, packed: sources.packed.len(), notes: config.notes })
}

fn place(path: &Path) -> Place<'_> {
    Place { path, is_ours: |dir| has_only(dir, &[DOCKERFILE, SKELETON, LIST, EXPLANATION]) }
}

impl Sources {
    fn of(plan: &Plan, image: &dyn ImageSource) -> Result<Self> {
        let mut sources = Self { copied: BTreeMap::new(), packed: Vec::new(), firsts: HashMap::new() };
        for path in plan.paths() {
            let entry = plan.entry(path, image)?;
            let can_be_copied = can_be_copied(&entry) && !plan.generated.contains_key(path);
            let known = entry.link.is_some_and(|link| sources.firsts.contains_key(&link));
            let Some(dir) = path.parent().filter(|_| can_be_copied && !known) else {
                sources.packed.push(entry);
                continue;
            };
            sources.firsts.extend(entry.link.map(|link| (link, path.clone())));
            sources.copied.entry(dir).or_default().push(entry.path);
        }
        Ok(sources)
    }

    /// Writes the archive.
    fn pack(&self, plan: &Plan, image: &dyn ImageSource, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("cannot write {SKELETON}"))?;
        let mut archive = Layer::new(BufWriter::new(file));
        for (link, first) in &self.firsts {
            archive.is_there(*link, first);
        }
        for entry in &self.packed {
            let mut content = plan.open(entry, image)?;
            archive.append(entry, &mut *content).with_context(|| format!("cannot pack {}", entry.path))?;
        }
        let (out, ..) = archive.finish()?;
        out.into_inner().map_err(IntoInnerError::into_error)?.sync_all()?;
        Ok(())
    }
}

/// Whether `COPY` makes the entry what it was.
fn can_be_copied(entry: &Entry) -> bool {
    entry.kind == Kind::File && entry.xattrs.is_empty() && words::can_spell(&entry.path)
}

/// The list of what the image will hold: pretty JSON.
fn list(plan: &Plan, image: &dyn ImageSource, sources: &Sources) -> Result<Vec<u8>> {
    let mut files = BTreeMap::new();
    for path in plan.paths() {
        let entry = plan.entry(path, image)?;
        let in_dir = path.parent().and_then(|dir| sources.copied.get(&dir));
        let copied = in_dir.is_some_and(|files| files.contains(path));
        let listed = Listed {
            kind: kind(&entry.kind),
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime.seconds,
            size: entry.size,
            from: if copied { "original" } else { SKELETON },
        };
        files.insert(entry.path, listed);
    }
    #[derive(Serialize)]
    struct List<'a> {
        schema: &'a str,
        image: &'a str,
        files: BTreeMap<PathBytes, Listed>,
    }
    let mut bytes = serde_json::to_vec_pretty(&List { schema: SCHEMA, image: image.id(), files })
        .context("cannot serialise the list of files")?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink(_) => "symlink",
        Kind::CharDevice(_) => "character device",
        Kind::BlockDevice(_) => "block device",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
    }
}

#[cfg(test)]
mod tests;
