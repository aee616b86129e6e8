//! One file for each subcommand: its arguments, and what it does.

pub mod completions;
pub mod coverage;
pub mod doctor;
pub mod export_all;
pub mod export_dockerfile;
pub mod export_hardening;
pub mod export_image;
pub mod export_seccomp;
mod interrupt;
pub mod merge;
pub mod policy;
pub mod record;
pub mod show;
pub mod slim;
pub mod watch;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::exit::{Exit, tag};
use crate::manifest::{Manifest, io as manifest_io};

/// The union of the manifests in `paths`, fit for an export.
///
/// # Errors
/// One cannot be read; they are about different images; or, unless `allow_incomplete`, what they recorded is not
/// complete: [`Exit::Incomplete`], with what was not seen.
pub fn load_manifests(paths: &[PathBuf], allow_incomplete: bool) -> Result<Manifest> {
    let manifest = union(paths)?;
    require_complete(&manifest, allow_incomplete)?;
    Ok(manifest)
}

/// Passes when a manifest is fit for an export.
///
/// # Errors
/// Unless `allow_incomplete`: it is not complete, with what was not seen, as [`Exit::Incomplete`].
fn require_complete(manifest: &Manifest, allow_incomplete: bool) -> Result<()> {
    let shortcomings = manifest.shortcomings();
    if shortcomings.is_empty() {
        return Ok(());
    }
    if !allow_incomplete {
        let listed = shortcomings.join("\n  ");
        let message = format!(
            "the recording is not complete; record again, or accept what is missing with \
             --allow-incomplete:\n  {listed}"
        );
        return Err(tag(Exit::Incomplete, message));
    }
    for shortcoming in shortcomings {
        tracing::warn!("incomplete: {shortcoming}");
    }
    Ok(())
}

/// The union of the manifests in `paths`, complete or not.
fn union(paths: &[PathBuf]) -> Result<Manifest> {
    let Some((first, rest)) = paths.split_first() else { bail!("no manifest was given") };
    let mut all = manifest_io::read(first)?;
    for path in rest {
        let other = manifest_io::read(path)?;
        let files = || format!("cannot merge {} into {}", path.display(), first.display());
        all.merge(other).with_context(files)?;
    }
    Ok(all)
}

/// Writes a command's result to `path`, whole or not at all; `-` is standard output, whose reader may close it early
/// without harm.
fn emit(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = manifest_io::write(path, bytes);
    let closed = |error: &anyhow::Error| {
        let cause = error.root_cause().downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    };
    match written {
        Err(error) if manifest_io::is_stdout(path) && closed(&error) => Ok(()),
        written => written,
    }
}

/// Pretty JSON with a final newline.
fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).context("cannot serialise the result")?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::code_of;
    use crate::manifest::ImageRef;

    fn written(dir: &Path, name: &str, image: &str) -> PathBuf {
        let image = ImageRef { id: image.into(), repo_digests: [].into(), names: [].into() };
        let path = dir.join(name);
        let bytes = manifest_io::to_bytes(&Manifest::new(Some(image))).unwrap();
        manifest_io::write(&path, &bytes).unwrap();
        path
    }

    #[test]
    fn manifests_of_different_images_are_named_with_both_ids() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [written(dir.path(), "a.json", "sha256:aa"), written(dir.path(), "b.json", "sha256:bb")];
        let error = load_manifests(&paths, true).unwrap_err();
        let text = format!("{error:#}");
        for part in ["a.json", "b.json", "sha256:aa", "sha256:bb"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(code_of(&error), Exit::Failed);
    }

    #[test]
    fn an_incomplete_recording_is_refused_with_its_own_code() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [written(dir.path(), "a.json", "sha256:aa")];
        let error = load_manifests(&paths, false).unwrap_err();
        assert_eq!(code_of(&error), Exit::Incomplete);
        assert!(error.to_string().contains("start-up was not observed"), "{error}");
        assert!(load_manifests(&paths, true).is_ok());
    }
}
