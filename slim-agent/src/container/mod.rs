//! Containers and images as a runtime knows them. Only this module talks to runtime sockets.

mod absent;
pub mod cgroup;
mod choice;
pub mod cri;
mod dial;
pub mod docker;
pub mod endpoint;
mod runtimes;
mod storage;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::manifest::{ImageRef, PathBytes};

pub use absent::Absent;
pub use choice::Choice;
pub use runtimes::{Reached, Runtimes};

/// A container runtime. One file in this module implements it for each.
pub trait Runtime: Send + Sync {
    /// Itself with its version: `docker 20.10.24`, `containerd 1.6.20 (CRI)`.
    fn name(&self) -> String;

    /// What the runtime knows of a container, by name or unambiguous id; [`Absent::Container`] when it has none.
    fn inspect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Container>>;

    /// What the runtime still knows of a container that was removed, by its full id.
    fn remember<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<Option<Container>>> {
        Box::pin(async { Ok(None) })
    }

    /// All containers that run, also those that are paused.
    fn running(&self) -> BoxFuture<'_, Result<Vec<Container>>>;

    /// Starts a container that was created or has exited.
    fn start<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Stops (with the container's own stop signal and grace) and starts a running container.
    fn restart<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Resolves once the container is not running any more: exited, killed or removed.
    fn wait_stopped<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// The image `reference` (name or id) as the engine resolves it; [`Absent::Image`] when it has none.
    fn image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ImageRef>>;

    /// The image's layers, if they are directories on this host that can be read in place.
    fn image_on_disk<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<ImageOnDisk>>>;

    /// Writes the image as an archive (the engine's save format) to `to`: the portable fallback.
    fn save_image<'a>(&'a self, id: &'a str, to: File) -> BoxFuture<'a, Result<()>>;

    /// Loads an archive in the engine's save format.
    fn load_image(&self, archive: File) -> BoxFuture<'_, Result<()>>;

    /// Gives an image another name, `NAME:TAG`; an image that had it loses it.
    fn name_image<'a>(&'a self, id: &'a str, name: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Takes a name from an image. An image without any other name goes, too, unless a container is made of it.
    fn unname_image<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Creates a container without starting it; its id.
    fn create<'a>(&'a self, new: &'a NewContainer) -> BoxFuture<'a, Result<String>>;

    /// Stops a container with its own stop signal and grace; one that does not run is left as it is.
    fn stop<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Kills and removes a container with its anonymous volumes; that there is none is no error.
    fn remove<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Runs a command in a running container, as its user and in its working directory, to its end.
    fn exec<'a>(&'a self, id: &'a str, command: &'a [String]) -> BoxFuture<'a, Result<Executed>>;

    /// What a container has written so far: its last `lines`, or all.
    fn output<'a>(&'a self, id: &'a str, lines: Option<usize>) -> BoxFuture<'a, Result<Output>>;
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
    /// The TCP ports that it exposes, its image's and its own, lowest first.
    pub ports: Vec<u16>,
    /// Labels, its image's and its own; of a Kubernetes container also the pod's `io.kubernetes.pod.name` and the like.
    pub labels: BTreeMap<String, String>,
    /// What its first process returned, if it ran and does not run any more.
    pub exit_code: Option<i64>,
}

/// A container to be made, with its image's own configuration where nothing else is said, and no privileges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewContainer {
    /// Its name.
    pub name: String,
    /// Name or id of its image.
    pub image: String,
    /// Variables, `NAME=VALUE`.
    pub env: Vec<String>,
    /// User and group, as the engine reads them.
    pub user: Option<String>,
    /// Mounts of host directories and named volumes, `SOURCE:POINT[:OPTIONS]`.
    pub binds: Vec<String>,
    /// Mount points of anonymous volumes.
    pub volumes: Vec<String>,
    /// Ports to publish on the host.
    pub ports: Vec<Published>,
    /// The network, as the engine reads it; its default where there is none.
    pub network: Option<String>,
    /// A seccomp profile, as JSON; the engine's own where there is none.
    pub seccomp: Option<String>,
}

/// A port of a container that the host's users reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Number and protocol in the container: `80/tcp`.
    pub port: String,
    /// The host's address; all of them where there is none.
    pub host_ip: Option<String>,
    /// The host's port; any free one where there is none.
    pub host_port: Option<String>,
}

/// Bytes that a program wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// To standard output; everything, where the container has a terminal.
    pub stdout: Vec<u8>,
    /// To standard error.
    pub stderr: Vec<u8>,
    /// Whether there was more than is held here.
    pub cut: bool,
}

/// How a command in a container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executed {
    /// What it returned.
    pub code: i64,
    /// What it wrote.
    pub output: Output,
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
    /// Lowest first.
    pub layers: Vec<LayerOnDisk>,
}

/// One layer of an image on this host.
#[derive(Debug, Clone)]
pub struct LayerOnDisk {
    /// Its directory in overlayfs form: whiteouts are 0/0 character devices.
    pub dir: PathBuf,
    /// All of its archive but the files' content, as the engine notes it to make the same archive again: gzip'ed
    /// tar-split. `None` when the engine has no such file.
    pub headers: Option<PathBuf>,
}
