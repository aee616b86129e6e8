//! What is on the disk: a directory per profile with the union of its recordings, and one per recording that has not
//! been united with its profile yet. Every file is written whole or not at all.
//!
//! ```text
//! STATE/profiles/NAME/IMAGE/manifest.json     the union
//! STATE/recordings/ID/checkpoint.json         a recording that runs: what is known of it
//! STATE/recordings/ID/journal.N               what was seen since, a fact a line
//! STATE/recordings/ID/manifest.json           a recording that has ended, on its way into the profile
//! STATE/aside/ID/                             a recording that fits into no profile: for a person to look at
//! STATE/wishes.json                           what was asked for by hand
//! ```
//! Files rather than a database: a manifest is what everything else here reads anyway, a person can look at it, and a
//! union that is written again after a crash is the same union.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use nix::fcntl::Flock;
use serde::{Deserialize, Serialize};

use super::config::Retention;
use super::rules::ProfileName;
use crate::flock;
use crate::manifest::{ImageRef, Manifest, io};

/// Which profile a recording goes to: what was recorded of one image, under one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProfileKey {
    /// The name.
    pub name: String,
    /// Digits of the image's id, without `sha256:`.
    pub image: String,
}

impl ProfileKey {
    /// The profile `name` of an image.
    pub fn new(name: &ProfileName, image: &ImageRef) -> Self {
        let digits = image.id.rsplit(':').next().unwrap_or_default();
        // An id comes from a container engine, and names a directory here.
        let image = digits.chars().filter(char::is_ascii_hexdigit).collect();
        Self { name: name.as_str().to_owned(), image }
    }
}

/// The state directory. One daemon has it at a time.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    _lock: Arc<Flock<fs::File>>,
}

const MANIFEST: &str = "manifest.json";
/// How the name of a recording's directory ends that is being removed.
const GONE: &str = ".gone";
/// Beside the manifest of a recording that has ended: the profile that it goes into.
const PROFILE: &str = "profile.json";

impl Store {
    /// Opens the state directory `root`, and makes it when there is none.
    ///
    /// # Errors
    /// It cannot be made or written to, or another daemon has it.
    pub fn open(root: &Path) -> Result<Self> {
        for dir in [root.to_owned(), root.join("profiles"), root.join("recordings")] {
            make_private(&dir)?;
        }
        let path = root.join("lock");
        let file = fs::File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let lock = flock::lock(file).with_context(|| {
            format!("cannot lock {}: another slim-agent daemon has this state directory", path.display())
        })?;
        Ok(Self { root: root.to_owned(), _lock: Arc::new(lock) })
    }

    /// Where the wishes are.
    pub fn wishes(&self) -> PathBuf {
        self.root.join("wishes.json")
    }

    /// Where a recording is kept while it runs.
    pub fn recording(&self, id: &str) -> PathBuf {
        self.root.join("recordings").join(id)
    }

    fn make_recording(&self, id: &str) -> Result<PathBuf> {
        let dir = self.recording(id);
        make_private(&dir)?;
        Ok(dir)
    }

