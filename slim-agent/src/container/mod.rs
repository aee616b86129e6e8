//! Containers and images as a runtime knows them. Only this module talks to runtime sockets.

pub mod cgroup;
pub mod docker;
pub mod endpoint;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::manifest::{ImageRef, PathBytes};

/// A container runtime. One file in this module implements it for each.
pub trait Runtime: Send + Sync {
    /// What the runtime knows of a container, by name or unambiguous id.
    fn inspect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Container>>;

    /// Starts a container that was created or has exited.
    fn start<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Stops (with the container's own stop signal and grace) and starts a running container.
    fn restart<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Resolves once the container is not running any more: exited, killed or removed.
    fn wait_stopped<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// The image `reference` (name or id) as the engine resolves it.
    fn image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ImageRef>>;

    /// The image's layers, if they are directories on this host that can be read in place.
    fn image_on_disk<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<ImageOnDisk>>>;

    /// Writes the image as an archive (the engine's save format) to `to`: the portable fallback.
    fn save_image<'a>(&'a self, id: &'a str, to: File) -> BoxFuture<'a, Result<()>>;

    /// Loads an archive in the engine's save format.
    fn load_image(&self, archive: File) -> BoxFuture<'_, Result<()>>;
}

/// What a recording needs to know of a container.
#[derive(Debug, Clone)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name, without the leading slash.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// Host pid of its first process, when it runs.
    pub pid: Option<u32>,
    /// First IP address, when it runs and has one.
    pub ip: Option<String>,
    /// The image it was created from.
    pub image: ImageRef,
    /// Engine and OCI runtime with versions: `docker 20.10.24, runc 1.1.5`.
    pub runtime: String,
    /// `default`, `unconfined` or `custom`: see [`crate::manifest::Recording::seccomp`].
    pub seccomp: String,
    /// The profile, where it is `custom`: its text, or what else the engine has for it.
    pub seccomp_profile: Option<String>,
    /// The words that its health check executes; empty when it has none.
    pub healthcheck: Vec<String>,
    /// Mount point -> `bind`, `volume`, `tmpfs`.
    pub mounts: BTreeMap<PathBytes, String>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Created or exited: it can be started under observation.
    Startable,
    /// Running.
    Running,
    /// It cannot be recorded now: what it is, such as `paused`.
    Other(&'static str),
}

/// An image whose layers are directories on this host.
#[derive(Debug, Clone)]
pub struct ImageOnDisk {
    /// The image's config, byte for byte (its sha256 is the image id).
    pub config: Vec<u8>,
    /// The layers' directories in overlayfs form (whiteouts are 0/0 character devices), lowest first.
    pub layers: Vec<PathBuf>,
}
