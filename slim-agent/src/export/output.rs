//! Where an image goes: one file for each destination, behind one small trait.

use std::path::PathBuf;

use anyhow::{Context, Result};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;

use crate::container::Runtime;
use crate::export::image::{Built, Reference};

mod archive;
mod engine;
mod layout;
mod push;

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The engine, under a name.
    Engine(Reference),
    /// A directory in the form of an OCI image layout.
    Layout(PathBuf),
    /// A file with the saved image, for `docker load`, `podman load` and `skopeo`; `-` is standard output.
    Archive(PathBuf),
    /// A registry, under a name in it.
    Registry(Reference),
}

/// What was written where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// What kind of place it is: `engine`, `oci`, `archive`, `registry`.
    pub kind: &'static str,
    /// The place, as it was named.
    pub to: String,
    /// By which digest the image is known there: its id in the engine, else that of its manifest.
    pub digest: String,
}

/// A destination's own way.
trait Format {
    /// Fails early where writing would fail later.
    fn check(&self) -> Result<()>;

    /// Writes the image, whole or not at all.
    fn write<'a>(&'a self, image: &'a Built, runtime: &'a dyn Runtime)
    -> LocalBoxFuture<'a, Result<Written>>;
}

impl Output {
    fn format(&self) -> Box<dyn Format + '_> {
        match self {
            Self::Engine(name) => Box::new(engine::Engine(name)),
            Self::Layout(dir) => Box::new(layout::Layout(dir)),
            Self::Archive(path) => Box::new(archive::Archive(path)),
            Self::Registry(name) => Box::new(push::Push(name)),
        }
    }

    /// Fails early, before the work is done, where writing would fail.
    ///
    /// # Errors
    /// The place cannot be written to, or must not be.
    pub fn check(&self) -> Result<()> {
        self.format().check()
    }

    /// Writes `image` there, whole or not at all.
    ///
    /// # Errors
    /// The engine or the registry refuses it or does not answer, or the disk is full.
    pub async fn write(&self, image: &Built, runtime: &dyn Runtime) -> Result<Written> {
        self.format()
            .write(image, runtime)
            .await
            .with_context(|| format!("cannot write the new image to {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Engine(name) => write!(out, "the engine as {name}"),
            Self::Layout(dir) => write!(out, "directory {}", dir.display()),
            Self::Archive(path) => write!(out, "{}", path.display()),
            Self::Registry(name) => write!(out, "registry {} as {name}", name.registry()),
        }
    }
}
