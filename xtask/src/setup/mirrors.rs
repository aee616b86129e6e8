//! Where Debian's packages come from.

use crate::process::{command, output};

/// The release that the test images and this project's own set-up are made for.
pub const SUITE: &str = "bookworm";
const SECURITY_SUITE: &str = "bookworm-security";
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
    let format = ["indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)", "Created-By: Packages"];
    let listing = output(&mut command("apt-get", format)).unwrap_or_default();
    let of = |suite, default: &str| find(&listing, suite).unwrap_or(default).to_owned();
    Mirrors { main: of(SUITE, MIRROR), security: of(SECURITY_SUITE, SECURITY) }
}

/// Where a listing has one of Debian's own archives: other vendors use the same code names.
fn find<'a>(listing: &'a str, suite: &str) -> Option<&'a str> {
    let prefix = format!("Debian {suite} ");
    listing.lines().find_map(|line| line.strip_prefix(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_vendor_s_archive_for_the_same_release_is_passed_over() {
        let listing = "Docker bookworm https://download.docker.com/linux/debian/\n\
            Debian bookworm-security http://near/debian-security/\nDebian bookworm http://near/debian/";
        assert_eq!(find(listing, "bookworm"), Some("http://near/debian/"));
        assert_eq!(find(listing, "bookworm-security"), Some("http://near/debian-security/"));
        assert_eq!(find(" bookworm http://far/", "bookworm"), None);
    }
}
