//! What remains of an image on top of another one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::image::archive::{Archive, Section};
use crate::image::{Entry, ImageSource, Kind, LinkId, content};
use crate::manifest::{ImageRef, PathBytes};
use crate::plan::Plan;

/// An image that another one is put on: all its entries stay, and its layers with them.
pub struct Base {
    image: Archive,
    reference: ImageRef,
    /// As the user named it.
    name: String,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Base")
            .field("name", &self.name)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

impl Base {
    /// The base that the user calls `name`: `reference`, as the engine saved it.
    pub fn new(image: Archive, reference: ImageRef, name: &str) -> Self {
        Self { image, reference, name: name.to_owned() }
    }

    pub(super) fn id(&self) -> &str {
        &self.reference.id
    }

    pub(super) fn layers(&self) -> &[Section] {
        self.image.layer_archives()
    }

    /// What the base's config says of its layers; made up when it does not say it of each.
    pub(super) fn history(&self) -> Result<Vec<Value>> {
        let config: Value =
            serde_json::from_slice(self.image.config()).context("the base's config is not JSON")?;
        let history = config["history"].as_array().cloned().unwrap_or_default();
        let layers = history.iter().filter(|entry| entry["empty_layer"] != true).count();
        if layers == self.layers().len() {
            return Ok(history);
        }
        let made_up =
            json!({"created_by": "slim-agent export image", "comment": format!("layer of {}", self.id())});
        Ok(vec![made_up; self.layers().len()])
    }

    /// The base's name and, where a registry knows it, digest, as the OCI image specification defines them.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        let mut said = BTreeMap::from([("org.opencontainers.image.base.name".to_owned(), self.name.clone())]);
        let mut digests = self.reference.repo_digests.iter();
        if let (Some((_, digest)), None) =
            (digests.next().and_then(|known| known.split_once('@')), digests.next())
        {
            said.insert("org.opencontainers.image.base.digest".to_owned(), digest.to_owned());
        }
        said
    }

    /// Kept entries that the base has not, or not the same, in order.
    pub(super) fn lacks(&self, plan: &Plan, image: &dyn ImageSource) -> Result<Vec<Entry>> {
        self.same_platform(image)?;
        let (mut entries, mut differs) = (Vec::new(), HashSet::new());
        let mut linked: HashMap<LinkId, bool> = HashMap::new();
        for path in plan.paths() {
            let entry = plan.entry(path, image)?;
            if !self.has(&entry, plan, image)? {
                differs.insert(path.clone());
                // The names of one file go together, or they would become two files.
                entry.link.map(|link| linked.insert(link, true));
            }
            entries.push(entry);
        }
        let wanted = |entry: &Entry| {
            differs.contains(&entry.path) || entry.link.is_some_and(|link| linked.contains_key(&link))
        };
        entries.retain(wanted);
        Ok(entries)
    }

    /// Whether the base has the very entry.
    fn has(&self, entry: &Entry, plan: &Plan, image: &dyn ImageSource) -> Result<bool> {
        let Some(found) = self.image.lookup(&entry.path)? else { return Ok(false) };
        self.fits(entry, &found)?;
        let alone = |entry: &Entry| Entry { link: None, place: 0, ..entry.clone() };
        if alone(entry) != alone(&found) {
            return Ok(false);
        }
        let what = || format!("cannot compare {} with the base's", entry.path);
        let equal = || same_bytes(&mut *plan.open(entry, image)?, &mut *content(&self.image, &found)?);
        if entry.kind == Kind::File { equal().with_context(what) } else { Ok(true) }
    }

    /// A directory cannot take the place of anything else, nor anything else that of a directory: the base's own
    /// entries would be gone, or names would lead elsewhere.
    fn fits(&self, entry: &Entry, found: &Entry) -> Result<()> {
        if entry.is_dir() == found.is_dir() {
            return Ok(());
        }
        let (path, name) = (&entry.path, &self.name);
        bail!(
            "{path} is {} in the image and {} in the base {name}: what is kept does not fit onto it; choose a base of \
             the same distribution, or leave --base out",
            what(entry),
            what(found)
        )
    }

    fn same_platform(&self, image: &dyn ImageSource) -> Result<()> {
        let parse =
            |raw: &[u8]| serde_json::from_slice::<Value>(raw).context("an image's config is not JSON");
        let (own, other) = (parse(self.image.config())?, parse(image.config())?);
        for field in ["os", "architecture"] {
            ensure!(
                own[field] == other[field],
                "the base {} has {field} {}, the image {}: choose a base for the same platform",
                self.name,
                own[field],
                other[field]
            );
        }
        Ok(())
    }
}

fn what(entry: &Entry) -> String {
    match &entry.kind {
        Kind::Directory => "a directory".to_owned(),
        Kind::Symlink(target) => format!("a symbolic link to {}", PathBytes::new(target.clone())),
        _ => "no directory".to_owned(),
    }
}

/// Whether two readers have the same to say.
fn same_bytes(one: &mut dyn Read, other: &mut dyn Read) -> Result<bool> {
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let count = fill(one, &mut left)?;
        if count != fill(other, &mut right)? || left[..count] != right[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

/// Reads until `buffer` is full or there is no more; how much that was.
fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
