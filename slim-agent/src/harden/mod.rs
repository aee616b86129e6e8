//! What a container of the image can be denied, and what it needs all the same: least privilege out of a manifest,
//! the image and a plan. Pure; the exporters spell it for each platform.
//!
//! Where a recording leaves something open, the container keeps it: a privilege too many is not an outage.

mod account;
mod capabilities;
mod evidence;
mod files;
mod network;
mod privileges;
#[cfg(test)]
mod tests;
mod writes;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::image::{Config, ImageSource};
use crate::manifest::{Manifest, PathBytes};
use crate::plan::Plan;

pub use account::Account;
pub use capabilities::{Basis, Capabilities};
use evidence::Evidence;
pub use files::Access;
pub use network::{Address, Connection, Family, Listener, ports};
pub use writes::{Holds, ReadOnly, Writable};

/// Where images have `cp`.
const COPIERS: [&str; 3] = ["/bin/cp", "/usr/bin/cp", "/usr/local/bin/cp"];

/// A mount point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub path: PathBytes,
    /// `volume`, `bind` or `tmpfs`.
    pub kind: String,
    /// What a volume begins with.
    pub holds: Holds,
}

/// Least privilege for a container of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardening {
    /// Who the first process is.
    pub account: Account,
    /// The capabilities that are needed; all others can be dropped.
    pub capabilities: Capabilities,
    /// Why programs must be able to gain privileges when they are executed; empty when `no-new-privileges` can be on.
    pub gains: Vec<String>,
    /// Whether the root filesystem can be read-only, and what must be writable then.
    pub read_only: ReadOnly,
    /// What the image declares as volumes, and what a recording had mounted.
    pub mounts: Vec<Mount>,
    /// The image's `cp`, for platforms that do not copy what a volume begins with.
    pub copier: Option<PathBytes>,
    /// Ports and sockets that were waited at.
    pub listens: Vec<Listener>,
    /// Ports that the image declares, as `80/tcp`, and nothing waited at.
    pub unused_ports: Vec<String>,
    /// What was connected to or sent to.
    pub connects: Vec<Connection>,
    /// Whether names of hosts may be asked for.
    pub resolves: bool,
    /// Families of sockets that may be made.
    pub families: BTreeSet<Family>,
    /// What the image keeps, by physical path, and how it may be used.
    pub files: BTreeMap<PathBytes, Access>,
    /// Files of procfs and sysfs that were written, with `*` for the ids of processes.
    pub kernel_writes: BTreeSet<String>,
    /// The ABIs that its system calls were made by, as the manifest spells them.
    pub abis: BTreeSet<String>,
    /// How many recordings this comes from.
    pub recordings: usize,
}

impl Hardening {
    /// Finds out what a container of `image` needs, of which `plan` keeps what `manifest` saw.
    ///
    /// # Errors
    /// The image cannot be read, or its config is not JSON.
    pub fn derive(manifest: &Manifest, image: &dyn ImageSource, plan: &Plan) -> Result<Self> {
        let config = Config::parse(image.config())?;
        let account = Account::of(&config.user, image)?;
        let evidence = Evidence::new(manifest, image, plan);
        let executed = privileges::executed(&evidence)?;
        let gains = privileges::gains(&evidence, &account, &executed);
        // Nobody becomes somebody else.
        let is_fixed = !account.may_be_root() && gains.is_empty();
        let mounts = evidence.mounts(&config.volumes);
        let listens = network::listens(manifest, &config.exposed);
        let unused_ports = network::unused(&listens, &config.exposed);
        let capabilities = Capabilities::derive(manifest, is_fixed, &listens);
        let needs_packets = capabilities.needed.contains_key("CAP_NET_RAW");
        Ok(Self {
            read_only: ReadOnly::derive(&evidence, &account, is_fixed, &mounts)?,
            copier: evidence.first_of(&COPIERS)?,
            resolves: network::resolves(manifest),
            connects: network::connects(manifest),
            abis: manifest
                .syscalls
                .iter()
                .filter(|(_, calls)| !calls.is_empty())
                .map(|(abi, _)| abi.clone())
                .collect(),
            recordings: manifest.recordings.len(),
            families: network::families(manifest, needs_packets),
            files: files::kept(&evidence)?,
            kernel_writes: files::kernel_writes(&evidence),
            capabilities,
            account,
            gains,
            mounts,
            listens,
            unused_ports,
        })
    }
}
