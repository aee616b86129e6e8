//! The option that says which runtime is asked.

use std::sync::Arc;

use anyhow::Result;

use super::export_image::find_image;
use crate::container::{Choice, Container, Runtime};
use crate::manifest::{ImageRef, Manifest};

/// Which runtime has the container or the image.
#[derive(Debug, Default, clap::Args)]
pub struct RuntimeArgs {
    /// Which runtime to ask: auto (whichever has it, the engine of the docker CLI first), docker, podman, cri (containerd
    /// or CRI-O of Kubernetes), or the address of its socket
    #[arg(long, value_name = "RUNTIME", default_value_t)]
    runtime: Choice,
}

impl RuntimeArgs {
    /// A container by name or id, and the runtime that has it.
    ///
    /// # Errors
    /// As [`Choice::container`].
    pub async fn container(&self, name: &str) -> Result<(Arc<dyn Runtime>, Container)> {
        self.runtime.container(name).await
    }

    /// The runtime that has an image.
    ///
    /// # Errors
    /// As [`Choice::with_image`].
    pub async fn with_image(&self, reference: &str) -> Result<Arc<dyn Runtime>> {
        self.runtime.with_image(Some(reference), None).await
    }

    /// The image that the manifest is about, or else `reference`, and the runtime that has it: if possible the one that
    /// had the container.
    ///
    /// # Errors
    /// No runtime answers, or as [`find_image`].
    pub async fn original(
        &self,
        manifest: &Manifest,
        reference: Option<&str>,
    ) -> Result<(Arc<dyn Runtime>, ImageRef)> {
        let recorded = manifest.image.as_ref().map(|image| image.id.as_str());
        let recorded_by = manifest.recordings.values().find_map(|recording| recording.runtime.as_deref());
        let runtime = self.runtime.with_image(reference.or(recorded), recorded_by).await?;
        let original = find_image(manifest, reference, &*runtime).await?;
        Ok((runtime, original))
    }
}
