//! Manifests on disk and on standard output: written whole or not at all, read with clear errors.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::{NamedTempFile, TempPath};

use super::schema::{Manifest, SCHEMA};

/// Largest manifest that is read: a bound on memory, far above any real one.
const MAX_BYTES: u64 = 1 << 30;
/// Room that a disk must have before a recording begins: what most manifests take.
const ROOM: usize = 1 << 20;
/// Other names of standard output, whatever it is connected to.
const STDOUT_NAMES: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Canonical bytes: pretty JSON with sorted keys and a final newline.
///
/// # Errors
/// Only if serialisation itself fails.
pub fn to_bytes(manifest: &Manifest) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(manifest).context("cannot serialise the manifest")?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a manifest; `-` is standard input.
///
/// # Errors
/// The file cannot be read, is not JSON, is cut off, or has a schema this version does not know.
pub fn read(path: &Path) -> Result<Manifest> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes).context("cannot read standard input")?;
    } else {
        let file =
            fs::File::open(path).with_context(|| format!("cannot open manifest {}", path.display()))?;
        let read = file.take(MAX_BYTES).read_to_end(&mut bytes);
        read.with_context(|| format!("cannot read manifest {}", path.display()))?;
    }
    parse(&bytes).with_context(|| format!("{} is not a usable manifest", path.display()))
}

/// Parses and checks the bytes of a manifest.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8]) -> Result<Manifest> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| {
        let what = if error.is_eof() { "it is cut off" } else { "it is not a JSON object" };
        anyhow::anyhow!("{what} ({error}); record again, or take an intact copy")
    })?;
    match head.schema.as_deref() {
        Some(SCHEMA) => {}
        Some(other) if other.starts_with("slim-agent/manifest/") => {
            bail!(
                "its schema is {other}, this version reads {SCHEMA}: use the slim-agent that wrote it, or a newer one"
            )
        }
        _ => bail!("it has no \"schema\": \"{SCHEMA}\": is it another tool's file?"),
    }
    serde_json::from_slice(bytes).context("it does not follow its schema")
}

/// Whether `path`, as a place to write to, means standard output.
pub fn is_stdout(path: &Path) -> bool {
    STDOUT_NAMES.iter().any(|name| path == Path::new(name))
}

/// Writes `bytes` to `path` whole or not at all (temporary file beside it, fsync, rename); `-` is standard output.
/// A device or a pipe is written to, not replaced; so is what a symbolic link points to, and the link stays.
///
/// # Errors
/// The directory is missing or not writable, or the disk is full; an older file at `path` is untouched then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_from(path, &mut &bytes[..])
}

/// The same with all that `content` has to give.
///
/// # Errors
/// As [`write`], and when reading fails.
pub fn write_from(path: &Path, content: &mut dyn Read) -> Result<()> {
    if is_stdout(path) {
        let mut out = io::stdout().lock();
        let written = io::copy(content, &mut out).and_then(|_| out.flush());
        return written.context("cannot write to standard output");
    }
    let failed = || format!("cannot write {}", path.display());
    if is_device(path) {
        let mut device = fs::File::options().write(true).open(path).with_context(failed)?;
        return io::copy(content, &mut device).map(drop).with_context(failed);
    }
    let target = target_of(path);
    let mut attempt = || -> io::Result<()> {
        let new = temporary_in(directory_of(&target))?;
        io::copy(content, &mut new.as_file())?;
        new.as_file().sync_all()?;
        new.persist(&target).map(drop).map_err(|failed| failed.error)
    };
    attempt().with_context(failed)
}

/// Writes `bytes` to a new file in the first of the usual temporary directories that takes them; its path. For what
/// must not be lost when [`write`] fails.
///
/// # Errors
/// None of the directories takes them.
pub fn rescue(bytes: &[u8]) -> Result<PathBuf> {
    let keep = |dir: &Path| -> io::Result<PathBuf> {
        let mut names = tempfile::Builder::new();
        let mut file = names.prefix("slim-agent-").suffix(".manifest.json").tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file.keep()?.1)
    };
    let dirs = [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from("/run")];
    dirs.iter().find_map(|dir| keep(dir).ok()).context("no temporary directory takes the manifest either")
}

/// Fails early, before a long recording, when `path` could not be written at its end.
///
/// # Errors
/// The directory does not exist or refuses a new file, or the disk is full.
pub fn check_writable(path: &Path) -> Result<()> {
    if is_stdout(path) || is_device(path) {
        return Ok(());
    }
    let target = target_of(path);
    let dir = directory_of(&target);
    if path.is_dir() {
        bail!("cannot write {}: it is a directory; name a file", path.display());
    }
    let room = temporary_in(dir).and_then(|probe| probe.as_file().write_all(&vec![0; ROOM]));
    room.with_context(|| format!("cannot write into directory {}", dir.display()))
}

/// A new file in `dir`, with the permissions that any new file of this user gets; it is removed unless it is persisted.
/// Its errors are the kernel's own: they do not show the temporary name.
fn temporary_in(dir: &Path) -> io::Result<NamedTempFile> {
    let mut number = 0_u32;
    loop {
        let path = dir.join(format!(".slim-agent-{}-{number}", std::process::id()));
        match fs::File::options().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The file that a symbolic link stands for; any other path as it is.
fn target_of(path: &Path) -> PathBuf {
    if path.is_symlink() {
        fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
    } else {
        path.to_owned()
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_written_to_and_stays_a_device() {
        let full = write(Path::new("/dev/full"), b"x").unwrap_err();
        assert!(format!("{full:#}").contains("No space left"), "{full:#}");
        assert!(write(Path::new("/dev/null"), b"x").is_ok());
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_symbolic_link_stays_and_its_target_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("m.json"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("m.json", &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(is_stdout(Path::new("/dev/stdout")) && check_writable(Path::new("/dev/full")).is_ok());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.json");
        write(&path, b"old").unwrap();
        assert!(write(&path.join("below"), b"new").is_err());
        assert!(write(dir.path(), b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file was left behind");
    }
}