    /// Ids of all recordings that are not in their profile yet.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn recordings(&self) -> Result<Vec<String>> {
        let (gone, found) = names_in(&self.root.join("recordings"))?
            .into_iter()
            .partition::<Vec<_>, _>(|name| name.ends_with(GONE));
        gone.iter().for_each(|name| remove(&self.recording(name)));
        Ok(found)
    }

    /// Where the union of a profile is.
    pub fn manifest(&self, key: &ProfileKey) -> PathBuf {
        self.dir(key).join(MANIFEST)
    }

    fn dir(&self, key: &ProfileKey) -> PathBuf {
        self.root.join("profiles").join(&key.name).join(&key.image)
    }

    /// Every profile that is stored.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn profiles(&self) -> Result<Vec<Stored>> {
        let root = self.root.join("profiles");
        let mut found = Vec::new();
        for name in names_in(&root)? {
            for image in names_in(&root.join(&name))? {
                let key = ProfileKey { name: name.clone(), image };
                if let Ok(file) = fs::metadata(self.manifest(&key)) {
                    let changed = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    found.push(Stored { key, bytes: file.size(), changed });
                }
            }
        }
        found.sort_by(|a, b| (&a.key.name, b.changed).cmp(&(&b.key.name, a.changed)));
        Ok(found)
    }

    /// The union of a profile; `None` when nothing is stored of it yet.
    ///
    /// # Errors
    /// It cannot be read, or is no manifest.
    pub fn union_of(&self, key: &ProfileKey) -> Result<Option<Manifest>> {
        read_if_there(&self.manifest(key))
    }

    /// The manifest of a recording that has ended.
    ///
    /// # Errors
    /// It cannot be read, or is no manifest.
    pub fn ended(&self, id: &str) -> Result<Option<Manifest>> {
        read_if_there(&self.recording(id).join(MANIFEST))
    }

    /// Keeps the manifest of a recording that has ended, until it is in its profile `key`; which one that is, need not be
    /// known yet.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn keep_ended(&self, id: &str, key: Option<&ProfileKey>, manifest: &Manifest) -> Result<()> {
        let dir = self.make_recording(id)?;
        if let Some(key) = key {
            io::write(
                &dir.join(PROFILE),
                &serde_json::to_vec(key).context("cannot serialise a profile's name")?,
            )?;
        }
        io::write(&dir.join(MANIFEST), &io::to_bytes(manifest)?)
    }

    /// The profile that a recording which has ended goes into, if that is known.
    pub fn profile_of(&self, id: &str) -> Option<ProfileKey> {
        serde_json::from_slice(&fs::read(self.recording(id).join(PROFILE)).ok()?).ok()
    }

    /// Adds recordings that have ended to the union of their profile, and removes them. One that does not fit is put aside:
    /// the others are not to wait for it.
    ///
    /// # Errors
    /// Something cannot be read or written; all is as it was then, or some of them are in the union already.
    pub fn unite(&self, key: &ProfileKey, ids: &[String], keep: usize) -> Result<()> {
        let mut union = self.union_of(key)?;
        for id in ids {
            let added = match (self.ended(id), &mut union) {
                (Ok(None), _) => Ok(()),
                (Ok(Some(manifest)), Some(union)) => union.merge(manifest).map_err(Into::into),
                (Ok(Some(manifest)), None) => {
                    union = Some(manifest);
                    Ok(())
                }
                (Err(error), _) => Err(error),
            };
            if let Err(error) = added {
                self.put_aside(id, &error)?;
            }
        }
        if let Some(mut union) = union {
            union.keep_newest(keep);
            make_private(&self.root.join("profiles").join(&key.name))?;
            make_private(&self.dir(key))?;
            io::write(&self.manifest(key), &io::to_bytes(&union)?)?;
        }
        ids.iter().for_each(|id| self.remove_recording(id));
        Ok(())
    }

    fn put_aside(&self, id: &str, why: &anyhow::Error) -> Result<()> {
        let aside = self.root.join("aside");
        make_private(&aside)?;
        let to = aside.join(id);
        fs::rename(self.recording(id), &to)
            .with_context(|| format!("cannot move {id} to {}", to.display()))?;
        tracing::error!(
            "the recording {id} is in no profile, and was put aside in {}: {why:#}",
            to.display()
        );
        Ok(())
    }

    /// Removes what there is of a recording. At once: of one that is half removed, the next daemon would take the other
    /// half for all that there is.
    pub fn remove_recording(&self, id: &str) {
        let (dir, gone) = (self.recording(id), self.recording(&format!("{id}{GONE}")));
        let is_renamed = fs::rename(&dir, &gone).is_ok();
        remove(if is_renamed { &gone } else { &dir });
    }

    /// Removes a profile of one image; how many bytes that frees.
    pub fn forget(&self, key: &ProfileKey) -> u64 {
        let bytes = fs::metadata(self.manifest(key)).map_or(0, |file| file.size());
        remove(&self.dir(key));
        // Only when it was the last image of that name.
        let _others = fs::remove_dir(self.root.join("profiles").join(&key.name));
        bytes
    }

    /// Removes profiles that were not recorded for long, or that there is no room for; those that are being recorded stay.
    ///
    /// # Errors
    /// The directories cannot be read.
    pub fn retire(&self, retention: &Retention, active: &dyn Fn(&ProfileKey) -> bool) -> Result<()> {
        let mut stored = self.profiles()?;
        stored.sort_by_key(|profile| profile.changed);
        let mut bytes: u64 = stored.iter().map(|profile| profile.bytes).sum();
        for profile in stored {
            let age = profile.changed.elapsed().unwrap_or(Duration::ZERO);
            let old = age > retention.idle.0;
            if (old || bytes > retention.bytes) && !active(&profile.key) {
                let ProfileKey { name, image } = &profile.key;
                let why = if old { "it was not recorded for long" } else { "there was no room for it" };
                tracing::warn!(
                    "the profile {name} of image {image:.12} was removed: {why} (see [retention])"
                );
                bytes -= self.forget(&profile.key).min(bytes);
            }
        }
        Ok(())
    }
}

