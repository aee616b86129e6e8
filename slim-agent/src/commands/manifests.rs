//! Manifests as arguments: several are united, and an export wants to know that nothing is missing in them.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::exit::{Exit, tag};
use crate::manifest::{Manifest, io};

/// Manifests that are united.
#[derive(Debug, clap::Args)]
pub struct ManifestArgs {
    /// Manifests of recordings of the same image; `-` is standard input
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
}

/// Manifests to export from.
#[derive(Debug, clap::Args)]
pub struct CompleteArgs {
    #[command(flatten)]
    all: ManifestArgs,

    /// Export although something was not seen: a loss, or a start-up that was not observed
    #[arg(long)]
    allow_incomplete: bool,
}

impl ManifestArgs {
    /// Their union, complete or not.
    ///
    /// # Errors
    /// One cannot be read, or they are about different images.
    pub fn union(&self) -> Result<Manifest> {
        union(&self.manifests)
    }
}

impl CompleteArgs {
    /// Their union, fit for an export.
    ///
    /// # Errors
    /// One cannot be read; they are about different images; or, unless `--allow-incomplete` is given, what they recorded
    /// is not complete: [`Exit::Incomplete`], with what was not seen.
    pub fn load(&self) -> Result<Manifest> {
        let manifest = self.all.union()?;
        require_complete(&manifest, self.allow_incomplete)?;
        Ok(manifest)
    }
}

/// Passes when a manifest is fit for an export.
///
/// # Errors
/// Unless `allow_incomplete`: it is not complete, with what was not seen, as [`Exit::Incomplete`].
pub fn require_complete(manifest: &Manifest, allow_incomplete: bool) -> Result<()> {
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
    let mut all = io::read(first)?;
    for path in rest {
        let other = io::read(path)?;
        let files = || format!("cannot merge {} into {}", path.display(), first.display());
        all.merge(other).with_context(files)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::exit::code_of;
    use crate::manifest::ImageRef;

    fn written(dir: &Path, name: &str, image: &str) -> PathBuf {
        let image = ImageRef { id: image.into(), repo_digests: [].into(), names: [].into() };
        let path = dir.join(name);
        let bytes = io::to_bytes(&Manifest::new(Some(image))).unwrap();
        io::write(&path, &bytes).unwrap();
        path
    }

    fn load(paths: &[PathBuf], allow_incomplete: bool) -> Result<Manifest> {
        CompleteArgs { all: ManifestArgs { manifests: paths.to_vec() }, allow_incomplete }.load()
    }

    #[test]
    fn manifests_of_different_images_are_named_with_both_ids() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [written(dir.path(), "a.json", "sha256:aa"), written(dir.path(), "b.json", "sha256:bb")];
        let error = load(&paths, true).unwrap_err();
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
        let error = load(&paths, false).unwrap_err();
        assert_eq!(code_of(&error), Exit::Incomplete);
        assert!(error.to_string().contains("start-up was not observed"), "{error}");
        assert!(load(&paths, true).is_ok());
    }
}
