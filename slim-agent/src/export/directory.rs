//! Directories written whole or not at all: built beside their place, and moved there.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// A directory to be made. What an earlier export made is replaced, anything else never.
pub(super) struct Place<'a> {
    /// Where.
    pub path: &'a Path,
    /// Whether a directory that is there was made by an earlier export.
    pub is_ours: fn(&Path) -> bool,
}

impl Place<'_> {
    /// Fails early where [`fill`](Self::fill) would fail.
    pub fn check(&self) -> Result<()> {
        self.is_taken()?;
        let beside = self.beside();
        let probe = tempfile::tempdir_in(beside);
        probe.map(drop).with_context(|| format!("cannot write into directory {}", beside.display()))
    }

    /// Makes the directory of what `fill` puts into it.
    pub fn fill<T>(&self, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        // Permissions as any new directory of this user gets them.
        let mut names = tempfile::Builder::new();
        let new = names.prefix(".slim-agent-").permissions(Permissions::from_mode(0o777));
        let new = new.tempdir_in(self.beside())?;
        let filled = fill(new.path())?;
        if self.is_taken()? {
            // The old directory is removed under the new one's temporary name.
            renameat2(AT_FDCWD, new.path(), AT_FDCWD, self.path, RenameFlags::RENAME_EXCHANGE)?;
        } else {
            fs::rename(new.path(), self.path)?;
        }
        Ok(filled)
    }

    fn beside(&self) -> &Path {
        self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Whether there is something to replace.
    fn is_taken(&self) -> Result<bool> {
        let place = self.path.display();
        match fs::symlink_metadata(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("cannot look at {place}")),
            Ok(found) if !found.is_dir() => bail!("{place} is no directory: name another place"),
            Ok(_) => {}
        }
        if fs::read_dir(self.path).with_context(|| format!("cannot read {place}"))?.next().is_none() {
            return Ok(false);
        }
        if !(self.is_ours)(self.path) {
            bail!(
                "{place} holds something else than an earlier export: name a directory that is new or empty"
            );
        }
        Ok(true)
    }
}

/// Whether a directory has entries of these names and no others.
pub(super) fn has_only(dir: &Path, names: &[&str]) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries
        .into_iter()
        .all(|entry| entry.is_ok_and(|entry| names.iter().any(|name| entry.file_name() == *name)))
}

/// Writes one file of the directory.
pub(super) fn put(dir: &Path, name: &str, content: &mut dyn Read) -> Result<()> {
    let mut write = || -> io::Result<()> {
        let mut file = File::create(dir.join(name))?;
        io::copy(content, &mut file)?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &Path) -> Place<'_> {
        Place { path, is_ours: |dir| has_only(dir, &["a"]) }
    }

    #[test]
    fn only_an_earlier_export_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let fill = |text: &'static str| place(&path).fill(|dir| put(dir, "a", &mut text.as_bytes()));
        fs::create_dir(&path).unwrap();
        for text in ["first", "second"] {
            fill(text).unwrap();
            assert_eq!(fs::read_to_string(path.join("a")).unwrap(), text);
        }
        fs::write(path.join("b"), "mine").unwrap();
        assert!(fill("third").unwrap_err().to_string().contains("new or empty"));
        assert!(place(&path).check().is_err());
        assert!(place(&path.join("b")).check().is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary directory was left behind");
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(place(&path).fill(|_| -> Result<()> { bail!("no") }).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