/// A profile on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Which.
    pub key: ProfileKey,
    /// Bytes that it takes.
    pub bytes: u64,
    /// When a recording was added last.
    pub changed: SystemTime,
}

fn read_if_there(path: &Path) -> Result<Option<Manifest>> {
    if path.exists() { io::read(path).map(Some) } else { Ok(None) }
}

fn make_private(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
    made.with_context(|| format!("cannot make {}", dir.display()))
}

fn names_in(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn remove(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!("cannot remove {}: {error}", dir.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Observed, Recording};

    fn image(id: &str) -> ImageRef {
        ImageRef { id: id.into(), repo_digests: Default::default(), names: Default::default() }
    }

    fn manifest(recording: &str) -> Manifest {
        let mut manifest = Manifest::new(Some(image("sha256:ab12")));
        manifest.recordings.insert(recording.into(), Recording::without_events(Observed::Use, true));
        manifest
    }

    fn key() -> ProfileKey {
        ProfileKey::new(&"web".to_owned().try_into().unwrap(), &image("sha256:ab12"))
    }

    #[test]
    fn recordings_that_ended_come_together_in_their_profile() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for id in ["a", "b"] {
            store.keep_ended(id, Some(&key()), &manifest(id)).unwrap();
        }
        assert_eq!(store.profile_of("a"), Some(key()));
        let ids = store.recordings().unwrap();
        assert_eq!(ids, ["a", "b"]);
        store.unite(&key(), &ids[..1], 10).unwrap();
        store.unite(&key(), &ids, 10).unwrap();
        assert_eq!(store.union_of(&key()).unwrap().unwrap().recordings.len(), 2);
        assert!(store.recordings().unwrap().is_empty());
        assert_eq!(store.profiles().unwrap()[0].key, key());
        assert!(store.forget(&key()) > 0 && store.profiles().unwrap().is_empty());
    }

    #[test]
    fn what_a_kill_left_of_a_recording_that_was_being_removed_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.keep_ended("a", None, &manifest("a")).unwrap();
        fs::rename(store.recording("a"), store.recording("a.gone")).unwrap();
        assert!(store.recordings().unwrap().is_empty() && !store.recording("a.gone").exists());
        store.keep_ended("a", None, &manifest("a")).unwrap();
        store.remove_recording("a");
        store.remove_recording("a");
        assert!(fs::read_dir(dir.path().join("recordings")).unwrap().next().is_none());
    }

    #[test]
    fn a_recording_that_does_not_fit_is_put_aside_and_the_others_are_united() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.keep_ended("a", None, &manifest("a")).unwrap();
        store.keep_ended("b", None, &Manifest::new(None)).unwrap();
        store.keep_ended("c", None, &manifest("c")).unwrap();
        fs::write(store.recording("c").join(MANIFEST), "{").unwrap();
        store.keep_ended("d", None, &manifest("d")).unwrap();
        store.unite(&key(), &["a", "b", "c", "d"].map(str::to_owned), 10).unwrap();
        assert_eq!(store.union_of(&key()).unwrap().unwrap().recordings.len(), 2);
        assert!(store.recordings().unwrap().is_empty());
        assert!(dir.path().join("aside/b").exists() && dir.path().join("aside/c").exists());
    }

    #[test]
    fn an_image_s_id_cannot_lead_out_of_the_directory() {
        let key = ProfileKey::new(&"web".to_owned().try_into().unwrap(), &image("sha256:../../ab"));
        assert_eq!(key.image, "ab");
    }

    #[test]
    fn what_is_too_old_or_too_much_goes_unless_it_is_being_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.keep_ended("a", None, &manifest("a")).unwrap();
        store.unite(&key(), &["a".into()], 10).unwrap();
        let none = Retention { bytes: 0, ..Retention::default() };
        store.retire(&Retention::default(), &|_| false).unwrap();
        store.retire(&none, &|key| key.name == "web").unwrap();
        assert_eq!(store.profiles().unwrap().len(), 1);
        store.retire(&none, &|_| false).unwrap();
        assert!(store.profiles().unwrap().is_empty());
    }

    #[test]
    fn two_daemons_do_not_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Store::open(dir.path()).unwrap();
        let error = format!("{:#}", Store::open(dir.path()).unwrap_err());
        assert!(error.contains("another slim-agent"), "{error}");
    }
}
