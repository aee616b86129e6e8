//! A file with the saved image. It is Docker's archive and an OCI archive at once, as newer engines save it.

use std::io::{IsTerminal, stdout};
use std::path::Path;

use anyhow::{Result, ensure};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::{Format, Written};
use crate::container::Runtime;
use crate::export::image::{Built, manifest_digest};
use crate::manifest::io;

pub(super) struct Archive<'a>(pub &'a Path);

impl Format for Archive<'_> {
    fn check(&self) -> Result<()> {
        let seen = io::is_stdout(self.0) && stdout().is_terminal();
        ensure!(!seen, "an image is nothing for a terminal: redirect standard output, or name a file");
        io::check_writable(self.0)
    }

    fn write<'a>(
        &'a self,
        image: &'a Built,
        _runtime: &'a dyn Runtime,
    ) -> LocalBoxFuture<'a, Result<Written>> {
        async move {
            io::write_from(self.0, &mut image.saved()?)?;
            let (to, digest) = (self.0.display().to_string(), manifest_digest(image)?);
            Ok(Written { kind: "archive", to, digest })
        }
        .boxed_local()
    }
}
