//! The container engine: the image is loaded, and known by its name.

use anyhow::{Context, Result};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::{Format, Written};
use crate::container::Runtime;
use crate::export::image::{Built, Reference};

pub(super) struct Engine<'a>(pub &'a Reference);

impl Format for Engine<'_> {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn write<'a>(
        &'a self,
        image: &'a Built,
        runtime: &'a dyn Runtime,
    ) -> LocalBoxFuture<'a, Result<Written>> {
        async move {
            runtime.load_image(image.saved()?).await?;
            let to = self.0.to_string();
            let loaded = runtime.image(&to).await.context("the engine did not take the new image")?;
            Ok(Written { kind: "engine", to, digest: loaded.id })
        }
        .boxed_local()
    }
}
