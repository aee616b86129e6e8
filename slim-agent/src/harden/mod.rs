//! What a container of the image can be denied, and what it needs all the same: least privilege out of a manifest,
//! the image and a plan. Pure; the exporters spell it for each platform.
//!
//! Where a recording leaves something open, the container keeps it: a privilege too many is not an outage.

mod account;
mod capabilities;
mod evidence;
mod network;
mod privileges;
mod writes;

use std::collections::BTreeMap;

use anyhow::Result;

use crate::image::{Config, ImageSource};
use crate::manifest::{Manifest, PathBytes};
use crate::plan::Plan;

pub use account::Account;
pub use capabilities::{Basis, Capabilities};
use evidence::Evidence;
pub use network::{Address, Connection, Listener, ports};
pub use writes::{Holds, ReadOnly, Writable};

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
    /// Mount points that the image declares as volumes or that a recording had, and their kind (`volume`, `bind`,
    /// `tmpfs`).
    pub mounts: BTreeMap<PathBytes, String>,
    /// Ports and sockets that were waited at.
    pub listens: Vec<Listener>,
    /// Ports that the image declares, as `80/tcp`, and nothing waited at.
    pub unused_ports: Vec<String>,
    /// What was connected to or sent to.
    pub connects: Vec<Connection>,
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
        Ok(Self {
            capabilities: Capabilities::derive(manifest, is_fixed, &listens),
            read_only: ReadOnly::derive(&evidence, &account, is_fixed, &mounts)?,
            connects: network::connects(manifest),
            recordings: manifest.recordings.len(),
            account,
            gains,
            mounts,
            listens,
            unused_ports,
        })
    }
}
