//! Where Debian's packages come from.

use crate::process::{command, output};

/// The release that the test images and this project's own set-up are made for.
pub const SUITE: &str = "bookworm";
const MIRROR: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";

/// Addresses of Debian's archives.
pub struct Mirrors {
    /// Of the releases.
    pub main: String,
    /// Of their security updates.
    pub security: String,
}

/// The host's own mirrors when it runs the same Debian: what is made here then reaches what the host reaches.
pub fn mirrors() -> Mirrors {
    let format = ["indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"];
    let listing = output(&mut command("apt-get", format)).unwrap_or_default();
    let find = |codename: &str| {
        let mut pairs = listing.lines().filter_map(|line| line.split_once(' '));
        // Other vendors may use the same code name; Debian's archives end in the distribution's name.
        pairs.find(|(name, uri)| *name == codename && uri.contains("/debian")).map(|(_, uri)| uri.to_owned())
    };
    Mirrors {
        main: find(SUITE).unwrap_or_else(|| MIRROR.to_owned()),
        security: find(&format!("{SUITE}-security")).unwrap_or_else(|| SECURITY.to_owned()),
    }
}
