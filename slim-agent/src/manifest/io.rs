//! Manifests on disk and on standard output: written whole or not at all, read with clear errors.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::schema::{Manifest, SCHEMA};

/// Largest manifest that is read: a bound on memory, far above any real one.
const MAX_BYTES: u64 = 1 << 30;

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
        std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
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

/// Writes `bytes` to `path` whole or not at all (temporary file beside it, fsync, rename); `-` is standard output.
/// A device or a pipe is written to, not replaced.
///
/// # Errors
/// The directory is missing or not writable, or the disk is full; an older file at `path` is untouched then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return out.write_all(bytes).and_then(|()| out.flush()).context("cannot write to standard output");
    }
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let written = fs::File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes));
        return written.with_context(|| format!("cannot write {}", path.display()));
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let attempt = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".slim-agent-").tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    attempt().with_context(|| format!("cannot write {}", path.display()))
}

/// Fails early, before a long recording, when `path` could not be written at its end.
///
/// # Errors
/// The directory does not exist or refuses a new file.
pub fn check_writable(path: &Path) -> Result<()> {
    if path == Path::new("-") {
        return Ok(());
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if path.is_dir() {
        bail!("cannot write {}: it is a directory; name a file", path.display());
    }
    let probe = tempfile::Builder::new().prefix(".slim-agent-").tempfile_in(dir);
    probe.map(drop).with_context(|| format!("cannot write into directory {}", dir.display()))
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
